"""What the policies of all apply roles are made of: managing IAM, KMS and EC2 of one environment.

An apply role acts on names that begin with its region and environment, on its IAM path, and, where AWS chooses the
name (subnets, keys, file systems), on resources that carry its `Environment` tag.
"""

from collections.abc import Sequence

from eks_gitops.delivery.boundary import boundary_arn, own_roles
from eks_gitops.iam import Statement
from eks_gitops.key import key_alias
from eks_gitops.location import Location


def tagged(location: Location, key: str = "aws:ResourceTag/Environment") -> dict[str, dict[str, str]]:
    """The condition that a resource, or with another key a request, carries the environment's tag."""
    return {"StringEquals": {key: location.environment}}


def manage_iam(location: Location, *, passed_to: Sequence[str], linked: Sequence[str]) -> list[Statement]:
    """Making roles on the environment's path, passing them to `passed_to`, and the service-linked roles of `linked`."""
    return [
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
            resources=own_roles(location),
            conditions={"StringEquals": {"iam:PermissionsBoundary": boundary_arn(location)}},
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
            resources=own_roles(location),
        ),
        Statement(
            sid="PassRoles",
            actions=["iam:PassRole"],
            resources=own_roles(location),
            conditions={"StringEquals": {"iam:PassedToService": sorted(passed_to)}},
        ),
        Statement(
            sid="ServiceLinkedRoles",
            actions=["iam:CreateServiceLinkedRole"],
            resources=[location.arn("iam", "role/aws-service-role/*")],
            conditions={"StringEquals": {"iam:AWSServiceName": sorted(linked)}},
        ),
    ]


def manage_keys(location: Location) -> list[Statement]:
    """Making the environment's key and its alias, and using it where a service asks in the caller's name."""
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
            conditions=tagged(location, "aws:RequestTag/Environment"),
        ),
        Statement(
            sid="KeepKeys",
            actions=[
                "kms:CancelKeyDeletion",
                "kms:CreateAlias",
                "kms:CreateGrant",
                "kms:Decrypt",
                "kms:DeleteAlias",
                "kms:DisableKeyRotation",
                "kms:EnableKeyRotation",
                "kms:Encrypt",
                "kms:GenerateDataKey*",
                "kms:PutKeyPolicy",
                "kms:RetireGrant",
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


def manage_ec2(
    location: Location, create: Sequence[str], keep: Sequence[str], created: Sequence[str]
) -> list[Statement]:
    """EC2 by tag: what is created must carry the environment's tag, what is changed must have it."""
    resources = [location.arn("ec2", f"{kind}/*") for kind in created]
    return [
        Statement(
            sid="MakeTagged",
            actions=create,
            resources=resources,
            conditions=tagged(location, "aws:RequestTag/Environment"),
        ),
        Statement(
            sid="TagWhatIsMade",
            actions=["ec2:CreateTags"],
            resources=[location.arn("ec2", "*/*")],
            conditions={
                "StringEquals": {
                    "aws:RequestTag/Environment": location.environment,
                    "ec2:CreateAction": sorted({action.removeprefix("ec2:") for action in create} | {"RunInstances"}),
                }
            },
        ),
        Statement(
            sid="KeepTagged",
            actions=[*create, *keep, "ec2:CreateTags", "ec2:DeleteTags"],
            resources=[location.arn("ec2", "*/*")],
            conditions=tagged(location),
        ),
    ]
