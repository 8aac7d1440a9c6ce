"""Every check of an existing VPC, once passing and once failing. AWS answers from botocore stubs."""

import io
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.response import StreamingBody

from operations.preflight import existing_vpc, offers
from operations.preflight.check import Line
from operations.preflight.state import NewResources
from operations.terraform.stacks import ExistingVpc, Stack, Subnet
from tests.stacks import ACCOUNT, make_stack
from tests.stubbed_aws import Answer, stubs

Json = dict[str, Any]

VPC = "vpc-0123456789abcdef0"
ZONES = ("ap-northeast-2a", "ap-northeast-2b")
PRIVATE, PUBLIC, DATABASE = ([f"subnet-{kind}{zone[-1]}" for zone in ZONES] for kind in ("private", "public", "data"))
LISTED = (
    f"aws ec2 describe-subnets --filters Name=vpc-id,Values={VPC} "
    "--query 'Subnets[].[SubnetId, AvailabilityZone, CidrBlock]' --output table"
)
ELB, INTERNAL, DISCOVERY = "kubernetes.io/role/elb", "kubernetes.io/role/internal-elb", "karpenter.sh/discovery"


@pytest.fixture
def aws() -> Iterator[Callable[..., Any]]:
    """AWS clients that return these answers in order: service, operation, and the response or an error code."""
    with stubs() as answering:
        yield answering


