"""What AWS charges for a resource: the names and quantities of its prices, by the type of the resource.

Names are those of the price files. A type that is in neither table is listed as one without a price.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

_GIB_OF_ROOT_VOLUME = 8


@dataclass(frozen=True)
class Item:
    """A quantity of what one resource uses in a month. `price` is the name of its price.

    Without a name, `what` says why it has no price.
    """

    resource: str
    what: str
    quantity: Decimal = Decimal(0)
    price: str = ""


@dataclass(frozen=True)
class Context:
    """What a calculation knows besides a resource: the other resources of the stack, the usage, and EKS versions.

    `ends` is when the standard support of a Kubernetes version ends.
    """

    resources: Mapping[str, Mapping[str, Mapping[str, Any]]]
    usage: Mapping[str, int]
    ends: Mapping[str, date]
    today: date

    def used(self, name: str) -> Decimal:
        """The assumed usage; 0 if the settings do not have it."""
        return Decimal(self.usage.get(name, 0))

    @property
    def hours(self) -> Decimal:
        """The hours of a month."""
        return Decimal(self.usage.get("hours", 730))


Charge = tuple[str, Decimal, str]
"""What is charged, its quantity in a month, and the name of its price; without a name, there is none."""


def items(context: Context) -> Iterator[Item]:
    """The items of all resources of a stack."""
    for kind, resources in sorted(context.resources.items()):
        if kind in _FREE:
            continue
        charges = _CHARGES.get(kind)
        for name, arguments in sorted(resources.items()):
            address = f"{kind}.{name}"
            if charges is None:
                yield Item(address, "not known to this calculation")
                continue
            try:
                found = list(charges(context, arguments))
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
                yield Item(address, "its size is not known before it is created")
                continue
            for what, quantity, price in found:
                yield Item(address, what, quantity, price)
    yield from _of_the_stack(context)


def _of_the_stack(context: Context) -> Iterator[Item]:
    """What is assumed for a stack as a whole, named after the first resource that it is about."""
    for kind, what, usage, price in (
        ("aws_cloudwatch_log_group", "logs, GB ingested", "logs_gb", "AmazonCloudWatch DataProcessing-Bytes"),
        ("aws_cloudwatch_log_group", "logs, GB kept", "stored_logs_gb", "AmazonCloudWatch TimedStorage-ByteHrs"),
        ("aws_nat_gateway", "NAT gateways, GB", "nat_gb", "AmazonEC2 NatGateway-Bytes"),
        ("aws_vpc_endpoint", "interface endpoints, GB", "endpoint_gb", "AmazonVPC VpcEndpoint-Bytes"),
        ("aws_eks_cluster", "snapshots of volumes, GB", "snapshot_gb", "AmazonEC2 EBS:SnapshotUsage"),
    ):
        if context.resources.get(kind) and context.used(usage):
            yield Item(f"{kind} (all)", what, context.used(usage), price)


def _cluster(context: Context, arguments: Mapping[str, Any]) -> Iterator[Charge]:
    """EKS charges more for a version in extended support. A cluster of the policy STANDARD is upgraded before.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/view-upgrade-policy.html
    """
    yield "EKS control plane", context.hours, "AmazonEKS AmazonEKS-Hours:perCluster"
    version = arguments["version"]
    policy = _block(arguments.get("upgrade_policy")).get("support_type", "EXTENDED")
    if policy == "EXTENDED":
        end = context.ends.get(version)
        if end is None:
            yield f"EKS extended support: the end of standard support of {version} is not known", Decimal(0), ""
        elif end < context.today:
            yield "EKS extended support", context.hours, "AmazonEKS AmazonEKS-Hours:extendedSupport"
    if _block(arguments.get("compute_config")).get("enabled"):
        yield "EKS Auto Mode: its nodes and their fee follow from the workload", Decimal(0), ""


def _node_group(context: Context, arguments: Mapping[str, Any]) -> Iterator[Charge]:
    nodes = Decimal(_block(arguments["scaling_config"])["desired_size"])
    kind = arguments["instance_types"][0]
    if arguments.get("capacity_type") == "SPOT":
        yield f"nodes {kind}: the Price List has no Spot prices", Decimal(0), ""
    else:
        yield f"nodes {kind}", nodes * context.hours, f"AmazonEC2 BoxUsage:{kind}"
    template = _block(arguments["launch_template"])["id"].split(".")[1]
    for mapping in _blocks(context.resources["aws_launch_template"][template]["block_device_mappings"]):
        yield _volume("disks of nodes, GB", nodes, _block(mapping["ebs"]))


def _volume(what: str, number: Decimal, volume: Mapping[str, Any]) -> Charge:
    size = Decimal(volume.get("volume_size", _GIB_OF_ROOT_VOLUME))
    return what, number * size, f"AmazonEC2 EBS:VolumeUsage.{volume.get('volume_type', 'gp3')}"


def _instance(context: Context, arguments: Mapping[str, Any]) -> Iterator[Charge]:
    kind = arguments["instance_type"]
    yield f"instance {kind}", context.hours, f"AmazonEC2 BoxUsage:{kind}"
    yield _volume("disk, GB", Decimal(1), _block(arguments.get("root_block_device")))


def _database(context: Context, arguments: Mapping[str, Any]) -> Iterator[Charge]:
    engine = _ENGINES[arguments["engine"]]
    kind, storage = arguments["instance_class"], f"{arguments['storage_type'].upper()}-Storage"
    instances, disks = ("Multi-AZUsage", "RDS:Multi-AZ-") if arguments["multi_az"] else ("InstanceUsage", "RDS:")
    yield f"database {kind}", context.hours, f"AmazonRDS {instances}:{kind} {engine}"
    yield "database storage, GB", Decimal(arguments["allocated_storage"]), f"AmazonRDS {disks}{storage}"
    yield "database backups, GB", context.used("database_backup_gb"), f"AmazonRDS RDS:ChargedBackupUsage {engine}"
    if arguments.get("manage_master_user_password"):
        yield "secret", Decimal(1), _OF_SECRET


def _aurora(context: Context, arguments: Mapping[str, Any]) -> Iterator[Charge]:
    """What a cluster has once, for all of its instances: storage, its requests, and backups."""
    yield "database storage, GB", context.used("aurora_storage_gb"), "AmazonRDS Aurora:StorageUsage"
    yield "database storage, requests", context.used("aurora_requests"), "AmazonRDS Aurora:StorageIOUsage"
    backups = f"AmazonRDS Aurora:BackupUsage {_ENGINES[arguments['engine']]}"
    yield "database backups, GB", context.used("database_backup_gb"), backups
    if arguments.get("manage_master_user_password"):
        yield "secret", Decimal(1), _OF_SECRET


def _aurora_instance(context: Context, arguments: Mapping[str, Any]) -> Iterator[Charge]:
    """The hours of an instance. A serverless one counts with its minimum, because more follows from the load."""
    kind, engine = arguments["instance_class"], _ENGINES[arguments["engine"]]
    if kind == "db.serverless":
        cluster = context.resources["aws_rds_cluster"][arguments["cluster_identifier"].split(".")[1]]
        units = Decimal(str(_block(cluster["serverlessv2_scaling_configuration"])["min_capacity"]))
        if units:
            what = f"database {kind}, hours of {units} ACU, the minimum"
            yield what, context.hours * units, f"AmazonRDS Aurora:ServerlessV2Usage {engine}"
        else:
            yield f"database {kind}: it pauses, and its capacity follows from the load", Decimal(0), ""
    else:
        yield f"database {kind}", context.hours, f"AmazonRDS InstanceUsage:{kind} {engine}"


def _endpoint(context: Context, arguments: Mapping[str, Any]) -> Iterator[Charge]:
    """A gateway endpoint costs nothing, an interface endpoint each of its network interfaces."""
    if arguments.get("vpc_endpoint_type") == "Interface":
        zones = Decimal(len(arguments["subnet_ids"]))
        yield "interface endpoint", zones * context.hours, "AmazonVPC VpcEndpoint-Hours"


def _release(context: Context, arguments: Mapping[str, Any]) -> Iterator[Charge]:
    """Each IngressClassParams stands for a load balancer, which the controller creates for the Ingresses of its class.

    One on the internet has an address in each zone.
    """
    for scheme in _schemes([json.loads(values) for values in arguments.get("values", [])]):
        yield f"load balancer, {scheme}", context.hours, "AWSELB LoadBalancerUsage"
        yield "load balancer, capacity units", context.hours * context.used("load_balancer_units"), "AWSELB LCUUsage"
        if scheme == "internet-facing":
            zones = context.used("load_balancer_zones")
            yield "public addresses of the load balancer", context.hours * zones, _OF_ADDRESS


def _schemes(value: Any) -> Iterator[str]:
    """The scheme of each IngressClassParams in the values of a chart."""
    if isinstance(value, Mapping):
        if value.get("scheme") in {"internal", "internet-facing"}:
            yield str(value["scheme"])
        value = list(value.values())
    for member in value if isinstance(value, list) else []:
        yield from _schemes(member)


def _bucket(context: Context, _arguments: Mapping[str, Any]) -> Iterator[Charge]:
    yield "bucket, GB", context.used("bucket_gb"), "AmazonS3 TimedStorage-ByteHrs"
    yield "bucket, requests", context.used("bucket_requests"), "AmazonS3 Requests-Tier1"


def _hourly(what: str, price: str) -> Callable[[Context, Mapping[str, Any]], Iterator[Charge]]:
    return lambda context, _arguments: iter([(what, context.hours, price)])


def _monthly(what: str, price: str) -> Callable[[Context, Mapping[str, Any]], Iterator[Charge]]:
    return lambda _context, _arguments: iter([(what, Decimal(1), price)])


def _used(what: str, usage: str, price: str) -> Callable[[Context, Mapping[str, Any]], Iterator[Charge]]:
    return lambda context, _arguments: iter([(what, context.used(usage), price)])


def _unknown(reason: str) -> Callable[[Context, Mapping[str, Any]], Iterator[Charge]]:
    return lambda _context, _arguments: iter([(reason, Decimal(0), "")])


def _blocks(value: Any) -> Sequence[Mapping[str, Any]]:
    """The blocks of an argument, which CDKTF writes as an object if there can be only one."""
    return [value] if isinstance(value, Mapping) else list(value or [])


def _block(value: Any) -> Mapping[str, Any]:
    """The only block of an argument; empty if there is none."""
    return next(iter(_blocks(value)), {})


_ENGINES = {
    "aurora-mysql": "Aurora MySQL",
    "aurora-postgresql": "Aurora PostgreSQL",
    "mysql": "MySQL",
    "postgres": "PostgreSQL",
}
"""The engines of databases in the names of prices."""
_OF_ADDRESS = "AmazonVPC PublicIPv4:InUseAddress"
_OF_SECRET = "AWSSecretsManager Secret"  # noqa: S105 (the name of a price)

_CHARGES: Mapping[str, Callable[[Context, Mapping[str, Any]], Iterator[Charge]]] = {
    "aws_backup_vault": _used("backups of files, GB", "file_backup_gb", "AWSBackup WarmStorage-ByteHrs-EFS"),
    "aws_codebuild_project": _unknown("minutes of jobs"),
    "aws_db_instance": _database,
    "aws_dynamodb_table": _unknown("requests of locks"),
    "aws_ec2_transit_gateway_vpc_attachment": _unknown("transit gateway attachment"),
    "aws_ecr_repository": _used("images, GB", "image_gb", "AmazonECR TimedStorage-ByteHrs"),
    "aws_efs_file_system": _used("file system, GB", "file_system_gb", "AmazonEFS TimedStorage-ByteHrs"),
    "aws_eip": _hourly("public address", _OF_ADDRESS),
    "aws_eks_cluster": _cluster,
    "aws_eks_node_group": _node_group,
    "aws_guardduty_detector": _unknown("GuardDuty: audit events, and the vCPUs of monitored nodes"),
    "aws_instance": _instance,
    "aws_kms_key": _monthly("key", "awskms KMS-Keys"),
    "aws_nat_gateway": _hourly("NAT gateway", "AmazonEC2 NatGateway-Hours"),
    "aws_rds_cluster": _aurora,
    "aws_rds_cluster_instance": _aurora_instance,
    "aws_route53_zone": _monthly("hosted zone", "AmazonRoute53 HostedZone"),
    "aws_s3_bucket": _bucket,
    "aws_secretsmanager_secret": _monthly("secret", _OF_SECRET),
    "aws_sqs_queue": _unknown("messages, and the nodes that Karpenter starts"),
    "aws_vpc_endpoint": _endpoint,
    "aws_wafv2_web_acl": _unknown("web ACL, its rules and requests"),
    "helm_release": _release,
}
"""What is charged for the types that cost something."""

_FREE = frozenset({
    # Terraform and Kubernetes: what they cost are the nodes
    "kubernetes_namespace_v1", "kubernetes_secret_v1", "kubernetes_storage_class_v1", "terraform_data",
    # parts of a resource that is charged as a whole
    "aws_acm_certificate", "aws_acm_certificate_validation", "aws_backup_plan", "aws_backup_selection",
    "aws_backup_vault_lock_configuration", "aws_budgets_budget", "aws_ce_cost_allocation_tag",
    "aws_cloudwatch_event_rule", "aws_cloudwatch_event_target", "aws_cloudwatch_log_group",
    "aws_cloudwatch_query_definition", "aws_codebuild_webhook", "aws_guardduty_detector_feature",
    "aws_db_parameter_group", "aws_db_subnet_group", "aws_default_security_group", "aws_ecr_lifecycle_policy",
    "aws_ecr_replication_configuration", "aws_ecr_repository_creation_template", "aws_ecr_repository_policy",
    "aws_efs_access_point", "aws_efs_file_system_policy", "aws_efs_mount_target", "aws_eks_access_entry",
    "aws_eks_access_policy_association", "aws_eks_addon", "aws_eks_pod_identity_association", "aws_flow_log",
    "aws_iam_instance_profile", "aws_iam_openid_connect_provider", "aws_iam_policy", "aws_iam_role",
    "aws_iam_role_policy", "aws_iam_role_policy_attachment", "aws_internet_gateway", "aws_kms_alias",
    "aws_launch_template", "aws_rds_cluster_parameter_group", "aws_route", "aws_route53_record", "aws_route_table",
    "aws_route_table_association",
    "aws_s3_bucket_lifecycle_configuration", "aws_s3_bucket_ownership_controls", "aws_s3_bucket_policy",
    "aws_s3_bucket_public_access_block", "aws_s3_bucket_replication_configuration",
    "aws_s3_bucket_server_side_encryption_configuration", "aws_s3_bucket_versioning", "aws_security_group",
    "aws_sqs_queue_policy", "aws_subnet", "aws_vpc", "aws_vpc_ipv4_cidr_block_association",
    "aws_vpc_security_group_egress_rule", "aws_vpc_security_group_ingress_rule",
})  # fmt: skip
"""The types without a charge of their own."""
