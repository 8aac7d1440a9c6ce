"""Vpc: the network of a region, with one public, one private and optionally one database subnet per zone."""

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network
from typing import Annotated, Any, Literal

from cdktf_cdktf_provider_aws.default_security_group import DefaultSecurityGroup
from cdktf_cdktf_provider_aws.eip import Eip
from cdktf_cdktf_provider_aws.internet_gateway import InternetGateway
from cdktf_cdktf_provider_aws.nat_gateway import NatGateway, NatGatewayAvailabilityZoneAddress
from cdktf_cdktf_provider_aws.route import Route
from cdktf_cdktf_provider_aws.route_table import RouteTable
from cdktf_cdktf_provider_aws.route_table_association import RouteTableAssociation
from cdktf_cdktf_provider_aws.security_group import SecurityGroup
from cdktf_cdktf_provider_aws.subnet import Subnet
from cdktf_cdktf_provider_aws.vpc import Vpc as AwsVpc
from cdktf_cdktf_provider_aws.vpc_endpoint import VpcEndpoint
from cdktf_cdktf_provider_aws.vpc_ipv4_cidr_block_association import VpcIpv4CidrBlockAssociation
from cdktf_cdktf_provider_aws.vpc_security_group_ingress_rule import VpcSecurityGroupIngressRule
from constructs import Construct

from eks_gitops.config import Cidr, Config, LogRetentionDays, Problem, matching
from eks_gitops.connections import Connection, connect, problems_of_connections
from eks_gitops.context import Context
from eks_gitops.controller_tags import DISCOVERY_TAG, SUBNET_TAGS
from eks_gitops.endpoint_policies import EndpointPrincipals, interface_policy, s3_policy
from eks_gitops.flow_log import VpcFlowLog
from eks_gitops.security_group import group_description
from eks_gitops.values import id_of_network, listed_twice

FEWEST_ZONES = 2
"""The Availability Zones that EKS and RDS need at least."""

_SMALLEST_AWS_PREFIX = 28
# A load balancer needs /27 with 8 free addresses.
# Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/application-load-balancers.html
_SMALLEST_PREFIXES = {"public": 27, "private": 24, "database": _SMALLEST_AWS_PREFIX}
_LARGEST_AWS_PREFIX = 16
# Source: https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html
_RESERVED = tuple(map(IPv4Network, ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4")))
# A VPC in one of these ranges gets no network of another one; a VPC outside of them gets none of them.
# Source: https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html#add-cidr-block-restrictions
_SEPARATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "198.19.0.0/16")))
_NOT_ADDED_TO_10, _NEXT_TO_IT = IPv4Network("10.0.0.0/16"), IPv4Network("10.0.0.0/15")

InterfaceEndpoint = Literal[
    "acm", "autoscaling", "backup", "ec2", "ec2messages", "ecr.api", "ecr.dkr", "eks", "eks-auth", "elasticfilesystem",
    "elasticloadbalancing", "events", "guardduty-data", "kms", "lambda", "logs", "monitoring", "rds", "secretsmanager",
    "sns", "sqs", "ssm", "ssmmessages", "sts", "xray",
]  # fmt: skip
"""Services of which a platform such as this one is a client; `make preflight` asks whether a region offers them.

Source: https://docs.aws.amazon.com/vpc/latest/privatelink/aws-services-privatelink-support.html
"""


class Zone(Config):
    """The CIDRs of the subnets in one Availability Zone."""

    name: str
    """The Availability Zone, such as `ap-northeast-2a`. A change replaces its subnets, which the guard refuses."""
    public: Cidr
    """The subnet of load balancers and of the NAT gateway. A change replaces it, which the guard refuses."""
    private: Cidr
    """The subnet of nodes, Pods, mount targets and endpoints. A change replaces it, which the guard refuses."""
    database: Cidr | None = None
    """The subnet of the databases, without a route to the internet. A change replaces it, which the guard refuses. If
    no zone has one, databases are in the private subnets."""

    @property
    def subnets(self) -> dict[str, IPv4Network]:
        """The CIDRs of this zone's subnets, by kind."""
        kinds = ("public", "private", "database")
        return {kind: cidr for kind in kinds if (cidr := getattr(self, kind, None)) is not None}

    def problems(self) -> Iterator[Problem]:
        """Subnet sizes that AWS does not allow, or that are too small for nodes and Pods."""
        for kind, cidr in self.subnets.items():
            smallest = _SMALLEST_PREFIXES[kind]
            if not _LARGEST_AWS_PREFIX <= cidr.prefixlen <= smallest:
                yield Problem(
                    kind, cidr, f"a {kind} subnet must be between /{_LARGEST_AWS_PREFIX} and /{smallest}; change it"
                )


