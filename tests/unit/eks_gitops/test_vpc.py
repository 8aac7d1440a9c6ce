from itertools import permutations

import cdktf
import pytest

from eks_gitops.context import Context
from eks_gitops.key import Key
from eks_gitops.location import Location
from eks_gitops.vpc import Vpc, VpcConfig, Zone
from tests.template import Json, Template, one_stack

SEOUL = Location(account_id="123456789012", region="ap-northeast-2", environment="shared")
ZONES = ("ap-northeast-2a", "ap-northeast-2b", "ap-northeast-2c")


def _zone(number: int) -> Zone:
    return Zone(
        name=ZONES[number - 1],
        public=f"10.0.{number}.0/24",
        private=f"10.0.{32 * number}.0/19",
        database=f"10.0.{10 + number}.0/24",
    )


def _built(config: VpcConfig) -> Template:
    def build(stack: cdktf.TerraformStack) -> None:
        key = Key(stack, "key", location=SEOUL, description="test")
        Vpc(stack, "vpc", config, context=Context(SEOUL, key, "boundary"))

    return one_stack(build)


def _vpc(*zones: Zone, **changes: object) -> VpcConfig:
    return VpcConfig.model_validate(
        {"name": "gitops-vpc", "cidr": "10.0.0.0/16", "zones": zones, "nat_gateways": "one-per-zone", **changes}
    )


def _private_routes(template: Template) -> list[Json]:
    return [route for name, route in template.resources("aws_route").items() if "private-internet" in name]


@pytest.fixture(scope="module")
def two_zones() -> Template:
    return _built(_vpc(_zone(1), _zone(2)))


@pytest.fixture(scope="module")
def three_zones() -> Template:
    return _built(_vpc(_zone(1), _zone(2), _zone(3)))


def test_appending_a_zone_does_not_change_other_zones(two_zones: Template, three_zones: Template) -> None:
    after = {(kind, name): arguments for kind, name, arguments in three_zones.all_resources()}
    for kind, name, before in two_zones.all_resources():
        expected = dict(before)
        if kind == "aws_vpc_endpoint":  # the new zone's route table is added to it
            new = "${aws_route_table.vpc_private-ap-northeast-2c-routes.id}"
            expected["route_table_ids"] = [*before["route_table_ids"], new]
        assert after[kind, name] == expected


def test_appending_a_zone_adds_only_resources_of_that_zone(two_zones: Template, three_zones: Template) -> None:
    before = {(kind, name) for kind, name, _ in two_zones.all_resources()}
    added = {name for kind, name, _ in three_zones.all_resources() if (kind, name) not in before}
    assert added
    assert all("ap-northeast-2c" in name for name in added)


@pytest.mark.parametrize("gateways", [{}, {"nat_gateways": "one", "nat_gateway_zone": ZONES[1]}])
def test_the_order_of_the_zones_has_no_effect(gateways: dict[str, str]) -> None:
    """Lists of subnets and route tables are sets in the provider."""
    built = [
        _built(_vpc(*zones, interface_endpoints=("ecr.api",), **gateways))
        for zones in permutations((_zone(1), _zone(2), _zone(3)))
    ]
    assert all(_unordered(template) == _unordered(built[0]) for template in built[1:])


def _unordered(template: Template) -> dict[tuple[str, str], Json]:
    return {
        (kind, name): {key: sorted(value) if key.endswith("_ids") else value for key, value in arguments.items()}
        for kind, name, arguments in template.all_resources()
    }


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("kind", ["public", "private", "database"])
def test_every_zone_has_a_subnet_of_each_kind(shared: Template, kind: str, zone: str) -> None:
    subnet = shared.resources("aws_subnet")[f"vpc_{kind}-{zone}"]
    assert subnet["availability_zone"] == zone
    assert subnet["tags"]["Name"] == f"gitops-vpc-{kind}-{zone}"


def test_no_subnet_assigns_public_addresses(shared: Template) -> None:
    for subnet in shared.resources("aws_subnet").values():
        assert "map_public_ip_on_launch" not in subnet


