"""`compare`: which resources of the synthesized stacks differ from those of another revision, without access to AWS."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from operations.output.report import Report, Status, Table, counted
from operations.repository import revision
from operations.terraform.stacks import Stack, read_configurations, read_stacks

_MOST = 10
"""How many addresses the table shows in a cell."""
_KINDS = ("new", "changed", "removed")


def compare(output: Path, base: str) -> Report:
    """The stacks in `output` that differ from those of the revision `base`, each with the addresses that differ.

    Raises:
        OperationError: if the base does not exist, or cannot be synthesized.
    """
    stacks = read_stacks(output)
    differing: Mapping[str, str] = {}
    addresses: dict[str, dict[str, list[str]]] = {}
    if not revision.is_same_synthesis(base, output):
        with revision.synthesized_at(base) as tree:
            differing = revision.differing(stacks, tree)
            before = read_configurations(tree / "cdktf.out")
        after = {stack.name: stack.configuration for stack in stacks}
        addresses = {name: _addresses(before.get(name, {}), after.get(name, {})) for name in differing}
    rows = [[name, what, *map(_cell, addresses[name].values())] for name, what in _in_order(stacks, differing)]
    tables = [Table("Stacks", ["stack", "difference", *_KINDS], rows)] if rows else []
    notes = [f"to see what Terraform would do: make plan BASE={base}"] if rows else []
    title = f"{len(rows)} of {counted(len(stacks), 'stack')} changed since {base}"
    data = {
        "base": base,
        "stacks": {name: {"difference": what, **addresses[name]} for name, what in differing.items()},
    }
    return Report(title, Status.FINE, data, tables, notes)


def _in_order(stacks: Sequence[Stack], differing: Mapping[str, str]) -> list[tuple[str, str]]:
    """The stacks that differ, in the order of their dependencies; those that do not exist any more are last."""
    names = [stack.name for stack in stacks]
    return [(name, differing[name]) for name in [*names, *sorted(differing.keys() - {*names})] if name in differing]


def _addresses(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[str]]:
    """The addresses of resources that are new, changed and removed. One that is moved has its new address."""
    old, new = _resources(before), _resources(after)
    moved = {one["to"]: one["from"] for one in after.get("moved", [])}
    was = {address: moved.get(address, address) for address in new}
    return {
        "new": sorted(address for address in new if was[address] not in old),
        "changed": sorted(
            address for address in new if was[address] in old and not revision.is_same(old[was[address]], new[address])
        ),
        "removed": sorted(old.keys() - new.keys() - {*was.values()}),
    }


def _resources(configuration: Mapping[str, Any]) -> dict[str, Any]:
    return {
        f"{kind}.{name}": arguments
        for kind, named in configuration.get("resource", {}).items()
        for name, arguments in named.items()
    }


def _cell(addresses: Sequence[str]) -> str:
    further = [f"and {len(addresses) - _MOST} more"] if len(addresses) > _MOST else []
    return "\n".join([*addresses[:_MOST], *further])
