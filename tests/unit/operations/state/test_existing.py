"""Every finder, once with a resource that exists and once without. AWS answers from botocore stubs."""

import ast
import copy
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from operations.errors import OperationError
from operations.state import existing
from operations.state.existing import FINDERS, NOT_IMPORTED, Account
from tests import ROOT
from tests.stubbed_aws import Answer, client, stubs
from tests.template import Template

_TAGS = {"Environment": "dev", "Name": "a", "Project": "p", "Region": "r"}
_TAGGED = {"tags_all": {**_TAGS, "CostCenter": "new"}}
_LISTED = [{"Key": name, "Value": value} for name, value in {**_TAGS, "CostCenter": "old"}.items()]
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_KEY = "1234abcd-12ab-34cd-56ef-1234567890ab"
_ROLE = "arn:aws:iam::123456789012:role/plan"
_POLICY = "arn:aws:iam::123456789012:policy/boundary"
_ISSUER = "oidc.eks.ap-northeast-2.amazonaws.com/id/1A"
_CERTIFICATE = "arn:aws:acm:ap-northeast-2:123456789012:certificate/7e7a28d2"
_SECRET = "arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:dev/shop-a1b2c3"  # noqa: S105
_QUEUE = "https://sqs.ap-northeast-2.amazonaws.com/123456789012/karpenter"


class Case(NamedTuple):
    """The arguments of a resource, the answers of AWS while it exists, its import ID, and the error of the first call
    if it does not exist; by default AWS then answers with empty lists."""

    values: Mapping[str, Any]
    answers: list[Answer]
    id_: str
    code: str | dict[str, Any] = ""

    @property
    def absent(self) -> list[Answer]:
        service, operation, answer = self.answers[0]
        assert isinstance(answer, dict)
        return [(service, operation, self.code or {key: [] for key in answer})]


def _ec2(operation: str, key: str, id_name: str, id_: str, **more: Any) -> Case:
    one = {id_name: id_, "Tags": _LISTED, **more}
    of_another = {id_name: "other", "Tags": [tag for tag in _LISTED if tag["Key"] != "Name"]}
    return Case(_TAGGED, [("ec2", operation, {key: [of_another, one]})], id_)


def _bucket(operation: str, answer: dict[str, Any], code: str = "") -> Case:
    return Case({"bucket": "abc"}, [("s3", operation, answer)], "abc", code)


_CLUSTER = {"cluster_name": "gitops"}
_ROUTES = [{"DestinationCidrBlock": "10.0.0.0/16"}, {"DestinationCidrBlock": "0.0.0.0/0"}]
_RULE = {"SecurityGroupRuleId": "sgr-1", "IsEgress": False, "IpProtocol": "tcp", "FromPort": 443, "ToPort": 443}

