"""What each role of delivery may do, as statements: the boundary of all, reading for plans, writing by environment.

An apply role acts on names that begin with its region and environment, on its IAM path, and, where AWS chooses the
name (subnets, keys, file systems), on resources that carry its `Environment` tag. `*` stands as a resource only for
actions that AWS restricts by nothing else: `WITHOUT_RESOURCE` lists them, and a test holds every policy to it.
"""

from collections.abc import Sequence
from typing import NamedTuple

from eks_gitops.iam import Statement
from eks_gitops.key import key_alias
from eks_gitops.location import Location

_READ_WITHOUT_RESOURCE = (
    "acm:ListCertificates",
    "autoscaling:Describe*",
    "ec2:Describe*",
    "ecr:DescribeRegistry",
    "eks:DescribeAddonVersions",
    "eks:ListClusters",
    "elasticloadbalancing:Describe*",
    "iam:ListOpenIDConnectProviders",
    "kms:ListAliases",
    "kms:ListKeys",
    "logs:DescribeLogGroups",
    "route53:ListHostedZones",
    "route53:ListHostedZonesByName",
    "tag:GetResources",
)
WITHOUT_RESOURCE = (
    *_READ_WITHOUT_RESOURCE,
    "cognito-idp:DescribeUserPoolClient",
    "ec2:GetSecurityGroupsForVpc",
    "ecr:GetAuthorizationToken",
    "ecr:PutReplicationConfiguration",
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
    "acm", "autoscaling", "backup", "ec2", "ecr", "eks", "eks-auth", "elasticfilesystem", "elasticloadbalancing",
    "events", "kms", "logs", "rds", "secretsmanager", "sqs", "ssm", "wafv2",
)  # fmt: skip


class StateLocation(NamedTuple):
    """Where the state of a region lies: the bucket's name and, if used, the lock table's."""

    bucket: str
    lock_table: str | None


def delivery_path(location: Location) -> str:
    """The IAM path of everything that decides what delivery may do; no apply role may write below it."""
    return f"/{location.region}/delivery/"


def boundary_name(location: Location) -> str:
    """The name of an environment's permissions boundary."""
    return location.name("boundary")


def _boundary_arn(location: Location) -> str:
    return location.arn("iam", f"policy{delivery_path(location)}{boundary_name(location)}")


def _own_roles(location: Location) -> list[str]:
    return [location.arn("iam", f"{kind}{location.iam_path}*") for kind in ("role", "instance-profile")]


def _tagged(location: Location, key: str = "aws:ResourceTag/Environment") -> dict[str, dict[str, str]]:
    return {"StringEquals": {key: location.environment}}


