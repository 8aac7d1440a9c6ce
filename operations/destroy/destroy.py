"""`destroy`: stacks in reverse order, the clusters cleared before, and a look at what is left after.

The state bucket is not destroyed here: `unbootstrap` is its word.
"""

import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from operations.clients import process
from operations.clients.kubectl import kubectl
from operations.destroy import leftovers
from operations.destroy.clearing import Clearing
from operations.destroy.leftovers import Leftover
from operations.errors import OperationError, describe
from operations.output.progress import Progress
from operations.output.report import Report, Status, Table
from operations.state import locks, states
from operations.state.states import Resource
from operations.terraform import schedule
from operations.terraform.runner import Terraform, TerraformError, new_log
from operations.terraform.stacks import Stack, all_producers

if TYPE_CHECKING:
    import boto3

_ARNS = ("arn", "access_entry_arn", "association_arn")
_KEEP_WHAT_THEY_HOLD = ("aws_backup_vault", "aws_s3_bucket")
_PROTECTIONS = ("deletion_protection", "deletion_protection_enabled")


@dataclass(frozen=True)
class Options:
    """How stacks are destroyed."""

    resume_command: Callable[[Sequence[Stack]], str]
    """The command that goes on with some stacks."""
    parallelism: int
    logs: Path
    timeout_seconds: float
    """Seconds to wait for each step in a cluster."""


@dataclass
class Destruction:
    """What is about to be destroyed: the stacks, and what their states hold at this moment."""

    stacks: Sequence[Stack]
    held: Mapping[str, Sequence[Resource]]
    """By stack; of the stacks that read from one of them, too."""
    sessions: Mapping[str, "boto3.Session"] = field(repr=False)

    @property
    def environments(self) -> list[str]:
        """The names that whoever destroys them must type."""
        return environments(self.stacks)

    @property
    def summary(self) -> str:
        """What is in each stack, for whoever confirms."""
        return "\n".join(f"{stack.name}: {len(self.held[stack.name])} resources" for stack in self.stacks)


def environments(stacks: Sequence[Stack]) -> list[str]:
    """The environments of some stacks, each once."""
    return sorted({stack.environment for stack in stacks})


def prepare(chosen: Sequence[Stack], every: Sequence[Stack]) -> Destruction:
    """Look at everything that stands in the way.

    Raises:
        OperationError: with all of it: the state bucket, protection, stacks that read from what would go.
    """
    problems = [
        f"{stack.name}: the state bucket goes last, and by its own word: make unbootstrap"
        for stack in chosen
        if stack.kind == "backend"
    ]
    if not problems:
        names = {stack.name for stack in chosen}
        above = all_producers(every)
        concerned = [stack for stack in every if stack.name in names or above[stack.name] & names]
        sessions = {stack.name: stack.aws_session() for stack in concerned}
        held = {stack.name: states.read_resources(sessions[stack.name], stack) for stack in concerned}
        for stack in concerned:
            if stack.name in names:
                problems += protected(stack, held[stack.name])
            elif held[stack.name]:
                reads = ", ".join(sorted(above[stack.name] & names))
                problems.append(f"{stack.name}: reads from {reads} and still has resources; destroy it too")
    if problems:
        raise OperationError("\n".join(problems))
    return Destruction(chosen, held, sessions)


def protected(stack: Stack, held: Sequence[Resource]) -> list[str]:
    """What the settings, or AWS by what was applied last, protect in a stack; each with the way to lift it."""
    file = stack.settings_file
    problems = []
    for kind, name, arguments in stack.resources() if held else ():
        protections = [protection for protection in _PROTECTIONS if arguments.get(protection)]
        if protections:
            problems.append(
                f"{stack.name}: {kind}.{name}: {protections[0]}: lift it first: in {file}, set "
                "deletion_protection=False for it and teardown=True for the environment, then deploy the stack"
            )
        elif arguments.get("lifecycle", {}).get("prevent_destroy"):
            problems.append(f"{stack.name}: {kind}.{name}: prevent_destroy: it is made never to be destroyed here")
        elif kind in _KEEP_WHAT_THEY_HOLD and not arguments.get("force_destroy"):
            problems.append(
                f"{stack.name}: {kind}.{name}: keeps its backups: in {file}, set teardown=True, then deploy the stack"
            )
    told = {problem.split(": ")[1] for problem in problems}
    problems += [
        f"{stack.name}: {one.address}: the settings lift its protection, AWS still has it: deploy the stack first"
        for one in held
        if _is_kept(one) and one.address not in told
    ]
    return problems


def _is_kept(one: Resource) -> bool:
    """Whether AWS would refuse to destroy it, or what it holds, by what was applied last."""
    holds = one.kind in _KEEP_WHAT_THEY_HOLD and not one["force_destroy"]
    return holds or any(one[protection] for protection in _PROTECTIONS)


def destroy(destruction: Destruction, options: Options, progress: Progress) -> Report:
    """Clear the clusters, destroy the stacks, consumers first and independent ones at once, and look what is left.

    Raises:
        OperationError: a cluster could not be cleared; nothing that it stands on was touched.
    """
    for stack in destruction.stacks:
        if stack.is_in_cluster and destruction.held[stack.name]:
            clear(stack, progress, options.timeout_seconds)
    failed, skipped = in_reverse(
        destruction.stacks, destruction.held, progress, parallelism=options.parallelism, logs=options.logs
    )
    remaining, unknown = ({}, []) if failed or skipped else _find_leftovers(destruction)
    unfinished = [stack for stack in destruction.stacks if stack.name in {*failed, *skipped}]
    outcomes = {
        stack.name: "failed" if stack.name in failed else "not reached" if stack.name in skipped else "destroyed"
        for stack in destruction.stacks
    }
    whys = {**failed, **{name: f"is read by {', '.join(others)}" for name, others in skipped.items()}}
    return _destroy_report(
        outcomes, whys, remaining, unknown, options.resume_command(unfinished) if unfinished else None
    )


