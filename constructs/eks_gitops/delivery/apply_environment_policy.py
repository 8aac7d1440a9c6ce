"""IAM policies for applying an environment's stacks: its cluster, storage, databases, domain, roles and key."""

from collections.abc import Iterator, Sequence

from eks_gitops.delivery.apply_policy import manage_certificates, manage_ec2, manage_iam, manage_keys, tagged, tags_new
from eks_gitops.delivery.boundary import changed_records, keep_zone, own_access_logs, own_backups
from eks_gitops.iam import Statement
from eks_gitops.location import Location
from eks_gitops.master_passwords import master_passwords
from eks_gitops.observability import Observability

_OF_BUCKET = (
    "s3:CreateBucket",
    "s3:DeleteBucket",
    "s3:DeleteBucketPolicy",
    "s3:GetObject",
    "s3:GetObjectVersion",
    "s3:ListBucket",
    "s3:ListBucketVersions",
    "s3:ListTagsForResource",
    "s3:PutBucket*",
    "s3:PutEncryptionConfiguration",
    "s3:PutLifecycleConfiguration",
    "s3:PutObject",
    "s3:TagResource",
    "s3:UntagResource",
)
_NOTHING = Observability()
_AURORA_KINDS = ("cluster", "cluster-pg", "cluster-snapshot")


