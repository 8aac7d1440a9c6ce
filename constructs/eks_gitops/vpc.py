"""Vpc: the network of a region, with one public, one private and optionally one database subnet per zone."""

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network
from typing import Annotated, Literal

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
from cdktf_cdktf_provider_aws.vpc_security_group_ingress_rule import VpcSecurityGroupIngressRule
from constructs import Construct

from eks_gitops.config import Cidr, Config, LogRetentionDays, Problem, matching
from eks_gitops.context import Context
from eks_gitops.controller_tags import SUBNET_TAGS
from eks_gitops.flow_log import VpcFlowLog
from eks_gitops.security_group import group_description
from eks_gitops.values import listed_twice

FEWEST_ZONES = 2
"""The Availability Zones that EKS and RDS need at least."""

_SMALLEST_AWS_PREFIX = 28
# A load balancer needs /27 with 8 free addresses.
# Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/application-load-balancers.html
_SMALLEST_PREFIXES = {"public": 27, "private": 24, "database": _SMALLEST_AWS_PREFIX}
_LARGEST_AWS_PREFIX = 16
# Source: https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html
_RESERVED = tuple(map(IPv4Network, ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4")))

InterfaceEndpoint = Literal[
    "autoscaling", "ec2", "ecr.api", "ecr.dkr", "eks", "eks-auth", "elasticloadbalancing", "kms", "logs",
    "secretsmanager", "sqs", "ssm", "ssmmessages", "sts",
]  # fmt: skip


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
    """All addresses of the VPC. A change replaces the VPC with everything in it, which the guard refuses."""
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
    flow_log_retention_days: LogRetentionDays = 365
    """Days that CloudWatch Logs keeps the flow logs of the VPC. A change to fewer days deletes older ones."""

    def problems(self) -> Iterator[Problem]:
        """An invalid VPC size or network, invalid zones or endpoints, subnets that overlap or are outside the VPC."""
        if not _LARGEST_AWS_PREFIX <= self.cidr.prefixlen <= _SMALLEST_AWS_PREFIX:
            sizes = f"/{_LARGEST_AWS_PREFIX} and /{_SMALLEST_AWS_PREFIX}"
            yield Problem("cidr", self.cidr, f"a VPC must be between {sizes}; change it")
        for reserved in _RESERVED:
            if self.cidr.prefixlen >= _LARGEST_AWS_PREFIX and self.cidr.overlaps(reserved):
                yield Problem("cidr", self.cidr, f"in {reserved}, which AWS reserves; choose one such as 10.0.0.0/16")
        if len(self.zones) < FEWEST_ZONES:
            yield Problem(
                "zones", len(self.zones), f"EKS and RDS need at least {FEWEST_ZONES} Availability Zones; add one"
            )
        yield from listed_twice("interface_endpoints", self.interface_endpoints, "service")
        yield from self._zone_problems()
        yield from self._nat_gateway_problems()
        yield from self._subnet_problems()

    def _zone_problems(self) -> Iterator[Problem]:
        names = [zone.name for zone in self.zones]
        for index, name in enumerate(names):
            if name in names[:index]:
                yield Problem(f"zones[{index}].name", name, "duplicate; list each Availability Zone once")
        for index, zone in enumerate(self.zones):
            if (zone.database is None) != (self.zones[0].database is None):
                message = "set in some zones only; give every zone a database subnet, or none"
                yield Problem(f"zones[{index}].database", zone.database, message)

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
            if not cidr.subnet_of(self.cidr):
                yield Problem(field, cidr, f"not in the VPC; choose a network in {self.cidr}")
            for other, other_cidr in subnets[:number]:
                if cidr.overlaps(other_cidr):
                    yield Problem(field, cidr, f"overlaps {other} ({other_cidr}); change one of them")


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
        self._region = context.location.region
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
        for zone in zones:
            private = self._route_table(f"private-{zone.name}")
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

    def _route_table(self, name: str) -> RouteTable:
        table = RouteTable(self, f"{name}-routes", vpc_id=self.id, tags={"Name": f"{self._config.name}-{name}"})
        self.route_tables.append(table.id)
        return table

    def _subnet(self, kind: str, zone: Zone, routes: RouteTable) -> str:
        discovery = {
            "public": {SUBNET_TAGS["internet-facing"]: "1"},
            "private": {SUBNET_TAGS["internal"]: "1", "karpenter.sh/discovery": self._config.name},
            "database": {},
        }
        subnet = Subnet(
            self,
            f"{kind}-{zone.name}",
            vpc_id=self.id,
            availability_zone=zone.name,
            cidr_block=str(zone.subnets[kind]),
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
            service_name=f"com.amazonaws.{self._region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=self.route_tables,
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
        VpcSecurityGroupIngressRule(
            self,
            "endpoints-https",
            security_group_id=group.id,
            description=group_description("HTTPS from inside the VPC"),
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            cidr_ipv4=str(self._config.cidr),
        )
        for service in self._config.interface_endpoints:
            VpcEndpoint(
                self,
                f"endpoint-{service.replace('.', '-')}",
                vpc_id=self.id,
                service_name=f"com.amazonaws.{self._region}.{service}",
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=list(self.private_subnet_ids.values()),
                security_group_ids=[group.id],
                tags={"Name": f"{self._config.name}-{service}"},
            )
