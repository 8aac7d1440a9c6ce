"""PermissionsBoundary: the maximum permissions of an environment's apply role and of the roles that it creates."""

from collections.abc import Sequence
from typing import Literal

from cdktf_cdktf_provider_aws.iam_policy import IamPolicy
from constructs import Construct

from eks_gitops.access_logs import access_logs_suffix
from eks_gitops.backup_bucket import backup_bucket_suffix
from eks_gitops.iam import Conditions, Statement, policy_document
from eks_gitops.location import Location
from eks_gitops.master_passwords import OWNED, RDS, master_passwords
from eks_gitops.observability import Observability

READ_WITHOUT_RESOURCE = (
    "acm:ListCertificates",
    "autoscaling:Describe*",
    "backup:ListBackupPlans",
    "backup:ListBackupVaults",
    "ec2:Describe*",
    "ecr:DescribeRegistry",
    "ecr:DescribeRepositoryCreationTemplates",
    "eks:DescribeAddonVersions",
    "eks:DescribeClusterVersions",
    "eks:ListClusters",
    "elasticloadbalancing:Describe*",
    "iam:ListOpenIDConnectProviders",
    "iam:ListRoles",
    "kms:ListAliases",
    "kms:ListKeys",
    "logs:DescribeLogGroups",
    "rds:DescribeDBEngineVersions",
    "rds:DescribeOrderableDBInstanceOptions",
    "route53:ListHostedZones",
    "route53:ListHostedZonesByName",
    "secretsmanager:GetRandomPassword",
    "servicequotas:GetAWSDefaultServiceQuota",
    "servicequotas:GetServiceQuota",
    "tag:GetResources",
)
_WITHOUT_RESOURCE = (
    "acm:ListCertificates",
    "acm:RequestCertificate",
    "arc-zonal-shift:GetManagedResource",
    "autoscaling:Describe*",
    "backup-storage:MountCapsule",
    "backup:List*",
    "cognito-idp:DescribeUserPoolClient",
    "ec2:Describe*",
    "ec2:GetSecurityGroupsForVpc",
    "ecr:DescribeRegistry",
    "ecr:GetAuthorizationToken",
    "eks:CreateCluster",
    "eks:Describe*Versions",
    "eks:ListClusters",
    "elasticfilesystem:CreateFileSystem",
    "elasticloadbalancing:Describe*",
    "elasticloadbalancing:SetWebAcl",
    "iam:List*",
    "kms:CreateKey",
    "kms:List*",
    "logs:DescribeLogGroups",
    "pricing:GetProducts",
    "rds:DescribeDBEngine*",
    "rds:DescribeOrderable*",
    "route53:CreateHostedZone",
    "route53:ListHostedZones*",
    "secretsmanager:Batch*",
    "secretsmanager:GetRandomPassword",
    "secretsmanager:ListSecrets",
    "servicequotas:Get*",
    "shield:*Protection",
    "shield:GetSubscriptionState",
    "tag:GetResources",
    "waf-regional:*ssociateWebACL",
    "waf-regional:GetWebACL*",
)
"""Actions whose resource is always `*`, and those that the AWS Load Balancer Controller has on `*`.

Source: https://docs.aws.amazon.com/service-authorization/latest/reference/
"""
_SHARED_WITHOUT_RESOURCE = (
    "ecr:CreateRepositoryCreationTemplate",
    "ecr:DeleteRepositoryCreationTemplate",
    "ecr:DescribeRepositoryCreationTemplates",
    "ecr:PutReplicationConfiguration",
    "ecr:UpdateRepositoryCreationTemplate",
)
"""The same of the shared stack alone."""
_OF_ACCESS_HOST = (
    "ssm:GetDeploy*",
    "ssm:GetManifest",
    "ssm:ListAssociations",
    "ssm:PutConf*",
    "ssm:PutInv*",
    "ssmmessages:*",
)
"""The same of the access host, by AmazonSSMManagedInstanceCore of AWS.

Source: https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AmazonSSMManagedInstanceCore.html
"""

