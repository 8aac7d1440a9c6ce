"""`upgrade`: check whether an environment can get another Kubernetes version, and show the change of its settings.

Nothing in AWS is changed: `deploy` does that. Each check is a row with its result and what to do.
"""

import difflib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from operations.errors import OperationError
from operations.output.report import Report, Status, Table, counted
from operations.preflight import offers
from operations.preflight.check import Check, Clients, Line
from operations.preflight.preflight import run_checks
from operations.repository import settings_files
from operations.repository.text import read_text
from operations.terraform.stacks import Platform, Stack
from operations.upgrade import cluster, in_cluster, repository
from operations.upgrade.cluster import Addons, Change

_UP = (
    ("1", "control plane", "EKS upgrades it in 8 to 15 minutes; the API stays available"),
    ("2", "add-ons that nodes need", "Pod Identity agent, kube-proxy, vpc-cni: those with a new version"),
    ("3", "node groups", "each node is drained and replaced"),
    ("4", "other add-ons", "coredns and the CSI drivers: those with a new version"),
)
_DOWN = (
    ("1", "node groups", "by hand, with the commands above: Terraform would change the control plane before them"),
    ("2", "add-ons", "by hand, if EKS does not offer their version for the older Kubernetes: aws eks update-addon"),
    ("3", "control plane", "the deploy takes it back, and changes no node group"),
)


def upgrade(platform: Platform, environment: str, version: str, root: Path, *, write: bool) -> Report:
    """Check a new Kubernetes version of an environment: its name or, if several regions have it, that of its stack.

    With `write` and no failed check, the settings file in `root` gets the version.

    Raises:
        OperationError: if there is no such environment, or the version is none.
    """
    cluster.minor(version)
    stack = _stack(platform, environment)
    assert stack.cluster is not None
    settings = root / stack.settings_file
    addons = _addons(platform, settings, version)
    checks, running = _checks(platform, stack, version, root, addons)
    lines = run_checks(checks)
    change = Change(stack.cluster.name, running, version)
    before = read_text(settings)
    after = settings_files.with_versions(settings, version, addons.new_pins())
    diff = "".join(
        difflib.unified_diff(
            before.splitlines(keepends=True), after.splitlines(keepends=True),
            f"a/{stack.settings_file}", f"b/{stack.settings_file}",
        )
    )  # fmt: skip
    failed = any(line.outcome == "failed" for line in lines)
    if write and diff and not failed:
        settings.write_text(after, encoding="utf-8")
    return _upgrade_report(change, lines, diff, _next_step(stack, diff, write=write, failed=failed))


def _stack(platform: Platform, environment: str) -> Stack:
    known = [stack for stack in platform.stacks if stack.kind == "environment"]
    chosen = [stack for stack in known if environment in {stack.name, stack.short_name}]
    names = ", ".join(stack.name for stack in chosen or known)
    if not chosen:
        raise OperationError(f"{environment}: no such environment; choose one of {names}")
    if len(chosen) > 1:
        raise OperationError(f"{environment}: exists in several regions; choose one of {names}")
    if chosen[0].further:
        message = "a further cluster, which is not upgraded in place; add another one with the new version"
        raise OperationError(f"{environment}: {message} (docs/fleet.md)")
    return chosen[0]


def _addons(platform: Platform, settings: Path, version: str) -> Addons:
    tested = platform.kubernetes[version].addons if version in platform.kubernetes else {}
    return Addons(settings_files.pinned_addons(settings), tested)


def _checks(
    platform: Platform, stack: Stack, version: str, root: Path, addons: Addons
) -> tuple[list[tuple[str, Check]], str]:
    """The checks, and the version that runs or, if the cluster cannot be described, that the settings have."""
    assert stack.cluster is not None
    name, settings = stack.cluster.name, _versions(platform, stack.region)
    checks: list[tuple[str, Check]] = [
        ("versions.py", partial(repository.known_version, platform, version)),
        ("APIs in the Git tree", partial(repository.removed, root, version)),
        ("charts of components", partial(repository.charts, root, version)),
    ]
    checks += [
        ("charts", partial(repository.releases, platform, other, version))
        for other in platform.stacks
        if other.is_in_cluster and (other.region, other.short_name) == (stack.region, stack.short_name)
    ]
    running = settings.get(stack.environment, "")
    if not running:
        raise OperationError(f"{stack.name}: its cluster has no version; synthesize again: make synth")
    try:
        aws = Clients(stack.aws_session())
        described = aws("eks").describe_cluster(name=name)["cluster"]
    except (OperationError, BotoCoreError, ClientError) as error:  # the other checks need no AWS
        checks.append((f"cluster {name}", partial(_unknown, f"cluster {name}", error)))
    else:
        running = described["version"]
        checks += _of_aws(Change(name, running, version), described, addons, aws)
    change, region = Change(name, running, version), _region(platform, stack.region)
    checks.append(("order", partial(repository.order, change, region, stack.environment, settings)))
    checks += _of_earlier(platform, stack, change, region)
    return checks, running


