"""Checks the Helm releases of in-cluster stacks whose cluster exists: whether an operation was interrupted."""

from collections.abc import Iterator, Sequence
from functools import partial

from botocore.exceptions import ClientError

from operations.preflight.check import Check, Clients, Line
from operations.releases import releases
from operations.terraform.stacks import Stack


def checks(stacks: Sequence[Stack], aws: Clients) -> Iterator[tuple[str, Check]]:
    """A check for each in-cluster stack."""
    for stack in stacks:
        if stack.is_in_cluster:
            yield f"releases of {stack.name}", partial(_releases, stack, aws)


def _releases(stack: Stack, aws: Clients) -> Iterator[Line]:
    wanted, subject = releases.named(stack), f"releases of {stack.name}"
    if not wanted or (stack.kubeconfig is None and not _exists(stack, aws)):
        return
    with releases.connected(stack) as run:
        found = releases.read(run, wanted)
    interrupted = [one for one in found if one.is_interrupted]
    for one in interrupted:
        yield Line(subject, "failed", one.problem(stack.name))
    if not interrupted:
        yield Line(subject, "passed", f"{len(found)} of {len(wanted)} installed, no operation was interrupted")


def _exists(stack: Stack, aws: Clients) -> bool:
    assert stack.cluster is not None
    try:
        aws("eks").describe_cluster(name=stack.cluster.name)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return False
    return True
