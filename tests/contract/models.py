"""The rules that AWS publishes for the members of its APIs and of CloudFormation types."""

import json
import math
import re
import warnings
from collections.abc import Iterator, Mapping
from functools import cache
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, NamedTuple

import botocore
import botocore.session
from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape

CLOUDFORMATION = json.loads((Path(__file__).parent / "cloudformation.json").read_text())


class Member(NamedTuple):
    """A member of an API's operation or of a CloudFormation type, and its rules by the keywords of JSON Schema."""

    name: str
    source: str
    rules: Mapping[str, Any]

    @property
    def is_api(self) -> bool:
        return "::" not in self.name


class Check(NamedTuple):
    """A rule of a member, and whether a value keeps it; None if Python cannot tell."""

    kind: str
    rule: str
    kept: bool | None


@cache
def members(root: str) -> dict[str, Member]:
    """The members below `root` by their normalized path.

    `root` is an operation or one of its members, as `rds.CreateDBInstance` or `backup.CreateBackupPlan.BackupPlan`,
    or a CloudFormation type or one of its properties, as `AWS::EC2::LaunchTemplate.LaunchTemplateData`.
    """
    if "::" in root:
        kind, _, below = root.partition(".")
        source, flat = CLOUDFORMATION["source"], CLOUDFORMATION["types"][kind].items()
    else:
        service, operation, *rest = root.split(".")
        kind, below = f"{service}.{operation}", ".".join(rest)
        source, flat = f"botocore {botocore.__version__}", _operation(service, operation)
    prefix = f"{below}." if below else ""
    return {
        normalized(path.removeprefix(prefix)): Member(f"{kind}.{path}", source, rules)
        for path, rules in flat
        if path.startswith(prefix)
    }


def normalized(path: str) -> str:
    """`Rules.CopyActions` and `rule.copy_action` as `rule.copyaction`."""
    return ".".join(_singular(part.replace("_", "").lower()) for part in path.split("."))


def _singular(word: str) -> str:
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    return word.removesuffix("s") if not word.endswith("ss") else word


@cache
def _session() -> botocore.session.Session:
    return botocore.session.get_session()


@cache
def _service(name: str) -> botocore.model.ServiceModel:
    return _session().get_service_model(name)


def _operation(service: str, operation: str) -> Iterator[tuple[str, dict[str, Any]]]:
    shape = _service(service).operation_model(operation).input_shape
    assert shape is not None, f"{service}.{operation} has no input"
    return _flat(shape, (), ())


def _flat(shape: Shape, path: tuple[str, ...], seen: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The paths of all members and their rules. The items of a list have the path of the list."""
    rules = _rules(shape)
    while isinstance(shape, ListShape):
        shape = shape.member
        rules |= _rules(shape)
    if path:
        yield ".".join(path), rules
    if isinstance(shape, MapShape):
        yield from _flat(shape.key, (*path, "key"), seen)
        yield from _flat(shape.value, (*path, "value"), seen)
    if isinstance(shape, StructureShape) and shape.name not in seen:
        for name, member in shape.members.items():
            yield from _flat(member, (*path, name), (*seen, shape.name))


def _rules(shape: Shape) -> dict[str, Any]:
    suffix = "Items" if isinstance(shape, ListShape | MapShape) else "Length" if _is_text(shape) else "imum"
    bounds = {f"{bound}{suffix}": shape.metadata[bound] for bound in ("min", "max") if bound in shape.metadata}
    pattern = {"pattern": shape.metadata["pattern"]} if "pattern" in shape.metadata else {}
    enum = {"enum": shape.enum} if isinstance(shape, StringShape) and shape.enum else {}
    return {**bounds, **pattern, **enum}


def _is_text(shape: Shape) -> bool:
    return shape.type_name in {"string", "blob"}


def checks(member: Member, value: object) -> Iterator[Check]:
    """All rules for a text or number."""
    text, rules = str(value), member.rules
    if "enum" in rules:
        allowed = [str(one) for one in rules["enum"]]
        yield Check("enum", f"one of {', '.join(allowed)}", text in allowed)
    if "pattern" in rules:
        yield Check("pattern", f"matches {rules['pattern']}", _matches(member, rules["pattern"], text))
    if "format" in rules:
        yield Check("format", f"is {rules['format']}", _has_format(rules["format"], text))
    yield from _between("length", len(text), rules.get("minLength"), rules.get("maxLength"))
    number = int(text) if re.fullmatch(r"-?\d+", text) else math.nan
    yield from _between("range", number, rules.get("minimum"), rules.get("maximum"))


def checks_of_items(member: Member, count: int) -> Iterator[Check]:
    """All rules for the number of items of a list or map."""
    yield from _between("items", count, member.rules.get("minItems"), member.rules.get("maxItems"))


def checks_of_part(member: Member, known: str) -> Iterator[Check]:
    """The rule that holds for a text of which only a part is known: it must not be too long already."""
    yield from _between("length", len(known), None, member.rules.get("maxLength"))


def _between(kind: str, actual: float, least: float | None, most: float | None) -> Iterator[Check]:
    if least is not None or most is not None:
        bounds = [f"at least {least}" if least is not None else "", f"at most {most}" if most is not None else ""]
        kept = (least is None or actual >= least) and (most is None or actual <= most)
        yield Check(kind, f"{kind} {' and '.join(filter(None, bounds))}, not {actual}", kept)


def _has_format(expected: str, text: str) -> bool:
    if expected != "ipv4-network":
        return re.match(expected, text) is not None
    try:
        return str(IPv4Network(text)) == text
    except ValueError:
        return False


def _matches(member: Member, pattern: str, text: str) -> bool | None:
    """Whether a text matches.

    A pattern of an API applies to the whole text: `[\\w+=,.@-]+` of iam.CreateRole.RoleName is documented as the
    characters that the name consists of. A pattern of JSON Schema, as in CloudFormation, is not anchored.
    Source: https://json-schema.org/draft-07/json-schema-validation#rfc.section.6.3.3
    """
    expression = compiled(pattern)
    if expression is None:
        return None
    return (expression.fullmatch(text) if member.is_api else expression.search(text)) is not None


# Classes of Unicode that only Java has, and classes of Python that contain them: `\\w` also has the underscore.
_CLASSES = {r"\p{L}": r"\w", r"\p{N}": r"\d", r"\p{Z}": r"\s"}


@cache
def compiled(pattern: str) -> re.Pattern[str] | None:
    """The regular expression; None if Python cannot compile it, because it is one of Java."""
    for java, python in _CLASSES.items():
        pattern = pattern.replace(java, python)
    with warnings.catch_warnings(action="error"):
        try:
            return re.compile(pattern)
        except (re.error, FutureWarning):
            return None