CASES: dict[str, Case] = {
    "aws_acm_certificate": Case(
        {"domain_name": "dev.example.com", **_TAGGED},
        [
            (
                "acm",
                "list_certificates",
                {
                    "CertificateSummaryList": [
                        {"CertificateArn": _CERTIFICATE, "DomainName": "dev.example.com", "Status": "ISSUED"},
                        {"CertificateArn": _CERTIFICATE, "DomainName": "dev.example.com", "Status": "FAILED"},
                    ]
                },
            ),
            ("acm", "list_tags_for_certificate", {"Tags": _LISTED}),
        ],
        _CERTIFICATE,
    ),
    "aws_backup_plan": Case(
        {"name": "data"},
        [("backup", "list_backup_plans", {"BackupPlansList": [{"BackupPlanId": "p1", "BackupPlanName": "data"}]})],
        "p1",
    ),
    "aws_backup_selection": Case(
        {"plan_id": "p1", "name": "database"},
        [
            (
                "backup",
                "list_backup_selections",
                {"BackupSelectionsList": [{"SelectionId": "s1", "SelectionName": "database"}]},
            )
        ],
        "p1|s1",
    ),
    "aws_backup_vault": Case(
        {"name": "data"},
        [("backup", "list_backup_vaults", {"BackupVaultList": [{"BackupVaultName": "data"}]})],
        "data",
    ),
    "aws_backup_vault_lock_configuration": Case(
        {"backup_vault_name": "data"},
        [
            ("backup", "list_backup_vaults", {"BackupVaultList": [{"BackupVaultName": "data"}]}),
            ("backup", "describe_backup_vault", {"BackupVaultName": "data", "Locked": True}),
        ],
        "data",
    ),
    "aws_budgets_budget": Case(
        {"account_id": "123456789012", "name": "dev-cost"},
        [
            (
                "budgets",
                "describe_budget",
                {"Budget": {"BudgetName": "dev-cost", "TimeUnit": "MONTHLY", "BudgetType": "COST"}},
            )
        ],
        "123456789012:dev-cost",
        "NotFoundException",
    ),
    "aws_cloudwatch_event_rule": Case(
        {"name": "spot"}, [("events", "describe_rule", {"Name": "spot"})], "spot", "ResourceNotFoundException"
    ),
    "aws_cloudwatch_event_target": Case(
        {"rule": "spot", "target_id": "queue"},
        [("events", "list_targets_by_rule", {"Targets": [{"Id": "queue", "Arn": "a"}]})],
        "spot/queue",
        "ResourceNotFoundException",
    ),
    "aws_cloudwatch_log_group": Case(
        {"name": "/aws/a"},
        [("logs", "describe_log_groups", {"logGroups": [{"logGroupName": "/aws/a"}, {"logGroupName": "/aws/ab"}]})],
        "/aws/a",
    ),
    "aws_codebuild_project": Case(
        {"name": "runner"}, [("codebuild", "batch_get_projects", {"projects": [{"name": "runner"}]})], "runner"
    ),
    "aws_codebuild_webhook": Case(
        {"project_name": "runner"},
        [("codebuild", "batch_get_projects", {"projects": [{"name": "runner", "webhook": {}}]})],
        "runner",
        {"projects": [{"name": "runner"}]},
    ),
    "aws_db_instance": Case(
        {"identifier": "a"}, [("rds", "describe_db_instances", {"DBInstances": [{}]})], "a", "DBInstanceNotFound"
    ),
    "aws_db_parameter_group": Case(
        {"name": "a"}, [("rds", "describe_db_parameter_groups", {})], "a", "DBParameterGroupNotFound"
    ),
    "aws_db_subnet_group": Case(
        {"name": "a"}, [("rds", "describe_db_subnet_groups", {})], "a", "DBSubnetGroupNotFoundFault"
    ),
    "aws_default_security_group": Case(
        {"vpc_id": "vpc-1", **_TAGGED},
        [
            (
                "ec2",
                "describe_security_groups",
                {"SecurityGroups": [{"GroupId": "sg-1", "GroupName": "default", "VpcId": "vpc-1", "Tags": _LISTED}]},
            )
        ],
        "sg-1",
    ),
    "aws_dynamodb_table": Case(
        {"name": "locks"}, [("dynamodb", "describe_table", {})], "locks", "ResourceNotFoundException"
    ),
    "aws_ecr_lifecycle_policy": Case(
        {"repository": "shop"}, [("ecr", "get_lifecycle_policy", {})], "shop", "LifecyclePolicyNotFoundException"
    ),
    "aws_ecr_repository_policy": Case(
        {"repository": "shop"}, [("ecr", "get_repository_policy", {})], "shop", "RepositoryPolicyNotFoundException"
    ),
    "aws_ecr_replication_configuration": Case(
        {},
        [
            (
                "ecr",
                "describe_registry",
                {
                    "registryId": "123456789012",
                    "replicationConfiguration": {
                        "rules": [{"destinations": [{"region": "us-west-2", "registryId": "123456789012"}]}]
                    },
                },
            )
        ],
        "123456789012",
        {"registryId": "123456789012", "replicationConfiguration": {"rules": []}},
    ),
    "aws_ecr_repository": Case(
        {"name": "shop"}, [("ecr", "describe_repositories", {"repositories": [{"repositoryName": "shop"}]})], "shop"
    ),
    "aws_ecr_repository_creation_template": Case(
        {"prefix": "ROOT"},
        [
            (
                "ecr",
                "describe_repository_creation_templates",
                {"repositoryCreationTemplates": [{"prefix": "ROOT"}]},
            )
        ],
        "ROOT",
    ),
    "aws_efs_access_point": Case(
        {"file_system_id": "fs-1", "root_directory": [{"path": "/shop"}]},
        [
            (
                "efs",
                "describe_access_points",
                {
                    "AccessPoints": [
                        {"AccessPointId": "fsap-1", "RootDirectory": {"Path": "/shop"}, "LifeCycleState": "available"}
                    ]
                },
            )
        ],
        "fsap-1",
    ),
    "aws_efs_file_system": Case(
        _TAGGED,
        [
            (
                "efs",
                "describe_file_systems",
                {
                    "FileSystems": [
                        {
                            "FileSystemId": "fs-1", "Tags": _LISTED, "LifeCycleState": "available", "OwnerId": "1",
                            "CreationToken": "a", "CreationTime": _NOW, "NumberOfMountTargets": 0,
                            "SizeInBytes": {"Value": 1}, "PerformanceMode": "generalPurpose",
                        }
                    ]
                },
            )
        ],
        "fs-1",
    ),
    "aws_efs_file_system_policy": Case(
        {"file_system_id": "fs-1"}, [("efs", "describe_file_system_policy", {})], "fs-1", "PolicyNotFound"
    ),
    "aws_efs_mount_target": Case(
        {"file_system_id": "fs-1", "subnet_id": "subnet-0123456789abcdef0"},
        [
            (
                "efs",
                "describe_mount_targets",
                {
                    "MountTargets": [
                        {
                            "MountTargetId": "fsmt-0123456789abcdef0", "SubnetId": "subnet-0123456789abcdef0",
                            "LifeCycleState": "available", "FileSystemId": "fs-1",
                        }
                    ]
                },
            )
        ],
        "fsmt-0123456789abcdef0",
        "FileSystemNotFound",
    ),
    "aws_eip": _ec2("describe_addresses", "Addresses", "AllocationId", "eipalloc-1"),
    "aws_eks_access_entry": Case(
        {**_CLUSTER, "principal_arn": _ROLE},
        [("eks", "describe_access_entry", {})],
        f"gitops:{_ROLE}",
        "ResourceNotFoundException",
    ),
    "aws_eks_access_policy_association": Case(
        {**_CLUSTER, "principal_arn": _ROLE, "policy_arn": "a"},
        [("eks", "list_associated_access_policies", {"associatedAccessPolicies": [{"policyArn": "a"}]})],
        f"gitops#{_ROLE}#a",
        "ResourceNotFoundException",
    ),
    "aws_eks_addon": Case(
        {**_CLUSTER, "addon_name": "coredns"},
        [("eks", "describe_addon", {})],
        "gitops:coredns",
        "ResourceNotFoundException",
    ),
    "aws_eks_cluster": Case(
        {"name": "gitops"}, [("eks", "describe_cluster", {})], "gitops", "ResourceNotFoundException"
    ),
    "aws_eks_node_group": Case(
        {**_CLUSTER, "node_group_name_prefix": "main-"},
        [("eks", "list_nodegroups", {"nodegroups": ["main-20260101000000000000000001", "main-other"]})],
        "gitops:main-20260101000000000000000001",
        "ResourceNotFoundException",
    ),
    "aws_eks_pod_identity_association": Case(
        {**_CLUSTER, "namespace": "kyverno", "service_account": "kyverno"},
        [
            (
                "eks",
                "list_pod_identity_associations",
                {"associations": [{"associationId": "a-1", "namespace": "kyverno", "serviceAccount": "kyverno"}]},
            )
        ],
        "gitops,a-1",
        "ResourceNotFoundException",
    ),
    "aws_guardduty_detector": Case(
        {"tags_all": _TAGS},
        [
            ("guardduty", "list_detectors", {"DetectorIds": ["12abc", "34def"]}),
            ("guardduty", "get_detector", {"ServiceRole": "a", "Status": "ENABLED", "Tags": {"Environment": "prod"}}),
            ("guardduty", "get_detector", {"ServiceRole": "a", "Status": "ENABLED", "Tags": _TAGS}),
        ],
        "34def",
    ),
    "aws_flow_log": _ec2("describe_flow_logs", "FlowLogs", "FlowLogId", "fl-1"),
    "aws_iam_instance_profile": Case(
        {"name": "nodes"},
        [
            (
                "iam",
                "get_instance_profile",
                {
                    "InstanceProfile": {
                        "Path": "/", "InstanceProfileName": "nodes", "InstanceProfileId": "A" * 16, "Arn": "a" * 20,
                        "CreateDate": _NOW, "Roles": [],
                    }
                },
            )
        ],
        "nodes",
        "NoSuchEntity",
    ),
    "aws_iam_openid_connect_provider": Case(
        {"url": f"https://{_ISSUER}"},
        [
            (
                "iam",
                "list_open_id_connect_providers",
                {
                    "OpenIDConnectProviderList": [
                        {"Arn": f"arn:aws:iam::123456789012:oidc-provider/{host}"} for host in (f"{_ISSUER}2", _ISSUER)
                    ]
                },
            )
        ],
        f"arn:aws:iam::123456789012:oidc-provider/{_ISSUER}",
    ),
    "aws_iam_policy": Case(
        {"name": "boundary", "path": "/ap-northeast-2/"},
        [("iam", "list_policies", {"Policies": [{"PolicyName": "boundary", "Arn": _POLICY}]})],
        _POLICY,
    ),
    "aws_iam_role": Case(
        {"name": "plan"},
        [
            (
                "iam",
                "get_role",
                {
                    "Role": {
                        "Path": "/", "RoleName": "plan", "RoleId": "A" * 16, "Arn": _ROLE, "CreateDate": _NOW
                    }
                },
            )
        ],
        "plan",
        "NoSuchEntity",
    ),
    "aws_iam_role_policy": Case(
        {"role": "plan", "name": "state"},
        [("iam", "get_role_policy", {"RoleName": "plan", "PolicyName": "state", "PolicyDocument": "{}"})],
        "plan:state",
        "NoSuchEntity",
    ),
    "aws_iam_role_policy_attachment": Case(
        {"role": "plan", "policy_arn": _POLICY},
        [("iam", "list_attached_role_policies", {"AttachedPolicies": [{"PolicyArn": _POLICY}]})],
        f"plan/{_POLICY}",
        "NoSuchEntity",
    ),
    "aws_instance": Case(
        _TAGGED,
        [
            (
                "ec2",
                "describe_instances",
                {
                    "Reservations": [
                        {"Instances": [{"InstanceId": "i-2", "Tags": _LISTED, "State": {"Name": "terminated"}}]},
                        {"Instances": [{"InstanceId": "i-3", "State": {"Name": "running"}}]},
                        {"Instances": [{"InstanceId": "i-1", "Tags": _LISTED, "State": {"Name": "stopped"}}]},
                    ]
                },
            )
        ],
        "i-1",
    ),
    "aws_internet_gateway": _ec2("describe_internet_gateways", "InternetGateways", "InternetGatewayId", "igw-1"),
    "aws_kms_alias": Case(
        {"name": "alias/a"}, [("kms", "list_aliases", {"Aliases": [{"AliasName": "alias/a"}]})], "alias/a"
    ),
    "aws_kms_key": Case(
        {"description": "The state", **_TAGGED},
        [
            ("kms", "list_keys", {"Keys": [{"KeyId": _KEY}]}),
            (
                "kms",
                "describe_key",
                {"KeyMetadata": {"KeyId": _KEY, "KeyManager": "CUSTOMER", "Description": "The state"}},
            ),
            (
                "kms",
                "list_resource_tags",
                {"Tags": [{"TagKey": name, "TagValue": value} for name, value in _TAGS.items()]},
            ),
        ],
        _KEY,
    ),
    "aws_launch_template": Case(
        {"name": "main"},
        [
            (
                "ec2",
                "describe_launch_templates",
                {"LaunchTemplates": [{"LaunchTemplateId": "lt-1", "LaunchTemplateName": "main"}]},
            )
        ],
        "lt-1",
    ),
    "aws_ec2_transit_gateway_vpc_attachment": Case(
        {"transit_gateway_id": "tgw-1", "vpc_id": "vpc-1"},
        [
            (
                "ec2",
                "describe_transit_gateway_vpc_attachments",
                {
                    "TransitGatewayVpcAttachments": [
                        {
                            "TransitGatewayAttachmentId": state,
                            "TransitGatewayId": "tgw-1",
                            "VpcId": "vpc-1",
                            "State": state,
                        }
                        for state in ("deleted", "available")
                    ]
                },
            )
        ],
        "available",
    ),
    "aws_vpc_ipv4_cidr_block_association": Case(
        {"vpc_id": "vpc-1", "cidr_block": "100.64.0.0/16"},
        [
            (
                "ec2",
                "describe_vpcs",
                {
                    "Vpcs": [
                        {
                            "VpcId": vpc,
                            "CidrBlockAssociationSet": [
                                {
                                    "AssociationId": f"{vpc}-{cidr}",
                                    "CidrBlock": cidr,
                                    "CidrBlockState": {"State": "associated"},
                                }
                                for cidr in ("10.0.0.0/16", "100.64.0.0/16")
                            ],
                        }
                        for vpc in ("vpc-2", "vpc-1")
                    ]
                },
            )
        ],
        "vpc-1-100.64.0.0/16",
    ),
    "aws_nat_gateway": _ec2("describe_nat_gateways", "NatGateways", "NatGatewayId", "nat-1", State="available"),
    "aws_rds_cluster": Case(
        {"cluster_identifier": "a"}, [("rds", "describe_db_clusters", {})], "a", "DBClusterNotFoundFault"
    ),
    "aws_rds_cluster_instance": Case(
        {"identifier": "a"}, [("rds", "describe_db_instances", {"DBInstances": [{}]})], "a", "DBInstanceNotFound"
    ),
    "aws_rds_cluster_parameter_group": Case(
        {"name": "a"}, [("rds", "describe_db_cluster_parameter_groups", {})], "a", "DBParameterGroupNotFound"
    ),
    "aws_route": Case(
        {"route_table_id": "rtb-1", "destination_cidr_block": "0.0.0.0/0"},
        [("ec2", "describe_route_tables", {"RouteTables": [{"Routes": _ROUTES}]})],
        "rtb-1_0.0.0.0/0",
        "InvalidRouteTableID.NotFound",
    ),
    "aws_route53_record": Case(
        {"zone_id": "Z1", "name": "dev.example.com", "type": "NS"},
        [
            (
                "route53",
                "list_resource_record_sets",
                {
                    "ResourceRecordSets": [{"Name": "dev.example.com.", "Type": "NS"}],
                    "IsTruncated": False,
                    "MaxItems": "100",
                },
            )
        ],
        "Z1_dev.example.com_NS",
        "NoSuchHostedZone",
    ),
    "aws_route53_zone": Case(
        {"name": "dev.example.com"},
        [
            (
                "route53",
                "list_hosted_zones_by_name",
                {
                    "HostedZones": [
                        {
                            "Id": f"/hostedzone/{id_}", "Name": "dev.example.com.", "CallerReference": "a",
                            "Config": {"PrivateZone": is_private},
                        }
                        for id_, is_private in (("Z1", False), ("Z2", True))
                    ],
                    "IsTruncated": False,
                    "MaxItems": "100",
                },
            )
        ],
        "Z1",
        "NoSuchHostedZone",
    ),
    "aws_route_table": _ec2("describe_route_tables", "RouteTables", "RouteTableId", "rtb-1"),
    "aws_route_table_association": Case(
        {"route_table_id": "rtb-1", "subnet_id": "subnet-1"},
        [("ec2", "describe_route_tables", {"RouteTables": [{"Associations": [{"SubnetId": "subnet-1"}]}]})],
        "subnet-1/rtb-1",
        "InvalidRouteTableID.NotFound",
    ),
    "aws_s3_bucket": _bucket("head_bucket", {}, "404"),
    "aws_s3_bucket_lifecycle_configuration": _bucket(
        "get_bucket_lifecycle_configuration", {"Rules": []}, "NoSuchLifecycleConfiguration"
    ),
    "aws_s3_bucket_ownership_controls": _bucket(
        "get_bucket_ownership_controls", {"OwnershipControls": {"Rules": []}}, "OwnershipControlsNotFoundError"
    ),
    "aws_s3_bucket_policy": _bucket("get_bucket_policy", {"Policy": "{}"}, "NoSuchBucketPolicy"),
    "aws_s3_bucket_public_access_block": _bucket(
        "get_public_access_block", {"PublicAccessBlockConfiguration": {}}, "NoSuchPublicAccessBlockConfiguration"
    ),
    "aws_s3_bucket_replication_configuration": _bucket(
        "get_bucket_replication",
        {"ReplicationConfiguration": {"Role": _ROLE, "Rules": []}},
        "ReplicationConfigurationNotFoundError",
    ),
    "aws_s3_bucket_server_side_encryption_configuration": _bucket(
        "get_bucket_encryption",
        {"ServerSideEncryptionConfiguration": {"Rules": []}},
        "ServerSideEncryptionConfigurationNotFoundError",
    ),
    "aws_s3_bucket_versioning": _bucket("get_bucket_versioning", {"Status": "Enabled"}, "NoSuchBucket"),
    "aws_secretsmanager_secret": Case(
        {"name": "dev/shop"},
        [("secretsmanager", "describe_secret", {"ARN": _SECRET})],
        _SECRET,
        "ResourceNotFoundException",
    ),
    "aws_security_group": _ec2("describe_security_groups", "SecurityGroups", "GroupId", "sg-1"),
    "aws_sqs_queue": Case(
        {"name": "karpenter"},
        [("sqs", "get_queue_url", {"QueueUrl": _QUEUE})],
        _QUEUE,
        "AWS.SimpleQueueService.NonExistentQueue",
    ),
    "aws_sqs_queue_policy": Case(
        {"queue_url": _QUEUE},
        [("sqs", "get_queue_attributes", {"Attributes": {"Policy": "{}"}})],
        _QUEUE,
        "AWS.SimpleQueueService.NonExistentQueue",
    ),
    "aws_subnet": _ec2("describe_subnets", "Subnets", "SubnetId", "subnet-1"),
    "aws_vpc": _ec2("describe_vpcs", "Vpcs", "VpcId", "vpc-1"),
    "aws_vpc_endpoint": _ec2("describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId", "vpce-1", State="available"),
    "aws_vpc_security_group_egress_rule": Case(
        {"security_group_id": "sg-1", "cidr_ipv4": "0.0.0.0/0", "ip_protocol": "tcp", "from_port": 443, "to_port": 443},
        [
            (
                "ec2",
                "describe_security_group_rules",
                {
                    "SecurityGroupRules": [
                        {**_RULE, "SecurityGroupRuleId": "sgr-2", "CidrIpv4": "0.0.0.0/0"},
                        {**_RULE, "IsEgress": True, "CidrIpv4": "0.0.0.0/0"},
                    ]
                },
            )
        ],
        "sgr-1",
        "InvalidGroup.NotFound",
    ),
    "aws_wafv2_web_acl": Case(
        {"name": "services", "scope": "REGIONAL"},
        [("wafv2", "list_web_acls", {"WebACLs": [{"Name": "other", "Id": "1"}, {"Name": "services", "Id": "2"}]})],
        "2/services/REGIONAL",
    ),
    "aws_vpc_security_group_ingress_rule": Case(
        {
            "security_group_id": "sg-1", "referenced_security_group_id": "sg-2", "ip_protocol": "tcp",
            "from_port": 443, "to_port": 443,
        },
        [
            (
                "ec2",
                "describe_security_group_rules",
                {
                    "SecurityGroupRules": [
                        {**_RULE, "SecurityGroupRuleId": "sgr-2", "CidrIpv4": "10.0.0.0/16"},
                        {**_RULE, "SecurityGroupRuleId": "sgr-3", "IsEgress": True},
                        {**_RULE, "ReferencedGroupInfo": {"GroupId": "sg-2"}},
                    ]
                },
            )
        ],
        "sgr-1",
        "InvalidGroup.NotFound",
    ),
}  # fmt: skip


