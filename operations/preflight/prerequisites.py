"""Checks what the settings name as existing: keys, image repositories, identity provider, boundaries, and roles."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from operations.clients.aws import paginate, tags_by_name
from operations.preflight import key_policy
from operations.preflight.check import Check, Clients, Line
from operations.terraform.stacks import ExistingKey, ExistingRole, Stack

_AUDIENCE = "sts.amazonaws.com"
"""The audience of GitHub's tokens in the trust policies of the roles.

Source: https://docs.github.com/actions/how-tos/secure-your-work/security-harden-deployments/oidc-in-aws
"""
_TAG = "Environment"


def checks(stacks: Sequence[Stack], aws: Clients) -> Iterator[tuple[str, Check]]:
    """A check for each thing that a stack uses and no stack creates."""
    for stack in stacks:
        existing = stack.existing
        if existing.key is not None:
            yield f"key of {stack.name}", partial(key, stack, existing.key, aws)
        for arn in existing.repositories:
            yield f"image repository {_name(arn)}", partial(repository, stack, arn, aws)
        if existing.github_provider is not None:
            yield "identity provider for GitHub", partial(github_provider, existing.github_provider, aws)
        if existing.permissions_boundary is not None:
            yield f"permissions boundary of {stack.name}", partial(boundary, stack, existing.permissions_boundary, aws)
        for one in existing.roles:
            yield f"role {_role_name(one.arn)}", partial(role, stack, one, aws)


def key(stack: Stack, existing: ExistingKey, aws: Clients) -> Iterator[Line]:
    """Whether a key exists, is enabled and symmetric, and may be used by the services, logs and roles of a stack."""
    subject, kms = f"key of {stack.name}", aws("kms")
    described = _unless("NotFoundException", kms.describe_key, KeyId=existing.arn)
    if described is None:
        yield Line(subject, "failed", f"{existing.arn} does not exist; correct key_arn, or remove it")
        return
    found, lines = described["KeyMetadata"], []
    if found["KeyState"] != "Enabled":
        remedy = "enable it (`aws kms cancel-key-deletion`, `aws kms enable-key`), or choose another key"
        lines.append(Line(subject, "failed", f"{existing.arn} is {found['KeyState']}, not Enabled; {remedy}"))
    if found["KeySpec"] != "SYMMETRIC_DEFAULT":
        message = f"{existing.arn} is {found['KeySpec']}; choose a symmetric key for encryption (SYMMETRIC_DEFAULT)"
        lines.append(Line(subject, "failed", message))
    tags = {one["TagKey"]: one["TagValue"] for one in paginate(kms, "list_resource_tags", "Tags", KeyId=existing.arn)}
    lines += [*_tag_of_another(subject, stack, tags), *_policy(subject, stack, existing, kms)]
    yield from lines or [Line(subject, "passed", "enabled, symmetric, and its key policy allows its use")]


def _policy(subject: str, stack: Stack, existing: ExistingKey, kms: Any) -> Iterator[Line]:
    """A line for each statement that the key policy lacks, or that it may lack."""
    policy = json.loads(kms.get_key_policy(KeyId=existing.arn, PolicyName="default")["Policy"])
    for statement in existing.statements:
        text = json.dumps(statement, sort_keys=True)
        match key_policy.verdict(policy, statement, stack.account_id):
            case "missing":
                yield Line(subject, "failed", f"its key policy does not allow what the stack needs; add to it: {text}")
            case "unknown":
                message = f"conditions of its key policy decide whether it allows what the stack needs: {text}"
                yield Line(subject, "warning", message)


def _name(arn: str) -> str:
    return arn.partition(":repository/")[2]


def repository(stack: Stack, arn: str, aws: Clients) -> Iterator[Line]:
    """Whether an image repository exists, and how it differs from those that the platform creates."""
    subject, ecr = f"image repository {_name(arn)}", aws("ecr")
    described = _unless("RepositoryNotFoundException", ecr.describe_repositories, repositoryNames=[_name(arn)])
    if described is None:
        yield Line(subject, "failed", "does not exist; create it, or set existing to False")
        return
    (found,) = described["repositories"]
    tags = ecr.list_tags_for_resource(resourceArn=arn)["tags"]
    lines = [*_tag_of_another(subject, stack, tags_by_name(tags))]
    mutability = found["imageTagMutability"]
    if not mutability.startswith("IMMUTABLE"):
        message = f"its tags are {mutability}: a push can replace an image that runs; make them IMMUTABLE"
        lines.append(Line(subject, "warning", message))
    encryption = found["encryptionConfiguration"]["encryptionType"]
    if encryption == "AES256":
        message = "it is encrypted with AES256, not with a KMS key, which only a new repository can change"
        lines.append(Line(subject, "warning", message))
    yield from lines or [Line(subject, "passed", f"exists, {mutability}, encrypted with {encryption}")]


def _tag_of_another(subject: str, stack: Stack, tags: Mapping[str, str]) -> Iterator[Line]:
    """The platform's permissions boundary denies resources with the tag of another environment."""
    value = tags.get(_TAG, stack.environment)
    if value != stack.environment and stack.existing.permissions_boundary is None:
        message = (
            f"its tag {_TAG} is {value}, and the permissions boundary of {stack.environment} denies resources of "
            f"another environment; remove the tag, or change it to {stack.environment}"
        )
        yield Line(subject, "failed", message)