_OF_QUERIES = ("logs:*QueryDefinition*",)
"""The same of saved queries."""
_OF_WEB_ACL = ("wafv2:ListWebACLs",)
"""The same of the load balancer controller, which looks for the web ACL by its name."""
_OF_DETECTION = ("guardduty:CreateDetector", "guardduty:ListD*")
"""The same of GuardDuty."""
_OF_COST_TAGS = ("ce:*CostAllocationTags*",)
"""The same of cost allocation tags."""
_OF_ZONES = ("ChangeR*", "ChangeT*", "DeleteHosted*", "Get*", "List*", "UpdateHostedZoneC*")
"""The actions of Route 53 on an environment's own zone: changes of records, tags and comment, deletion, and reads."""
_REGIONAL_SERVICES = (
    "acm", "backup", "ec2", "ecr", "eks", "elasticfilesystem", "elasticloadbalancing", "events", "kms", "logs", "rds",
    "secretsmanager", "sqs", "ssm", "wafv2",
)  # fmt: skip
_SERVICES_OF_RUNNERS = ("codebuild", "codeconnections")
_SERVICES_OF_DETECTION = ("guardduty",)
_USES = (
    "acm:Describe*",
    "cognito-idp:Describe*",
    "dynamodb:*Item",
    "dynamodb:DescribeTable",
    "ec2:CreateFleet",
    "ec2:CreateNetworkInterface",
    "ec2:CreateSecurityGroup",
    "ec2:Describe*",
    "ec2:Get*",
    "ec2:RunInstances",
    "ecr:BatchCheck*",
    "ecr:BatchGet*",
    "ecr:Describe*",
    "ecr:Get*",
    "ecr:List*",
    "iam:Get*",
    "iam:List*",
    "kms:*crypt",
    "kms:DescribeKey",
    "kms:GenerateDataKey*",
    "s3:*Object",
    "s3:Get*",
    "s3:List*",
    "secretsmanager:DescribeSecret",
    "secretsmanager:GetSecretValue",
    "wafv2:*ssociateWebACL",
    "wafv2:GetWebACL*",
)
"""What an environment does with resources of the shared and backend stacks. It can do nothing else with them."""


_NOTHING = Observability()


def delivery_path(location: Location) -> str:
    """The IAM path of the delivery roles, policies and boundaries. No apply role has write access to it."""
    return f"/{location.region}/delivery/"


def boundary_name(location: Location) -> str:
    """The name of an environment's permissions boundary."""
    return location.name("boundary")


def boundary_arn(location: Location) -> str:
    """The ARN of an environment's permissions boundary."""
    return location.arn("iam", f"policy{delivery_path(location)}{boundary_name(location)}")


def own_roles(location: Location, kind: Literal["role", "instance-profile"] = "role") -> str:
    """The ARN pattern of the roles, or of the instance profiles, on an environment's IAM path."""
    return location.arn("iam", f"{kind}{location.iam_path}*")


def own_backups(location: Location) -> list[str]:
    """The ARN patterns of an environment's backup bucket and its objects, for any prefix of the bucket name."""
    return _bucket(location, backup_bucket_suffix(location))


def own_access_logs(location: Location) -> list[str]:
    """The same of its bucket of access logs."""
    return _bucket(location, access_logs_suffix(location))


def _own_buckets(location: Location, observability: Observability) -> str:
    """The pattern of the buckets of an environment, with their objects, because a boundary has a size limit."""
    return (
        location.arn("s3", f"*-{location.name('*')}") if observability.access_logs else f"{own_backups(location)[0]}*"
    )


def _bucket(location: Location, suffix: str) -> list[str]:
    bucket = location.arn("s3", f"*{suffix}")
    return [bucket, f"{bucket}/*"]


