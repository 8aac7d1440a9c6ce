"""`destroy`: clear the clusters, destroy the stacks in reverse order, and report the resources that remain.

The state bucket is not destroyed here, but by `unbootstrap`.
"""

import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
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
from operations.output.report import Report, Status, Table, counted
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
    """Returns the command that continues with the given stacks."""
    parallelism: int
    logs: Path
    timeout_seconds: float
    """How many seconds to wait for each step in a cluster."""


@dataclass
class Destruction:
    """The stacks to destroy, and the resources in their states."""

    stacks: Sequence[Stack]
    held: Mapping[str, Sequence[Resource]]
    """The resources by stack name; also those of the stacks that read from a stack to destroy."""
    every: Sequence[Stack]
    """All stacks of the platform."""
    sessions: Mapping[str, "boto3.Session"] = field(repr=False)

    @property
    def environments(self) -> list[str]:
        """The names that the user must type to confirm."""
        return environments(self.stacks, self.every)

    @property
    def summary(self) -> str:
        """How many resources each stack has, shown before the confirmation."""
        return "\n".join(f"{stack.name}: {counted(len(self.held[stack.name]), 'resource')}" for stack in self.stacks)


def environments(stacks: Sequence[Stack], every: Sequence[Stack]) -> list[str]:
    """The environments of the stacks, without duplicates, named as by `environment_name`."""
    return sorted({environment_name(stack, every) for stack in stacks})


def environment_name(stack: Stack, every: Sequence[Stack]) -> str:
    """`<environment>[-<further cluster>]`, and before it `<region>-` if another region has the same environment."""
    is_ambiguous = any(one.environment == stack.environment and one.region != stack.region for one in every)
    return f"{stack.region}-{stack.short_name}" if is_ambiguous else stack.short_name


def prepare(chosen: Sequence[Stack], every: Sequence[Stack]) -> Destruction:
    """Check whether the stacks can be destroyed.

    It waits for a Terraform of an earlier command: only then is it known what is in a state.

    Raises:
        OperationError: if not, with all problems: the state bucket, states that could not be saved or are being
            written, protected resources, stacks that still read from the chosen ones.
        TerraformError: if there was an interrupt while it waited.
    """
    problems = [
        f"{stack.name}: the state bucket is destroyed last, with: make unbootstrap"
        for stack in chosen
        if stack.kind == "backend"
    ]
    if not problems:
        names = {stack.name for stack in chosen}
        above = all_producers(every)
        hubs = _hubs_beside(chosen, every)
        beside = {stack.name for pair in hubs for stack in pair}
        concerned = [stack for stack in every if stack.name in names | beside or above[stack.name] & names]
        sessions = {stack.name: stack.aws_session() for stack in concerned}
        for stack in concerned:
            Terraform(stack.directory).wait_for_earlier()
        held = {stack.name: states.read_resources(sessions[stack.name], stack) for stack in concerned}
        hubs = [pair for pair in hubs if all(held[stack.name] for stack in pair)]
        problems += [_needs_both(*pair) for pair in hubs]
        linked = {frozenset(stack.environment for stack in pair) for pair in hubs}
        for stack in concerned:
            unsettled = _unsettled(stack, held[stack.name], sessions[stack.name])
            if unsettled:
                problems.append(f"{stack.name}: {unsettled}")
            elif stack.name in names:
                problems += protected(stack, held[stack.name])
            elif held[stack.name] and (above[stack.name] & names):
                read = [one for one in every if one.name in above[stack.name] & names]
                if all(frozenset((stack.environment, one.environment)) in linked for one in read):
                    continue  # the problem of the hub says what to do
                reads = ", ".join(sorted(one.name for one in read))
                problems.append(f"{stack.name}: reads from {reads} and still has resources; also destroy it")
    if problems:
        raise OperationError("\n".join(problems))
    return Destruction(chosen, held, every, sessions)


def _hubs_beside(chosen: Sequence[Stack], every: Sequence[Stack]) -> list[tuple[Stack, Stack]]:
    """The in-cluster stacks of a hub and its spoke, if not both are chosen, and something of either is."""
    places = {(stack.region, stack.environment) for stack in chosen if not stack.further}
    in_cluster = {(one.region, one.environment): one for one in every if one.is_in_cluster and not one.further}
    return [
        (hub, spoke)
        for place, spoke in in_cluster.items()
        if spoke.hub and (hub := in_cluster[spoke.region, spoke.hub])
        if {place, (hub.region, hub.environment)} & places and not {hub.name, spoke.name} <= {s.name for s in chosen}
    ]


def _needs_both(hub: Stack, spoke: Stack) -> str:
    return (
        f"{spoke.name}: the Argo CD of {hub.environment} deploys to its cluster: it would create again what is deleted "
        f"there, or delete all of it with itself; let {spoke.environment} leave its hub first (docs/hub.md), or "
        f"destroy {hub.name} and {spoke.name} together"
    )


def _unsettled(stack: Stack, held: Sequence[Resource], session: "boto3.Session") -> str:
    """Why a state may not hold all resources of a stack; empty if it does. Terraform itself finds a lock otherwise."""
    if unsaved := Terraform(stack.directory).unsaved_state:
        return unsaved
    lock = None if held else locks.in_bucket(session.client("s3"), stack)
    return lock.describe(stack.directory, datetime.now(UTC), recovers=False) if lock else ""