def statements(
    location: Location,
    clusters: Sequence[str],
    *,
    domain: str,
    parent_zone_arn: str | None,
    delegation_role_arn: str | None = None,
    existing_key_arn: str | None = None,
    existing_boundary_arn: str | None = None,
    existing_roles: Sequence[str] = (),
    budget: bool = False,
    observability: Observability = _NOTHING,
    aurora: bool = False,
) -> dict[str, list[Statement]]:
    """The statements by policy name. `budget` is whether the environment has one, `observability` what else it has.

    `clusters` are the names of the environment's clusters, and `domain` is that of its zone, which the parent zone
    delegates. If the parent zone is in another account, `parent_zone_arn` is None, and the role `delegation_role_arn`
    of that account writes the record. `aurora` is whether it has databases on Aurora.
    """
    cluster = clusters[0] if len(clusters) == 1 else sorted(clusters)
    region, own = location.region, f"{location.region}-{location.environment}-*"
    is_own = {"aws:ResourceTag/Environment": location.environment, "aws:ResourceTag/aws:eks:cluster-name": cluster}
    passwords = [(one, {one.tag: location.arn("rds", f"{one.kind}:{own}")}) for one in master_passwords(aurora=aurora)]
    kinds = ("cluster", "nodegroup", "addon", "access-entry", "podidentityassociation")
    return {
        "cluster": [
            Statement(
                sid="OwnCluster",
                actions=["eks:*"],
                resources=[
                    location.arn("eks", f"{kind}/{name}{'' if kind == 'cluster' else '/*'}")
                    for name in clusters
                    for kind in kinds
                ],
            ),
            Statement(
                sid="MakeCluster",
                actions=["eks:CreateCluster"],
                resources=["*"],
                conditions=tagged(location, "aws:RequestTag/Environment"),
            ),
            Statement(
                sid="LaunchNodes",
                actions=["ec2:RunInstances"],
                resources=[
                    location.arn("ec2", f"{kind}/*")
                    for kind in ("instance", "launch-template", "network-interface", "security-group", "volume")
                ],
                conditions={
                    "ArnLike": {"ec2:LaunchTemplate": location.arn("ec2", "launch-template/*")},
                    "StringEqualsIfExists": is_own,
                },
            ),
            Statement(
                sid="LaunchNodesFrom",
                actions=["ec2:RunInstances"],
                resources=[location.arn("ec2", "subnet/*"), location.arn("ec2", "image/*", account_id="")],
                conditions={"ArnLike": {"ec2:LaunchTemplate": location.arn("ec2", "launch-template/*")}},
            ),
            Statement(
                sid="MountTargets",  # for Amazon EFS, which does not tag network interfaces
                actions=["ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface"],
                resources=[location.arn("ec2", f"{kind}/*") for kind in ("network-interface", "security-group")],
                conditions={"StringEqualsIfExists": is_own},
            ),
            Statement(
                sid="SubnetsOfTheRegion",
                actions=["ec2:CreateNetworkInterface"],
                resources=[location.arn("ec2", "subnet/*")],
            ),
            Statement(
                sid="VpcOfTheRegion",
                actions=["ec2:CreateSecurityGroup"],
                resources=[location.arn("ec2", "vpc/*")],
            ),
            Statement(
                sid="SecurityGroupOfTheCluster",  # created by EKS, with its own tag
                actions=[
                    "ec2:AuthorizeSecurityGroupIngress",
                    "ec2:ModifySecurityGroupRules",
                    "ec2:RevokeSecurityGroupIngress",
                ],
                resources=[location.arn("ec2", "security-group/*")],
                conditions={"StringEquals": {"aws:ResourceTag/aws:eks:cluster-name": cluster}},
            ),
            *manage_ec2(
                location,
                create=["ec2:CreateLaunchTemplate", "ec2:CreateSecurityGroup"],
                created=["launch-template", "security-group"],
                rules=["ec2:AuthorizeSecurityGroupEgress", "ec2:AuthorizeSecurityGroupIngress"],
                keep=[
                    "ec2:CreateLaunchTemplateVersion",
                    "ec2:DeleteLaunchTemplate",
                    "ec2:DeleteLaunchTemplateVersions",
                    "ec2:DeleteSecurityGroup",
                    "ec2:ModifyLaunchTemplate",
                    "ec2:ModifySecurityGroupRules",
                    "ec2:RevokeSecurityGroupEgress",
                    "ec2:RevokeSecurityGroupIngress",
                ],
            ),
        ],
        "data": [
            Statement(
                sid="OwnFileSystems",
                actions=["elasticfilesystem:*"],
                resources=[location.arn("elasticfilesystem", f"{kind}/*") for kind in ("access-point", "file-system")],
                conditions=tagged(location),
            ),
            Statement(
                sid="MakeFileSystems",
                actions=["elasticfilesystem:CreateFileSystem"],
                resources=["*"],
                conditions=tagged(location, "aws:RequestTag/Environment"),
            ),
            Statement(
                sid="TagNewFileSystems",
                actions=["elasticfilesystem:TagResource"],
                resources=[location.arn("elasticfilesystem", f"{kind}/*") for kind in ("access-point", "file-system")],
                conditions=tags_new(
                    location,
                    # Source: https://docs.aws.amazon.com/efs/latest/ug/using-tags-efs.html
                    {"elasticfilesystem:CreateAction": ["CreateAccessPoint", "CreateFileSystem"]},
                ),
            ),
            Statement(
                sid="OwnDatabases",
                actions=["rds:*"],
                resources=[
                    location.arn("rds", f"{kind}:{own}")
                    for kind in ("db", "pg", "snapshot", "subgrp", *(_AURORA_KINDS if aurora else ()))
                ],
            ),
            Statement(
                sid="DefaultOptionGroup",  # which each database uses
                actions=["rds:*DBInstance*"],
                resources=[location.arn("rds", "og:default*")],
            ),
            *([_defaults_of_aurora(location)] if aurora else []),
            *[
                Statement(
                    sid=f"Make{one.product}MasterPasswords",
                    actions=["secretsmanager:CreateSecret", "secretsmanager:TagResource"],
                    resources=[location.arn("secretsmanager", one.secrets)],
                    conditions={"ArnLikeIfExists": is_own},
                )
                for one, is_own in passwords
            ],
            *[
                Statement(
                    sid=f"Keep{one.product}MasterPasswords",
                    actions=["secretsmanager:DescribeSecret", "secretsmanager:RotateSecret"],
                    resources=[location.arn("secretsmanager", one.secrets)],
                    conditions={"ArnLike": is_own},
                )
                for one, is_own in passwords
            ],
            Statement(
                sid="OwnSecrets",  # not their values, which a Job in the cluster writes
                actions=[
                    "secretsmanager:CreateSecret",
                    "secretsmanager:DeleteSecret",
                    "secretsmanager:TagResource",
                    "secretsmanager:UntagResource",
                    "secretsmanager:UpdateSecret",
                ],
                resources=[location.arn("secretsmanager", f"secret:{location.secret_prefix}*")],
            ),
            Statement(
                sid="OwnLogs",
                actions=["logs:*"],
                resources=[
                    location.arn("logs", f"log-group:/aws/{name}*")
                    for name in (
                        *[f"eks/{one}/" for one in clusters],
                        f"rds/instance/{own}",
                        *([f"rds/cluster/{own}"] if aurora else []),
                    )
                ],
            ),
            Statement(
                sid="OwnQueues",
                actions=["events:*", "sqs:*"],
                resources=[location.arn("events", f"rule/{own}"), location.arn("sqs", own)],
            ),
        ],
        "backup": [
            Statement(
                sid="OwnBackupBucket",
                actions=_OF_BUCKET,
                resources=own_backups(location),
            ),
            Statement(
                sid="OwnVaults",
                actions=[
                    "backup:CreateBackupVault",
                    "backup:DeleteBackupVault",
                    "backup:PutBackupVaultLockConfiguration",
                    "backup:TagResource",
                    "backup:UntagResource",
                ],
                resources=[location.arn("backup", f"backup-vault:{own}")],
            ),
            Statement(sid="KeepVaults", actions=["backup-storage:MountCapsule"], resources=["*"]),
            Statement(
                sid="MakePlans",
                actions=["backup:CreateBackupPlan", "backup:TagResource"],
                resources=[location.arn("backup", "backup-plan:*")],
                conditions=tags_new(location),
            ),
            Statement(
                sid="KeepPlans",
                actions=[
                    "backup:CreateBackupSelection",
                    "backup:DeleteBackupPlan",
                    "backup:DeleteBackupSelection",
                    "backup:TagResource",
                    "backup:UntagResource",
                    "backup:UpdateBackupPlan",
                ],
                resources=[location.arn("backup", "backup-plan:*")],
                conditions=tagged(location),
            ),
        ],
        "domain": [
            Statement(sid="MakeZones", actions=["route53:CreateHostedZone"], resources=["*"]),
            Statement(
                # IAM cannot limit these to zones by tag or name. Route 53 deletes no zone with records, and only those
                # of this environment can be deleted here.
                # Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonroute53.html
                sid="KeepZones",
                actions=[
                    "route53:ChangeTagsForResource",
                    "route53:DeleteHostedZone",
                    "route53:GetDNSSEC",  # before a zone is deleted with force_destroy
                    "route53:UpdateHostedZoneComment",
                ],
                resources=[location.arn("route53", "hostedzone/*")],
            ),
            *_delegation(domain, parent_zone_arn, delegation_role_arn),
            Statement(
                sid="OwnRecords",
                actions=["route53:ChangeResourceRecordSets"],
                resources=[location.arn("route53", "hostedzone/*")],
                conditions=changed_records([f"*.{domain}"]),
            ),
            *manage_certificates(location),
        ],
        "identity": [
            *manage_iam(
                location,
                passed_to=[
                    "backup.amazonaws.com",
                    "ec2.amazonaws.com",
                    "eks.amazonaws.com",
                    "monitoring.rds.amazonaws.com",
                    "pods.eks.amazonaws.com",
                ],
                linked=[
                    "autoscaling.amazonaws.com",
                    "backup.amazonaws.com",
                    "eks-nodegroup.amazonaws.com",
                    "eks.amazonaws.com",
                    "elasticfilesystem.amazonaws.com",
                    "rds.amazonaws.com",
                    "spot.amazonaws.com",
                ],
                existing_boundary_arn=existing_boundary_arn,
                existing_roles=existing_roles,
            ),
            Statement(
                sid="MakeClusterIssuer",
                actions=["iam:CreateOpenIDConnectProvider", "iam:TagOpenIDConnectProvider"],
                resources=[location.arn("iam", f"oidc-provider/oidc.eks.{region}.*")],
                conditions=tags_new(location),
            ),
            Statement(
                sid="KeepClusterIssuer",
                actions=[
                    "iam:DeleteOpenIDConnectProvider",
                    "iam:TagOpenIDConnectProvider",
                    "iam:UntagOpenIDConnectProvider",
                ],
                resources=[location.arn("iam", f"oidc-provider/oidc.eks.{region}.*")],
                conditions=tagged(location),
            ),
            *manage_keys(location, existing_key_arn),
        ],
        **({"budget": [_budget(location)]} if budget else {}),
        **({"observability": list(_observability(location, observability))} if any(observability) else {}),
    }


