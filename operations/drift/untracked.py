"""Finds additions to managed resources that are in no Terraform state, so that no plan shows them.

Every check starts from a resource in a state and lists what belongs to it in AWS. Resources in a state are known, and
those of controllers and of AWS itself are recognized by their tags or owner. Secrets under an environment's prefix are
not checked: users create them for External Secrets.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from operations.clients.aws import paginate, tags_by_name
from operations.state.states import Resource, States
from operations.terraform.stacks import Cluster

if TYPE_CHECKING:
    import boto3

_PARALLELISM = 8
_ALL = "-1"

# The resource itself was deleted; its plan reports that.
_NOT_FOUND = {
    "InvalidGroup.NotFound", "InvalidRouteTableID.NotFound", "InvalidVpcID.NotFound", "NoSuchEntity",
    "NoSuchHostedZone",
    "RepositoryNotFoundException", "RepositoryPolicyNotFoundException", "ResourceNotFoundException",
}  # fmt: skip

Clients = Mapping[str, Any]
Check = Callable[[Clients, States, Resource], Iterator[str]]


@dataclass(frozen=True)
class Added:
    """An untracked addition, and the managed resource that it was added to."""

    stack: str
    address: str
    what: str


def find_untracked(
    session: "boto3.Session", states: States, of: Sequence[str]
) -> tuple[list[Added], list[tuple[str, str]]]:
    """Additions to the resources of the stacks `of`, and the errors of checks that failed, each with its stack.

    `states` holds the resources of all stacks.
    """
    clients = {service: session.client(service) for service in ("ec2", "ecr", "eks", "iam", "route53")}

    def run(resource: Resource, check: Check) -> tuple[list[Added], list[tuple[str, str]]]:
        try:
            found = [Added(resource.stack, resource.address, what) for what in check(clients, states, resource)]
        except (BotoCoreError, ClientError) as error:
            if isinstance(error, ClientError) and error.response["Error"]["Code"] in _NOT_FOUND:
                return [], []
            return [], [(resource.stack, f"{resource.address}: {error}")]
        return found, []

    runs = [(one, check) for kind, checks in _CHECKS.items() for one in states.of(kind) for check in checks]
    with ThreadPoolExecutor(_PARALLELISM) as pool:
        results = list(pool.map(lambda pair: run(*pair), [pair for pair in runs if pair[0].stack in of]))
    added = [found for some, _ in results for found in some]
    return sorted(added, key=lambda one: (one.stack, one.address, one.what)), [
        line for _, some in results for line in some
    ]


# --- IAM --------------------------------------------------------------------------------------------------------------


def _inline_policies(clients: Clients, states: States, role: Resource) -> Iterator[str]:
    known = states.values("aws_iam_role_policy", "name", role=role["name"])
    for name in paginate(clients["iam"], "list_role_policies", "PolicyNames", RoleName=role["name"]):
        if name not in known:
            yield f"inline policy {name}"


def _attached_policies(clients: Clients, states: States, role: Resource) -> Iterator[str]:
    known = states.values("aws_iam_role_policy_attachment", "policy_arn", role=role["name"])
    for policy in paginate(clients["iam"], "list_attached_role_policies", "AttachedPolicies", RoleName=role["name"]):
        if policy["PolicyArn"] not in known:
            yield f"attached policy {policy['PolicyArn']}"


# --- EKS --------------------------------------------------------------------------------------------------------------

_AGENT_OF_GUARDDUTY = "aws-guardduty-agent"
"""The add-on that GuardDuty installs by itself.