@pytest.fixture
def account() -> Iterator[Callable[..., Account]]:
    """An account in which AWS gives these answers in order: service, operation, and the response or an error code."""
    with stubs() as answering:
        yield lambda *answers: Account(answering(*copy.deepcopy(answers)))


def test_every_type_has_a_case() -> None:
    assert CASES.keys() == FINDERS.keys()


def test_every_type_that_constructs_create_can_be_found(
    platform: Mapping[str, Template], alternative: Mapping[str, Template]
) -> None:
    """The types of all synthesized stacks, of which the backend stack is one, and those of other settings."""
    templates = [*platform.values(), *alternative.values()]
    synthesized = {kind for template in templates for kind, _, _ in template.all_resources()}
    of_constructs = set()
    for file in (ROOT / "constructs/eks_gitops").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            package, _, module = str(getattr(node, "module", "")).rpartition(".")
            if package == "cdktf_cdktf_provider_aws" and not module.startswith("data_") and module != "provider":
                of_constructs.add(f"aws_{module}")
    assert {kind for kind in synthesized if kind.startswith("aws_")} <= of_constructs
    assert of_constructs == FINDERS.keys() | NOT_IMPORTED.keys()


@pytest.mark.parametrize("kind", CASES)
def test_finds_what_exists(account: Callable[..., Account], kind: str) -> None:
    case = CASES[kind]
    assert existing.find(account(*case.answers), kind, case.values) == [case.id_]


