"""PermissionsBoundary: the maximum permissions of an environment's apply role and of the roles that it creates."""

from collections.abc import Sequence

from cdktf_cdktf_provider_aws.iam_policy import IamPolicy
from constructs import Construct

from eks_gitops.backup_bucket import backup_bucket_suffix
from eks_gitops.iam import Statement, policy_document
from eks_gitops.location import Location

READ_WITHOUT_RESOURCE = (
    "acm:ListCertificates",
    "autoscaling:Describe*",
    "backup:ListBackupPlans",
    "backup:ListBackupVaults",
    "ec2:Describe*",
    "ecr:DescribeRegistry",
    "eks:DescribeAddonVersions",
    "eks:DescribeClusterVersions",
    "eks:ListClusters",
    "elasticloadbalancing:Describe*",
    "iam:ListOpenIDConnectProviders",
    "iam:ListRoles",
    "kms:ListAliases",
    "kms:ListKeys",
    "logs:DescribeLogGroups",
    "rds:DescribeOrderableDBInstanceOptions",
    "route53:ListHostedZones",
    "route53:ListHostedZonesByName",
    "secretsmanager:GetRandomPassword",
    "servicequotas:GetAWSDefaultServiceQuota",
    "servicequotas:GetServiceQuota",
    "tag:GetResources",
)
WITHOUT_RESOURCE = (
    *READ_WITHOUT_RESOURCE,
    "backup-storage:*",
    "cognito-idp:DescribeUserPoolClient",
    "ec2:GetSecurityGroupsForVpc",
    "ecr:GetAuthorizationToken",
    "ecr:PutReplicationConfiguration",
    "iam:ListInstanceProfiles",
    "iam:ListServerCertificates",
    "kms:CreateKey",
    "pricing:GetProducts",
    "route53:CreateHostedZone",
    "secretsmanager:BatchGetSecretValue",
    "secretsmanager:ListSecrets",
    "shield:*",
    "waf-regional:*",
)
"""Actions whose resource is always `*`. Source: https://docs.aws.amazon.com/service-authorization/latest/reference/"""

_REGIONAL_SERVICES = (
    "acm", "autoscaling", "backup", "dynamodb", "ec2", "ecr", "eks", "eks-auth", "elasticfilesystem",
    "elasticloadbalancing", "events", "kms", "logs", "rds", "secretsmanager", "sqs", "ssm", "wafv2",
)  # fmt: skip


def delivery_path(location: Location) -> str:
    """The IAM path of the delivery roles, policies and boundaries. No apply role has write access to it."""
    return f"/{location.region}/delivery/"


def boundary_name(location: Location) -> str:
    """The name of an environment's permissions boundary."""
    return location.name("boundary")


def boundary_arn(location: Location) -> str:
    """The ARN of an environment's permissions boundary."""
    return location.arn("iam", f"policy{delivery_path(location)}{boundary_name(location)}")


def own_roles(location: Location) -> list[str]:
    """The ARN patterns of the roles and instance profiles on an environment's IAM path."""
    return [location.arn("iam", f"{kind}{location.iam_path}*") for kind in ("role", "instance-profile")]


def own_backups(location: Location) -> list[str]:
    """The ARN patterns of an environment's backup bucket and its objects, for any prefix of the bucket name."""
    bucket = location.arn("s3", f"*{backup_bucket_suffix(location)}")
    return [bucket, f"{bucket}/*"]


class PermissionsBoundary(Construct):
    """The permissions boundary of an environment. It also limits the environment's own apply role.

    It permits creating roles only with the same boundary and on the environment's own path. It permits no access to
    resources with the tag of another environment, nor to the state of another environment. It also denies deleting
    backups, which only an administrator can do.
    """

    def __init__(self, scope: Construct, id_: str, *, location: Location, domain: str | None = None) -> None:
        """`domain` is that of the environment's zone; `shared` has none, and can write to all zones."""
        super().__init__(scope, id_)
        policy = IamPolicy(
            self,
            "policy",
            name=boundary_name(location),
            path=delivery_path(location),
            description=f"The most that a role of {location.region} {location.environment} may do",
            policy=policy_document(*_statements(location, domain)),
        )
        self.arn: str = policy.arn


def changed_records(names: Sequence[str], *types: str) -> dict[str, dict[str, Sequence[str]]]:
    """The condition that all records of a change have one of `names`, which may have wildcards, and one of `types`.

    Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/specifying-rrset-conditions.html
    """
    key = "route53:ChangeResourceRecordSets"
    of_types = {f"{key}RecordTypes": types} if types else {}
    return {"ForAllValues:StringLike": {f"{key}NormalizedRecordNames": names, **of_types}}