def boundary(location: Location) -> list[Statement]:
    """The most that the apply role of an environment and the roles that it makes may do.

    It ends escalation: a role can only be made with this same boundary, below the environment's own path.
    """
    own_boundary = _boundary_arn(location)
    return [
        Statement(
            sid="RegionalServices",
            actions=[f"{service}:*" for service in _REGIONAL_SERVICES],
            # Images and snapshots of AWS carry another account or none.
            resources=[location.arn(service, "*", account_id="*") for service in _REGIONAL_SERVICES],
        ),
        Statement(sid="WithoutResource", actions=WITHOUT_RESOURCE, resources=["*"]),
        Statement(
            sid="GlobalServices",
            actions=["route53:*", "s3:*"],
            resources=[
                location.arn("route53", "hostedzone/*"),
                location.arn("route53", "change/*"),
                location.arn("s3", "*"),
            ],
        ),
        Statement(
            sid="OwnPath",
            actions=["iam:*"],
            resources=[
                *_own_roles(location),
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
            sid="RolesCarryThisBoundary",
            effect="Deny",
            actions=["iam:CreateRole", "iam:PutRolePermissionsBoundary"],
            resources=[location.arn("iam", "role/*")],
            conditions={"StringNotEquals": {"iam:PermissionsBoundary": own_boundary}},
        ),
        Statement(
            sid="BoundaryStays",
            effect="Deny",
            actions=["iam:DeleteRolePermissionsBoundary"],
            resources=[location.arn("iam", "role/*")],
        ),
    ]


def read_state(location: Location, state: StateLocation, prefix: str | None = None) -> list[Statement]:
    """Reading state below `prefix`, by default that of the whole region. A plan does not lock."""
    return [
        Statement(sid="ListState", actions=["s3:ListBucket"], resources=[location.arn("s3", state.bucket)]),
        Statement(
            sid="ReadState",
            actions=["s3:GetObject"],
            resources=[location.arn("s3", f"{state.bucket}/{prefix or location.region}/*")],
        ),
        _use_backend_key(location, ["kms:Decrypt", "kms:DescribeKey"]),
    ]


def write_state(location: Location, state: StateLocation) -> list[Statement]:
    """Reading and writing the environment's own state, taking its lock, and reading what `shared` offers."""
    own = location.arn("s3", f"{state.bucket}/{location.region}/{location.environment}/*")
    shared = location.arn("s3", f"{state.bucket}/{location.region}/shared/terraform.tfstate")
    statements = [
        Statement(sid="ListState", actions=["s3:ListBucket"], resources=[location.arn("s3", state.bucket)]),
        Statement(sid="ReadState", actions=["s3:GetObject"], resources=[own, shared]),
        Statement(sid="WriteState", actions=["s3:PutObject"], resources=[own]),
        Statement(sid="ReleaseLock", actions=["s3:DeleteObject"], resources=[f"{own}.tflock"]),
        _use_backend_key(location, ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"]),
    ]
    if state.lock_table is not None:
        statements.append(
            Statement(
                sid="LockTable",
                actions=["dynamodb:DeleteItem", "dynamodb:DescribeTable", "dynamodb:GetItem", "dynamodb:PutItem"],
                resources=[location.arn("dynamodb", f"table/{state.lock_table}")],
                conditions={
                    "ForAllValues:StringLike": {
                        "dynamodb:LeadingKeys": [f"{state.bucket}/{location.region}/{location.environment}/*"]
                    }
                },
            )
        )
    return statements


def _use_backend_key(location: Location, actions: Sequence[str]) -> Statement:
    # By alias: the key belongs to the backend's stack, which needs none of the others and is needed by none.
    alias = key_alias(location.model_copy(update={"environment": "backend"}))
    return Statement(
        sid="BackendKey",
        actions=actions,
        resources=[location.arn("kms", "key/*")],
        conditions={"ForAnyValue:StringEquals": {"kms:ResourceAliases": alias}},
    )


def read(location: Location) -> list[Statement]:
    """Reading every resource of the region's stacks, and no secret."""
    region = location.region
    named = {
        "acm": ["certificate/*"],
        "dynamodb": ["table/*"],
        "ecr": ["repository/*"],
        "eks": ["*"],
        "elasticfilesystem": ["*"],
        "events": [f"rule/{region}-*"],
        "logs": ["log-group:*"],
        "rds": ["*"],
        "sqs": [f"{region}-*"],
    }
    return [
        Statement(sid="ReadWithoutResource", actions=_READ_WITHOUT_RESOURCE, resources=["*"]),
        Statement(
            sid="ReadRegionalServices",
            actions=[
                "acm:DescribeCertificate",
                "acm:ListTagsForCertificate",
                "dynamodb:Describe*",
                "dynamodb:ListTagsOfResource",
                "ecr:DescribeRepositories",
                "ecr:GetLifecyclePolicy",
                "ecr:GetRepositoryPolicy",
                "ecr:ListTagsForResource",
                "eks:Describe*",
                "eks:List*",
                "elasticfilesystem:Describe*",
                "elasticfilesystem:ListTagsForResource",
                "events:DescribeRule",
                "events:ListTagsForResource",
                "events:ListTargetsByRule",
                "logs:ListTagsForResource",
                "rds:Describe*",
                "rds:ListTagsForResource",
                "sqs:GetQueueAttributes",
                "sqs:GetQueueUrl",
                "sqs:ListQueueTags",
            ],
            resources=[location.arn(service, name) for service, names in named.items() for name in names],
        ),
        Statement(
            sid="ReadKeys",
            actions=[
                "kms:DescribeKey",
                "kms:GetKeyPolicy",
                "kms:GetKeyRotationStatus",
                "kms:ListKeyPolicies",
                "kms:ListResourceTags",
            ],
            resources=[location.arn("kms", "key/*")],
        ),
        Statement(
            sid="ReadIam",
            actions=["iam:Get*", "iam:List*"],
            resources=[
                *[location.arn("iam", f"{kind}/{region}/*") for kind in ("role", "policy", "instance-profile")],
                location.arn("iam", "oidc-provider/*"),
                location.arn("iam", "policy/service-role/*", account_id="aws"),
            ],
        ),
        Statement(
            sid="ReadZones",
            actions=[
                "route53:GetHostedZone",
                "route53:ListResourceRecordSets",
                "route53:ListTagsForResource",
                "route53:GetChange",
            ],
            resources=[location.arn("route53", "hostedzone/*"), location.arn("route53", "change/*")],
        ),
        Statement(
            sid="ReadBuckets",
            actions=[
                "s3:GetBucket*",
                "s3:GetEncryptionConfiguration",
                "s3:GetLifecycleConfiguration",
                "s3:GetAccelerateConfiguration",
                "s3:GetReplicationConfiguration",
            ],
            resources=[location.arn("s3", "*")],
            conditions={"StringEquals": {"aws:ResourceAccount": location.account_id}},
        ),
    ]


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
            resources=_own_roles(location),
            conditions={"StringEquals": {"iam:PermissionsBoundary": _boundary_arn(location)}},
        ),
        Statement(
            sid="KeepRoles",
            actions=[
                "iam:DeleteRole",
                "iam:TagRole",
                "iam:UntagRole",
                "iam:UpdateAssumeRolePolicy",
                "iam:UpdateRole",
                "iam:UpdateRoleDescription",
            ],
            resources=_own_roles(location),
        ),
        Statement(
            sid="PassRoles",
            actions=["iam:PassRole"],
            resources=_own_roles(location),
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
            conditions=_tagged(location, "aws:RequestTag/Environment"),
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
                "kms:ScheduleKeyDeletion",
                "kms:TagResource",
                "kms:UntagResource",
                "kms:UpdateAlias",
                "kms:UpdateKeyDescription",
            ],
            resources=[location.arn("kms", "key/*")],
            conditions=_tagged(location),
        ),
        Statement(
            sid="NameKeys",
            actions=["kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias"],
            resources=[location.arn("kms", key_alias(location))],
        ),
    ]


