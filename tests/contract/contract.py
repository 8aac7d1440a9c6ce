"""The check of synthesized stacks against the published rules, by the table in `mapping.toml`."""

import json
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.contract.attributes import Attribute, Computed, attributes
from tests.contract.models import Check, Member, checks, checks_of_items, checks_of_part, members, normalized
from tests.template import Template

TABLE: Mapping[str, Any] = tomllib.loads((Path(__file__).parent / "mapping.toml").read_text())

COVERED = "covered"
NOT_IN_MODEL = "not in a model"
BOOLEAN = "boolean"
NO_RULE = "no rule published"
COMPUTED = "computed reference"
REASONS = (COVERED, NOT_IN_MODEL, BOOLEAN, NO_RULE, COMPUTED)

_REFERENCE = re.compile(r"(?<!\$)\$\{.*?\}")
ABSOLUTE = re.compile(r"(?P<root>AWS::\w+::\w+|[a-z0-9-]+\.[A-Z]\w+)\.(?P<path>.+)")


class Violation(NamedTuple):
    """A value that breaks a published rule."""

    stack: str
    address: str
    attribute: str
    value: Any
    kind: str
    rule: str
    source: str

    def __str__(self) -> str:
        return f"{self.stack}: {self.address}: {self.attribute}: {self.value!r}: {self.rule} ({self.source})"


class Report:
    """The violations in stacks, the number of checks, and the coverage of attributes (resource type and path)."""

    def __init__(self) -> None:
        self.violations: list[Violation] = []
        self.unknown: set[str] = set()
        self.used: set[tuple[str, str]] = set()
        self.checks: Counter[str] = Counter()
        self.computed: Counter[str] = Counter()
        self.java: set[tuple[str, str]] = set()
        self.places: set[tuple[str, str, str]] = set()
        """The attributes of single resources that were checked: stack, address and path."""
        self._reasons: dict[str, set[str]] = {}

    def add(self, stacks: Mapping[str, Template]) -> None:
        """Check all attributes of `stacks`."""
        computed = Computed(
            *({kind: entry.get(part, {}) for kind, entry in TABLE.items()} for part in ("same", "example"))
        )
        for attribute in attributes(stacks, computed):
            self.check(attribute)

    def check(self, attribute: Attribute) -> None:
        """Check one attribute."""
        if attribute.kind not in TABLE:
            self.unknown.add(attribute.kind)
            return
        found = self._members(attribute.kind, attribute.path)
        if attribute.is_count:
            self._apply(attribute, found, lambda member: checks_of_items(member, attribute.value))
        elif found is None:
            self._reason(attribute, NOT_IN_MODEL)
        elif str(attribute.value).lower() in {"true", "false"}:
            self._reason(attribute, BOOLEAN)
        elif not found:
            self.unknown.add(f"{attribute.kind}.{attribute.path}")
        else:
            self._check_value(attribute, found)

    def _check_value(self, attribute: Attribute, found: list[Member]) -> None:
        text = str(attribute.value)
        if text.startswith("{"):
            self._count(attribute, Check("json", "valid JSON", kept=_is_json(text)), "JSON")
        known = _REFERENCE.sub("", text)
        if known == text:
            self._reason(attribute, NO_RULE)
            self._apply(attribute, found, lambda member: checks(member, text))
        else:
            self.computed["in part" if known else "completely"] += 1
            self._reason(attribute, COMPUTED)
            if known:
                self._apply(attribute, found, lambda member: checks_of_part(member, known))

    def _apply(
        self, attribute: Attribute, found: list[Member] | None, rules: Callable[[Member], Iterator[Check]]
    ) -> None:
        for member in found or ():
            for check in rules(member):
                if check.kept is None:
                    self.java.add((member.name, member.rules["pattern"]))
                else:
                    self._count(attribute, check, f"{member.name}, {member.source}")

    def _count(self, attribute: Attribute, check: Check, source: str) -> None:
        self.checks[check.kind] += 1
        self.places.add((attribute.stack, attribute.address, attribute.path))
        self._reason(attribute, COVERED)
        if not check.kept:
            where = (attribute.stack, attribute.address, attribute.path, attribute.value)
            self.violations.append(Violation(*where, check.kind, check.rule, source))

    def _reason(self, attribute: Attribute, reason: str) -> None:
        self._reasons.setdefault(f"{attribute.kind}.{attribute.path}", set()).add(reason)

    def _members(self, kind: str, path: str) -> list[Member] | None:
        """The members that an attribute maps to; None if it is in no model."""
        entry, parts = TABLE[kind], path.split(".")
        for end in range(len(parts), 0, -1):
            name, rest = ".".join(parts[:end]), parts[end:]
            if name in entry.get("absent", ()):
                self.used.add((kind, name))
                return None
            if name in entry.get("names", {}):
                self.used.add((kind, name))
                targets = entry["names"][name]
                targets = [targets] if isinstance(targets, str) else targets
                return [member for target in targets for member in _found(entry["models"], ".".join((target, *rest)))]
        return _found(entry["models"], path)

    @property
    def coverage(self) -> dict[str, list[str]]:
        """The attributes by what happened to them: covered, or the reason why not."""
        result: dict[str, list[str]] = {reason: [] for reason in REASONS}
        for attribute, reasons in sorted(self._reasons.items()):
            result[next(reason for reason in REASONS if reason in reasons)].append(attribute)
        return result

    def __str__(self) -> str:
        counted = {reason: len(found) for reason, found in self.coverage.items()}
        return "\n".join(
            [
                f"checks: {self.checks.total()} ({_numbers(self.checks)})",
                f"checked attributes of all resources: {len(self.places)}",
                f"attributes by resource type: {_numbers(counted)}",
                f"values that AWS computes: {_numbers(self.computed)}",
                f"patterns that Python cannot compile: {len(self.java)}",
                *(f"  {member}: {pattern}" for member, pattern in sorted(self.java)),
            ]
        )


def _found(roots: Sequence[str], path: str) -> list[Member]:
    absolute = ABSOLUTE.fullmatch(path)
    if absolute is not None:
        roots, path = [absolute["root"]], absolute["path"]
    return [member for root in roots if (member := members(root).get(normalized(path))) is not None]


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _numbers(counted: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counted.items())
