"""Writes `docs/changes.md`: what every change of the settings does. Run it with `make changes`; it takes half an hour.

`make changes ONLY="NodeGroupConfig. ClusterConfig.zones"` plans some changes only, which takes some minutes.

All stacks are deployed to an emulated AWS, once for each base of `changes.toml`. Each change is then synthesized and
planned by Terraform, and the guard checks its plans.
"""

import contextlib
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from operations.local.emulator_process import Emulator
from operations.terraform.stacks import read_stacks
from tests import ROOT
from tests.changes.cases import BASES, CHANGES, Edit, SettingsChange
from tests.changes.region import Outcome, Planner
from tests.e2e.existing_vpc import add_network
from tests.e2e.region import operations
from tests.e2e.tiny import client

PAGE = ROOT / "docs" / "changes.md"
_PLANNERS = 2
_DEFAULT_VPC = "vpc-00000001"
"""The VPC that the emulated AWS has from the beginning."""

_INTRODUCTION = """\
# What a change of the settings does

At least one change of every field of the settings, planned by Terraform from a deployed region, with what the guard
says to it. `make changes` generates this page on the emulated AWS; `make plan` tells the same of your own change.

| outcome | changes | meaning |
| --- | --- | --- |
"""

_MEANINGS = {
    "in place": "resources are created or updated; nothing that runs is replaced",
    "new first": "a new resource is created before the old one is destroyed",
    "replaced": "a resource is destroyed, then created again",
    "removed": "resources are destroyed",
    "nothing": "no resource changes; the field is read by commands or checks",
    "needs steps": "Terraform cannot plan it, such as a state that must be moved before",
    "refused by the settings": "`make synth` stops with an error",
    "refused by the guard": "`make plan` and `make deploy` stop, unless an entry in `guard-overrides.toml` allows it",
}


def page(rows: Sequence[str]) -> str:
    """The whole page, from its rows."""
    cells = [text.split(" | ") for text in rows]
    counts = Counter(kind for _, _, kind, *_ in cells)
    lines = [f"| {kind} | {counts[kind]} | {meaning} |" for kind, meaning in _MEANINGS.items()]
    lines += [f"| all | {len(rows)} | of {len({field for field, *_ in cells})} fields |", ""]
    lines += ["| field | change | outcome | plan and effects | guard |", "| --- | --- | --- | --- | --- |"]
    return _INTRODUCTION + "\n".join([*lines, *rows]) + "\n"


def row(change: SettingsChange, outcome: Outcome) -> str:
    """The row of a change."""
    what = "\n".join(line for line in (outcome.what, change.note) if line)
    return _start(change) + " | ".join(_cell(cell) for cell in (outcome.kind, what, outcome.guard)) + " |"


def _start(change: SettingsChange) -> str:
    return f"| `{change.field}` | {change.how} | "


def _cell(text: str) -> str:
    text = re.sub(r"stacks/ap_northeast_2/(\w+)\.py:\d+: ", r"\1.py: ", text)  # lines move with every edit
    return re.sub(r"([<>*_\\|`])", r"\\\1", text).replace("\n", "<br>")


def outcomes(changes: Sequence[SettingsChange], planners: Sequence[Planner]) -> list[Outcome]:
    """The outcome of each change. Each planner has one change at a time."""
    free: SimpleQueue[Planner] = SimpleQueue()
    for planner in planners:
        free.put(planner)

    def outcome(change: SettingsChange) -> Outcome:
        planner = free.get()
        try:
            found = planner.outcome(change)
        finally:
            free.put(planner)
        print(f"{change.name}: {found.kind}", flush=True)
        return found

    with ThreadPoolExecutor(len(planners)) as pool:
        return list(pool.map(outcome, changes))


def rows_of(changes: Sequence[SettingsChange], base: Sequence[Edit]) -> dict[SettingsChange, str]:
    """The row of each change, planned from the example with the edits of `base`."""
    with tempfile.TemporaryDirectory() as name, Emulator(Path(name) / "emulator.log") as emulator:
        os.environ.update(emulator.environment)
        add_network(client("ec2", emulator.environment), _DEFAULT_VPC)
        planners = [Planner(Path(name) / f"planner-{number}", base) for number in range(_PLANNERS)]
        with contextlib.chdir(planners[0].root):
            operations("bootstrap")
            stacks = [stack.name for stack in read_stacks(Path("cdktf.out")) if not stack.is_in_cluster]
            operations("deploy", *stacks, "--yes")
            print(f"deployed {len(stacks)} stacks", flush=True)
            return {
                change: row(change, found) for change, found in zip(changes, outcomes(changes, planners), strict=True)
            }


def main(*names: str) -> None:
    """Deploy the region, plan the changes whose names begin with one of `names`, or all, and write the page.

    The rows of other changes stay as they are.
    """
    rows: dict[SettingsChange, str] = {}
    for name, base in BASES.items():
        chosen = [one for one in CHANGES if one.base == name and (not names or one.name.startswith(names))]
        rows |= rows_of(chosen, base) if chosen else {}
    known = PAGE.read_text(encoding="utf-8").splitlines() if names else []
    for change in CHANGES:
        rows.setdefault(change, next((line for line in known if line.startswith(_start(change))), ""))
    PAGE.write_text(page([rows[change] for change in CHANGES if rows[change]]), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