@pytest.mark.parametrize("kind", CASES)
def test_finds_nothing_if_it_does_not_exist(account: Callable[..., Account], kind: str) -> None:
    case = CASES[kind]
    assert existing.find(account(*case.absent), kind, case.values) == []


@pytest.mark.parametrize("kind", [kind for kind, case in CASES.items() if case.values])
def test_finds_nothing_as_long_as_no_argument_is_known(kind: str) -> None:
    (service, operation, answer), *_ = CASES[kind].answers
    assert isinstance(answer, dict)
    with Stubber(client(service)) as stubber:
        stubber.add_response(operation, copy.deepcopy(answer))
        assert existing.find(Account(client), kind, dict.fromkeys(CASES[kind].values)) == []


def test_a_resource_that_is_being_deleted_does_not_exist(account: Callable[..., Account]) -> None:
    gateways = {"NatGateways": [{"NatGatewayId": "nat-1", "Tags": _LISTED, "State": "deleting"}]}
    assert existing.find(account(("ec2", "describe_nat_gateways", gateways)), "aws_nat_gateway", _TAGGED) == []


@pytest.mark.parametrize(
    "changed",
    [{"DeletionDate": _NOW}, {"KeyManager": "AWS"}, {"Description": "Another"}],
    ids=lambda key: next(iter(key)),
)
def test_keys_of_others_and_deleted_keys_are_not_taken(
    account: Callable[..., Account], changed: dict[str, Any]
) -> None:
    listed, (service, operation, described), _ = CASES["aws_kms_key"].answers
    assert isinstance(described, dict)
    answer = {"KeyMetadata": {**described["KeyMetadata"], **changed}}
    found = account(listed, (service, operation, answer))
    assert existing.find(found, "aws_kms_key", CASES["aws_kms_key"].values) == []


