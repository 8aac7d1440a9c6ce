"""Policy statements that all apply roles share: managing IAM, KMS and EC2 resources of one environment.

An apply role manages resources whose names begin with its region and environment, resources on its IAM path, and, for
resources that AWS names (subnets, keys, file systems), those with its `Environment` tag.
"""

from collections.abc import Mapping, Sequence

from eks_gitops.delivery.boundary import boundary_arn, own_roles
from eks_gitops.iam import Conditions, Statement
from eks_gitops.key import key_alias
from eks_gitops.location import Location


def tagged(location: Location, key: str = "aws:ResourceTag/Environment") -> dict[str, dict[str, str]]:
    """The condition that a resource has the environment's tag, or, with another `key`, that a request sets it."""
    return {"StringEquals": {key: location.environment}}


def tags_new(location: Location, created_by: Mapping[str, Sequence[str]] | None = None) -> Conditions:
    """The conditions that a request sets the environment's tag, and that the resource has that of no other environment.

    A resource that is being created has no tags yet, or those of the request. `created_by` is the service's condition
    key with the actions that create the resource, for services that have one.
    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
    """
    return {
        "StringEquals": {"aws:RequestTag/Environment": location.environment, **(created_by or {})},
        "StringEqualsIfExists": {"aws:ResourceTag/Environment": location.environment},
    }


def manage_iam(
    location: Location,
    *,
    passed_to: Sequence[str],
    linked: Sequence[str],
    existing_boundary_arn: str | None = None,
    existing_roles: Sequence[str] = (),
) -> list[Statement]:
    """Manage roles on the environment's path, pass them to `passed_to`, create service-linked roles of `linked`.

    `existing_roles` can also be passed, but not changed. EKS reads them for the caller that passes them.
    Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelastickubernetesservice.html
    """
    boundary = existing_boundary_arn or boundary_arn(location)
    reads = ["iam:GetRole", "iam:ListAttachedRolePolicies"]
    return [
        *([Statement(sid="ReadExistingRoles", actions=reads, resources=existing_roles)] if existing_roles else []),
        Statement(
            sid="MakeRoles",
            actions=[
                "iam:AttachRolePolicy",
                "iam:CreateRole",
                "iam:DeleteRolePolicy",
                "iam:DetachRolePolicy",
                "iam:PutRolePermissionsBoundary",
                "iam:PutRolePolicy",
            ],
            resources=[own_roles(location)],
            conditions={"StringEquals": {"iam:PermissionsBoundary": boundary}},
        ),
        Statement(
            sid="KeepRoles",
            actions=[
                "iam:AddRoleToInstanceProfile",
                "iam:CreateInstanceProfile",
                "iam:DeleteInstanceProfile",
                "iam:DeleteRole",
                "iam:RemoveRoleFromInstanceProfile",
                "iam:TagInstanceProfile",
                "iam:TagRole",
                "iam:UntagInstanceProfile",
                "iam:UntagRole",
                "iam:UpdateAssumeRolePolicy",
                "iam:UpdateRole",
                "iam:UpdateRoleDescription",
            ],
            resources=[own_roles(location), own_roles(location, "instance-profile")],
        ),
        Statement(
            sid="PassRoles",
            actions=["iam:PassRole"],
            resources=[own_roles(location), *existing_roles],
            conditions={"StringEquals": {"iam:PassedToService": sorted(passed_to)}},
        ),
        Statement(
            sid="ServiceLinkedRoles",
            actions=["iam:CreateServiceLinkedRole"],
            resources=[location.arn("iam", "role/aws-service-role/*")],
            conditions={"StringEquals": {"iam:AWSServiceName": sorted(linked)}},
        ),
    ]


_USE_OF_KEYS = ("kms:CreateGrant", "kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:RetireGrant")


def manage_keys(location: Location, existing_key_arn: str | None = None) -> list[Statement]:
    """Manage the environment's key and its alias, and use the key when an AWS service does so for the caller.

    Of an existing key, only its use.
    """
    if existing_key_arn is not None:
        return [Statement(sid="UseKey", actions=_USE_OF_KEYS, resources=[existing_key_arn])]
    return [
        Statement(
            sid="MakeKeys",
            actions=["kms:CreateKey"],
            resources=["*"],
            conditions=tagged(location, "aws:RequestTag/Environment"),
        ),
        Statement(
            sid="TagNewKeys",
            actions=["kms:TagResource"],
            resources=[location.arn("kms", "key/*")],
            conditions=tags_new(location),
        ),
        Statement(
            sid="KeepKeys",
            actions=[
                *_USE_OF_KEYS,
                "kms:CancelKeyDeletion",
                "kms:CreateAlias",
                "kms:DeleteAlias",
                "kms:DisableKeyRotation",
                "kms:EnableKeyRotation",
                "kms:PutKeyPolicy",
                "kms:ScheduleKeyDeletion",
                "kms:TagResource",
                "kms:UntagResource",
                "kms:UpdateAlias",
                "kms:UpdateKeyDescription",
            ],
            resources=[location.arn("kms", "key/*")],
            conditions=tagged(location),
        ),
        Statement(
            sid="NameKeys",
            actions=["kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias"],
            resources=[location.arn("kms", key_alias(location))],
        ),
    ]


def manage_certificates(location: Location) -> list[Statement]:
    """Request certificates with the environment's tag, and manage those that have it."""
    return [
        Statement(
            sid="MakeCertificates",
            actions=["acm:RequestCertificate"],
            resources=["*"],
            conditions=tagged(location, "aws:RequestTag/Environment"),
        ),
        Statement(
            sid="TagNewCertificates",
            actions=["acm:AddTagsToCertificate"],
            resources=[location.arn("acm", "certificate/*")],
            conditions=tags_new(location),
        ),
        Statement(
            sid="KeepCertificates",
            actions=["acm:AddTagsToCertificate", "acm:DeleteCertificate", "acm:RemoveTagsFromCertificate"],
            resources=[location.arn("acm", "certificate/*")],
            conditions=tagged(location),
        ),
    ]


def manage_ec2(
    location: Location, *, create: Sequence[str], created: Sequence[str], rules: Sequence[str], keep: Sequence[str]
) -> list[Statement]:
    """Create EC2 resources of the kinds `created` with the environment's tag, and change resources that have it.

    `rules` are the actions that create rules in a security group, which must have the tag, too.
    """
    actions = {action.removeprefix("ec2:") for action in (*create, *rules, "ec2:RunInstances")}
    return [
        Statement(
            sid="MakeTagged",
            actions=create,
            resources=[location.arn("ec2", f"{kind}/*") for kind in created],
            conditions=tagged(location, "aws:RequestTag/Environment"),
        ),
        Statement(
            sid="MakeRules",
            actions=rules,
            resources=[location.arn("ec2", "security-group-rule/*")],
            conditions=tagged(location, "aws:RequestTag/Environment"),
        ),
        Statement(
            sid="TagWhatIsMade",
            actions=["ec2:CreateTags"],
            resources=[location.arn("ec2", "*/*")],
            conditions=tags_new(location, {"ec2:CreateAction": sorted(actions)}),
        ),
        Statement(
            sid="KeepTagged",
            actions=[*rules, *keep, "ec2:CreateTags", "ec2:DeleteTags"],
            resources=[location.arn("ec2", "*/*")],
            conditions=tagged(location),
        ),
    ]
