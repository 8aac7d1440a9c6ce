"""ExistingVpc: a VPC of the company, which the stacks use and do not manage."""

from collections.abc import Iterator, Mapping
from typing import Annotated

from cdktf import Postcondition, TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.data_aws_subnet import DataAwsSubnet
from cdktf_cdktf_provider_aws.data_aws_vpc import DataAwsVpc
from constructs import Construct

from eks_gitops.config import Cidr, Config, Problem, matching
from eks_gitops.values import TagValue
from eks_gitops.vpc import problems_of_cidr, problems_of_zones

_TAG = "tag:"

# Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/resource-ids.html
_ID = "([0-9a-f]{8}|[0-9a-f]{17})"

Subnet = Annotated[
    str,
    matching(
        rf"subnet-{_ID}|{_TAG}(?!aws:)[\w .:/+@-]{{1,128}}=[\w .:/=+@-]{{1,256}}",
        "neither the ID of a subnet nor a tag; write one such as subnet-0123456789abcdef0, or tag:Name=private-a",
        is_ascii=False,
    ),
]
"""A subnet: its ID, or `tag:`, a key, `=` and a value that no other subnet of the VPC has in the same zone."""


class ExistingZone(Config):
    """The subnets of the company in one Availability Zone."""

    name: str
    """The Availability Zone, such as `ap-northeast-2a`. Terraform refuses subnets that are in another one."""
    private: Subnet
    """The subnet of nodes, Pods and mount targets, by its ID, such as `subnet-0123456789abcdef0`, or by a tag, such as
    `tag:Name=private-a`. Its route to the internet is yours. A change replaces all node groups, each new group before
    the old one, and the mount target; the control plane moves within the zone."""
    public: Subnet | None = None
    """The subnet of internet-facing load balancers, in the same form. Their controller finds it by its tag, which
    `make preflight` checks, as its route to the internet gateway. A change moves no load balancer."""
    database: Subnet | None = None
    """The subnet of the databases, in the same form. If no zone has one, databases are in the private subnets. RDS
    refuses to remove a subnet from a subnet group while a database uses it."""

    @property
    def subnets(self) -> dict[str, str]:
        """The subnets of this zone, by kind."""
        kinds = ("private", "public", "database")
        return {kind: subnet for kind in kinds if (subnet := getattr(self, kind, None)) is not None}

    def problems(self) -> Iterator[Problem]:
        """A subnet that is listed twice."""
        seen: dict[str, str] = {}
        for kind, subnet in self.subnets.items():
            first = seen.setdefault(subnet, kind)
            if first != kind:
                yield Problem(kind, subnet, f"already the {first} subnet; choose another subnet")


class ExistingVpcConfig(Config):
    """A VPC that exists already, in the account of the region. Terraform reads it, and changes nothing in it.

    What it must have is in docs/runbook/network.md; `make preflight` checks it.
    """

    id: Annotated[str, matching(f"vpc-{_ID}", "not the ID of a VPC; write one such as vpc-0123456789abcdef0")]
    """The ID of the VPC. A change replaces clusters, databases and file systems, which the guard refuses."""
    name: TagValue
    """The value of the tag `karpenter.sh/discovery` by which Karpenter finds the private subnets."""
    cidr: Cidr
    """The network of the VPC, or the one of several in which all these subnets are. Load balancers and network policies
    use it. Terraform refuses another one than AWS has."""
    zones: tuple[ExistingZone, ...]
    """The Availability Zones with their subnets, in any order. Adding one replaces all node groups, as in a VPC of the
    platform: each new group is created first. Removing one does the same, and takes databases and files out of it."""

    @property
    def cidrs(self) -> tuple[Cidr, ...]:
        """The networks that are known of the VPC."""
        return (self.cidr,)

    def problems(self) -> Iterator[Problem]:
        """An invalid network, invalid zones, or a subnet that is listed in several zones."""
        yield from problems_of_cidr("cidr", self.cidr)
        yield from problems_of_zones(self.zones, ("public", "database"))
        zones: dict[str, int] = {}
        for index, zone in enumerate(self.zones):
            for kind, subnet in zone.subnets.items():
                first = zones.setdefault(subnet, index)
                if first != index and not subnet.startswith(_TAG):
                    message = f"already in zones[{first}], and a subnet is in one zone; choose another subnet"
                    yield Problem(f"zones[{index}].{kind}", subnet, message)


class ExistingVpc(Construct):
    """The IDs of an existing VPC and its subnets by zone. A plan fails if they are not as in the settings."""

    def __init__(self, scope: Construct, id_: str, config: ExistingVpcConfig) -> None:
        super().__init__(scope, id_)
        self._config = config
        networks = "concat([self.cidr_block], self.cidr_block_associations[*].cidr_block)"
        self._vpc = DataAwsVpc(
            self,
            "vpc",
            id=config.id,
            lifecycle=TerraformResourceLifecycle(
                postcondition=[
                    _that(
                        f'contains({networks}, "{config.cidr}")',
                        f"vpc.cidr: {config.cidr}: not a network of {config.id}, which has ${{self.cidr_block}}",
                    ),
                    # Source: https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html
                    _that(
                        "self.enable_dns_support && self.enable_dns_hostnames",
                        f"{config.id}: nodes need DNS resolution and DNS hostnames; make preflight has the commands",
                    ),
                ]
            ),
        )
        self.id: str = self._vpc.id
        self.private_subnet_ids = self._subnets("private")
        self.public_subnet_ids = self._subnets("public")
        self.database_subnet_ids = self._subnets("database")

    def _subnets(self, kind: str) -> dict[str, str]:
        """The ID of the subnet of each zone."""
        return {
            zone.name: self._subnet(kind, zone.name, zone.subnets[kind])
            for zone in self._config.zones
            if kind in zone.subnets
        }

    def _subnet(self, kind: str, zone: str, subnet: str) -> str:
        network, tag = self._config.cidr, tag_of(subnet)
        found = DataAwsSubnet(
            self,
            f"{kind}-{zone}",
            id=None if tag else subnet,
            vpc_id=self.id if tag else None,
            availability_zone=zone if tag else None,
            tags=tag or None,
            lifecycle=TerraformResourceLifecycle(
                postcondition=[
                    _that(
                        f'self.vpc_id == "{self._config.id}"',
                        f"{subnet}: in ${{self.vpc_id}}, not in {self._config.id}; correct it in vpc.zones",
                    ),
                    _that(
                        f'self.availability_zone == "{zone}"',
                        f"{subnet}: in ${{self.availability_zone}}, not in {zone}; correct it in vpc.zones",
                    ),
                    _that(
                        f'cidrhost("${{split("/", self.cidr_block)[0]}}/{network.prefixlen}", 0) == '
                        f'"{network.network_address}"',
                        f"{subnet}: has ${{self.cidr_block}}, which is not in {network}; correct vpc.cidr or vpc.zones",
                    ),
                ]
            ),
        )
        return found.id


def tag_of(subnet: str) -> Mapping[str, str]:
    """The key and the value of a subnet that is given by a tag; empty if it is given by its ID."""
    key, _, value = subnet.removeprefix(_TAG).partition("=")
    return {key: value} if subnet.startswith(_TAG) else {}


def _that(condition: str, message: str) -> Postcondition:
    return Postcondition(condition=f"${{{condition}}}", error_message=message)