def test_all_that_have_the_same_tags_are_found(account: Callable[..., Account]) -> None:
    vpcs = {"Vpcs": [{"VpcId": id_, "Tags": _LISTED} for id_ in ("vpc-2", "vpc-1")]}
    assert existing.find(account(("ec2", "describe_vpcs", vpcs)), "aws_vpc", _TAGGED) == ["vpc-1", "vpc-2"]


def test_a_resource_without_any_tag_is_not_found_by_its_tags(account: Callable[..., Account]) -> None:
    vpcs = {"Vpcs": [{"VpcId": "vpc-1", "Tags": []}]}
    assert existing.find(account(("ec2", "describe_vpcs", vpcs)), "aws_vpc", {"tags_all": {}}) == []


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"Name": "a"}, ["vpc-1"]),
        ({"Name": "a", "Environment": "dev"}, ["vpc-1"]),
        ({"Name": "a", "Environment": "prod"}, []),
        ({"Environment": "dev"}, []),
        ({}, []),
    ],
)
def test_what_others_made_is_found_by_its_name(
    account: Callable[..., Account], tags: dict[str, str], expected: list[str]
) -> None:
    vpcs = {"Vpcs": [{"VpcId": "vpc-1", "Tags": [{"Key": name, "Value": value} for name, value in tags.items()]}]}
    assert existing.find(account(("ec2", "describe_vpcs", vpcs)), "aws_vpc", _TAGGED, by_name=True) == expected


