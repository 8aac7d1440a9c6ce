"""`deploy`: every stack planned once its producers are applied, and applied if it does what was reviewed.

Terraform runs in the folders that CDKTF wrote, without CDKTF's command line, so that the failure of one stack cannot
take down a sibling (https://github.com/hashicorp/terraform-cdk/issues/3206).
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from operations.errors import OperationError, describe
from operations.guard import guard
from operations.guard.guard import Finding, Override
from operations.output.progress import Progress
from operations.output.report import Report, Status, Table
from operations.state import locks
from operations.terraform import plans, schedule
from operations.terraform.plans import Plan
from operations.terraform.runner import Terraform, TerraformError, new_log, plan_folder
from operations.terraform.stacks import Stack

Outcome = Literal["unchanged", "applied", "refused", "failed", "not reached"]

_WAIT = "wait for it (--wait-for-lock 10m)"
_GOES_ON = {"unchanged", "applied"}

Ask = Callable[[str, str], bool]
"""Shows a question and a plan, and returns whether it may be applied."""

ResumeCommand = Callable[[Sequence[str]], str]
"""The command that goes on with some stacks."""


@dataclass(frozen=True)
class Options:
    """Under which plans are applied. `ask` is None where nobody can be asked."""

    reviewed: Mapping[str, str] = field(default_factory=dict)
    """By stack, the hash of the plan that was reviewed."""
    is_guarded: bool = True
    """Whether the guard has a word; an emulated account has nothing to lose."""
    allowed: Sequence[Override] = ()
    applies_unreviewed: bool = False
    ask: Ask | None = None
    lock_timeout: str = "0s"
    parallelism: int = 4
    logs: Path = Path("cdktf.out/logs")


@dataclass
class _Result:
    outcome: Outcome
    what: str
    """What was done, or why not."""
    plan: Plan | None = None
    done: set[str] = field(default_factory=set)
    """The addresses whose change was made."""
    seconds: float = 0.0


def reviewed(file: Path) -> dict[str, str]:
    """The hashes that `plan --json` printed into a file, by stack.

    Raises:
        OperationError: the file is no such report.
    """
    try:
        stacks = json.loads(file.read_text(encoding="utf-8"))["stacks"]
        return {name: entry["hash"] for name, entry in stacks.items() if entry["hash"]}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise OperationError(f"{file}: {error!r}; give it what `plan --json` printed") from error


def deploy(
    stacks: Sequence[Stack],
    producers: Mapping[str, set[str]],
    options: Options,
    progress: Progress,
    resume_command: ResumeCommand,
) -> Report:
    """Deploy the stacks, each after its `producers`, and say what was done and how to go on."""
    by_name = {stack.name: stack for stack in stacks}
    results: dict[str, _Result] = {}

    def act(name: str) -> bool:
        result = results[name] = _Result("failed", "")
        started = time.monotonic()
        try:
            _deploy(by_name[name], result, options, progress, folder)
        except TerraformError as error:
            result.outcome, result.what = "failed", locks.failure(error, by_name[name], _WAIT)
        except Exception as error:  # noqa: BLE001 (what the others did must be told)
            result.outcome, result.what = "failed", describe(error)
        result.seconds = time.monotonic() - started
        progress.end(name, f"{result.outcome}{f': {result.what}' if result.what else ''}")
        return result.outcome in _GOES_ON

    with plan_folder() as folder, progress:
        skipped = schedule.run_in_order(
            {name: producers[name] for name in by_name}, act, parallelism=options.parallelism
        )
    for name, others in skipped.items():
        causes = [other for other in others if other not in skipped] or others
        results[name] = _Result("not reached", f"comes after {', '.join(causes)}")
    return _deploy_report({name: results[name] for name in by_name}, options, resume_command)


def _deploy(stack: Stack, result: _Result, options: Options, progress: Progress, folder: Path) -> None:
    terraform, file, log = (
        Terraform(stack.directory),
        folder / f"{stack.name}.tfplan",
        new_log(options.logs, stack.name),
    )
    timeout = f"-lock-timeout={options.lock_timeout}"
    with progress.stack(stack.name, "planning") as on_event:
        result.plan = plan = Plan(stack.name, terraform.stream_plan(file, log, on_event, timeout))
    if plan.is_empty:
        result.outcome = "unchanged"
        return
    if refusal := _why_refused(plan, options) or _why_unconfirmed(plan, options, terraform, file, progress):
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

        terraform.stream(log, note, "apply", "-input=false", timeout, str(file.absolute()))
    result.outcome, result.what = "applied", plan.summary


def _why_refused(plan: Plan, options: Options) -> str:
    """What the guard has against a plan; empty if nothing."""
    return "\n".join(f"{f.action} {f.address}: {f.why}; {f.remedy}" for f in _findings(plan, options) if f.is_refused)


def _findings(plan: Plan, options: Options) -> list[Finding]:
    return guard.findings(plan, options.allowed) if options.is_guarded else []


def _why_unconfirmed(plan: Plan, options: Options, terraform: Terraform, file: Path, progress: Progress) -> str:
    """Why a plan is not applied: nobody reviewed it, and nobody at the terminal wants it; empty if it is applied."""
    was = options.reviewed.get(plan.stack)
    if was == plan.hash or options.applies_unreviewed:
        return ""
    why = "it is not the plan that was reviewed" if was else "nobody reviewed the plan"
    if options.ask is None:
        return f"{why} ({plan.summary}, hash {plan.hash}); plan it again, review that, and deploy with --reviewed"
    with progress.paused():
        agreed = options.ask(f"{plan.stack}: {why}", terraform.output("show", str(file.absolute())))
    return "" if agreed else f"{why}, and it was declined"


def _deploy_report(results: Mapping[str, _Result], options: Options, resume_command: ResumeCommand) -> Report:
    left = [name for name, result in results.items() if result.outcome not in _GOES_ON]
    outcomes = [result.outcome for result in results.values()]
    counts = [f"{outcomes.count(kind)} {kind}" for kind in dict.fromkeys(outcomes)]
    rows = [
        [name, result.outcome, f"{result.seconds:.0f} s", f"{result.what}{_reached(result)}"]
        for name, result in results.items()
    ]
    applied = [result.plan for result in results.values() if result.plan and not result.plan.is_empty]
    found = [finding for plan in applied for finding in _findings(plan, options)]
    refused = [result.plan for result in results.values() if result.plan and result.outcome == "refused"]
    tables = [Table("Stacks", ["stack", "outcome", "time", "what"], rows)]
    tables += [plans.changes_table(refused)] if refused else []
    tables += [guard.findings_table(found)] if found else []
    status = Status.ERROR if "failed" in outcomes else Status.ATTENTION if left else Status.FINE
    return Report(
        title=f"deploy: {', '.join(counts)}",
        status=status,
        data={
            "stacks": {
                name: {
                    "outcome": result.outcome,
                    "what": result.what,
                    "done": sorted(result.done),
                    "seconds": round(result.seconds, 1),
                    "hash": result.plan.hash if result.plan else "",
                }
                for name, result in results.items()
            },
            "findings": [finding.data() for finding in found],
            "again": resume_command(left) if left else None,
        },
        tables=tables,
        notes=[*_unused_overrides(results, options), *([f"go on with: {resume_command(left)}"] if left else [])],
    )


def _unused_overrides(results: Mapping[str, _Result], options: Options) -> list[str]:
    """Overrides without a use: no errors here, because a replacement that failed half-way leaves one to be made."""
    looked_at = [result.plan for result in results.values() if result.plan]
    return [line for plan in looked_at for line in guard.unused(plan, _findings(plan, options), options.allowed)]


def _reached(result: _Result) -> str:
    """How far a failed apply came."""
    if result.outcome != "failed" or result.plan is None or result.plan.is_empty:
        return ""
    return f"\n{len(result.done)} of {len(result.plan.changes)} changes were made, and are in the state"
