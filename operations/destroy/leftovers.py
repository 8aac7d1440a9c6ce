"""Finds the AWS resources that remain after an environment was destroyed, by tags and names, with their monthly cost.

Terraform does not track what it destroyed, nor what controllers created. Resources that are kept on purpose, such as
the final snapshot of a database, are marked.
"""

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from operations.clients.aws import paginate, tags_by_name
from operations.output.report import Table
from operations.terraform.stacks import Cluster, Stack

if TYPE_CHECKING:
    import boto3

_PENDING = {"deleted", "deleting", "shutting-down", "terminated"}

# US dollars per month, rounded: list prices in ap-northeast-2 as of 2026. The second table is per GiB.
_MONTHLY = {
    "NAT gateway": 43, "VPC endpoint": 10, "address": 4, "eks:cluster": 73, "elasticloadbalancing:loadbalancer": 17,
    "instance": 60, "kms:key": 1, "rds:db": 60, "route53:hostedzone": 0.5, "secretsmanager:secret": 0.4,
}  # fmt: skip
_MONTHLY_GIB = {"snapshot": 0.05, "volume": 0.09}

_GLOBAL_REGIONS = {"aws": "us-east-1", "aws-cn": "cn-northwest-1", "aws-us-gov": "us-gov-west-1"}
"""By partition, the region in which the tagging API lists the resources of global services."""

_KEPT = ("rds:snapshot", "rds:cluster-snapshot", "backup:recovery-point")
"""Kinds of resources that a destroy keeps on purpose."""

_EC2 = (
    ("NAT gateway", "describe_nat_gateways", "NatGateways", "NatGatewayId"),
    ("VPC", "describe_vpcs", "Vpcs", "VpcId"),
    ("VPC endpoint", "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId"),
    ("internet gateway", "describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
    ("launch template", "describe_launch_templates", "LaunchTemplates", "LaunchTemplateId"),
    ("network interface", "describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId"),
    ("route table", "describe_route_tables", "RouteTables", "RouteTableId"),
    ("security group", "describe_security_groups", "SecurityGroups", "GroupId"),
    ("snapshot", "describe_snapshots", "Snapshots", "SnapshotId"),
    ("subnet", "describe_subnets", "Subnets", "SubnetId"),
    ("volume", "describe_volumes", "Volumes", "VolumeId"),
)


@dataclass(frozen=True)
class Environment:
    """What identifies the resources of an environment: the tags of Terraform, its cluster, log groups and IAM path.

    Those of a further cluster have its tag `Cluster`, and `roles` begins the names of its roles on the path.
    `existing` are the ARNs of what no stack creates. It has the tags if Terraform created it and then forgot it.
    `budgets` are the accounts and names of its budgets.
    """

    tags: Mapping[str, str]
    cluster: Cluster | None
    log_groups: Sequence[str]
    iam_path: str
    existing: Collection[str] = frozenset()
    roles: str = ""
    budgets: Sequence[tuple[str, str]] = ()

    def owns(self, tags: Mapping[str, str]) -> bool:
        """Whether a resource with these tags was created by Terraform or by a controller of this environment."""
        by_terraform = all(tags.get(name) == value for name, value in self.tags.items())
        return by_terraform or (self.cluster is not None and self.cluster.owns(tags))


@dataclass(frozen=True)
class Leftover:
    """A resource that remains. `monthly` is its cost in US dollars, or None if that depends on its contents."""

    kind: str
    id_: str
    monthly: float | None
    is_kept: bool = False


def environment(stack: Stack) -> Environment:
    """The environment of a stack."""
    groups = [group["name"] for group in stack.resources_of("aws_cloudwatch_log_group").values()]
    budgets = stack.resources_of("aws_budgets_budget").values()
    return Environment(
        tags={name: stack.tags[name] for name in ("Environment", "Project", "Region", "Cluster") if name in stack.tags},
        cluster=stack.cluster,
        log_groups=groups,
        iam_path=stack.iam_path,
        existing=stack.existing.arns,
        roles=f"{stack.region}-{stack.short_name}-" if stack.further else "",
        budgets=[(one["account_id"], one["name"]) for one in budgets],
    )


def find_leftovers(session: "boto3.Session", owner: Environment, gone: Collection[str] = ()) -> list[Leftover]:
    """The resources that remain, except the ARNs in `gone`: the tagging API lists destroyed ones for a while."""
    found = [*_of_ec2(session.client("ec2"), owner), *_load_balancers(session.client("elbv2"), owner)]
    found += _by_tag(session, owner, gone)
    found += _records(session.client("route53"), owner)
    for role in paginate(session.client("iam"), "list_roles", "Roles", PathPrefix=owner.iam_path):
        if role["RoleName"].startswith(owner.roles):
            found.append(Leftover("iam:role", role["Arn"], 0))  # the tagging API does not list roles
    logs = session.client("logs")
    for name in owner.log_groups:  # the last lines of a cluster's log recreate its group, without tags
        for group in logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]:
            if group["logGroupName"] == name:
                found.append(Leftover("log group", name, None))
    found += _budgets(session, owner)
    return sorted(found, key=lambda one: (one.kind, one.id_))