class VpcConfig(Config):
    """The VPC of a region and its address plan."""

    name: Annotated[
        str,
        # EC2 rejects security groups whose name starts with sg-. Source: `CreateSecurityGroupRequest` in botocore 1.43
        matching(
            r"(?!sg-)[a-z][a-z0-9-]{0,62}",
            "use 1 to 63 lower-case letters, digits and hyphens, starting with a letter, and not with sg-",
        ),
    ]
    """The name of the VPC, in tags and names of resources. A change replaces the log group of the flow logs, with its
    logs."""
    cidr: Cidr
    """The first network of the VPC. A change replaces the VPC with everything in it, which the guard refuses."""
    secondary_cidrs: tuple[Cidr, ...] = ()
    """Further networks of the VPC, for subnets of zones, such as 100.64.0.0/16 for those of nodes and Pods where the
    company's networks are scarce. Removing one fails while a subnet is in it."""
    zones: tuple[Zone, ...]
    """The Availability Zones, in any order. Adding one replaces all node groups, because EKS cannot change their
    subnets: each new group is created first. Databases, files and load balancers also use it, but no control plane
    (`cluster.zones`). Removing one destroys its subnets, which the guard refuses (docs/runbook/network.md)."""
    nat_gateways: Literal["none", "one", "one-per-zone", "regional"]
    """A trade-off between cost and availability: with `none`, private subnets have no internet access; with `one`, all
    zones depend on `nat_gateway_zone`. `regional` is one gateway that AWS runs in all `zones`, with a public address in
    each as with `one-per-zone`: it costs the same, is in no subnet, and a zone that is added only adds an address to
    it. A change between them replaces the gateways: the public addresses change, and connections break."""
    nat_gateway_zone: str | None = None
    """The zone of the only NAT gateway, required with `one`. A change replaces the gateway: the address from which all
    zones reach the internet changes, and connections break."""
    interface_endpoints: tuple[InterfaceEndpoint, ...] = ()
    """AWS services that are reached by a network interface in each private subnet instead of a NAT gateway, for a price
    per hour and zone."""
    endpoint_principals: EndpointPrincipals = "any"
    """Whose requests pass through the endpoints, S3's among them: of `any` account, of this `account`, or of an
    organization by its ID. It stops data from being sent to accounts of others with their credentials. Not through
    them, but through a NAT gateway, requests are not limited."""
    connections: tuple[Connection, ...] = ()
    """Networks outside of the VPC that are reached through a transit gateway or a peering connection."""
    flow_log_retention_days: LogRetentionDays = 365
    """Days that CloudWatch Logs keeps the flow logs of the VPC. A change to fewer days deletes older ones."""

    @property
    def cidrs(self) -> tuple[Cidr, ...]:
        """All networks of the VPC, the first one first."""
        return (self.cidr, *self.secondary_cidrs)

    @property
    def reaches_the_internet(self) -> bool:
        """Whether private subnets have a route to the internet, by NAT gateways or by a transit gateway."""
        return self.nat_gateways != "none" or any(
            cidr.prefixlen == 0 for connection in self.connections for cidr in connection.cidrs
        )

    def problems(self) -> Iterator[Problem]:
        """An invalid VPC size or network, invalid zones or endpoints, subnets that overlap or are outside the VPC."""
        yield from problems_of_cidr("cidr", self.cidr)
        yield from self._secondary_problems()
        yield from problems_of_zones(self.zones, ("database",))
        yield from listed_twice("interface_endpoints", self.interface_endpoints, "service")
        yield from self._nat_gateway_problems()
        yield from self._subnet_problems()
        yield from problems_of_connections(self.connections, self.cidrs, has_nat=self.nat_gateways != "none")

    def _secondary_problems(self) -> Iterator[Problem]:
        first = next((range_ for range_ in _SEPARATE if self.cidr.overlaps(range_)), None)
        for index, cidr in enumerate(self.secondary_cidrs):
            field = f"secondary_cidrs[{index}]"
            yield from problems_of_cidr(field, cidr)
            other = next((one for one in self.cidrs[: index + 1] if cidr.overlaps(one)), None)
            range_ = next((one for one in _SEPARATE if cidr.overlaps(one)), None)
            if other is not None:
                yield Problem(field, cidr, f"overlaps {other} of the VPC; choose another network")
            elif range_ not in {None, first}:
                message = f"in {range_}, which AWS does not add to {self.cidr}; choose one such as 100.64.0.0/16"
                yield Problem(field, cidr, message)
            elif cidr.overlaps(_NOT_ADDED_TO_10) and self.cidr.overlaps(_NEXT_TO_IT):
                message = f"in {_NOT_ADDED_TO_10}, which AWS does not add to a VPC in {_NEXT_TO_IT}"
                yield Problem(field, cidr, f"{message}; choose another network of 10.0.0.0/8")

    def _nat_gateway_problems(self) -> Iterator[Problem]:
        zone, names = self.nat_gateway_zone, [zone.name for zone in self.zones]
        if self.nat_gateways != "one":
            if zone is not None:
                message = f"only with nat_gateways one, not with {self.nat_gateways}; remove it"
                yield Problem("nat_gateway_zone", zone, message)
        elif zone not in names:
            yield Problem("nat_gateway_zone", zone, f"not a zone of the VPC; choose one of {', '.join(names)}")

    def _subnet_problems(self) -> Iterator[Problem]:
        subnets = [
            (f"zones[{index}].{kind}", cidr)
            for index, zone in enumerate(self.zones)
            for kind, cidr in zone.subnets.items()
        ]
        for number, (field, cidr) in enumerate(subnets):
            if not any(cidr.subnet_of(network) for network in self.cidrs):
                yield Problem(field, cidr, f"not in the VPC; choose a network in {' or '.join(map(str, self.cidrs))}")
            for other, other_cidr in subnets[:number]:
                if cidr.overlaps(other_cidr):
                    yield Problem(field, cidr, f"overlaps {other} ({other_cidr}); change one of them")