def test_public_subnets_are_tagged_for_internet_facing_load_balancers(shared: Template) -> None:
    assert shared.resources("aws_subnet")["vpc_public-ap-northeast-2a"]["tags"] == {
        "Name": "gitops-vpc-public-ap-northeast-2a",
        "kubernetes.io/role/elb": "1",
    }


def test_private_subnets_are_tagged_for_internal_load_balancers_and_karpenter(shared: Template) -> None:
    assert shared.resources("aws_subnet")["vpc_private-ap-northeast-2a"]["tags"] == {
        "Name": "gitops-vpc-private-ap-northeast-2a",
        "kubernetes.io/role/internal-elb": "1",
        "karpenter.sh/discovery": "gitops-vpc",
    }


def test_no_subnet_has_a_cluster_tag(shared: Template) -> None:
    for subnet in shared.resources("aws_subnet").values():
        assert not [tag for tag in subnet["tags"] if tag.startswith("kubernetes.io/cluster")]


def _with_gateways(nat_gateways: str) -> Template:
    one = {"nat_gateway_zone": ZONES[1]} if nat_gateways == "one" else {}
    return _built(_vpc(_zone(1), _zone(2), nat_gateways=nat_gateways, **one))


@pytest.mark.parametrize(("nat_gateways", "zones"), [("none", ()), ("one", ZONES[1:2]), ("one-per-zone", ZONES[:2])])
def test_number_of_nat_gateways(nat_gateways: str, zones: tuple[str, ...]) -> None:
    template = _with_gateways(nat_gateways)
    gateways = template.resources("aws_nat_gateway")
    assert [gateway["subnet_id"] for gateway in gateways.values()] == [
        f"${{aws_subnet.vpc_public-{zone}.id}}" for zone in zones
    ]
    assert len(template.resources("aws_eip")) == len(zones)


def test_a_regional_nat_gateway_has_an_address_in_each_zone_and_no_subnet() -> None:
    template = _with_gateways("regional")
    gateway = template.only("aws_nat_gateway")
    assert (gateway["availability_mode"], gateway["vpc_id"]) == ("regional", "${aws_vpc.vpc.id}")
    assert "subnet_id" not in gateway
    assert gateway["availability_zone_address"] == [
        {"availability_zone": zone, "allocation_ids": [f"${{aws_eip.vpc_nat-address-regional-{zone}.id}}"]}
        for zone in ZONES[:2]
    ]
    assert len(template.resources("aws_eip")) == 2
    through = {route["nat_gateway_id"] for route in _private_routes(template)}
    assert through == {"${aws_nat_gateway.vpc_nat-gateway-regional.id}"}


@pytest.mark.parametrize(("nat_gateways", "through"), [("none", []), ("one", ["b", "b"]), ("one-per-zone", ["a", "b"])])
def test_private_subnets_route_to_the_configured_nat_gateways(nat_gateways: str, through: list[str]) -> None:
    template = _with_gateways(nat_gateways)
    assert [route["nat_gateway_id"] for route in _private_routes(template)] == [
        f"${{aws_nat_gateway.vpc_nat-gateway-ap-northeast-2{zone}.id}}" for zone in through
    ]


def test_only_public_subnets_route_to_the_internet_gateway(shared: Template) -> None:
    routes = [route for route in shared.resources("aws_route").values() if "gateway_id" in route]
    assert [route["route_table_id"] for route in routes] == ["${aws_route_table.vpc_public-routes.id}"]


def test_database_subnets_have_no_route_to_the_internet(shared: Template) -> None:
    database = "${aws_route_table.vpc_database-routes.id}"
    associations = shared.resources("aws_route_table_association")
    assert {associations[f"vpc_database-routes-{zone}"]["route_table_id"] for zone in ZONES} == {database}
    assert database not in [route["route_table_id"] for route in shared.resources("aws_route").values()]


def test_without_database_subnets_there_is_no_route_table_for_them(alternative: dict[str, Template]) -> None:
    template = alternative["us-gov-west-1-shared"]
    assert not [name for name in template.resources("aws_subnet") if "database" in name]
    assert "vpc_database-routes" not in template.resources("aws_route_table")


