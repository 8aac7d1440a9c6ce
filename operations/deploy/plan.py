"""`plan`: plan the stacks that a change affects, check the plans with the guard, and report the hash of each plan.

Plan files hold the prior state in plaintext: they are stored in a temporary folder that only this user can read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from operations.deploy import effects
from operations.errors import describe
from operations.guard import guard
from operations.guard.guard import Override
from operations.output.progress import Progress
from operations.output.report import Report, Status, Table, counted
from operations.repository import revision
from operations.terraform import plans, schedule
from operations.terraform.plans import Plan
from operations.terraform.runner import Terraform, new_log, plan_folder
from operations.terraform.stacks import Stack, all_producers, matrix, read_stacks, select_stacks


@dataclass(frozen=True)
class Selection:
    """The chosen stacks, and how each stack differs from the revision `base`. Without a base all are planned.

    `producers` are the stacks that each stack reads from, directly or indirectly.
    """

    stacks: Sequence[Stack]
    producers: Mapping[str, set[str]]
    base: str | None = None
    differing: Mapping[str, str] | None = None

    def reason(self, name: str) -> str | None:
        """Why a stack is planned; None if it is not planned."""
        return "asked for" if self.differing is None else self.differing.get(name)

    @property
    def differs(self) -> bool:
        """Whether there is anything to plan, or a removed stack to report."""
        return self.differing is None or bool(self.removed) or any(self.reason(stack.name) for stack in self.stacks)

    @property
    def removed(self) -> list[str]:
        """The stacks that exist only at the base."""
        return sorted(name for name, what in (self.differing or {}).items() if what == "removed")

    def waits_for(self, name: str) -> list[str]:
        """The producers that differ and were not chosen: their new outputs are not known."""
        asked_for = {stack.name for stack in self.stacks}
        return sorted((self.producers[name] - asked_for) & (self.differing or {}).keys())


def selection(output: Path, patterns: Sequence[str], base: str | None) -> Selection:
    """The stacks that match these names or globs, compared with those of a base revision, if given.

    Raises:
        OperationError: if a name is unknown, or the base cannot be synthesized.
    """
    found = read_stacks(output)
    chosen, producers = select_stacks(found, patterns), all_producers(found)
    if base is None:
        return Selection(chosen, producers)
    if revision.is_same_synthesis(base, output):
        return Selection(chosen, producers, base, {})
    with revision.synthesized_at(base) as tree:
        return Selection(chosen, producers, base, revision.differing(found, tree))


def listing(chosen: Selection) -> Report:
    """The stacks that `plan` would plan, and why; by region and account; and the removed stacks."""
    reasons = {stack.name: reason for stack in chosen.stacks if (reason := chosen.reason(stack.name)) is not None}
    places = matrix([stack for stack in chosen.stacks if stack.name in reasons])
    reasons |= dict.fromkeys(chosen.removed, "removed")
    table = Table("Stacks to plan", ["stack", "why"], [[name, why] for name, why in reasons.items()])
    data = {"base": chosen.base, "places": places, "removed": chosen.removed, "stacks": reasons}
    return Report(f"{counted(len(reasons), 'stack')} to plan", Status.ATTENTION, data, [table])


def removed_notes(base: str | None, removed: Sequence[str]) -> list[str]:
    """What to do about stacks that exist only at the revision `base`."""
    return [
        f"{name}: removed since {base}; its resources would stay unmanaged: destroy it from {base} first"
        for name in removed
    ]


def plan(chosen: Selection, allowed: Sequence[Override], progress: Progress, *, parallelism: int, logs: Path) -> Report:
    """Plan the stacks that differ. The consumers of a stack with changes wait, because they read its outputs."""
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
        except Exception as error:  # noqa: BLE001 (the plans of the other stacks must be reported)
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
    notes = [f"error: {error}" for error in errors]
    notes += removed_notes(chosen.base, chosen.removed)
    notes += [] if chosen.base is None else [f"compared with {chosen.base}; stacks without differences are not planned"]
    tables = [Table("Stacks", ["stack", "plan", "hash"], [[name, *row] for name, row in outcomes.items()])]
    tables += [plans.changes_table(changing)] if changing else []
    found_effects = {plan.stack: effects.effects(plan) for plan in changing}
    tables += [effects.effects_table(found_effects)] if any(found_effects.values()) else []
    tables += [guard.findings_table(found)] if found else []
    title = f"{len(changing)} of {counted(len(chosen.stacks), 'stack')} with changes"
    title += f", {len(waits)} to plan after them" if waits else ""
    parts = [title, guard.title(found), counted(len(errors), "error") if errors else ""]
    return Report(
        title="; ".join(part for part in parts if part),
        status=Status.ERROR if errors else Status.ATTENTION if changing or waits or chosen.removed else Status.FINE,
        data={
            "base": chosen.base,
            "stacks": {name: {"plan": outcome, "hash": hash_} for name, (outcome, hash_) in outcomes.items()},
            "changes": {plan.stack: [change.data() for change in plan.changes] for plan in changing},
            "effects": found_effects,
            "findings": [finding.data() for finding in found],
            "errors": errors,
            "removed": chosen.removed,
        },
        tables=tables if outcomes else [],
        notes=notes,
    )
