"""A VPC of a company on the emulated AWS, as an existing VPC must be, and what is in it."""

from ipaddress import IPv4Network
from typing import Any

ZONES = ("ap-northeast-2a", "ap-northeast-2b", "ap-northeast-2c")

_SUBNETS = {
    "private": (19, 64, 32, {"kubernetes.io/role/internal-elb": "1", "karpenter.sh/discovery": "company"}),
    "spare": (20, 160, 16, {}),
    "public": (24, 240, 1, {"kubernetes.io/role/elb": "1"}),
    "database": (24, 250, 1, {}),
}
"""By kind: prefix length, the third number of the address in the first zone, its step, and tags."""


def add_network(ec2: Any, vpc: str) -> dict[str, str]:
    """Add DNS hostnames, subnets named `private-a` and so on, and routes to the internet. Returns the subnets' IDs."""
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    (described,) = ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"]
    network = IPv4Network(described["CidrBlock"])
    ids = {}
    for kind, (prefix, first, step, tags) in _SUBNETS.items():
        for number, zone in enumerate(ZONES):
            address = network.network_address + 256 * (first + number * step)
            made = ec2.create_subnet(VpcId=vpc, AvailabilityZone=zone, CidrBlock=f"{address}/{prefix}")["Subnet"]
            name = f"{kind}-{zone[-1]}"
            ids[name] = made["SubnetId"]
            named = {"Name": name, **tags}
            ec2.create_tags(
                Resources=[made["SubnetId"]], Tags=[{"Key": key, "Value": value} for key, value in named.items()]
            )
    _add_routes(ec2, vpc, ids)
    return ids


def _add_routes(ec2: Any, vpc: str, ids: dict[str, str]) -> None:
    attached = ec2.describe_internet_gateways(Filters=[{"Name": "attachment.vpc-id", "Values": [vpc]}])
    gateways = [gateway["InternetGatewayId"] for gateway in attached["InternetGateways"]]
    if not gateways:
        gateways = [ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]]
        ec2.attach_internet_gateway(InternetGatewayId=gateways[0], VpcId=vpc)
    public = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=public, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateways[0])
    for zone in ZONES:
        ec2.associate_route_table(RouteTableId=public, SubnetId=ids[f"public-{zone[-1]}"])
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    nat = ec2.create_nat_gateway(SubnetId=ids["public-a"], AllocationId=address)["NatGateway"]["NatGatewayId"]
    tables = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"]
    (main,) = [table for table in tables if any(association["Main"] for association in table["Associations"])]
    ec2.create_route(RouteTableId=main["RouteTableId"], DestinationCidrBlock="0.0.0.0/0", NatGatewayId=nat)


def network_of(ec2: Any, vpc: str) -> dict[str, Any]:
    """What the company owns in a VPC. Stacks of the platform add network interfaces and security groups only."""
    of_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
    gateways = ec2.describe_nat_gateways(Filter=of_vpc)["NatGateways"]
    subnets = ec2.describe_subnets(Filters=of_vpc)["Subnets"]
    return {
        "vpc": ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"],
        "subnets": [{**subnet, "AvailableIpAddressCount": None} for subnet in subnets],
        "route tables": ec2.describe_route_tables(Filters=of_vpc)["RouteTables"],
        "internet gateways": ec2.describe_internet_gateways()["InternetGateways"],
        "NAT gateways": [gateway["NatGatewayId"] for gateway in gateways],
        "endpoints": ec2.describe_vpc_endpoints(Filters=of_vpc)["VpcEndpoints"],
        "flow logs": ec2.describe_flow_logs()["FlowLogs"],
        "addresses": ec2.describe_addresses()["Addresses"],
        "ACLs": ec2.describe_network_acls(Filters=of_vpc)["NetworkAcls"],
    }
