"""Terraform plans, read from their JSON: the changes, the reasons for replacements, and a hash that identifies a plan.

Plan files and their JSON contain the prior state in plaintext: neither may leave the machine.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

from operations.errors import OperationError
from operations.output.report import Table

Action = Literal["create", "update", "replace", "destroy", "forget", "import", "move", "read"]

# Other actions come from a version of Terraform that is not supported here.
_ACTIONS: Mapping[tuple[str, ...], Action | None] = {
    ("no-op",): None,
    ("create",): "create",
    ("update",): "update",
    ("delete", "create"): "replace",
    ("create", "delete"): "replace",
    ("delete",): "destroy",
    ("forget",): "forget",
    ("read",): "read",
}


TAINTED = "replace_because_tainted"
"""The reason of a replacement because the creation failed or was interrupted, although the resource exists."""
_REASONS: Mapping[str, str] = {
    TAINTED: "tainted by a failed apply",
    "replace_by_request": "requested with -replace",
    "replace_by_triggers": "replace_triggered_by",
    "delete_because_no_resource_config": "no longer in the configuration",
    "delete_because_each_key": "no longer in for_each",
    "delete_because_count_index": "no longer in count",
}


@dataclass(frozen=True)
class Change:
    """The planned change of one resource. `before` and `after` are its arguments; None if it does not exist."""

    address: str
    kind: str
    action: Action
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    unknown: Mapping[str, Any]
    """The arguments that are known only after the apply, each marked True."""
    sensitive: Mapping[str, Any]
    """The sensitive arguments, each marked True."""
    replaced_for: tuple[str, ...] = ()
    """The arguments that force a replacement, such as `vpc_config[0].subnet_ids`."""
    reason: str = ""
    """Terraform's `action_reason`; for a move or an import, where the resource was."""
    creates_first: bool = False
    """Whether a replacement creates the new resource before it destroys the old one."""

    @property
    def changed(self) -> list[str]:
        """The top-level arguments that differ, or are known only after the apply."""
        before, after = self.before or {}, self.after or {}
        names = sorted({*before, *after, *self.unknown})
        return [name for name in names if self.unknown.get(name) or before.get(name) != after.get(name)]

    @property
    def why(self) -> str:
        """The changed arguments of an update, or the reason of another action."""
        if self.action == "update":
            return ", ".join(self.changed)
        if self.replaced_for:
            return f"forced by {', '.join(self.replaced_for)}"
        return _REASONS.get(self.reason, self.reason)

    def data(self) -> dict[str, Any]:
        """The change as JSON data, without values, which may be secret."""
        return {"address": self.address, "action": self.action, "why": self.why}


@dataclass(frozen=True)
class Plan:
    """The Terraform plan of one stack."""

    stack: str
    document: Mapping[str, Any]
    """`terraform show -json` of the plan."""

    @cached_property
    def changes(self) -> list[Change]:
        """The planned changes, sorted by address."""
        return [change for _, change in _planned(self.document.get("resource_changes", []))]

    @cached_property
    def unchanged(self) -> list[tuple[str, Mapping[str, Any]]]:
        """The type and the arguments of each resource that the plan does not change."""
        entries = self.document.get("resource_changes", [])
        return [
            (entry["type"], entry["change"]["after"]) for entry in entries if entry["change"]["actions"] == ["no-op"]
        ]

    @cached_property
    def drift(self) -> list[Change]:
        """The changes that were made outside of Terraform to resources in its state."""
        return [change for _, change in _planned(self.document.get("resource_drift", []))]

    @cached_property
    def outputs(self) -> dict[str, Mapping[str, Any]]:
        """The outputs that would change, by name."""
        changes: Mapping[str, Mapping[str, Any]] = self.document.get("output_changes", {})
        return {name: change for name, change in sorted(changes.items()) if change["actions"] != ["no-op"]}

    @cached_property
    def imports(self) -> dict[str, str]:
        """The import IDs of the resources that the plan imports, by address."""
        entries = self.document.get("resource_changes", [])
        found = {entry["address"]: entry["change"].get("importing") for entry in entries}
        return {address: importing["id"] for address, importing in sorted(found.items()) if importing}

    @property
    def is_empty(self) -> bool:
        """Whether an apply would do nothing."""
        return not self.changes and not self.outputs

    @property
    def summary(self) -> str:
        """The number of changes by action, in one line."""
        counts = Counter(change.action for change in self.changes)
        counted = [f"{counts[action]} to {action}" for action in get_args(Action) if counts[action]]
        return ", ".join(counted) or ("outputs change" if self.outputs else "no changes")

    @cached_property
    def hash(self) -> str:
        """A hash of what the plan does, equal for equal plans from other times and machines."""
        effects = {
            "resources": [
                {
                    "address": entry["address"],
                    "actions": entry["change"]["actions"],
                    "moved": entry.get("previous_address"),
                    "imported": entry["change"].get("importing"),
                    **_done(change),
                }
                for entry, change in _planned(self.document.get("resource_changes", []))
            ],
            "outputs": self.outputs,
        }
        return hashlib.sha256(json.dumps(effects, sort_keys=True).encode()).hexdigest()