def problems_of_cidr(field: str, cidr: IPv4Network) -> Iterator[Problem]:
    """An invalid size or network of a VPC, in `field`."""
    if not _LARGEST_AWS_PREFIX <= cidr.prefixlen <= _SMALLEST_AWS_PREFIX:
        sizes = f"/{_LARGEST_AWS_PREFIX} and /{_SMALLEST_AWS_PREFIX}"
        yield Problem(field, cidr, f"a VPC must be between {sizes}; change it")
    for reserved in _RESERVED:
        if cidr.prefixlen >= _LARGEST_AWS_PREFIX and cidr.overlaps(reserved):
            yield Problem(field, cidr, f"in {reserved}, which AWS reserves; choose one such as 10.0.0.0/16")


def problems_of_zones(zones: Sequence[Any], optional: Sequence[str]) -> Iterator[Problem]:
    """Too few zones, a zone that is listed twice, or an `optional` kind of subnet that only some zones have."""
    if len(zones) < FEWEST_ZONES:
        yield Problem("zones", len(zones), f"EKS and RDS need at least {FEWEST_ZONES} Availability Zones; add one")
    names = [zone.name for zone in zones]
    for index, name in enumerate(names):
        if name in names[:index]:
            yield Problem(f"zones[{index}].name", name, "duplicate; list each Availability Zone once")
    for kind in optional:
        subnets = [getattr(zone, kind) for zone in zones]
        for index, subnet in enumerate(subnets):
            if (subnet is None) != (subnets[0] is None):
                message = f"set in some zones only; give every zone a {kind} subnet, or none"
                yield Problem(f"zones[{index}].{kind}", subnet, message)