def in_reverse(
    chosen: Sequence[Stack], held: Mapping[str, Sequence[Resource]], progress: Progress, *, parallelism: int, logs: Path
) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Destroy the stacks that hold something, consumers before producers, independent ones at once.

    Returns:
        Why each failed that did, and those that were not reached, each with the consumers that it waited for.
    """
    stacks = {stack.name: stack for stack in chosen}
    failed: dict[str, str] = {}

    def act(name: str) -> bool:
        if not held[name]:
            return True
        log = new_log(logs, name)
        terraform = Terraform(stacks[name].directory)
        try:
            with progress.stack(name, "destroying", len(held[name])) as on_event:
                terraform.stream_init(log, on_event)
                terraform.stream(log, on_event, "destroy", "-input=false", "-auto-approve")
        except TerraformError as error:
            failed[name] = locks.failure(error, stacks[name])
        except Exception as error:  # noqa: BLE001 (what became of the others must be told)
            failed[name] = describe(error)
        progress.end(name, "failed" if name in failed else "destroyed")
        return name not in failed

    with progress:
        order = {name: _consumers(name, chosen) for name in stacks}
        skipped = schedule.run_in_order(order, act, parallelism=parallelism)
    return failed, skipped


def clear(stack: Stack, progress: Progress, timeout_seconds: float) -> None:
    """Clear the cluster of an in-cluster stack, through a kubeconfig that does not outlive it."""
    with tempfile.TemporaryDirectory(prefix="kubeconfig-") as folder:  # of mode 0700
        path = Path(stack.kubeconfig) if stack.kubeconfig else _kubeconfig(stack, Path(folder) / "config")

        def ask(*arguments: str) -> str:
            return kubectl(*arguments, kubeconfig=path)

        Clearing(ask, lambda text: progress.say(stack.name, text), timeout_seconds).clear()


def _kubeconfig(stack: Stack, path: Path) -> Path:
    """A kubeconfig for the cluster that the stack's provider asks EKS for."""
    assert stack.cluster is not None
    cluster = stack.cluster.name
    where = ("--name", cluster, "--region", stack.region, "--kubeconfig", path)
    made = process.run("aws", "eks", "update-kubeconfig", *where, remedy="install the AWS command line")
    if made.returncode:
        raise OperationError(f"{stack.name}: cluster {cluster} cannot be reached: {made.stderr.strip()}")
    return path


def _consumers(name: str, chosen: Sequence[Stack]) -> Collection[str]:
    return [stack.name for stack in chosen if name in stack.dependencies]


def _find_leftovers(destruction: Destruction) -> tuple[dict[str, list[Leftover]], list[str]]:
    """By environment, what is left of those whose own stack was destroyed; and where nobody knows."""
    gone = {str(one[name]) for held in destruction.held.values() for one in held for name in _ARNS if one[name]}
    remaining, unknown = {}, []
    for stack in [stack for stack in destruction.stacks if not stack.is_in_cluster]:
        name = stack.environment
        try:
            remaining[name] = leftovers.find_leftovers(
                destruction.sessions[stack.name], leftovers.environment(stack), gone
            )
        except (BotoCoreError, ClientError) as error:
            unknown.append(f"{name}: what is left could not be looked for ({error}); repeat the command")
    return remaining, unknown


def _destroy_report(
    outcomes: Mapping[str, str],
    whys: Mapping[str, str],
    remaining: Mapping[str, Sequence[Leftover]],
    unknown: Sequence[str],
    resume_command: str | None,
) -> Report:
    forgotten = [one for some in remaining.values() for one in some if not one.is_kept]
    kept = [one for some in remaining.values() for one in some if one.is_kept]
    destroyed = list(outcomes.values()).count("destroyed")
    title = f"destroyed {destroyed} of {len(outcomes)} stacks"
    if forgotten:
        title += f"; {len(forgotten)} things are left, about ${sum(one.monthly or 0 for one in forgotten):.0f} a month"
    tables = [Table("Stacks", ["stack", "outcome", "why"], [[n, o, whys.get(n, "")] for n, o in outcomes.items()])]
    by_environment = {name: [one for one in some if not one.is_kept] for name, some in remaining.items()}
    tables += [leftovers.leftovers_table(name, some) for name, some in by_environment.items() if some]
    notes = [*unknown, *(f"kept on purpose: {one.kind} {one.id_}" for one in kept)]
    if forgotten:
        notes.append("remove by hand what is left; what AWS names although it is gone, it forgets within the hour")
    notes += [f"go on with: {resume_command}"] if resume_command else []
    return Report(
        title=title,
        status=Status.ERROR if resume_command or unknown else Status.ATTENTION if forgotten else Status.FINE,
        data={
            "stacks": {name: {"outcome": outcome, "why": whys.get(name, "")} for name, outcome in outcomes.items()},
            "left": {
                name: [{"kind": one.kind, "id": one.id_, "monthly": one.monthly, "kept": one.is_kept} for one in some]
                for name, some in remaining.items()
            },
            "unknown": list(unknown),
            "again": resume_command,
        },
        tables=tables,
        notes=notes,
    )