class PermissionsBoundary(Construct):
    """The permissions boundary of an environment. It also limits the environment's own apply role.

    It permits creating roles only with the same boundary and on the environment's own path. It permits no access to
    resources with the tag of another environment, to resources that AWS tagged with a cluster not in `clusters` or
    with the database of another environment, nor to the state of another environment, except to read that of `reads`,
    whose outputs the environment uses. Of resources with the tag of
    the shared or backend stack, it permits only reads and uses. It also denies deleting backups, which only an
    administrator can do, and changes of the zone above the environment's own, except of the environment's records.
    `target_roles` are those in other accounts that its controllers assume, `existing_roles` those of its cluster and
    nodes that no stack creates. `access_host`, `runners`, `cost_tags`, `budget`, `observability` and `threat_detection`
    add what these optional resources need, and `aurora` the same for databases on Aurora, of any environment.

    `domain`, of the environment's zone, and `parent_zone_arn` are None for the shared stack, which can change all zones
    and has no clusters.

    With `existing_arn`, nothing is created, and that policy is the boundary, whatever it permits.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        location: Location,
        clusters: Sequence[str],
        domain: str | None,
        parent_zone_arn: str | None,
        target_roles: Sequence[str] = (),
        existing_arn: str | None = None,
        existing_roles: Sequence[str] = (),
        reads: Sequence[str] = (),
        access_host: bool = False,
        runners: bool = False,
        cost_tags: bool = False,
        budget: bool = False,
        observability: Observability = _NOTHING,
        threat_detection: bool = False,
        aurora: bool = False,
    ) -> None:
        super().__init__(scope, id_)
        if existing_arn is not None:
            self.arn: str = existing_arn
            return
        policy = IamPolicy(
            self,
            "policy",
            name=boundary_name(location),
            path=delivery_path(location),
            description=f"The most that a role of {location.region} {location.environment} may do",
            policy=policy_document(
                *statements(
                    location,
                    clusters,
                    domain,
                    parent_zone_arn,
                    target_roles,
                    existing_roles=existing_roles,
                    reads=reads,
                    access_host=access_host,
                    runners=runners,
                    cost_tags=cost_tags,
                    budget=budget,
                    observability=observability,
                    threat_detection=threat_detection,
                    aurora=aurora,
                )
            ),
        )
        self.arn = policy.arn


def changed_records(names: Sequence[str], *types: str) -> dict[str, dict[str, Sequence[str]]]:
    """The condition that all records of a change have one of `names`, which may have wildcards, and one of `types`.

    Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/specifying-rrset-conditions.html
    """
    key = "route53:ChangeResourceRecordSets"
    of_types = {f"{key}RecordTypes": types} if types else {}
    return {"ForAllValues:StringLike": {f"{key}NormalizedRecordNames": names, **of_types}}


def keep_zone(arn: str, sid: str = "") -> Statement:
    """Deny deleting a zone, and changing its tags or comment. Its records can still be changed."""
    return Statement(
        sid=sid,
        effect="Deny",
        actions=["route53:ChangeT*", "route53:D*", "route53:U*"],
        resources=[arn],
    )


def statements(
    location: Location,
    clusters: Sequence[str],
    domain: str | None,
    parent_zone_arn: str | None,
    target_roles: Sequence[str] = (),
    *,
    existing_roles: Sequence[str] = (),
    reads: Sequence[str] = (),
    access_host: bool = False,
    runners: bool = False,
    cost_tags: bool = False,
    budget: bool = False,
    observability: Observability = _NOTHING,
    threat_detection: bool = False,
    aurora: bool = False,
) -> list[Statement]:
    """All statements, without `Sid`, because a managed policy may have 6,144 characters.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """
    targets = [Statement(actions=["sts:AssumeRole", "sts:TagSession"], resources=target_roles)] if target_roles else []
    passed = [Statement(actions=["iam:GetRole", "iam:PassRole"], resources=existing_roles)] if existing_roles else []
    return [
        *_allowed(
            location,
            domain,
            reads,
            access_host=access_host,
            runners=runners,
            cost_tags=cost_tags,
            observability=observability,
            threat_detection=threat_detection,
            aurora=aurora,
        ),
        *targets,
        *passed,
        *([_budget(location)] if budget else []),
        *_denied(location, clusters, parent_zone_arn, aurora=aurora),
    ]


def _budget(location: Location) -> Statement:
    return Statement(actions=["budgets:*"], resources=[location.arn("budgets", f"budget/{location.name('*')}")])


def _allowed(
    location: Location,
    domain: str | None,
    reads: Sequence[str],
    *,
    access_host: bool,
    runners: bool,
    cost_tags: bool,
    observability: Observability,
    threat_detection: bool,
    aurora: bool,
) -> list[Statement]:
    """What the boundary permits. To be short, some statements have several services, and wildcards in action names.

    An action of one service cannot be taken on the resources of the others, and `ForAllValues` is true for actions that
    do not have the key. The tests compare both with the published data.
    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
    """
    is_shared = location.environment == "shared"
    also_clusters = "*" if aurora else ""
    services = (
        *_REGIONAL_SERVICES,
        *(_SERVICES_OF_RUNNERS if runners else ()),
        *(_SERVICES_OF_DETECTION if threat_detection else ()),
    )
    return [
        # The services of the region. The ARNs of images and snapshots of AWS have another account ID or none. EKS Auth
        # acts on clusters.
        Statement(
            actions=[f"{service}:*" for service in (*services, "eks-auth")],
            resources=[location.arn(service, "*", account_id="*") for service in services],
        ),
        Statement(
            actions=[
                *_WITHOUT_RESOURCE,
                *(_SHARED_WITHOUT_RESOURCE if is_shared else ()),
                *(_OF_ACCESS_HOST if access_host else ()),
                *(_OF_COST_TAGS if cost_tags else ()),
                *(_OF_QUERIES if observability.container_logs else ()),
                *(_OF_WEB_ACL if observability.web_acl else ()),
                *(_OF_DETECTION if threat_detection else ()),
            ],
            resources=["*"],
        ),
        _zones(location, domain),
        # The environment's own state and locks
        Statement(
            actions=[
                "dynamodb:DeleteItem",
                "dynamodb:DescribeTable",
                "dynamodb:GetItem",
                "dynamodb:PutItem",
                "s3:DeleteObject",
                "s3:GetObject",
                "s3:PutObject",
            ],
            resources=[
                location.arn("dynamodb", "table/*"),
                location.arn("s3", f"*/{location.region}/{location.environment}/*"),
            ],
            conditions={
                "ForAllValues:StringLike": {"dynamodb:LeadingKeys": f"*/{location.region}/{location.environment}/*"}
            },
        ),
        # The environment's own backups, their copies in another region, and its access logs
        Statement(
            actions=[
                "backup:CopyIntoBackupVault",
                "kms:CreateGrant",
                "kms:Decrypt",
                "kms:DescribeKey",
                "kms:GenerateDataKey*",
                "rds:AddTagsToResource",
                f"rds:CopyDB{also_clusters}Snapshot",
                f"rds:DescribeDB{also_clusters}Snapshots",
                "s3:CreateBucket",
                "s3:DeleteBucket*",
                "s3:Get*",
                "s3:List*",
                "s3:Put*Configuration",
                "s3:PutBucket*",
                "s3:PutObject",
                "s3:*agResource",  # TagResource and UntagResource
            ],
            resources=[
                _own_buckets(location, observability),
                *[
                    location.arn(service, name, region="*")
                    for service, name in (
                        ("backup", "backup-vault:*"),
                        ("kms", "key/*"),
                        ("rds", f"{also_clusters}snapshot:awsbackup:*"),
                    )
                ],
            ],
        ),
        *([_replicas_of_images(location)] if is_shared else []),
        # The environment's own path, and reading the settings of buckets
        Statement(
            actions=["iam:*", "s3:GetBucket*", "s3:ListBucket"],
            resources=[
                location.arn("s3", "*"),
                own_roles(location),
                own_roles(location, "instance-profile"),
                location.arn("iam", "oidc-provider/oidc.eks.*"),
            ],
        ),
        # Reading the rest of the region, the outputs of the shared stack and service-linked roles, which can also be
        # created, and the instance profiles of EKS Auto Mode, which names them, and adds its role to them
        Statement(
            actions=[
                "iam:AddRoleToInstanceProfile",
                "iam:CreateServiceLinkedRole",
                "iam:Get*",
                "s3:GetObject",
            ],
            resources=[
                *[location.arn("iam", f"{kind}/{location.region}/*") for kind in ("role", "policy")],
                location.arn("iam", "instance-profile/eks*"),
                location.arn("iam", "role/aws-service-role/*"),
                location.arn("iam", "server-certificate/*"),
                *[location.arn("s3", f"*/{location.region}/{name}/*") for name in ("shared", *reads)],
            ],
        ),
    ]


def _zones(location: Location, domain: str | None) -> Statement:
    """Route 53 has no condition on the tags of a zone, and deletes only zones without records."""
    zones = [location.arn("route53", f"{kind}/*") for kind in ("hostedzone", "change")]
    if domain is None:
        return Statement(actions=["route53:*"], resources=zones)
    return Statement(
        actions=[f"route53:{action}" for action in _OF_ZONES],
        resources=zones,
        conditions=changed_records([domain, f"*.{domain}"]),
    )


def _denied(
    location: Location, clusters: Sequence[str], parent_zone_arn: str | None, *, aurora: bool
) -> list[Statement]:
    """Denials by tags do not concern a resource that has no tags yet, such as one that is being created."""
    shared = sorted({"shared", "backend"} - {location.environment})
    return [
        # The shared and backend stacks
        Statement(
            effect="Deny",
            except_actions=_USES,
            resources=["*"],
            conditions={"StringEquals": {"aws:ResourceTag/Environment": shared}},
        ),
        # Other environments. The cluster administrator role has the boundary of `shared`, and finds all clusters.
        Statement(
            effect="Deny",
            actions=["*"] if clusters else (),
            except_actions=["eks:DescribeCluster"] if not clusters else (),
            resources=["*"],
            conditions=_is_of_another("aws:ResourceTag/Environment", [location.environment, *shared]),
        ),
        # Security groups and nodes of other clusters, which EKS tags
        Statement(
            effect="Deny",
            actions=["ec2:*"],
            resources=["*"],
            conditions=_is_of_another("aws:ResourceTag/aws:eks:cluster-name", clusters),
        ),
        # Master passwords of other databases, which RDS tags with the ARN of the database, whose name is unique in the
        # account. Those of Aurora have another tag, and `StringNotLike` is true without the tag.
        Statement(
            effect="Deny",
            actions=["secretsmanager:*"],
            resources=["*"],
            conditions={
                "Null": {OWNED if aurora else RDS.tag: "false"},
                "StringNotLike": {one.tag: f"*:{location.name('*')}" for one in master_passwords(aurora=aurora)},
            },
        ),
        # The zone above the environment's own
        *([keep_zone(parent_zone_arn)] if parent_zone_arn is not None else []),
        # Roles without this boundary
        Statement(
            effect="Deny",
            actions=["iam:CreateRole", "iam:PutRolePermissionsBoundary"],
            resources=["*"],
            conditions={"StringNotEquals": {"iam:PermissionsBoundary": boundary_arn(location)}},
        ),
        # Deletion of backups and of the boundary
        Statement(
            effect="Deny",
            actions=[
                "backup:DeleteBackupVaultLock*",
                "backup:DeleteRecoveryPoint",
                "backup:UpdateRecoveryPointLifecycle",
                "iam:DeleteRolePermissionsBoundary",
            ],
            resources=["*"],
        ),
    ]


def _replicas_of_images(location: Location) -> Statement:
    """What the template of replicated repositories and its role do in other regions."""
    return Statement(
        actions=[
            "ecr:CreateRepository",
            "ecr:PutLifecyclePolicy",
            "ecr:ReplicateImage",
            "ecr:TagResource",
            "kms:RetireGrant",  # other actions on keys are those of the copies of backups
        ],
        resources=[
            location.arn(service, name, region="*") for service, name in (("ecr", "repository/*"), ("kms", "key/*"))
        ],
    )


def _is_of_another(tag: str, own: Sequence[str]) -> Conditions:
    """The condition that a resource has the tag, with a value that is not in `own`."""
    has_tag = {"Null": {tag: "false"}}
    return {**has_tag, "StringNotEquals": {tag: sorted(own)}} if own else has_tag