def _zones(location: Location, domain: str | None) -> list[Statement]:
    zones, changes = location.arn("route53", "hostedzone/*"), location.arn("route53", "change/*")
    if domain is None:
        return [Statement(sid="Zones", actions=["route53:*"], resources=[zones, changes])]
    actions = ["ChangeTagsForResource", "DeleteHostedZone", "Get*", "List*", "UpdateHostedZoneComment"]
    return [
        Statement(sid="Zones", actions=[f"route53:{action}" for action in actions], resources=[zones, changes]),
        Statement(
            sid="OwnRecords",
            actions=["route53:ChangeResourceRecordSets"],
            resources=[zones],
            conditions=changed_records([domain, f"*.{domain}"]),
        ),
    ]


def _statements(location: Location, domain: str | None) -> list[Statement]:
    return [
        Statement(
            sid="RegionalServices",
            actions=[f"{service}:*" for service in _REGIONAL_SERVICES],
            # The ARNs of images and snapshots of AWS have another account ID or none.
            resources=[location.arn(service, "*", account_id="*") for service in _REGIONAL_SERVICES],
        ),
        Statement(sid="WithoutResource", actions=WITHOUT_RESOURCE, resources=["*"]),
        *_zones(location, domain),
        Statement(sid="Buckets", actions=["s3:GetBucket*", "s3:ListBucket"], resources=[location.arn("s3", "*")]),
        Statement(
            sid="OwnState",
            actions=["s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
            resources=[location.arn("s3", f"*/{location.region}/{location.environment}/*")],
        ),
        Statement(
            sid="SharedState",
            actions=["s3:GetObject"],
            resources=[location.arn("s3", f"*/{location.region}/shared/*")],
        ),
        Statement(
            sid="OwnBackups",
            actions=[
                "s3:CreateBucket",
                "s3:DeleteBucket*",
                "s3:Get*",
                "s3:ListBucket*",
                "s3:Put*Configuration",
                "s3:PutBucket*",
                "s3:PutObject",
            ],
            resources=own_backups(location),
        ),
        Statement(
            sid="CopiesOfBackups",
            actions=[
                "backup:CopyIntoBackupVault",
                "kms:CreateGrant",
                "kms:Decrypt",
                "kms:DescribeKey",
                "kms:GenerateDataKey*",
                "rds:AddTagsToResource",
                "rds:CopyDBSnapshot",
                "rds:DescribeDBSnapshots",
            ],
            resources=[
                location.arn(service, name, region="*")
                for service, name in (("backup", "backup-vault:*"), ("kms", "key/*"), ("rds", "snapshot:awsbackup:*"))
            ],
        ),
        Statement(
            sid="OwnPath",
            actions=["iam:*"],
            resources=[
                *own_roles(location),
                location.arn("iam", "oidc-provider/oidc.eks.*"),
                location.arn("iam", "role/aws-service-role/*"),
            ],
        ),
        Statement(
            sid="ReadDelivery",
            actions=["iam:Get*", "iam:List*"],
            resources=[
                *[location.arn("iam", f"{kind}/{location.region}/*") for kind in ("role", "policy")],
                location.arn("iam", "server-certificate/*"),
            ],
        ),
        Statement(
            sid="OtherEnvironmentsStay",
            effect="Deny",
            actions=[f"{service}:*" for service in _REGIONAL_SERVICES],
            resources=["*"],
            conditions={
                "Null": {"aws:ResourceTag/Environment": "false"},
                "StringNotEquals": {"aws:ResourceTag/Environment": sorted({location.environment, "shared", "backend"})},
            },
        ),
        Statement(
            sid="RolesCarryThisBoundary",
            effect="Deny",
            actions=["iam:CreateRole", "iam:PutRolePermissionsBoundary"],
            resources=[location.arn("iam", "role/*")],
            conditions={"StringNotEquals": {"iam:PermissionsBoundary": boundary_arn(location)}},
        ),
        Statement(
            sid="BackupsStay",
            effect="Deny",
            actions=[
                "backup:DeleteBackupVaultLockConfiguration",
                "backup:DeleteRecoveryPoint",
                "backup:UpdateRecoveryPointLifecycle",
            ],
            resources=["*"],
        ),
        Statement(
            sid="BoundaryStays",
            effect="Deny",
            actions=["iam:DeleteRolePermissionsBoundary"],
            resources=[location.arn("iam", "role/*")],
        ),
    ]
