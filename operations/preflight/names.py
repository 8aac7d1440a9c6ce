"""Finds names that exist in AWS but in no Terraform state.

Terraform would fail to create those resources. Of a hosted zone it would create a second one, which gets no requests.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from operations.preflight.check import Check, Clients, Line
from operations.preflight.state import NewResources
from operations.terraform.stacks import Stack

_ABSENT = {
    "404", "DBInstanceNotFound", "DBInstanceNotFoundFault", "NoSuchBucket", "NoSuchEntity", "NotFoundException",
    "RepositoryNotFoundException", "ResourceNotFoundException",
}  # fmt: skip
_OF_ANOTHER_ACCOUNT = {"403", "AccessDenied", "Forbidden"}
_OF_ANOTHER_REGION = {"301", "PermanentRedirect"}


class _Named(NamedTuple):
    """A resource type: the argument with its name, its service, and a lookup that raises if the name does not exist."""

    argument: str
    service: str
    ask: Callable[[Any, str], Any]


def _identity_provider(iam: Any, url: str) -> None:
    host = url.removeprefix("https://")
    arns = [provider["Arn"] for provider in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]]
    if not any(arn.endswith(f":oidc-provider/{host}") for arn in arns):
        raise LookupError(url)


def _log_group(logs: Any, name: str) -> None:
    groups = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    if not any(group["logGroupName"] == name for group in groups):
        raise LookupError(name)


_REPLICATION = "aws_ecr_replication_configuration"


def _hosted_zone(route53: Any, name: str) -> None:
    zones = route53.list_hosted_zones_by_name(DNSName=name)["HostedZones"]
    if not any(zone["Name"] == f"{name}." and not zone["Config"]["PrivateZone"] for zone in zones):
        raise LookupError(name)


_KINDS: Mapping[str, _Named] = {
    "aws_cloudwatch_log_group": _Named("name", "logs", _log_group),
    "aws_db_instance": _Named(
        "identifier", "rds", lambda rds, name: rds.describe_db_instances(DBInstanceIdentifier=name)
    ),
    "aws_ecr_repository": _Named("name", "ecr", lambda ecr, name: ecr.describe_repositories(repositoryNames=[name])),
    "aws_eks_cluster": _Named("name", "eks", lambda eks, name: eks.describe_cluster(name=name)),
    "aws_iam_openid_connect_provider": _Named("url", "iam", _identity_provider),
    "aws_iam_role": _Named("name", "iam", lambda iam, name: iam.get_role(RoleName=name)),
    "aws_kms_alias": _Named("name", "kms", lambda kms, name: kms.describe_key(KeyId=name)),
    "aws_route53_zone": _Named("name", "route53", _hosted_zone),
    "aws_s3_bucket": _Named("bucket", "s3", lambda s3, name: s3.head_bucket(Bucket=name)),
    "aws_secretsmanager_secret": _Named(
        "name", "secretsmanager", lambda secrets, name: secrets.describe_secret(SecretId=name)
    ),
}


def checks(stacks: Sequence[Stack], new: NewResources, aws: Clients) -> Iterator[tuple[str, Check]]:
    """A check for each resource type in the stacks."""
    held = {kind for stack in stacks if not stack.is_in_cluster for kind, _, _ in stack.resources()}
    for kind, named in _KINDS.items():
        if kind in held:
            yield f"names of {kind}", partial(_taken, kind, named, new, aws)
    if _REPLICATION in held:
        yield "replication of images", partial(_replication, new, aws)


def _taken(kind: str, named: _Named, new: NewResources, aws: Clients) -> Iterator[Line]:
    asked, taken = 0, 0
    for stack, address, arguments in new.resources(kind):
        name = str(arguments[named.argument])
        if "${" in name:
            continue  # known only after the apply
        asked += 1
        for line in _exists(stack, address, name, named, aws):
            taken += 1
            yield line
    if not taken:
        yield Line(f"names of {kind}", "passed", f"{asked} to create, all available")


def _exists(stack: Stack, address: str, name: str, named: _Named, aws: Clients) -> Iterator[Line]:
    subject = f"{stack.name}: {name}"
    try:
        named.ask(aws(named.service), name)
    except LookupError:
        return
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in _ABSENT:
            return
        if code in _OF_ANOTHER_ACCOUNT and named.service == "s3":
            yield Line(subject, "failed", "the bucket is owned by another account; choose another name")
        elif code in _OF_ANOTHER_REGION and named.service == "s3":
            yield Line(subject, "failed", "the bucket is in another region; delete it there, or choose another name")
        else:
            yield Line(subject, "warning", f"could not be checked: {error}")
        return
    message = (
        f"exists, but is in no Terraform state; if it is yours: terraform -chdir={stack.directory} import {address} ID;"
        " otherwise choose another name"
    )
    yield Line(subject, "failed", message)


def _replication(new: NewResources, aws: Clients) -> Iterator[Line]:
    """A registry has one replication configuration for all its repositories, which Terraform would overwrite.

    Source: `PutReplicationConfiguration` of ECR in botocore 1.43.
    """
    subject = "replication of images"
    for stack, address, _ in new.resources(_REPLICATION):
        registry = aws("ecr").describe_registry()
        rules = registry["replicationConfiguration"]["rules"]
        if rules:
            regions = sorted({destination["region"] for rule in rules for destination in rule["destinations"]})
            message = (
                f"the registry already replicates to {', '.join(regions)}, which an apply would overwrite; if it may: "
                f"terraform -chdir={stack.directory} import {address} {registry['registryId']}; "
                "otherwise remove image_replica_regions"
            )
            yield Line(subject, "failed", message)
            return
    yield Line(subject, "passed", "no other configuration of the registry")