def _observability(location: Location, observability: Observability) -> Iterator[Statement]:
    """Logs of containers are among the logs of the clusters, except for their queries, which no name or tag limits."""
    if observability.access_logs:
        yield Statement(sid="OwnAccessLogs", actions=_OF_BUCKET, resources=own_access_logs(location))
    if observability.container_logs:
        yield Statement(
            sid="Queries", actions=["logs:DeleteQueryDefinition", "logs:PutQueryDefinition"], resources=["*"]
        )
    if observability.web_acl:
        own = location.arn("wafv2", f"regional/webacl/{location.name('*')}/*")
        yield Statement(
            sid="OwnWebAcl",
            actions=["wafv2:DeleteWebACL", "wafv2:TagResource", "wafv2:UntagResource"],
            resources=[own],
        )
        yield Statement(
            sid="MakeWebAcl",
            actions=["wafv2:CreateWebACL", "wafv2:UpdateWebACL"],
            resources=[own, location.arn("wafv2", "regional/managedruleset/*", account_id="*")],
        )


def _budget(location: Location) -> Statement:
    return Statement(
        sid="OwnBudget",
        actions=["budgets:ModifyBudget", "budgets:TagResource", "budgets:UntagResource"],
        resources=[location.arn("budgets", f"budget/{location.name('*')}")],
    )


def _delegation(domain: str, parent_zone_arn: str | None, role_arn: str | None) -> list[Statement]:
    of_role = [Statement(sid="Delegation", actions=["sts:AssumeRole"], resources=[role_arn])] if role_arn else []
    if parent_zone_arn is None:
        return of_role
    return [
        keep_zone(parent_zone_arn, sid="ParentZoneStays"),
        Statement(
            sid="Delegation",
            actions=["route53:ChangeResourceRecordSets"],
            resources=[parent_zone_arn],
            conditions=changed_records([domain], "NS"),
        ),
    ]


def _defaults_of_aurora(location: Location) -> Statement:
    """The use of default groups, of options by a cluster and of parameters by its instances.

    Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonrds.html (CreateDBCluster,
    CreateDBInstance)
    """
    return Statement(
        sid="DefaultGroupsOfAurora",
        actions=["rds:*DBCluster*", "rds:*DBInstance*"],
        resources=[location.arn("rds", f"{kind}:default*") for kind in ("og", "pg")],
    )