def test_what_others_made_is_not_found_without_a_name() -> None:
    assert existing.find(Account(_refuse), "aws_vpc", {"tags_all": {"Environment": "dev"}}, by_name=True) == []


def test_every_resource_that_is_found_by_its_tags_has_a_name(
    platform: Mapping[str, Template], alternative: Mapping[str, Template]
) -> None:
    by_tags = {kind for kind, case in CASES.items() if case.values is _TAGGED} - {"aws_security_group"}
    templates = [*platform.values(), *alternative.values()]
    resources = [one for template in templates for one in template.all_resources() if one[0] in by_tags]
    assert {kind for kind, _, _ in resources} == by_tags
    assert [f"{kind}.{name}" for kind, name, arguments in resources if "Name" not in arguments.get("tags", {})] == []


def test_a_security_group_of_others_is_found_by_its_name_in_its_vpc(account: Callable[..., Account]) -> None:
    groups = [
        {"GroupId": f"sg-{vpc}-{name}", "GroupName": name, "VpcId": vpc} for vpc in ("vpc-1", "vpc-2") for name in "ab"
    ]
    found = account(("ec2", "describe_security_groups", {"SecurityGroups": groups}))
    values = {"name": "a", "vpc_id": "vpc-2", **_TAGGED}
    assert existing.find(found, "aws_security_group", values, by_name=True) == ["sg-vpc-2-a"]


