"""Connections: routes from the private subnets of a VPC to networks outside of it."""

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Network
from typing import Annotated

from cdktf_cdktf_provider_aws.ec2_transit_gateway_vpc_attachment import Ec2TransitGatewayVpcAttachment
from cdktf_cdktf_provider_aws.route import Route
from constructs import Construct

from eks_gitops.config import Cidr, Config, Problem, matching
from eks_gitops.values import id_of_network, listed_twice

_PEERING = "pcx-"


class Connection(Config):
    """Networks outside of the VPC, such as the office or another VPC, and the gateway through which they are reached.

    Nodes, Pods and internal load balancers reach them, and are reached: who is let in, the settings of each cluster say
    (`private_access_cidrs` and `allowed_cidrs`). The way back is part of the transit gateway, or of the other VPC.
    """

    id: Annotated[
        str,
        matching(
            r"(tgw|pcx)-([0-9a-f]{8}|[0-9a-f]{17})",
            "not the ID of a transit gateway or peering connection; write one such as tgw-0123456789abcdef0",
        ),
    ]
    """An existing transit gateway (`tgw-…`), to which the private subnets are attached, or an accepted peering
    connection (`pcx-…`). A change replaces the routes: the networks are unreachable for a moment."""
    cidrs: tuple[Cidr, ...]
    """The networks that are reached through it. One that is removed is no longer reached."""

    @property
    def is_peering(self) -> bool:
        """Whether it is a peering connection, which is not transitive."""
        return self.id.startswith(_PEERING)

    def problems(self) -> Iterator[Problem]:
        """No network, one that is listed twice, or the internet through a peering connection.

        Source: https://docs.aws.amazon.com/vpc/latest/peering/vpc-peering-basics.html
        """
        if not self.cidrs:
            yield Problem("cidrs", "()", "no network; list those that are reached through it, or remove the connection")
        yield from listed_twice("cidrs", self.cidrs, "network")
        for index, cidr in enumerate(self.cidrs):
            if self.is_peering and cidr.prefixlen == 0:
                message = "a peering connection leads to the other VPC, not to the internet; list its networks"
                yield Problem(f"cidrs[{index}]", cidr, message)


def problems_of_connections(
    connections: Sequence[Connection], own: Sequence[IPv4Network], *, has_nat: bool
) -> Iterator[Problem]:
    """What does not fit together. `own` are the networks of the VPC; `has_nat` is whether it has NAT gateways.

    A route to a part of the VPC would need a network interface as its target. Larger networks may contain the VPC: the
    route of the VPC itself is more specific.
    Source: https://docs.aws.amazon.com/vpc/latest/userguide/route-table-options.html
    """
    seen: dict[IPv4Network, str] = {}
    for number, connection in enumerate(connections):
        first = next(other for other, one in enumerate(connections) if one.id == connection.id)
        if first != number:
            message = f"already connections[{first}]; list all its networks there"
            yield Problem(f"connections[{number}].id", connection.id, message)
        for index, cidr in enumerate(connection.cidrs):
            field = f"connections[{number}].cidrs[{index}]"
            if any(cidr.subnet_of(network) for network in own):
                yield Problem(field, cidr, "in the VPC itself; list networks outside of it")
            elif cidr.prefixlen == 0 and has_nat:
                yield Problem(field, cidr, "NAT gateways are the way to the internet; set nat_gateways to none")
            if cidr in seen and seen[cidr] != connection.id:
                message = f"also reached through {seen[cidr]}; list each network once"
                yield Problem(field, cidr, message)
            seen.setdefault(cidr, connection.id)


def connect(
    scope: Construct,
    connection: Connection,
    *,
    vpc_id: str,
    name: str,
    subnet_ids: Sequence[str],
    route_tables: Mapping[str, str],
) -> None:
    """Attach subnets to a transit gateway, or use a peering connection, and route its networks through it.

    `name` is that of the VPC, and `route_tables` are the IDs of the private ones, by zone.
    """
    depends_on = []
    if not connection.is_peering:
        depends_on.append(
            Ec2TransitGatewayVpcAttachment(
                scope,
                f"attachment-{connection.id}",
                transit_gateway_id=connection.id,
                vpc_id=vpc_id,
                subnet_ids=subnet_ids,
                tags={"Name": name},
            )
        )
    for zone, table in route_tables.items():
        for cidr in connection.cidrs:
            Route(
                scope,
                f"route-{zone}-{id_of_network(cidr)}",
                route_table_id=table,
                destination_cidr_block=str(cidr),
                transit_gateway_id=None if connection.is_peering else connection.id,
                vpc_peering_connection_id=connection.id if connection.is_peering else None,
                depends_on=depends_on,
            )