def github_provider(arn: str, aws: Clients) -> Iterator[Line]:
    """Whether the identity provider for GitHub exists, and accepts the tokens of the workflows."""
    subject = "identity provider for GitHub"
    found = _unless("NoSuchEntity", aws("iam").get_open_id_connect_provider, OpenIDConnectProviderArn=arn)
    if found is None:
        remedy = "set owns_github_provider instead of github_provider_exists"
        yield Line(subject, "failed", f"{arn} does not exist; {remedy}")
    elif _AUDIENCE in found["ClientIDList"]:
        yield Line(subject, "passed", f"exists, with the audience {_AUDIENCE}")
    else:
        command = f"aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn {arn}"
        message = f"has no audience {_AUDIENCE}; add it: {command} --client-id {_AUDIENCE}"
        yield Line(subject, "failed", message)


def boundary(stack: Stack, arn: str, aws: Clients) -> Iterator[Line]:
    """Whether a policy exists that is the permissions boundary of a stack's roles."""
    subject = f"permissions boundary of {stack.name}"
    if _unless("NoSuchEntity", aws("iam").get_policy, PolicyArn=arn) is None:
        yield Line(subject, "failed", f"{arn} does not exist; correct permissions_boundary_arn, or remove it")
    else:
        yield Line(subject, "passed", f"{arn} exists")


_EQUIVALENT: Mapping[str, Collection[str]] = {
    "AmazonEC2ContainerRegistryPullOnly": (
        "AmazonEC2ContainerRegistryFullAccess",
        "AmazonEC2ContainerRegistryPowerUser",
        "AmazonEC2ContainerRegistryReadOnly",
    ),
    "AmazonEKSWorkerNodePolicy": ("AmazonEKSWorkerNodeMinimalPolicy",),
}
"""Managed policies of AWS that allow a role what it needs of another one, which the platform attaches to its own role.

Source: https://docs.aws.amazon.com/eks/latest/userguide/create-node-role.html and
https://docs.aws.amazon.com/AmazonECR/latest/userguide/security-iam-awsmanpol.html
"""


def role(stack: Stack, existing: ExistingRole, aws: Clients) -> Iterator[Line]:
    """Whether a role exists, its service may assume it, and it has the managed policies that it needs."""
    name, iam = _role_name(existing.arn), aws("iam")
    subject, service = f"role {name}", existing.service
    described = _unless("NoSuchEntity", iam.get_role, RoleName=name)
    if described is None or described["Role"]["Arn"] != existing.arn:
        found = "does not exist" if described is None else f"does not exist, but {described['Role']['Arn']} does"
        yield Line(subject, "failed", f"{existing.arn} {found}; correct role_arn, or remove it")
        return
    lines = [*_tag_of_another(subject, stack, tags_by_name(described["Role"].get("Tags", [])))]
    trust = {"Action": ["sts:AssumeRole"], "Principal": {"Service": service}}
    if key_policy.verdict(described["Role"]["AssumeRolePolicyDocument"], trust, stack.account_id) == "missing":
        message = f"its trust policy does not allow {service} sts:AssumeRole; add it: aws iam update-assume-role-policy"
        lines.append(Line(subject, "failed", message))
    attached = [
        one["PolicyName"] for one in paginate(iam, "list_attached_role_policies", "AttachedPolicies", RoleName=name)
    ]
    partition = existing.arn.split(":")[1]
    for policy in existing.policies:
        if not {policy, *_EQUIVALENT.get(policy, ())} & {*attached}:
            command = (
                f"aws iam attach-role-policy --role-name {name} --policy-arn arn:{partition}:iam::aws:policy/{policy}"
            )
            message = f"has no policy {policy}; unless a policy of its own allows the same, attach it: {command}"
            lines.append(Line(subject, "warning", message))
    yield from lines or [Line(subject, "passed", f"exists, {service} may assume it, and it has the policies it needs")]


def _role_name(arn: str) -> str:
    """The name of a role without its path, which IAM asks for."""
    return arn.rpartition("/")[2]


def _unless(code: str, ask: Callable[..., dict[str, Any]], **request: Any) -> dict[str, Any] | None:
    """The answer of AWS; None if it is this error."""
    try:
        return ask(**request)
    except ClientError as error:
        if error.response["Error"]["Code"] != code:
            raise
        return None