class Account:
    """A VPC with three subnets in each of two zones, as dev needs them. A test changes it before it is checked."""

    def __init__(self, folder: Path, aws: Callable[..., Any]) -> None:
        self.folder, self._aws = folder, aws
        self.vpc: Json = {"VpcId": VPC, "CidrBlock": "10.0.0.0/16", "OwnerId": ACCOUNT}
        self.dns = {"enableDnsSupport": True, "enableDnsHostnames": True}
        self.subnets: dict[str, Json] = {}
        for number, zone in enumerate(ZONES):
            for third, id_, tags in (
                (32, PRIVATE[number], {INTERNAL: "1", DISCOVERY: "company"}),
                (0, PUBLIC[number], {ELB: "", "tier": "public"}),
                (11, DATABASE[number], {}),
            ):
                self.subnets[id_] = {
                    "SubnetId": id_,
                    "VpcId": VPC,
                    "AvailabilityZone": zone,
                    "CidrBlock": f"10.0.{third * (number + 1)}.0/{19 if third == 32 else 28}",
                    "AvailableIpAddressCount": 8187 if third == 32 else 11,
                    "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
                }
        nat = {"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "nat-1", "State": "active"}
        internet = {"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-1", "State": "active"}
        self.routes: dict[str, list[Json]] = {"rtb-main": [nat], "rtb-public": [internet], "rtb-database": []}
        self.tables = {"rtb-public": PUBLIC, "rtb-database": DATABASE}
        self.endpoints: list[str] = []
        self.elsewhere: list[Json] = []
        self.wanted = [
            Subnet(kind, zone, id_, {} if id_ else {"tier": "public"})
            for number, zone in enumerate(ZONES)
            for kind, id_ in (("private", PRIVATE[number]), ("public", None), ("database", DATABASE[number]))
        ]
        self.addresses = {"private": 4096, "database": 2}
        self.deployed = False

    def tag(self, subnet: str, key: str, value: str | None) -> None:
        """Set or remove a tag of a subnet."""
        tags = [tag for tag in self.subnets[subnet]["Tags"] if tag["Key"] != key]
        self.subnets[subnet]["Tags"] = [*tags, *([{"Key": key, "Value": value}] if value is not None else [])]

    def _stack(self) -> Stack:
        tags = {"private": {INTERNAL: "1", DISCOVERY: "company"}, "public": {ELB: "1"}}
        vpc = ExistingVpc(VPC, "10.0.0.0/16", self.wanted, self.addresses, tags)
        cluster = {"aws_eks_cluster": {"cluster": {"name": "dev"}}}
        document = {"terraform": {"backend": {"s3": {}}}, "resource": cluster}
        (self.folder / "cdk.tf.json").write_text(json.dumps(document))
        return make_stack(directory=self.folder, existing_vpc=vpc)

    def check(self) -> list[Line]:
        """The results, without those that passed."""
        stack = self._stack()
        tables = [
            {
                "RouteTableId": id_,
                "Routes": routes,
                "Associations": [{"Main": False, "SubnetId": subnet} for subnet in self.tables.get(id_, [])]
                or [{"Main": True}],
            }
            for id_, routes in self.routes.items()
        ]
        resources = [{"mode": "managed", "type": "aws_eks_cluster", "name": "cluster"}] if self.deployed else []
        state = json.dumps({"resources": resources}).encode()
        answers: list[Answer] = [
            ("ec2", "describe_vpcs", {"Vpcs": [self.vpc]}),
            *[
                ("ec2", "describe_vpc_attribute", {name[0].upper() + name[1:]: {"Value": value}})
                for name, value in self.dns.items()
            ],
            ("ec2", "describe_subnets", {"Subnets": list(self.subnets.values())}),
            *[("ec2", "describe_subnets", answer) for answer in self.elsewhere],
            ("ec2", "describe_route_tables", {"RouteTables": tables}),
            ("ec2", "describe_vpc_endpoints", {"VpcEndpoints": [{"ServiceName": name} for name in self.endpoints]}),
            ("s3", "get_object", {"Body": StreamingBody(io.BytesIO(state), len(state))}),
        ]
        aws = self._aws(*answers)
        ((name, run),) = existing_vpc.checks([stack], NewResources([stack], aws), aws)
        assert name == VPC
        lines = list(run())
        self.passed = [line for line in lines if line.outcome == "passed"]
        return [line for line in lines if line.outcome != "passed"]


@pytest.fixture
def account(tmp_path: Path, aws: Callable[..., Any]) -> Account:
    return Account(tmp_path, aws)


def _texts(lines: list[Line]) -> list[str]:
    return [f"{line.outcome}: {line.subject}: {line.message}" for line in lines]


def test_a_vpc_with_all_that_a_cluster_needs_passes(account: Account) -> None:
    assert account.check() == []
    assert [f"{line.subject}: {line.message}" for line in account.passed] == [
        f"{VPC}: has the network 10.0.0.0/16",
        f"{VPC}: DNS resolution: enabled",
        f"{VPC}: DNS hostnames: enabled",
        f"{VPC}: private subnet in ap-northeast-2a: subnet-privatea, 10.0.32.0/19, 8187 free addresses",
        f"{VPC}: public subnet in ap-northeast-2a: subnet-publica, 10.0.0.0/28, 11 free addresses",
        f"{VPC}: database subnet in ap-northeast-2a: subnet-dataa, 10.0.11.0/28, 11 free addresses",
        f"{VPC}: private subnet in ap-northeast-2b: subnet-privateb, 10.0.64.0/19, 8187 free addresses",
        f"{VPC}: public subnet in ap-northeast-2b: subnet-publicb, 10.0.0.0/28, 11 free addresses",
        f"{VPC}: database subnet in ap-northeast-2b: subnet-datab, 10.0.22.0/28, 11 free addresses",
        f"{VPC}: addresses of nodes and Pods: 16374 of 16374 are free, 4096 can be needed",
        f"{VPC}: addresses of databases: 20 of 20 are free, 2 can be needed",
    ]


def test_stacks_without_an_existing_vpc_are_not_checked(aws: Callable[..., Any]) -> None:
    stack = make_stack()
    assert list(existing_vpc.checks([stack], NewResources([stack], aws()), aws())) == []


def test_a_vpc_that_does_not_exist_fails(account: Account, aws: Callable[..., Any]) -> None:
    stack = account._stack()
    clients = aws(("ec2", "describe_vpcs", {"Vpcs": []}))
    ((_, run),) = existing_vpc.checks([stack], NewResources([stack], clients), clients)
    assert _texts(list(run())) == [
        (
            f"failed: {VPC}: does not exist in ap-northeast-2; correct vpc.id, one of: "
            "aws ec2 describe-vpcs --query 'Vpcs[].[VpcId, CidrBlock]'"
        )
    ]


def test_a_vpc_that_another_account_shares_fails(account: Account) -> None:
    account.vpc["OwnerId"] = "210987654321"
    assert _texts(account.check()) == [
        (
            f"failed: {VPC}: owned by the account 210987654321, and shared with {ACCOUNT}, whose networks alone the "
            "roles of the platform may use; choose a VPC of that account (docs/adr/0016)"
        )
    ]


def test_the_network_of_the_settings_is_one_of_the_vpc(account: Account) -> None:
    account.vpc |= {
        "CidrBlock": "172.20.0.0/16",
        "CidrBlockAssociationSet": [{"CidrBlock": "172.20.0.0/16"}, {"CidrBlock": "10.0.0.0/16"}],
    }
    assert account.check() == []


def test_another_network_than_that_of_the_settings_fails(account: Account) -> None:
    account.vpc["CidrBlock"] = "172.20.0.0/16"
    assert _texts(account.check()) == [
        f"failed: {VPC}: has 172.20.0.0/16, but the settings say 10.0.0.0/16; correct vpc.cidr"
    ]


@pytest.mark.parametrize(
    ("attribute", "what", "option"),
    [
        ("enableDnsSupport", "DNS resolution", "--enable-dns-support"),
        ("enableDnsHostnames", "DNS hostnames", "--enable-dns-hostnames"),
    ],
)
def test_dns_must_be_enabled(account: Account, attribute: str, what: str, option: str) -> None:
    account.dns[attribute] = False
    assert _texts(account.check()) == [
        (
            f"failed: {VPC}: {what}: disabled, so that nodes cannot join a cluster; enable it: "
            f"aws ec2 modify-vpc-attribute --vpc-id {VPC} {option} '{{\"Value\": true}}'"
        )
    ]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"Subnets": []}, "does not exist"),
        ({"Subnets": [{"VpcId": "vpc-2"}]}, f"in vpc-2, not in {VPC}"),
    ],
)
def test_a_subnet_must_be_in_the_vpc(account: Account, answer: Json, reason: str) -> None:
    del account.subnets[DATABASE[0]]
    account.elsewhere.append(answer)
    assert _texts(account.check()) == [
        f"failed: {VPC}: database subnet in ap-northeast-2a: subnet-dataa: {reason}; choose one of: {LISTED}"
    ]


