"""Checks what a VPC is connected to: services of interface endpoints, transit gateways and peering connections."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from operations.clients.aws import paginate
from operations.preflight.check import Check, Clients, Line
from operations.terraform.stacks import Stack


def checks(stacks: Sequence[Stack], aws: Clients) -> Iterator[tuple[str, Check]]:
    """A check for the interface endpoints of a VPC, and one for each transit gateway and peering connection."""
    resources = [(kind, arguments) for stack in stacks for kind, _, arguments in stack.resources()]
    interfaces = [
        endpoint
        for kind, endpoint in resources
        if kind == "aws_vpc_endpoint" and endpoint["vpc_endpoint_type"] == "Interface"
    ]
    zones = sorted({subnet["availability_zone"] for kind, subnet in resources if kind == "aws_subnet"})
    if interfaces:
        yield "interface endpoints", partial(endpoints, interfaces, zones, aws)
    for kind, attachment in resources:
        if kind == "aws_ec2_transit_gateway_vpc_attachment":
            gateway = attachment["transit_gateway_id"]
            yield f"transit gateway {gateway}", partial(transit_gateway, gateway, stacks[0].account_id, aws)
    networks: dict[str, set[str]] = {}
    for kind, route in resources:
        if kind == "aws_route" and "vpc_peering_connection_id" in route:
            networks.setdefault(route["vpc_peering_connection_id"], set()).add(route["destination_cidr_block"])
    for peering, reached in networks.items():
        yield f"peering connection {peering}", partial(peering_connection, peering, sorted(reached), aws)


def endpoints(interfaces: Sequence[dict[str, Any]], zones: Sequence[str], aws: Clients) -> Iterator[Line]:
    """Whether the region offers each service in all zones of the VPC, and with a policy if the endpoint has one."""
    known = paginate(aws("ec2"), "describe_vpc_endpoint_services", "ServiceDetails")
    offered = {service["ServiceName"]: service for service in known}
    for endpoint in interfaces:
        service = offered.get(endpoint["service_name"])
        name = endpoint["service_name"].split(".", 3)[3]
        subject = f"interface endpoint {name}"
        if service is None:
            yield Line(subject, "failed", "not offered in this region; remove it from vpc.interface_endpoints")
        elif lacking := [zone for zone in zones if zone not in service["AvailabilityZones"]]:
            message = f"not offered in {', '.join(lacking)}; remove it from vpc.interface_endpoints, or the zone"
            yield Line(subject, "failed", message)
        elif endpoint.get("policy") and not service["VpcEndpointPolicySupported"]:
            message = "accepts no policy; remove it from vpc.interface_endpoints, or set vpc.endpoint_principals to any"
            yield Line(subject, "failed", message)
        else:
            yield Line(subject, "passed", f"offered in {', '.join(zones)}")


def transit_gateway(gateway: str, account_id: str, aws: Clients) -> Iterator[Line]:
    """Whether a transit gateway is available, and accepts attachments of this account without a person.

    Source: https://docs.aws.amazon.com/vpc/latest/tgw/working-with-transit-gateways.html
    """
    subject = f"transit gateway {gateway}"
    one = _described("describe_transit_gateways", "TransitGateways", "transit-gateway-id", gateway, aws)
    if one is None:
        message = "does not exist in this region, or is not shared with this account; share it with AWS RAM"
        yield Line(subject, "failed", message)
    elif one["State"] != "available":
        yield Line(subject, "failed", f"is {one['State']}; wait until it is available")
    elif one["OwnerId"] != account_id and one["Options"]["AutoAcceptSharedAttachments"] == "disable":
        message = (
            f"account {one['OwnerId']} accepts attachments by hand, and until then the routes fail: "
            "deploy, let them accept the attachment, and deploy again"
        )
        yield Line(subject, "warning", message)
    else:
        yield Line(subject, "passed", "available")


def peering_connection(peering: str, networks: Sequence[str], aws: Clients) -> Iterator[Line]:
    """Whether a peering connection is active, and leads to the networks of its routes."""
    subject = f"peering connection {peering}"
    one = _described(
        "describe_vpc_peering_connections", "VpcPeeringConnections", "vpc-peering-connection-id", peering, aws
    )
    if one is None:
        yield Line(subject, "failed", "does not exist in this region; correct vpc.connections")
    elif (status := one["Status"]["Code"]) == "pending-acceptance":
        message = f"not accepted: aws ec2 accept-vpc-peering-connection --vpc-peering-connection-id {peering}"
        yield Line(subject, "failed", message)
    elif status != "active":
        yield Line(subject, "failed", f"is {status}; create it again, and correct vpc.connections")
    else:
        yield Line(subject, "passed", f"active, leads to {', '.join(networks)}")


def _described(operation: str, key: str, filter_: str, id_: str, aws: Clients) -> dict[str, Any] | None:
    """What EC2 says about one resource; None if it does not exist. A filter, because an unknown ID is an error."""
    return next(paginate(aws("ec2"), operation, key, Filters=[{"Name": filter_, "Values": [id_]}]), None)