Source: https://docs.aws.amazon.com/guardduty/latest/ug/how-runtime-monitoring-works-eks.html
"""

_OF_A_CLUSTER = (
    # label, operation, key of its result, Terraform resource type, and the attribute that holds the name
    ("add-on", "list_addons", "addons", "aws_eks_addon", "addon_name"),
    (
        "Fargate profile", "list_fargate_profiles", "fargateProfileNames",
        "aws_eks_fargate_profile", "fargate_profile_name",
    ),
    ("node group", "list_nodegroups", "nodegroups", "aws_eks_node_group", "node_group_name"),
)  # fmt: skip


def _of_cluster(clients: Clients, states: States, cluster: Resource) -> Iterator[str]:
    for label, operation, key, kind, attribute in _OF_A_CLUSTER:
        known = states.values(kind, attribute, cluster_name=cluster["name"])
        for name in paginate(clients["eks"], operation, key, clusterName=cluster["name"]):
            if name not in known and name != _AGENT_OF_GUARDDUTY:
                yield f"{label} {name}"


def _access(clients: Clients, states: States, cluster: Resource) -> Iterator[str]:
    """Access entries and their access policies, except the entries that EKS creates for nodes.

    AWS Backup makes one for the role with which it backs a cluster up.
    Source: https://docs.aws.amazon.com/eks/latest/userguide/integration-backup.html
    """
    eks, name = clients["eks"], cluster["name"]
    of_backups = states.values("aws_backup_selection", "iam_role_arn")
    known = states.values("aws_eks_access_entry", "principal_arn", cluster_name=name)
    node_roles: set[str] | None = None
    for principal in paginate(eks, "list_access_entries", "accessEntries", clusterName=name):
        if principal in known:
            policies = states.values(
                "aws_eks_access_policy_association", "policy_arn", cluster_name=name, principal_arn=principal
            )
            for policy in paginate(
                eks, "list_associated_access_policies", "associatedAccessPolicies",
                clusterName=name, principalArn=principal,
            ):  # fmt: skip
                if policy["policyArn"] not in policies:
                    yield f"access policy {policy['policyArn'].rpartition('/')[2]} of {principal}"
        elif ":role/aws-service-role/" not in principal and principal not in of_backups:
            node_roles = _roles_of_nodes(eks, cluster) if node_roles is None else node_roles
            if principal not in node_roles:
                yield f"access entry {principal}"


def _roles_of_nodes(eks: Any, resource: Resource) -> set[str]:
    """The roles for which EKS creates access entries: of managed node groups, Fargate profiles and EKS Auto Mode."""
    cluster = resource["name"]
    of_auto_mode = [compute["node_role_arn"] for compute in resource["compute_config"] or ()]
    groups = [
        eks.describe_nodegroup(clusterName=cluster, nodegroupName=name)["nodegroup"]["nodeRole"]
        for name in paginate(eks, "list_nodegroups", "nodegroups", clusterName=cluster)
    ]
    profiles = [
        eks.describe_fargate_profile(clusterName=cluster, fargateProfileName=name)["fargateProfile"]
        for name in paginate(eks, "list_fargate_profiles", "fargateProfileNames", clusterName=cluster)
    ]
    return {*groups, *of_auto_mode, *[profile["podExecutionRoleArn"] for profile in profiles]}


def _pod_identities(clients: Clients, states: States, cluster: Resource) -> Iterator[str]:
    """Pod Identity associations, except those that an add-on owns."""
    eks, name = clients["eks"], cluster["name"]
    known = states.values("aws_eks_pod_identity_association", "association_id", cluster_name=name)
    for one in paginate(eks, "list_pod_identity_associations", "associations", clusterName=name):
        if one["associationId"] in known:
            continue
        full = eks.describe_pod_identity_association(clusterName=name, associationId=one["associationId"])[
            "association"
        ]
        if not full.get("ownerArn"):
            yield f"Pod Identity association of {one['namespace']}/{one['serviceAccount']} with {full['roleArn']}"


# --- EC2 --------------------------------------------------------------------------------------------------------------

_OF_A_VPC = (
    ("NAT gateway", "describe_nat_gateways", "NatGateways", "NatGatewayId", ("aws_nat_gateway",)),
    ("VPC endpoint", "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId", ("aws_vpc_endpoint",)),
    ("network ACL", "describe_network_acls", "NetworkAcls", "NetworkAclId", ("aws_network_acl",)),
    ("route table", "describe_route_tables", "RouteTables", "RouteTableId", ("aws_route_table",)),
    (
        "security group", "describe_security_groups", "SecurityGroups", "GroupId",
        ("aws_security_group", "aws_default_security_group"),
    ),
    ("subnet", "describe_subnets", "Subnets", "SubnetId", ("aws_subnet",)),
)  # fmt: skip


def _of_vpc(clients: Clients, states: States, vpc: Resource) -> Iterator[str]:
    # AWS makes the route table of a regional NAT gateway.
    # Source: https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateways-regional.html
    gateways = paginate(clients["ec2"], "describe_nat_gateways", "NatGateways")
    of_gateways = {table for gateway in gateways if (table := gateway.get("RouteTableId"))}
    for label, operation, key, id_, kinds in _OF_A_VPC:
        known = {resource["id"] for resource in states.of(*kinds)} | of_gateways
        # DescribeNatGateways calls the argument `Filter`.
        of_vpc = {"Filter" if key == "NatGateways" else "Filters": [{"Name": "vpc-id", "Values": [vpc["id"]]}]}
        for one in paginate(clients["ec2"], operation, key, **of_vpc):
            if one["VpcId"] == vpc["id"] and one[id_] not in known and not _is_managed_elsewhere(one, states.clusters):
                yield f"{label} {one[id_]}"


def _is_managed_elsewhere(one: Mapping[str, Any], clusters: Sequence[Cluster]) -> bool:
    """Whether AWS or a controller created the resource, or it is being deleted."""
    tags = tags_by_name(one.get("Tags", []))
    is_main = any(association.get("Main") for association in one.get("Associations", []))
    by_controller = any(cluster.owns(tags) for cluster in clusters)
    by_aws = is_main or one.get("IsDefault") or one.get("RequesterManaged") or "GuardDutyManaged" in tags
    return bool(by_aws or by_controller or str(one.get("State")).lower() in {"deleted", "deleting"})


def _rules(clients: Clients, states: States, group: Resource) -> Iterator[str]:
    yield from _rules_of(clients, states, group["id"])


def _rules_of_cluster(clients: Clients, states: States, cluster: Resource) -> Iterator[str]:
    """Rules of the security group that EKS created for a cluster, except the rules of EKS."""
    (network,) = cluster["vpc_config"]
    yield from _rules_of(clients, states, network["cluster_security_group_id"])


def _rules_of(clients: Clients, states: States, group: str) -> Iterator[str]:
    known = {
        rule["security_group_rule_id"]
        for rule in states.of("aws_vpc_security_group_ingress_rule", "aws_vpc_security_group_egress_rule")
    }
    of_clusters = {cluster["vpc_config"][0]["cluster_security_group_id"] for cluster in states.of("aws_eks_cluster")}
    of_group = [{"Name": "group-id", "Values": [group]}]
    for rule in paginate(clients["ec2"], "describe_security_group_rules", "SecurityGroupRules", Filters=of_group):
        if rule["SecurityGroupRuleId"] in known or (group in of_clusters and _is_of_eks(rule, group, states.clusters)):
            continue
        yield f"rule {rule['SecurityGroupRuleId']}: {_traffic(rule)}"


def _is_of_eks(rule: Mapping[str, Any], group: str, clusters: Sequence[Cluster]) -> bool:
    """Whether a rule is one of EKS (traffic within the group, all egress) or of a load balancer.

    The AWS Load Balancer Controller describes its rules, and EKS Auto Mode tags them with the cluster's name.
    Source: https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AmazonEKSLoadBalancingPolicy.html
    """
    itself = rule.get("ReferencedGroupInfo", {}).get("GroupId") == group
    outward = rule["IsEgress"] and rule["IpProtocol"] == _ALL and _peer(rule) in {"0.0.0.0/0", "::/0"}
    tags = tags_by_name(rule.get("Tags", []))
    of_auto_mode = any(cluster.owns(tags) for cluster in clusters)
    return itself or outward or of_auto_mode or rule.get("Description", "").startswith("elbv2.k8s.aws/")


def _traffic(rule: Mapping[str, Any]) -> str:
    direction, where = ("egress", "to") if rule["IsEgress"] else ("ingress", "from")
    first, last = rule.get("FromPort", -1), rule.get("ToPort", -1)
    ports = f" {first}" if first == last else f" {first}-{last}"
    traffic = "all" if rule["IpProtocol"] == _ALL else f"{rule['IpProtocol']}{ports}"
    return f"{direction} {traffic} {where} {_peer(rule)}"


def _peer(rule: Mapping[str, Any]) -> str:
    referenced: str = rule.get("ReferencedGroupInfo", {}).get("GroupId", "")
    return str(rule.get("CidrIpv4") or rule.get("CidrIpv6") or rule.get("PrefixListId") or referenced)


def _routes(clients: Clients, states: States, table: Resource) -> Iterator[str]:
    """Routes, except the local route, those of gateway endpoints, and propagated routes."""
    kinds = ("destination_cidr_block", "destination_ipv6_cidr_block", "destination_prefix_list_id")
    known = {
        route[kind] for route in states.of("aws_route") if route["route_table_id"] == table["id"] for kind in kinds
    }
    for found in clients["ec2"].describe_route_tables(RouteTableIds=[table["id"]])["RouteTables"]:
        for route in found["Routes"]:
            destination = next(
                route[name]
                for name in ("DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId")
                if name in route
            )
            is_by_aws = route.get("Origin", "CreateRoute") != "CreateRoute" or "vpce-" in route.get("GatewayId", "")
            if destination not in known and not is_by_aws:
                yield f"route to {destination}"


# --- ECR, Route 53 ----------------------------------------------------------------------------------------------------


def _repository_policy(clients: Clients, states: States, repository: Resource) -> Iterator[str]:
    if not states.values("aws_ecr_repository_policy", "policy", repository=repository["name"]):
        clients["ecr"].get_repository_policy(repositoryName=repository["name"])
        yield "repository policy"


_SIGNED_TYPES = ("a-", "aaaa-", "cname-")
"""Prefixes of External DNS ownership TXT records: the type of the owned record."""


def _records(clients: Clients, states: States, zone: Resource) -> Iterator[str]:
    """Records, except the zone's own NS and SOA, and those that environments in other accounts own.

    Records of External DNS, which have an ownership TXT record, are not reported either.
    """
    records = list(
        paginate(clients["route53"], "list_resource_record_sets", "ResourceRecordSets", HostedZoneId=zone["zone_id"])
    )
    signatures = {
        record["Name"]
        for record in records
        if any("heritage=external-dns" in value["Value"] for value in record.get("ResourceRecords", []))
    }
    signed = {*signatures, *(name.partition("-")[2] for name in signatures if name.startswith(_SIGNED_TYPES))}
    known = {
        (record["fqdn"].rstrip("."), record["type"])
        for record in states.of("aws_route53_record")
        if record["zone_id"] == zone["zone_id"]
    }
    known |= {(f"{environment}.{zone['name'].rstrip('.')}", "NS") for environment in states.elsewhere}
    for record in records:
        name, kind = record["Name"].rstrip("."), record["Type"]
        of_zone = name == zone["name"].rstrip(".") and kind in {"NS", "SOA"}
        if (name, kind) not in known and not of_zone and record["Name"] not in signed:
            yield f"record {name} {kind}"


_CHECKS: Mapping[str, Sequence[Check]] = {
    "aws_default_security_group": (_rules,),
    "aws_ecr_repository": (_repository_policy,),
    "aws_eks_cluster": (_of_cluster, _access, _pod_identities, _rules_of_cluster),
    "aws_iam_role": (_inline_policies, _attached_policies),
    "aws_route53_zone": (_records,),
    "aws_route_table": (_routes,),
    "aws_security_group": (_rules,),
    "aws_vpc": (_of_vpc,),
}