class Vpc(Construct):
    """A VPC. The construct IDs of its subnets contain the zone, so a change of one zone does not affect the others.

    The order of `zones` has no effect. The subnets are shared by several clusters, so they have no cluster tag. The AWS
    Load Balancer Controller discovers them by the role tags, and Karpenter by `karpenter.sh/discovery` with the VPC's
    name.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        config: VpcConfig,
        *,
        context: Context,
    ) -> None:
        super().__init__(scope, id_)
        self._config = config
        self._location = context.location
        self._vpc = AwsVpc(
            self,
            "vpc",
            cidr_block=str(config.cidr),
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags={"Name": config.name},
        )
        # No rules, so that a resource without an explicit security group is not reachable.
        DefaultSecurityGroup(
            self, "default-security-group", vpc_id=self._vpc.id, tags={"Name": f"{config.name}-closed"}
        )
        self.id: str = self._vpc.id
        self.arn: str = self._vpc.arn
        # A subnet names the VPC by the association, so that it is created after it.
        self._vpc_ids = {config.cidr: self._vpc.id} | {
            cidr: VpcIpv4CidrBlockAssociation(
                self, f"cidr-{id_of_network(cidr)}", vpc_id=self._vpc.id, cidr_block=str(cidr)
            ).vpc_id
            for cidr in config.secondary_cidrs
        }
        self.private_subnet_ids: dict[str, str] = {}
        self.database_subnet_ids: dict[str, str] = {}
        self.route_tables: list[str] = []
        self._build_zones()
        self._build_endpoints()
        VpcFlowLog(
            self,
            "flow-log",
            context=context,
            vpc_id=self.id,
            name=config.name,
            retention_days=config.flow_log_retention_days,
        )

    def _build_zones(self) -> None:
        internet = InternetGateway(self, "internet-gateway", vpc_id=self.id, tags={"Name": self._config.name})
        public = self._route_table("public")
        Route(
            self,
            "public-internet",
            route_table_id=public.id,
            destination_cidr_block="0.0.0.0/0",
            gateway_id=internet.id,
        )
        database = self._route_table("database") if self._config.zones[0].database else None
        zones = self._config.zones
        self.public_subnet_ids: dict[str, str] = {zone.name: self._subnet("public", zone, public) for zone in zones}
        gateways = self._nat_gateways(internet)
        private_tables: dict[str, str] = {}
        for zone in zones:
            private = self._route_table(f"private-{zone.name}")
            private_tables[zone.name] = private.id
            nat = gateways.get(zone.name)
            if nat is not None:
                Route(
                    self,
                    f"private-internet-{zone.name}",
                    route_table_id=private.id,
                    destination_cidr_block="0.0.0.0/0",
                    nat_gateway_id=nat.id,
                )
            self.private_subnet_ids[zone.name] = self._subnet("private", zone, private)
            if database is not None:
                self.database_subnet_ids[zone.name] = self._subnet("database", zone, database)
        for connection in self._config.connections:
            connect(
                self,
                connection,
                vpc_id=self.id,
                name=self._config.name,
                subnet_ids=list(self.private_subnet_ids.values()),
                route_tables=private_tables,
            )

    def _route_table(self, name: str) -> RouteTable:
        table = RouteTable(self, f"{name}-routes", vpc_id=self.id, tags={"Name": f"{self._config.name}-{name}"})
        self.route_tables.append(table.id)
        return table

    def _subnet(self, kind: str, zone: Zone, routes: RouteTable) -> str:
        discovery = {
            "public": {SUBNET_TAGS["internet-facing"]: "1"},
            "private": {SUBNET_TAGS["internal"]: "1", DISCOVERY_TAG: self._config.name},
            "database": {},
        }
        cidr = zone.subnets[kind]
        subnet = Subnet(
            self,
            f"{kind}-{zone.name}",
            vpc_id=next(id_ for network, id_ in self._vpc_ids.items() if cidr.subnet_of(network)),
            availability_zone=zone.name,
            cidr_block=str(cidr),
            tags={"Name": f"{self._config.name}-{kind}-{zone.name}", **discovery[kind]},
        )
        RouteTableAssociation(self, f"{kind}-routes-{zone.name}", subnet_id=subnet.id, route_table_id=routes.id)
        return subnet.id

    def _nat_gateways(self, internet: InternetGateway) -> dict[str, NatGateway]:
        """The NAT gateway of each zone."""
        zones = [zone.name for zone in self._config.zones]
        if self._config.nat_gateways == "one-per-zone":
            return {zone: self._nat_gateway(zone, internet) for zone in zones}
        if self._config.nat_gateways == "regional":
            return dict.fromkeys(zones, self._regional_nat_gateway(zones, internet))
        if self._config.nat_gateway_zone is not None:  # with `one` alone
            return dict.fromkeys(zones, self._nat_gateway(self._config.nat_gateway_zone, internet))
        return {}

    def _regional_nat_gateway(self, zones: Sequence[str], internet: InternetGateway) -> NatGateway:
        """A gateway with addresses of our own in each zone: AWS would otherwise choose addresses, and change them.

        Source: https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateways-regional.html
        """
        name = f"{self._config.name}-regional"
        return NatGateway(
            self,
            "nat-gateway-regional",
            availability_mode="regional",
            vpc_id=self.id,
            availability_zone_address=[
                NatGatewayAvailabilityZoneAddress(
                    availability_zone=zone,
                    allocation_ids=[self._public_address(f"regional-{zone}", internet).id],
                )
                for zone in zones
            ],
            tags={"Name": name},
            depends_on=[internet],
        )

    def _public_address(self, name: str, internet: InternetGateway) -> Eip:
        tags = {"Name": f"{self._config.name}-{name}"}
        return Eip(self, f"nat-address-{name}", domain="vpc", tags=tags, depends_on=[internet])

    def _nat_gateway(self, zone: str, internet: InternetGateway) -> NatGateway:
        return NatGateway(
            self,
            f"nat-gateway-{zone}",
            subnet_id=self.public_subnet_ids[zone],
            allocation_id=self._public_address(zone, internet).id,
            tags={"Name": f"{self._config.name}-{zone}"},
            depends_on=[internet],
        )

    def _build_endpoints(self) -> None:
        VpcEndpoint(
            self,
            "s3",
            vpc_id=self.id,
            service_name=f"com.amazonaws.{self._location.region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=self.route_tables,
            policy=s3_policy(self._location, self._config.endpoint_principals),
            tags={"Name": f"{self._config.name}-s3"},
        )
        if not self._config.interface_endpoints:
            return
        group = SecurityGroup(
            self,
            "endpoints",
            name=f"{self._config.name}-endpoints",
            description=group_description("HTTPS from inside the VPC to its interface endpoints"),
            vpc_id=self.id,
            tags={"Name": f"{self._config.name}-endpoints"},
        )
        for cidr in self._config.cidrs:
            VpcSecurityGroupIngressRule(
                self,
                "endpoints-https" if cidr == self._config.cidr else f"endpoints-https-{id_of_network(cidr)}",
                security_group_id=group.id,
                description=group_description("HTTPS from inside the VPC"),
                ip_protocol="tcp",
                from_port=443,
                to_port=443,
                cidr_ipv4=str(cidr),
            )
        policy = interface_policy(self._location, self._config.endpoint_principals)
        for service in self._config.interface_endpoints:
            VpcEndpoint(
                self,
                f"endpoint-{service.replace('.', '-')}",
                vpc_id=self.id,
                service_name=f"com.amazonaws.{self._location.region}.{service}",
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=list(self.private_subnet_ids.values()),
                security_group_ids=[group.id],
                policy=policy,
                tags={"Name": f"{self._config.name}-{service}"},
            )
