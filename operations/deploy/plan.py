"""`plan`: what a change would do to the stacks that it touches, the guard's word on it, and hashes to deploy by.

Plans hold the prior state in clear: they live in a folder of their own that nobody else can read, and go with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from operations.errors import describe
from operations.guard import guard
from operations.guard.guard import Override
from operations.output.progress import Progress
from operations.output.report import Report, Status, Table
from operations.repository import revision
from operations.terraform import plans, schedule
from operations.terraform.plans import Plan
from operations.terraform.runner import Terraform, new_log, plan_folder
from operations.terraform.stacks import Stack, all_producers, read_stacks, select_stacks


@dataclass(frozen=True)
class Selection:
    """The stacks that were asked for; which stacks of all differ from `base`, and how. Without a base all are planned.

    `producers` are the stacks that each reads from, through others too.
    """

    stacks: Sequence[Stack]
    producers: Mapping[str, set[str]]
    base: str | None = None
    differing: Mapping[str, str] | None = None

    def reason(self, name: str) -> str | None:
        """Why a stack is planned; None if it is not."""
        return "asked for" if self.differing is None else self.differing.get(name)

    def waits_for(self, name: str) -> list[str]:
        """The producers that differ and were not asked for: nobody here knows what they will publish."""
        asked_for = {stack.name for stack in self.stacks}
        return sorted((self.producers[name] - asked_for) & (self.differing or {}).keys())


def selection(output: Path, patterns: Sequence[str], base: str | None) -> Selection:
    """The stacks of these names or globs, compared with those of a base revision, if one is given.

    Raises:
        OperationError: a name is unknown, or the base cannot be synthesized.
    """
    found = read_stacks(output)
    chosen, producers = select_stacks(found, patterns), all_producers(found)
    if base is None:
        return Selection(chosen, producers)
    with revision.synthesized_at(base) as tree:
        return Selection(chosen, producers, base, revision.differing(found, tree))


def plan(chosen: Selection, allowed: Sequence[Override], progress: Progress, *, parallelism: int, logs: Path) -> Report:
    """Plan what differs. What comes after a stack with changes waits: its plan would hold that stack's old outputs."""
    stacks = {stack.name: stack for stack in chosen.stacks}
    planned: dict[str, Plan] = {}
    failed: dict[str, str] = {}

    def act(name: str) -> bool:
        if chosen.waits_for(name):
            return False
        if chosen.reason(name) is None:
            return True
        try:
            with progress.stack(name, "planning") as on_event:
                file = folder / f"{name}.tfplan"
                document = Terraform(stacks[name].directory).stream_plan(
                    file, new_log(logs, name), on_event, "-lock=false"
                )
        except Exception as error:  # noqa: BLE001 (what the others would do must be told)
            failed[name] = describe(error)
            progress.end(name, "failed")
            return False
        planned[name] = Plan(name, document)
        progress.end(name, planned[name].summary)
        return planned[name].is_empty

    with plan_folder() as folder, progress:
        waiting = schedule.run_in_order({name: chosen.producers[name] for name in stacks}, act, parallelism=parallelism)
    waiting |= {name: others for name in stacks if (others := chosen.waits_for(name))}
    return _plan_report(chosen, planned, failed, waiting, allowed)


def _plan_report(
    chosen: Selection,
    planned: Mapping[str, Plan],
    failed: Mapping[str, str],
    waiting: Mapping[str, Sequence[str]],
    allowed: Sequence[Override],
) -> Report:
    found = [finding for plan in planned.values() for finding in guard.findings(plan, allowed)]
    errors = guard.unknown(chosen.producers, allowed)
    errors += [problem for plan in planned.values() for problem in guard.unused(plan, found, allowed)]
    outcomes: dict[str, tuple[str, str]] = {}
    for name in (stack.name for stack in chosen.stacks):
        if name in planned:
            outcomes[name] = planned[name].summary, planned[name].hash
        elif name in failed:
            outcomes[name] = "failed", ""
            errors.append(failed[name])
        elif name in waiting:
            known = [other for other in waiting[name] if other not in waiting] or waiting[name]
            outcomes[name] = f"planned after {', '.join(known)}", ""
    changing = [plan for plan in planned.values() if not plan.is_empty]
    waits = [name for name, (outcome, _) in outcomes.items() if outcome.startswith("planned after")]
    removed = sorted(name for name, what in (chosen.differing or {}).items() if what == "removed")
    notes = [f"error: {error}" for error in errors]
    notes += [
        f"{name}: {chosen.base} had it: what it made stays, unmanaged; destroy it from there first" for name in removed
    ]
    notes += [] if chosen.base is None else [f"compared with {chosen.base}; a stack that is the same is not planned"]
    tables = [Table("Stacks", ["stack", "plan", "hash"], [[name, *row] for name, row in outcomes.items()])]
    tables += [plans.changes_table(changing)] if changing else []
    tables += [guard.findings_table(found)] if found else []
    title = f"{len(changing)} of {len(chosen.stacks)} stacks change"
    title += f", {len(waits)} to plan after them" if waits else ""
    said = [title, guard.title(found), f"{len(errors)} errors" if errors else ""]
    return Report(
        title="; ".join(part for part in said if part),
        status=Status.ERROR if errors else Status.ATTENTION if changing or waits or removed else Status.FINE,
        data={
            "base": chosen.base,
            "stacks": {name: {"plan": outcome, "hash": hash_} for name, (outcome, hash_) in outcomes.items()},
            "changes": {plan.stack: [change.data() for change in plan.changes] for plan in changing},
            "findings": [finding.data() for finding in found],
            "errors": errors,
            "removed": removed,
        },
        tables=tables if outcomes else [],
        notes=notes,
    )