@pytest.mark.parametrize("has_alias", [True, False])
def test_a_key_of_others_is_found_by_its_alias_or_its_description(
    account: Callable[..., Account], *, has_alias: bool
) -> None:
    alias = {"AliasName": "alias/dev" if has_alias else "alias/other", "TargetKeyId": "1"}
    case = CASES["aws_kms_key"]
    answers: list[Answer] = [*case.answers[:-1], ("kms", "list_resource_tags", {"Tags": []})]
    found = account(("kms", "list_aliases", {"Aliases": [alias]}), *([] if has_alias else answers))
    values = {**case.values, "tags_all": {"Environment": "dev"}, "alias": "alias/dev"}
    assert existing.find(found, "aws_kms_key", values, by_name=True) == ["1" if has_alias else _KEY]


def test_a_question_is_asked_once(account: Callable[..., Account]) -> None:
    found = account(*CASES["aws_vpc"].answers)
    for _ in range(2):
        assert existing.find(found, "aws_vpc", _TAGGED) == ["vpc-1"]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("403", "abc: the bucket is owned by another account; choose another name"),
        ("PermanentRedirect", "abc: the bucket is in another region; delete it there, or choose another name"),
    ],
)
def test_a_bucket_of_others_is_refused(account: Callable[..., Account], code: str, message: str) -> None:
    with pytest.raises(OperationError, match=f"^{message}$"):
        existing.find(account(("s3", "head_bucket", code)), "aws_s3_bucket", {"bucket": "abc"})


def test_a_secret_that_is_scheduled_for_deletion_is_refused(account: Callable[..., Account]) -> None:
    found = account(("secretsmanager", "describe_secret", {"ARN": _SECRET, "DeletedDate": _NOW}))
    remedy = "restore it: aws secretsmanager restore-secret --secret-id dev/shop"
    with pytest.raises(OperationError, match=f"^dev/shop: the secret is scheduled for deletion; {remedy}$"):
        existing.find(found, "aws_secretsmanager_secret", {"name": "dev/shop"})


@pytest.mark.parametrize("kind", ["aws_iam_role", "aws_s3_bucket"])
def test_other_errors_are_raised(account: Callable[..., Account], kind: str) -> None:
    (service, operation, _), *_ = CASES[kind].answers
    with pytest.raises(ClientError):
        existing.find(account((service, operation, "Throttling")), kind, CASES[kind].values)


def test_a_rule_without_a_known_other_side_is_not_looked_for() -> None:
    values = {"security_group_id": "sg-1", "ip_protocol": "-1"}
    assert existing.find(Account(_refuse), "aws_vpc_security_group_ingress_rule", values) == []


def _refuse(service: str) -> Any:
    raise AssertionError(f"asked {service}")