def test_a_subnet_must_be_in_its_zone(account: Account) -> None:
    account.subnets[DATABASE[0]]["AvailabilityZone"] = "ap-northeast-2c"
    assert _texts(account.check()) == [
        f"failed: {VPC}: database subnet in ap-northeast-2a: subnet-dataa: in ap-northeast-2c; choose one of: {LISTED}"
    ]


def test_a_subnet_must_be_in_the_network_of_the_settings(account: Account) -> None:
    account.subnets[DATABASE[0]]["CidrBlock"] = "100.64.0.0/28"
    assert _texts(account.check()) == [
        (
            f"failed: {VPC}: database subnet in ap-northeast-2a: subnet-dataa: has 100.64.0.0/28, which is not in "
            f"10.0.0.0/16; correct vpc.cidr, or choose one of: {LISTED}"
        )
    ]


def test_a_tag_must_belong_to_one_subnet_of_a_zone(account: Account) -> None:
    account.tag(PUBLIC[0], "tier", None)
    account.tag(DATABASE[1], "tier", "public")
    failed = [line for line in account.check() if line.outcome == "failed"]
    assert _texts(failed) == [
        (
            f"failed: {VPC}: public subnet in ap-northeast-2a: tag:tier=public: no subnet has this tag; "
            f"choose one of: {LISTED}"
        ),
        (
            f"failed: {VPC}: public subnet in ap-northeast-2b: tag:tier=public: subnet-publicb, subnet-datab have "
            "this tag; write the ID of one of them"
        ),
    ]


@pytest.mark.parametrize(
    ("subnet", "where", "key", "value"),
    [
        (PUBLIC[0], "public subnet in ap-northeast-2a", ELB, "1"),
        (PRIVATE[1], "private subnet in ap-northeast-2b", INTERNAL, "1"),
        (PRIVATE[1], "private subnet in ap-northeast-2b", DISCOVERY, "company"),
    ],
)
def test_controllers_need_their_tags(account: Account, subnet: str, where: str, key: str, value: str) -> None:
    account.tag(subnet, key, None)
    assert _texts(account.check()) == [
        (
            f"failed: {VPC}: {where}: {subnet}: without the tag {key}; set it: "
            f"aws ec2 create-tags --resources {subnet} --tags 'Key={key},Value={value}'"
        )
    ]