def _ec2(location: Location, create: Sequence[str], keep: Sequence[str], created: Sequence[str]) -> list[Statement]:
    """EC2 by tag: what is created must carry the environment's tag, what is changed must have it."""
    resources = [location.arn("ec2", f"{kind}/*") for kind in created]
    return [
        Statement(
            sid="MakeTagged",
            actions=create,
            resources=resources,
            conditions=_tagged(location, "aws:RequestTag/Environment"),
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
            conditions=_tagged(location),
        ),
    ]


def apply_environment(location: Location, cluster: str, state: StateLocation) -> dict[str, list[Statement]]:
    """Applying an environment's stacks: the cluster, its network interfaces, storage, databases, roles and key."""
    region, own = location.region, f"{location.region}-{location.environment}-*"
    kinds = ("cluster", "nodegroup", "addon", "access-entry", "podidentityassociation")
    return {
        "state": [*read(location), *write_state(location, state)],
        "cluster": [
            Statement(
                sid="OwnCluster",
                actions=["eks:*"],
                resources=[
                    location.arn("eks", f"{kind}/{cluster}{'' if kind == 'cluster' else '/*'}") for kind in kinds
                ],
            ),
            Statement(
                sid="LaunchNodes",
                actions=["ec2:RunInstances"],
                resources=[
                    *[
                        location.arn("ec2", f"{kind}/*")
                        for kind in (
                            "instance",
                            "launch-template",
                            "network-interface",
                            "security-group",
                            "subnet",
                            "volume",
                        )
                    ],
                    location.arn("ec2", "image/*", account_id=""),
                ],
                conditions={"ArnLike": {"ec2:LaunchTemplate": location.arn("ec2", "launch-template/*")}},
            ),
            Statement(
                sid="SubnetsOfTheRegion",
                actions=["ec2:CreateNetworkInterface", "ec2:CreateSecurityGroup"],
                resources=[
                    location.arn("ec2", f"{kind}/*")
                    for kind in ("network-interface", "security-group", "subnet", "vpc")
                ],
            ),
            *_ec2(
                location,
                create=[
                    "ec2:AuthorizeSecurityGroupEgress",
                    "ec2:AuthorizeSecurityGroupIngress",
                    "ec2:CreateLaunchTemplate",
                    "ec2:CreateSecurityGroup",
                ],
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
                created=["launch-template", "security-group", "security-group-rule"],
            ),
        ],
        "data": [
            Statement(
                sid="OwnFileSystems",
                actions=["elasticfilesystem:*"],
                resources=[location.arn("elasticfilesystem", f"{kind}/*") for kind in ("access-point", "file-system")],
                conditions=_tagged(location),
            ),
            Statement(
                sid="MakeFileSystems",
                actions=[
                    "elasticfilesystem:CreateAccessPoint",
                    "elasticfilesystem:CreateFileSystem",
                    "elasticfilesystem:TagResource",
                ],
                resources=[location.arn("elasticfilesystem", f"{kind}/*") for kind in ("access-point", "file-system")],
                conditions=_tagged(location, "aws:RequestTag/Environment"),
            ),
            Statement(
                sid="OwnDatabases",
                actions=["rds:*"],
                resources=[location.arn("rds", f"{kind}:{own}") for kind in ("db", "pg", "snapshot", "subgrp")],
            ),
            Statement(
                sid="MasterPasswords",
                actions=[
                    "secretsmanager:CreateSecret",
                    "secretsmanager:DescribeSecret",
                    "secretsmanager:RotateSecret",
                    "secretsmanager:TagResource",
                ],
                resources=[location.arn("secretsmanager", "secret:rds!db-*")],
            ),
            Statement(
                sid="OwnLogs",
                actions=["logs:*"],
                resources=[
                    location.arn("logs", f"log-group:/aws/{name}*")
                    for name in (f"eks/{cluster}/", f"rds/instance/{own}")
                ],
            ),
            Statement(
                sid="OwnQueues",
                actions=["events:*", "sqs:*"],
                resources=[location.arn("events", f"rule/{own}"), location.arn("sqs", own)],
            ),
        ],
        "identity": [
            *manage_iam(
                location,
                passed_to=["backup.amazonaws.com", "ec2.amazonaws.com", "eks.amazonaws.com", "pods.eks.amazonaws.com"],
                linked=[
                    "autoscaling.amazonaws.com",
                    "eks-nodegroup.amazonaws.com",
                    "eks.amazonaws.com",
                    "elasticfilesystem.amazonaws.com",
                    "rds.amazonaws.com",
                    "spot.amazonaws.com",
                ],
            ),
            Statement(
                sid="ClusterIssuer",
                actions=[
                    "iam:CreateOpenIDConnectProvider",
                    "iam:DeleteOpenIDConnectProvider",
                    "iam:GetOpenIDConnectProvider",
                    "iam:TagOpenIDConnectProvider",
                    "iam:UntagOpenIDConnectProvider",
                ],
                resources=[location.arn("iam", f"oidc-provider/oidc.eks.{region}.*")],
            ),
            *manage_keys(location),
        ],
    }