def protected(stack: Stack, held: Sequence[Resource]) -> list[str]:
    """The resources that the settings or the last apply protect from destruction, each with the remedy."""
    file, owner = stack.settings_file, "this further cluster" if stack.further else "the environment"
    problems = []
    for kind, name, arguments in stack.resources() if held else ():
        protections = [protection for protection in _PROTECTIONS if arguments.get(protection)]
        if protections:
            problems.append(
                f"{stack.name}: {kind}.{name}: {protections[0]}: remove the protection first: in {file}, "
                f"set deletion_protection=False for it and teardown=True for {owner}, then deploy the stack"
            )
        elif arguments.get("lifecycle", {}).get("prevent_destroy"):
            problems.append(f"{stack.name}: {kind}.{name}: prevent_destroy: its configuration forbids destroying it")
        elif kind in _KEEP_WHAT_THEY_HOLD and not arguments.get("force_destroy"):
            problems.append(
                f"{stack.name}: {kind}.{name}: keeps its backups: in {file}, set teardown=True, then deploy the stack"
            )
    reported = {problem.split(": ")[1] for problem in problems}
    problems += [
        f"{stack.name}: {one.address}: still protected in AWS, although not in the settings: deploy the stack first"
        for one in held
        if _is_kept(one) and one.address not in reported
    ]
    return problems


def _is_kept(one: Resource) -> bool:
    """Whether AWS would refuse to destroy the resource or its contents, as last applied."""
    holds = one.kind in _KEEP_WHAT_THEY_HOLD and not one["force_destroy"]
    return holds or any(one[protection] for protection in _PROTECTIONS)


def destroy(destruction: Destruction, options: Options, progress: Progress) -> Report:
    """Clear the clusters, destroy the stacks (consumers first, independent ones in parallel), and find what remains.

    Raises:
        OperationError: if a cluster could not be cleared; no stack was destroyed then.
    """
    # A hub first: its Argo CD deletes what it deployed to its spokes, and creates nothing again after that.
    for stack in sorted(destruction.stacks, key=lambda one: bool(one.hub)):
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
    whys = {**failed, **{name: f"still read by {', '.join(others)}" for name, others in skipped.items()}}
    return _destroy_report(
        outcomes, whys, remaining, unknown, options.resume_command(unfinished) if unfinished else None
    )


def in_reverse(
    chosen: Sequence[Stack], held: Mapping[str, Sequence[Resource]], progress: Progress, *, parallelism: int, logs: Path
) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Destroy the stacks that have resources: consumers before producers, independent ones in parallel.

    Returns:
        The failed stacks with their errors, and the stacks that were not reached with the consumers they waited for.
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
            failed[name] = locks.failure(error, stacks[name], recovers=False)
        except Exception as error:  # noqa: BLE001 (the outcomes of the other stacks must be reported)
            failed[name] = describe(error)
        progress.end(name, "failed" if name in failed else "destroyed")
        return name not in failed

    with progress:
        order = {name: _consumers(name, chosen) for name in stacks}
        skipped = schedule.run_in_order(order, act, parallelism=parallelism)
    return failed, skipped


def clear(stack: Stack, progress: Progress, timeout_seconds: float, *, only_applications: bool = False) -> None:
    """Clear the cluster of an in-cluster stack, through a temporary kubeconfig."""
    with tempfile.TemporaryDirectory(prefix="kubeconfig-") as folder:  # of mode 0700
        path = Path(stack.kubeconfig) if stack.kubeconfig else _kubeconfig(stack, Path(folder) / "config")

        def ask(*arguments: str) -> str:
            return kubectl(*arguments, kubeconfig=path)

        Clearing(ask, lambda text: progress.say(stack.name, text), timeout_seconds).clear(
            only_applications=only_applications
        )


def _kubeconfig(stack: Stack, path: Path) -> Path:
    """Write a kubeconfig for the EKS cluster of the stack."""
    assert stack.cluster is not None
    cluster = stack.cluster.name
    where = ("--name", cluster, "--region", stack.region, "--kubeconfig", path)
    made = process.run("aws", "eks", "update-kubeconfig", *where)
    if made.returncode:
        raise OperationError(f"{stack.name}: cluster {cluster} cannot be reached: {made.stderr.strip()}")
    return path


def _consumers(name: str, chosen: Sequence[Stack]) -> Collection[str]:
    return [stack.name for stack in chosen if name in stack.dependencies]


def _find_leftovers(destruction: Destruction) -> tuple[dict[str, list[Leftover]], list[str]]:
    """The resources that remain, by environment, and an error for each environment that could not be checked."""
    destroyed = {str(one[name]) for held in destruction.held.values() for one in held for name in _ARNS if one[name]}
    remaining, unknown = {}, []
    for stack in [stack for stack in destruction.stacks if not stack.is_in_cluster]:
        name = environment_name(stack, destruction.every)
        try:
            remaining[name] = leftovers.find_leftovers(
                destruction.sessions[stack.name], leftovers.environment(stack), destroyed
            )
        except (BotoCoreError, ClientError) as error:
            unknown.append(f"{name}: remaining resources could not be listed ({error}); repeat the command")
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
    title = f"destroyed {destroyed} of {counted(len(outcomes), 'stack')}"
    if forgotten:
        monthly = sum(one.monthly or 0 for one in forgotten)
        title += f"; {counted(len(forgotten), 'remaining resource')}, about ${monthly:.0f} a month"
    tables = [Table("Stacks", ["stack", "outcome", "why"], [[n, o, whys.get(n, "")] for n, o in outcomes.items()])]
    by_environment = {name: [one for one in some if not one.is_kept] for name, some in remaining.items()}
    tables += [leftovers.leftovers_table(name, some) for name, some in by_environment.items() if some]
    notes = [*unknown, *(f"kept on purpose: {one.kind} {one.id_}" for one in kept)]
    if forgotten:
        notes.append("delete the remaining resources by hand; AWS may list deleted ones for up to an hour")
    notes += [f"continue with: {resume_command}"] if resume_command else []
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