def test_the_tag_of_karpenter_must_have_the_name_of_the_vpc(account: Account) -> None:
    account.tag(PRIVATE[0], DISCOVERY, "other")
    assert _texts(account.check()) == [
        (
            f"failed: {VPC}: private subnet in ap-northeast-2a: subnet-privatea: the tag {DISCOVERY} is 'other', but "
            "vpc.name is 'company'; change vpc.name, or: "
            f"aws ec2 create-tags --resources subnet-privatea --tags 'Key={DISCOVERY},Value=company'"
        )
    ]


def test_other_subnets_with_these_tags_are_a_warning(account: Account) -> None:
    account.tag(DATABASE[0], INTERNAL, "")
    account.tag(DATABASE[0], DISCOVERY, "company")
    account.tag(DATABASE[1], DISCOVERY, "other")
    assert _texts(account.check()) == [
        f"warning: {VPC}: subnet-dataa: has the tag {key}, so that the controller can choose it, but is no private "
        f"subnet of vpc.zones; add it, or: aws ec2 delete-tags --resources subnet-dataa --tags Key={key}"
        for key in (DISCOVERY, INTERNAL)
    ]


def test_a_tag_of_an_environment_denies_the_others(account: Account) -> None:
    account.vpc["Tags"] = [{"Key": "Environment", "Value": "network"}]
    account.tag(PRIVATE[0], "Environment", "dev")
    account.tag(PRIVATE[1], "Environment", "shared")
    reason = "with which the roles of other environments may not use it; remove it, or"
    assert _texts(account.check()) == [
        (
            f"failed: {VPC}: has the tag Environment 'network', {reason}: "
            f"aws ec2 create-tags --resources {VPC} --tags Key=Environment,Value=shared"
        ),
        (
            f"failed: {VPC}: private subnet in ap-northeast-2a: has the tag Environment 'dev', {reason}: "
            "aws ec2 create-tags --resources subnet-privatea --tags Key=Environment,Value=shared"
        ),
    ]


def test_a_load_balancer_needs_eight_free_addresses(account: Account) -> None:
    account.subnets[PUBLIC[0]]["AvailableIpAddressCount"] = 7
    account.subnets[DATABASE[0]]["AvailableIpAddressCount"] = 7
    assert _texts(account.check()) == [
        (
            f"failed: {VPC}: public subnet in ap-northeast-2a: subnet-publica: 7 free addresses; "
            "a load balancer needs 8, choose another one"
        )
    ]


def _route(id_: str | None, state: str = "active") -> Json:
    target = "GatewayId" if str(id_).startswith("igw-") else "NatGatewayId"
    return {"DestinationCidrBlock": "0.0.0.0/0", target: id_, "State": state}


@pytest.mark.parametrize(
    ("table", "routes", "failed"),
    [
        ("rtb-public", [], "no route to an internet gateway; add it: aws ec2 create-route {} --gateway-id {}"),
        (
            "rtb-public",
            [_route("nat-1")],
            "no route to an internet gateway; add it: aws ec2 replace-route {} --gateway-id {}",
        ),
        (
            "rtb-public",
            [_route("igw-1", "blackhole")],
            "its route to 0.0.0.0/0 leads to nothing; aws ec2 replace-route {} --gateway-id {}",
        ),
        (
            "rtb-main",
            [_route("nat-1", "blackhole")],
            "its route to 0.0.0.0/0 leads to nothing; aws ec2 replace-route {} --nat-gateway-id {}",
        ),
        (
            "rtb-main",
            [_route("igw-1")],
            (
                "its route leads to an internet gateway, but nodes have no public addresses; choose another subnet, "
                "or: aws ec2 replace-route {} --nat-gateway-id {}"
            ),
        ),
        (
            "rtb-main",
            [{"DestinationPrefixListId": "pl-1", "GatewayId": "vpce-1", "State": "active"}],
            (
                "no route to 0.0.0.0/0, and no endpoints of ec2, ecr.api, ecr.dkr, eks, eks-auth, "
                "elasticloadbalancing, s3, sts for nodes; add a route: aws ec2 create-route {} --nat-gateway-id {}"
            ),
        ),
    ],
)
def test_subnets_need_their_routes(account: Account, table: str, routes: list[Json], failed: str) -> None:
    account.routes[table] = routes
    kind, gateway = ("public", "INTERNET_GATEWAY") if table == "rtb-public" else ("private", "NAT_GATEWAY")
    found = account.check()
    assert {line.outcome for line in found} == {"failed"}
    where = f"--route-table-id {table} --destination-cidr-block 0.0.0.0/0"
    assert [line.message for line in found] == [
        f"subnet-{kind}{letter}: {failed.format(where, gateway)}" for letter in "ab"
    ]