def test_all_subnets_use_the_gateway_endpoint_of_s3(shared: Template) -> None:
    endpoint = shared.resources("aws_vpc_endpoint")["vpc_s3"]
    assert endpoint["vpc_endpoint_type"] == "Gateway"
    assert endpoint["service_name"] == "com.amazonaws.ap-northeast-2.s3"
    tables = {f"${{aws_route_table.{name}.id}}" for name in shared.resources("aws_route_table")}
    assert set(endpoint["route_table_ids"]) == tables


def test_subnets_can_be_in_a_secondary_network() -> None:
    zones = [
        Zone(name=zone, public=f"10.0.{number}.0/24", private=f"100.64.{32 * number}.0/19")
        for number, zone in enumerate(ZONES)
    ]
    template = _built(_vpc(*zones, secondary_cidrs=("100.64.0.0/16",), interface_endpoints=("sts",)))
    association = template.only("aws_vpc_ipv4_cidr_block_association")
    assert (association["vpc_id"], association["cidr_block"]) == ("${aws_vpc.vpc.id}", "100.64.0.0/16")
    vpcs = {name: subnet["vpc_id"] for name, subnet in template.resources("aws_subnet").items()}
    assert vpcs["vpc_private-ap-northeast-2a"] == "${aws_vpc_ipv4_cidr_block_association.vpc_cidr-100-64-0-0-16.vpc_id}"
    assert vpcs["vpc_public-ap-northeast-2a"] == "${aws_vpc.vpc.id}"
    rules = template.resources("aws_vpc_security_group_ingress_rule").values()
    assert {rule["cidr_ipv4"] for rule in rules} == {"10.0.0.0/16", "100.64.0.0/16"}


@pytest.mark.parametrize(("service", "id_"), [("ecr.api", "ecr-api"), ("ecr.dkr", "ecr-dkr")])
def test_interface_endpoints_are_in_every_private_subnet(shared: Template, service: str, id_: str) -> None:
    endpoint = shared.resources("aws_vpc_endpoint")[f"vpc_endpoint-{id_}"]
    assert endpoint["service_name"] == f"com.amazonaws.ap-northeast-2.{service}"
    assert endpoint["private_dns_enabled"] is True
    assert endpoint["subnet_ids"] == [f"${{aws_subnet.vpc_private-{zone}.id}}" for zone in ZONES]
    assert endpoint["security_group_ids"] == ["${aws_security_group.vpc_endpoints.id}"]


def test_interface_endpoints_accept_only_https_from_the_vpc(shared: Template) -> None:
    rule = shared.only("aws_vpc_security_group_ingress_rule")
    assert (rule["cidr_ipv4"], rule["from_port"], rule["to_port"]) == ("10.0.0.0/16", 443, 443)


def test_without_interface_endpoints_there_is_no_security_group_for_them(two_zones: Template) -> None:
    assert not two_zones.resources("aws_security_group")


def test_default_security_group_has_no_rules(shared: Template) -> None:
    group = shared.only("aws_default_security_group")
    assert group["vpc_id"] == "${aws_vpc.vpc.id}"
    assert not {"ingress", "egress"} & group.keys()


def test_all_traffic_is_logged_per_minute(shared: Template) -> None:
    log = shared.only("aws_flow_log")
    assert log["vpc_id"] == "${aws_vpc.vpc.id}"
    assert (log["traffic_type"], log["max_aggregation_interval"]) == ("ALL", 60)
    assert log["log_destination"] == "${aws_cloudwatch_log_group.vpc_flow-log_log-group.arn}"


def test_flow_logs_are_encrypted_and_expire(shared: Template) -> None:
    group = shared.only("aws_cloudwatch_log_group")
    assert group["name"] == "/aws/vpc/gitops-vpc/flow-logs"
    assert group["kms_key_id"] == "${aws_kms_key.key.arn}"
    assert group["retention_in_days"] == 365


def test_flow_log_role_is_trusted_only_for_this_account(shared: Template) -> None:
    (trust,) = shared.document("aws_iam_role.vpc_flow-log_role", "assume_role_policy")["Statement"]
    assert trust["Principal"] == {"Service": ["vpc-flow-logs.amazonaws.com"]}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}