def _budgets(session: "boto3.Session", owner: Environment) -> Iterator[Leftover]:
    """The budgets that remain. Without any in the settings, nothing is asked: it would need permissions."""
    for account_id, name in owner.budgets:
        client = session.client("budgets")
        with contextlib.suppress(client.exceptions.NotFoundException):
            client.describe_budget(AccountId=account_id, BudgetName=name)
            yield Leftover("budget", name, 0)


def _of_ec2(ec2: Any, owner: Environment) -> Iterator[Leftover]:
    for kind, operation, key, id_ in _EC2:
        own = {"OwnerIds": ["self"]} if kind == "snapshot" else {}
        for one in paginate(ec2, operation, key, **own):
            if _remains(one, owner):
                yield Leftover(kind, one[id_], _price(kind, one.get("Size") or one.get("VolumeSize")))
    for one in ec2.describe_addresses()["Addresses"]:
        if _remains(one, owner):
            yield Leftover("address", one["AllocationId"], _price("address"))
    for reservation in paginate(ec2, "describe_instances", "Reservations"):
        for one in reservation["Instances"]:
            if _remains(one, owner):
                yield Leftover("instance", one["InstanceId"], _price("instance"))


def _remains(one: Mapping[str, Any], owner: Environment) -> bool:
    state = one.get("State", "")
    state = state["Name"] if isinstance(state, dict) else state
    return owner.owns(tags_by_name(one.get("Tags") or one.get("TagSet") or [])) and state.lower() not in _PENDING


def _price(kind: str, gibibytes: int | None = None) -> float | None:
    return _MONTHLY.get(kind, 0) if gibibytes is None else _MONTHLY_GIB[kind] * gibibytes


def _load_balancers(elb: Any, owner: Environment) -> Iterator[Leftover]:
    """Load balancers and target groups. DescribeTags takes at most 20 ARNs."""
    kinds = (
        ("elasticloadbalancing:loadbalancer", "describe_load_balancers", "LoadBalancers", "LoadBalancerArn"),
        ("elasticloadbalancing:targetgroup", "describe_target_groups", "TargetGroups", "TargetGroupArn"),
    )
    for kind, operation, key, id_ in kinds:
        arns = [one[id_] for one in paginate(elb, operation, key)]
        for start in range(0, len(arns), 20):
            for one in elb.describe_tags(ResourceArns=arns[start : start + 20])["TagDescriptions"]:
                if owner.owns(tags_by_name(one["Tags"])):
                    yield Leftover(kind, one["ResourceArn"], _price(kind))


def _by_tag(session: "boto3.Session", owner: Environment, gone: Collection[str]) -> Iterator[Leftover]:
    """Resources of all other services with the tags of Terraform."""
    for arn in _tagged(session, owner):
        kind = kind_of(arn)
        if kind.partition(":")[0] in {"ec2", "elasticloadbalancing"} or arn in {*gone, *owner.existing}:
            continue
        if kind == "kms:key" and session.client("kms").describe_key(KeyId=arn)["KeyMetadata"].get("DeletionDate"):
            continue
        yield Leftover(kind, arn, _MONTHLY.get(kind), kind in _KEPT)


def _tagged(session: "boto3.Session", owner: Environment) -> set[str]:
    """The ARNs that the tagging API lists: of the region, and of global services."""
    region = str(session.region_name)
    filters = [{"Key": name, "Values": [value]} for name, value in owner.tags.items()]
    found = set()
    for asked in {region, _GLOBAL_REGIONS[session.get_partition_for_region(region)]}:
        tagging: Any = session.client("resourcegroupstaggingapi", region_name=asked)
        for one in paginate(tagging, "get_resources", "ResourceTagMappingList", TagFilters=filters):
            if one["ResourceARN"].split(":")[3] in {"", region}:
                found.add(one["ResourceARN"])
    return found


def _records(route53: Any, owner: Environment) -> Iterator[Leftover]:
    """The ownership TXT records that External DNS created for the cluster, which name it."""
    if owner.cluster is None:
        return
    signature = f"external-dns/owner={owner.cluster.name}"
    for zone in paginate(route53, "list_hosted_zones", "HostedZones"):
        for record in paginate(route53, "list_resource_record_sets", "ResourceRecordSets", HostedZoneId=zone["Id"]):
            texts = [value["Value"].strip('"').split(",") for value in record.get("ResourceRecords", [])]
            if any(signature in parts for parts in texts):
                yield Leftover("record", f"{record['Name']} {record['Type']}", 0)


def kind_of(arn: str) -> str:
    """The service and resource type of an ARN: `kms:key`, `rds:db`, `s3`."""
    _, _, service, _, _, resource = arn.split(":", 5)
    kind = resource.lstrip("/").replace("/", ":").partition(":")
    return f"{service}:{kind[0]}" if kind[1] else service


def leftovers_table(environment_name: str, found: Sequence[Leftover]) -> Table:
    """The remaining resources as a table."""
    rows = [[one.kind, one.id_, "by size" if one.monthly is None else f"${one.monthly:.2f}"] for one in found]
    return Table(f"Remaining resources of {environment_name}", ["kind", "id", "monthly cost"], rows)