@pytest.mark.parametrize("target", ["TransitGatewayId", "NetworkInterfaceId", "VpcPeeringConnectionId"])
def test_private_subnets_may_reach_the_internet_by_any_other_target(account: Account, target: str) -> None:
    account.routes["rtb-main"] = [{"DestinationCidrBlock": "0.0.0.0/0", target: "any", "State": "active"}]
    assert account.check() == []


def test_endpoints_alone_are_a_warning(account: Account) -> None:
    account.routes["rtb-main"] = []
    account.endpoints = [f"com.amazonaws.ap-northeast-2.{name}" for name in existing_vpc._ENDPOINTS]
    found = account.check()
    assert [line.outcome for line in found] == ["warning", "warning"]
    assert found[0].message == (
        "subnet-privatea: no route to 0.0.0.0/0: nodes can start, but Argo CD reaches no Git and no charts; add a "
        "route: aws ec2 create-route --route-table-id rtb-main --destination-cidr-block 0.0.0.0/0 "
        "--nat-gateway-id NAT_GATEWAY"
    )


@pytest.mark.parametrize(
    ("addresses", "failed"),
    [
        (
            {"private": 20_000},
            "nodes and Pods: 16374, but 20000 can be needed; choose larger private subnets, or lower max_size",
        ),
        ({"database": 21}, "databases: 20, but 21 can be needed; choose larger database subnets, or lower max_size"),
    ],
)
def test_subnets_must_be_large_enough(account: Account, addresses: Mapping[str, int], failed: str) -> None:
    account.addresses |= addresses
    assert _texts(account.check()) == [f"failed: {VPC}: addresses of {failed}"]


def test_a_new_cluster_needs_free_addresses(account: Account) -> None:
    for subnet in PRIVATE:
        account.subnets[subnet]["AvailableIpAddressCount"] = 1_000
    assert _texts(account.check()) == [
        (
            f"failed: {VPC}: addresses of nodes and Pods: 2000 are free, but new clusters can need 4096; "
            "choose other private subnets, or lower max_size"
        )
    ]


def test_a_cluster_that_exists_uses_addresses_already(account: Account) -> None:
    account.deployed = True
    for subnet in PRIVATE:
        account.subnets[subnet]["AvailableIpAddressCount"] = 1_000
    assert account.check() == []


def test_without_database_subnets_their_addresses_are_not_counted(account: Account) -> None:
    account.wanted = [subnet for subnet in account.wanted if subnet.kind != "database"]
    account.addresses["database"] = 1_000
    assert account.check() == []


def test_instance_types_must_be_offered_in_the_zones_of_the_vpc(account: Account, aws: Callable[..., Any]) -> None:
    group = {"node_group_name_prefix": "main-", "instance_types": ["t3.medium"]}
    stack = account._stack()
    document = {"terraform": {"backend": {"s3": {}}}, "resource": {"aws_eks_node_group": {"main": group}}}
    (account.folder / "cdk.tf.json").write_text(json.dumps(document))
    offered = {"InstanceTypeOfferings": [{"InstanceType": "t3.medium", "Location": ZONES[0]}]}
    ((_, run),) = offers.checks([stack], aws(("ec2", "describe_instance_type_offerings", offered)))
    (line,) = run()
    assert (line.outcome, "not offered in ap-northeast-2b" in line.message) == ("failed", True)