def changes_table(plans: Iterable[Plan]) -> Table:
    """A table of all changes, by stack."""
    rows = [[plan.stack, change.action, change.address, change.why] for plan in plans for change in plan.changes]
    return Table("Changes", ["stack", "action", "address", "why"], rows)


def _planned(entries: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], Change]]:
    """Terraform's entries that change something, sorted by address, each with its parsed change."""
    for entry in sorted(entries, key=lambda entry: str(entry["address"])):
        change = entry["change"]
        if tuple(change["actions"]) not in _ACTIONS:
            remedy = "use the Terraform version that the README names"
            raise OperationError(f"{entry['address']}: {change['actions']}: unknown actions; {remedy}")
        action, reason = _ACTIONS[tuple(change["actions"])], entry.get("action_reason", "")
        if action is None and change.get("importing"):  # an import changes the state only
            action, reason = "import", "exists already"
        elif action is None and "previous_address" in entry:
            action, reason = "move", f"from {entry['previous_address']}"
        if action in (None, "read"):
            continue
        yield (
            entry,
            Change(
                address=entry["address"],
                kind=entry["type"],
                action=action,
                before=change["before"],
                after=change["after"],
                unknown=_marks(change.get("after_unknown")),
                sensitive=_marks(change.get("after_sensitive")) | _marks(change.get("before_sensitive")),
                replaced_for=tuple(_path(path) for path in change.get("replace_paths", [])),
                reason=reason,
                creates_first=change["actions"] == ["create", "delete"],
            ),
        )


def _done(change: Change) -> dict[str, Any]:
    """The effect of a change on the arguments. Others may differ between plans, such as the time of the last backup."""
    if change.action in {"create", "replace"}:
        return {"after": change.after, "unknown": change.unknown}
    if change.action != "update":
        return {}
    before, after = change.before or {}, change.after or {}
    return {name: [before.get(name), after.get(name), change.unknown.get(name)] for name in change.changed}


def _marks(marks: Any) -> dict[str, Any]:
    """Marks as a mapping; Terraform writes `false` if nothing is marked."""
    return dict(marks) if isinstance(marks, dict) else {}


def _path(steps: list[str | int]) -> str:
    """`["vpc_config", 0, "subnet_ids"]` as `vpc_config[0].subnet_ids`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")


def at(values: Any, path: str, otherwise: Any) -> Any:
    """The value at a path such as `vpc_config[0].subnet_ids`; `otherwise` if there is none."""
    for step in re.findall(r"[\w-]+", path):
        try:
            values = values[int(step) if isinstance(values, list) else step]
        except (KeyError, IndexError, TypeError):
            return otherwise
    return otherwise if values is None else values