def _unknown(subject: str, error: Exception) -> Iterator[Line]:
    yield Line(subject, "failed", f"could not be described: {error}; sign in, and deploy the environment first")


def _of_aws(change: Change, described: Any, versions: Addons, aws: Clients) -> Iterator[tuple[str, Check]]:
    eks, subject = aws("eks"), f"cluster {change.cluster}"
    yield subject, partial(cluster.step, change, described)
    yield subject, lambda: [offers.supported(f"Kubernetes {change.version}", change.version, aws)]
    if change.step:
        yield "insights", partial(cluster.insights, change, eks)
        yield "node groups", partial(cluster.node_groups, change, eks)
    yield "add-ons", partial(cluster.addons, change, versions, eks)
    yield "nodes and budgets", partial(in_cluster.checks, change, described["endpoint"])


def _region(platform: Platform, name: str) -> list[str]:
    """The environments of a region in the order of promotion."""
    return next(list(region.environments) for region in platform.regions if region.name == name)


def _versions(platform: Platform, region: str) -> dict[str, str]:
    """The Kubernetes version of each environment of a region in the settings."""
    return {
        stack.environment: str(arguments["version"])
        for stack in platform.stacks
        if stack.region == region and stack.kind == "environment" and not stack.further
        for kind, _, arguments in stack.resources()
        if kind == "aws_eks_cluster"
    }


def _of_earlier(platform: Platform, stack: Stack, change: Change, order: list[str]) -> Iterator[tuple[str, Check]]:
    """Whether the environments that are promoted before this one run the version, not only have it in the settings."""
    if change.goes_back:
        return
    for other in platform.stacks:
        is_earlier = other.environment in order[: order.index(stack.environment)]
        if other.kind == "environment" and other.region == stack.region and is_earlier and not other.further:
            yield f"environment {other.environment}", partial(_earlier, other, change)


def _earlier(other: Stack, change: Change) -> Iterator[Line]:
    assert other.cluster is not None
    subject = f"environment {other.environment}"
    running = str(other.aws_session().client("eks").describe_cluster(name=other.cluster.name)["cluster"]["version"])
    if cluster.minor(running) < cluster.minor(change.version):
        remedy = f"make upgrade ENVIRONMENT={other.name} VERSION={change.version}"
        yield Line(subject, "failed", f"runs {running}, and is promoted first; upgrade and deploy it before: {remedy}")
    else:
        yield Line(subject, "passed", f"runs {running}")


def _next_step(stack: Stack, diff: str, *, write: bool, failed: bool) -> str:
    if failed:
        return "nothing was written: correct what failed, and run it again"
    if not diff:
        return f"{stack.settings_file} has the version already: make plan STACK={stack.name}"
    if write:
        return f"{stack.settings_file} was written: make plan STACK={stack.name}"
    return "nothing was written: run it again with WRITE=1, or apply the change above"


def _upgrade_report(change: Change, lines: list[Line], diff: str, next_step: str) -> Report:
    order = ("failed", "warning", "passed")
    lines = sorted(lines, key=lambda line: (order.index(line.outcome), line.subject))
    count = {outcome: sum(line.outcome == outcome for line in lines) for outcome in order}
    return Report(
        title=f"{change}: {count['failed']} failed, {counted(count['warning'], 'warning')}, {count['passed']} passed",
        status=Status.ERROR if count["failed"] else Status.ATTENTION if count["warning"] else Status.FINE,
        data={"change": change._asdict(), "checks": [line._asdict() for line in lines], "diff": diff},
        tables=[
            Table("Checks", ["", "check", "result"], [[line.outcome, line.subject, line.message] for line in lines]),
            Table("Order of the change", ["", "what", "how"], _DOWN if change.goes_back else _UP),
            *([Table("Change of the settings", ["diff"], [[diff]])] if diff else []),
        ],
        notes=[next_step],
    )
