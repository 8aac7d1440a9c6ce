"""`deploy`: plan each stack after its producers are applied, and apply the plan if it matches the reviewed one.

Terraform runs directly in the folders that CDKTF wrote, without the CDKTF CLI, so that the failure of one stack does
not stop independent stacks (https://github.com/hashicorp/terraform-cdk/issues/3206).
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from operations.deploy import in_cluster, recover
from operations.deploy.adopt import Adoption
from operations.errors import OperationError, describe
from operations.guard import guard
from operations.guard.guard import Finding, Override
from operations.output.progress import Progress
from operations.output.report import Report, Status, Table
from operations.state import locks
from operations.terraform import plans, schedule
from operations.terraform.json_files import read_json
from operations.terraform.plans import Plan
from operations.terraform.runner import Terraform, TerraformError, new_log, plan_folder
from operations.terraform.stacks import Stack

Outcome = Literal["unchanged", "applied", "refused", "failed", "not reached"]

_WAIT = "wait for it (--wait-for-lock 10m)"
_SUCCESSFUL = {"unchanged", "applied"}
_UNANSWERED = re.compile(
    "context canceled|operation canceled|execution halted|Plugin did not respond|plugin process exited|rpc error"
)
"""What Terraform reports if its provider gave up requests, or ended (seen with Terraform 1.11.4)."""
_NOTHING_TO_ADOPT = "nothing to adopt"
_APPLYING = ".applying"
"""A file in the folder of a stack, from the start of an apply until one succeeds."""

Ask = Callable[[str, str], bool]
"""Shows a question and a plan, and returns whether to apply the plan."""

ResumeCommand = Callable[[Sequence[str]], str]
"""Returns the command that continues with the named stacks."""


@dataclass(frozen=True)
class Options:
    """Which plans are applied, and how. `ask` is None if there is no terminal to ask at."""

    reviewed: Mapping[str, str] = field(default_factory=dict)
    """The hash of the reviewed plan, by stack name."""
    is_guarded: bool = True
    """Whether the guard checks the plans; not needed in an emulated account, which has no data to protect."""
    allowed: Sequence[Override] = ()
    applies_unreviewed: bool = False
    is_recovery: bool = False
    """Whether resources that exist, but that the state has lost, are imported."""
    adoption: Adoption | None = None
    """What others made is imported, too, if given."""
    repairs: bool = False
    """Whether Helm releases whose last operation was interrupted are rolled back first."""
    ask: Ask | None = None
    lock_timeout: str = "0s"
    parallelism: int = 4
    logs: Path = Path("cdktf.out/logs")


@dataclass
class _Result:
    outcome: Outcome
    what: str
    """What was done, or why the stack was not applied."""
    plan: Plan | None = None
    done: set[str] = field(default_factory=set)
    """The addresses whose change was applied."""
    seconds: float = 0.0
    unsaved: str = ""
    """What to do with a state that could not be saved."""
    absent: Mapping[str, str] = field(default_factory=dict)
    """What an adoption creates by address, with what exists under other names."""


def reviewed(file: Path) -> dict[str, str]:
    """The plan hashes in a file that `plan --json` wrote, by stack name.

    Raises:
        OperationError: if the file is not a report of `plan --json`.
    """
    remedy = "pass the output of `plan --json`"
    document = read_json(file, remedy)
    try:
        return {name: entry["hash"] for name, entry in document["stacks"].items() if entry["hash"]}
    except (KeyError, TypeError, AttributeError) as error:
        raise OperationError(f"{file}: not a report of `plan --json`; {remedy}") from error


def deploy(
    stacks: Sequence[Stack],
    producers: Mapping[str, set[str]],
    options: Options,
    progress: Progress,
    resume_command: ResumeCommand,
) -> Report:
    """Deploy each stack after its `producers`, and report the outcomes and the command to continue."""
    by_name = {stack.name: stack for stack in stacks}
    results: dict[str, _Result] = {}

    def act(name: str) -> bool:
        result = results[name] = _Result("failed", "")
        started = time.monotonic()
        try:
            _deploy(by_name[name], result, options, progress, folder)
        except TerraformError as error:
            recovers = options.adoption is None  # an adoption goes on by itself, and finds more
            result.outcome, result.what = "failed", locks.failure(error, by_name[name], _WAIT, recovers=recovers)
            if result.plan and recovers and _may_have_done_more(error, by_name[name]):
                result.what += f"\nAWS may have done more than the state says; do this first: make recover STACK={name}"
        except Exception as error:  # noqa: BLE001 (the outcomes of the other stacks must be reported)
            result.outcome, result.what = "failed", describe(error)
        if result.outcome == "failed":
            result.unsaved = Terraform(by_name[name].directory).unsaved_state
        result.seconds = time.monotonic() - started
        progress.end(name, f"{result.outcome}{f': {result.what}' if result.what else ''}")
        return result.outcome in _SUCCESSFUL

    with plan_folder() as folder, progress:
        skipped = schedule.run_in_order(
            {name: producers[name] for name in by_name}, act, parallelism=options.parallelism
        )
    for name, others in skipped.items():
        causes = [other for other in others if other not in skipped] or others
        results[name] = _Result("not reached", f"depends on {', '.join(causes)}")
    return _deploy_report({name: results[name] for name in by_name}, options, resume_command)


def _deploy(stack: Stack, result: _Result, options: Options, progress: Progress, folder: Path) -> None:
    terraform, file, log = (
        Terraform(stack.directory),
        folder / f"{stack.name}.tfplan",
        new_log(options.logs, stack.name),
    )
    timeout = f"-lock-timeout={options.lock_timeout}"
    if options.repairs and stack.is_in_cluster:
        in_cluster.repair(stack, lambda text: progress.say(stack.name, text))
    with progress.stack(stack.name, "planning") as on_event:
        if options.is_recovery or options.adoption:
            find = options.adoption.find if options.adoption else None
            keeps = partial(_keeps, stack, options, progress)
            document = recover.plan(stack, file, log, on_event, keeps, timeout, find=find)
        else:
            document = terraform.stream_plan(file, log, on_event, timeout)
    result.plan = plan = Plan(stack.name, document)
    applying = stack.directory / _APPLYING
    if plan.is_empty:
        applying.unlink(missing_ok=True)
        result.outcome, result.what = "unchanged", _NOTHING_TO_ADOPT if options.adoption else ""
        _put_back(stack, result, options, progress)
        return
    result.absent = options.adoption.absent(plan) if options.adoption else {}
    refusal = (
        in_cluster.interrupted(stack)
        or _why_another_command(stack, plan, options, progress, has_failed=applying.exists())
        or _why_refused(plan, options, stack.directory)
        or _why_unconfirmed(plan, options, terraform, file, progress)
    )
    if refusal:
        result.outcome, result.what = "refused", refusal
        return
    replaced = {change.address for change in plan.changes if change.action == "replace"}
    with progress.stack(stack.name, f"applying: {plan.summary}", len(plan.changes) + len(replaced)) as on_event:

        def note(event: Mapping[str, Any]) -> None:
            on_event(event)
            if event.get("type") == "apply_complete" and event["hook"]["action"] in {"create", "update", "delete"}:
                address = event["hook"]["resource"]["addr"]
                if event["hook"]["action"] != "delete" or address not in replaced:
                    result.done.add(address)

        applying.touch()
        with in_cluster.unblocking(stack, lambda text: progress.say(stack.name, text)):
            terraform.stream(log, note, "apply", "-input=false", timeout, str(file.absolute()))
        applying.unlink(missing_ok=True)  # another command may have applied here at the same time
    result.outcome, result.what = "applied", plan.summary
    _put_back(stack, result, options, progress)


def _put_back(stack: Stack, result: _Result, options: Options, progress: Progress) -> None:
    """Put back what was changed by hand in Helm releases: last, because an apply writes what their objects should be.

    As with a plan, it asks before it changes more than what was reviewed.
    """

    def agrees(changes: str) -> bool:
        if options.ask is None or options.applies_unreviewed or stack.name in options.reviewed:
            return True
        with progress.paused():
            return options.ask(f"{stack.name}: changed in Helm releases by hand, and to be put back", changes)

    done, left = in_cluster.put_back(stack, agrees)
    if done:
        result.outcome, result.what = "applied", "\n".join(filter(None, [result.what, *done]))
    if left:
        result.outcome, result.what = "refused", "\n".join(filter(None, [result.what, *left]))


def _why_another_command(stack: Stack, plan: Plan, options: Options, progress: Progress, *, has_failed: bool) -> str:
    """Why another command must apply a plan; empty if this one may. `has_failed`: whether the last apply has."""
    if options.adoption and not plan.imports and not has_failed:
        return f"{_NOTHING_TO_ADOPT} ({plan.summary}); deploy the changes: make deploy STACK={stack.name}"
    if has_failed and not options.is_recovery and not options.adoption:
        return _lost(stack, plan, progress)
    return ""


def _lost(stack: Stack, plan: Plan, progress: Progress) -> str:
    """Why a plan is not applied after an apply that did not succeed: it would create what exists. Else empty."""
    try:
        found = recover.lost(stack, plan.document)
    except (BotoCoreError, ClientError) as error:
        progress.say(stack.name, f"what an earlier apply created could not be listed ({error}); if in doubt: recover")
        return ""
    lines = [f"{address} exists, but is not in the state: {id_}" for address, id_ in found]
    remedy = f"an earlier apply did not succeed; do this first: make recover STACK={stack.name}"
    return "\n".join([*lines, remedy]) if lines else ""


def _may_have_done_more(error: TerraformError, stack: Stack) -> bool:
    """Whether a failed apply may have created resources that its state lacks, and that `recover` can find."""
    return not stack.is_in_cluster and (not error.details or bool(_UNANSWERED.search(str(error))))


def _keeps(stack: Stack, options: Options, progress: Progress, tainted: Sequence[str]) -> bool:
    """Whether to keep what exists, but whose creation did not end."""
    question = f"{stack.name}: these exist, but their creation did not end; they are kept as they are"
    if options.applies_unreviewed:
        progress.say(stack.name, f"kept, although the creation did not end: {', '.join(tainted)}")
        return True
    if options.ask is None:
        return False
    with progress.paused():
        return options.ask(question, "\n".join(tainted))


def _why_refused(plan: Plan, options: Options, directory: Path) -> str:
    """Why the guard refuses a plan, or why it is no recovery or adoption; empty if it may be applied."""
    losing, findings = recover.losing(plan), [f for f in _findings(plan, options) if f.is_refused]
    refused = []
    if options.adoption:
        refused = options.adoption.refusals(plan)
        lost = {change.address for change in losing if change.address in plan.imports}
        findings = [f for f in findings if f.address not in lost]
    elif options.is_recovery:
        refused = [recover.refusal(change, directory) for change in losing]
    return "\n".join([*refused, *(f"{f.action} {f.address}: {f.why}; {f.remedy}" for f in findings)])


def _findings(plan: Plan, options: Options) -> list[Finding]:
    return guard.findings(plan, options.allowed) if options.is_guarded else []


def _why_unconfirmed(plan: Plan, options: Options, terraform: Terraform, file: Path, progress: Progress) -> str:
    """Why a plan that was not reviewed is not applied; empty if it may be applied."""
    reviewed_hash = options.reviewed.get(plan.stack)
    if reviewed_hash == plan.hash or options.applies_unreviewed:
        return ""
    why = "the plan differs from the reviewed plan" if reviewed_hash else "the plan was not reviewed"
    if options.ask is None:
        return f"{why} ({plan.summary}, hash {plan.hash}); plan again, review the plan, and deploy with --reviewed"
    with progress.paused():
        shown = terraform.output("show", str(file.absolute()))
        if options.adoption:
            shown = f"{shown}\n{options.adoption.overview(plan)}"
        agreed = options.ask(f"{plan.stack}: {why}", shown)
    return "" if agreed else f"{why}, and was declined"


def _deploy_report(results: Mapping[str, _Result], options: Options, resume_command: ResumeCommand) -> Report:
    left = [name for name, result in results.items() if result.outcome not in _SUCCESSFUL]
    outcomes = [result.outcome for result in results.values()]
    counts = [f"{outcomes.count(kind)} {kind}" for kind in dict.fromkeys(outcomes)] or ["no stack"]
    rows = [
        [name, result.outcome, f"{result.seconds:.0f} s", f"{result.what}{_reached(result)}"]
        for name, result in results.items()
    ]
    applied = [result.plan for result in results.values() if result.plan and not result.plan.is_empty]
    found = [finding for plan in applied for finding in _findings(plan, options)]
    refused = [result.plan for result in results.values() if result.plan and result.outcome == "refused"]
    tables = [Table("Stacks", ["stack", "outcome", "time", "details"], rows)]
    tables += [plans.changes_table(refused)] if refused else []
    imported = [[plan.stack, address, id_] for plan in applied for address, id_ in plan.imports.items()]
    tables += [Table("Imported", ["stack", "address", "ID"], imported)] if imported else []
    absent = [[name, *row] for name, result in results.items() for row in result.absent.items()]
    tables += [Table("Absent", ["stack", "address", "other names"], absent)] if absent else []
    tables += [guard.findings_table(found)] if found else []
    status = Status.ERROR if "failed" in outcomes else Status.ATTENTION if left else Status.FINE
    return Report(
        title=_title(", ".join(counts), options),
        status=status,
        data={
            "stacks": {
                name: {
                    "outcome": result.outcome,
                    "what": result.what,
                    "done": sorted(result.done),
                    "seconds": round(result.seconds, 1),
                    "hash": result.plan.hash if result.plan else "",
                    "imported": result.plan.imports if result.plan else {},
                    **({"absent": result.absent} if options.adoption else {}),
                }
                for name, result in results.items()
            },
            "findings": [finding.data() for finding in found],
            "again": resume_command(left) if left else None,
        },
        tables=tables,
        notes=[*_unused_overrides(results, options), *([f"continue with: {resume_command(left)}"] if left else [])],
    )


def _title(counts: str, options: Options) -> str:
    if options.adoption:
        return f"adopt: {counts}"
    return f"recover: {counts}" if options.is_recovery else f"deploy: {counts}"


def _unused_overrides(results: Mapping[str, _Result], options: Options) -> list[str]:
    """Notes about unused overrides: no errors, because after a partly failed replacement only the creation is left."""
    planned = [result.plan for result in results.values() if result.plan]
    return [line for plan in planned for line in guard.unused(plan, _findings(plan, options), options.allowed)]


def _reached(result: _Result) -> str:
    """How many changes a failed apply made; empty if nothing was applied."""
    if result.outcome != "failed" or result.plan is None or result.plan.is_empty:
        return ""
    done, planned = len(result.done), len(result.plan.changes)
    if result.unsaved:
        return f"\n{done} of {planned} changes were made, but not saved. {result.unsaved}"
    return f"\n{done} of {planned} changes were made and saved in the state"