def apply_shared(location: Location, repositories: Sequence[str], state: StateLocation) -> dict[str, list[Statement]]:
    """Applying the region's shared stack: network, images, domain and key. Roles of delivery are a person's to change."""
    network = [
        "ec2:AllocateAddress",
        "ec2:AuthorizeSecurityGroupIngress",
        "ec2:CreateFlowLogs",
        "ec2:CreateInternetGateway",
        "ec2:CreateNatGateway",
        "ec2:CreateRouteTable",
        "ec2:CreateSecurityGroup",
        "ec2:CreateSubnet",
        "ec2:CreateVpc",
        "ec2:CreateVpcEndpoint",
    ]
    kinds = [
        "elastic-ip", "internet-gateway", "natgateway", "route-table", "security-group", "security-group-rule", "subnet",
        "vpc", "vpc-endpoint", "vpc-flow-log",
    ]  # fmt: skip
    return {
        "state": [*read(location), *write_state(location, state)],
        "network": _ec2(
            location,
            create=network,
            keep=[
                "ec2:AssociateRouteTable",
                "ec2:AttachInternetGateway",
                "ec2:CreateRoute",
                "ec2:Delete*",
                "ec2:DetachInternetGateway",
                "ec2:DisassociateAddress",
                "ec2:DisassociateRouteTable",
                "ec2:ModifySecurityGroupRules",
                "ec2:ModifySubnetAttribute",
                "ec2:ModifyVpcAttribute",
                "ec2:ModifyVpcEndpoint",
                "ec2:ReleaseAddress",
                "ec2:ReplaceRoute",
                "ec2:RevokeSecurityGroupEgress",
                "ec2:RevokeSecurityGroupIngress",
            ],
            created=kinds,
        ),
        "images-and-domain": [
            Statement(
                sid="OwnRepositories",
                actions=["ecr:*"],
                resources=[location.arn("ecr", f"repository/{name}") for name in repositories],
            ),
            Statement(sid="Replication", actions=["ecr:PutReplicationConfiguration"], resources=["*"]),
            Statement(sid="MakeZones", actions=["route53:CreateHostedZone"], resources=["*"]),
            Statement(
                sid="Zones",
                actions=[
                    "route53:ChangeResourceRecordSets",
                    "route53:ChangeTagsForResource",
                    "route53:DeleteHostedZone",
                    "route53:UpdateHostedZoneComment",
                ],
                resources=[location.arn("route53", "hostedzone/*")],
            ),
            Statement(
                sid="Certificates",
                actions=[
                    "acm:AddTagsToCertificate",
                    "acm:DeleteCertificate",
                    "acm:RemoveTagsFromCertificate",
                    "acm:RequestCertificate",
                ],
                resources=[location.arn("acm", "certificate/*")],
            ),
            Statement(sid="FlowLogs", actions=["logs:*"], resources=[location.arn("logs", "log-group:/aws/vpc/*")]),
        ],
        "identity": [
            *manage_iam(
                location,
                passed_to=["vpc-flow-logs.amazonaws.com"],
                linked=["replication.ecr.amazonaws.com"],
            ),
            *manage_keys(location),
        ],
    }
