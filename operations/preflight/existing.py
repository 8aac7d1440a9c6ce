"""Finds resources that exist in AWS but in no Terraform state.

Terraform would fail to create those with a name. Of others it would create a second one, such as a VPC, or a hosted
zone, which gets no requests.
"""

from collections.abc import Iterator, Sequence
from functools import partial

from botocore.exceptions import ClientError

from operations.errors import OperationError
from operations.preflight.check import Check, Clients, Line
from operations.preflight.state import New, NewResources
from operations.state import existing
from operations.state.existing import Account
from operations.terraform.stacks import Stack

_BUCKET = "aws_s3_bucket"
_REPLICATION = "aws_ecr_replication_configuration"


def checks(stacks: Sequence[Stack], new: NewResources, aws: Clients) -> Iterator[tuple[str, Check]]:
    """A check for each stack of AWS resources."""
    for stack in stacks:
        if not stack.is_in_cluster:
            yield f"resources of {stack.name}", partial(_existing, stack, new, Account(aws))
    if any(kind == _REPLICATION for stack in stacks for kind, _, _ in stack.resources()):
        yield "replication of images", partial(_replication, new, aws)


def _existing(stack: Stack, new: NewResources, account: Account) -> Iterator[Line]:
    """A line for each resource that exists.

    Arguments may refer to other resources. So what was not found is looked for again, as long as others are found.
    Resources in another region or account are not looked for, except buckets, whose names are global.
    """
    left = [one for one in new.of(stack) if one.kind in existing.FINDERS and one.kind != _REPLICATION]
    left = [one for one in left if one.kind == _BUCKET or stack.region_of(one.kind, one.name) == stack.region]
    left = [one for one in left if not stack.is_elsewhere(one.kind, one.name)]
    subject, message = f"resources of {stack.name}", f"{len(left)} to create, none of them exists"
    found: dict[str, str] = {}
    reported: dict[str, Line] = {}
    before = -1
    while len(found) > before:
        before = len(found)
        for one in left:
            if one.address not in reported and (line := _line(stack, one, new, account, found)):
                reported[one.address] = line
    yield from reported.values() or [Line(subject, "passed", message)]


def _line(stack: Stack, one: New, new: NewResources, account: Account, found: dict[str, str]) -> Line | None:
    """What was found of a resource; None if it does not exist. Its import ID is added to `found`."""
    subject = f"{stack.name}: {one.address}"
    try:
        ids = existing.find(account, one.kind, new.values(stack, one, found))
    except OperationError as error:
        return Line(subject, "failed", str(error))
    except ClientError as error:
        return Line(subject, "warning", f"could not be checked: {error}")
    if not ids:
        return None
    found[one.address] = ids[0]
    remedy = (
        f"after a killed deploy: make recover STACK={stack.name}; if others made it: make adopt STACK={stack.name}; "
        "otherwise delete it, or choose another name"
    )
    return Line(subject, "failed", f"{', '.join(ids)} exists, but is in no Terraform state; {remedy}")


def _replication(new: NewResources, aws: Clients) -> Iterator[Line]:
    """A registry has one replication configuration for all its repositories, which Terraform would overwrite.

    Source: `PutReplicationConfiguration` of ECR in botocore 1.43.
    """
    subject = "replication of images"
    for stack, _, _ in new.resources(_REPLICATION):
        registry = aws("ecr").describe_registry()
        rules = registry["replicationConfiguration"]["rules"]
        if rules:
            regions = sorted({destination["region"] for rule in rules for destination in rule["destinations"]})
            message = (
                f"the registry already replicates to {', '.join(regions)}, which an apply would overwrite; if it may: "
                f"make recover STACK={stack.name}; otherwise remove image_replica_regions"
            )
            yield Line(subject, "failed", message)
            return
    yield Line(subject, "passed", "no other configuration of the registry")
