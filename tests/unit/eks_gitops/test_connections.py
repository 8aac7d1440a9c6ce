"""Connections to other networks, and who uses the endpoints of a VPC."""

import json

import cdktf
import pytest

from eks_gitops.context import Context
from eks_gitops.delivery import apply_shared_policy
from eks_gitops.key import Key
from eks_gitops.location import Location
from eks_gitops.vpc import Vpc, VpcConfig
from tests.template import Json, Template, one_stack

SEOUL = Location(account_id="123456789012", region="ap-northeast-2", environment="shared")
GATEWAY, PEERING = "tgw-0123456789abcdef0", "pcx-0123456789abcdef0"
ZONES = [
    {"name": f"ap-northeast-2{zone}", "public": f"10.0.{number}.0/24", "private": f"10.0.{32 * number}.0/19"}
    for number, zone in ((1, "a"), (2, "b"))
]


def _config(**changes: object) -> VpcConfig:
    settings = {"name": "gitops-vpc", "cidr": "10.0.0.0/16", "zones": tuple(ZONES), "nat_gateways": "one-per-zone"}
    return VpcConfig.model_validate({**settings, **changes})


def _built(**changes: object) -> Template:
    def build(stack: cdktf.TerraformStack) -> None:
        key = Key(stack, "key", location=SEOUL, description="test")
        Vpc(stack, "vpc", _config(**changes), context=Context(SEOUL, key, "boundary"))

    return one_stack(build)


def _connections(*given: tuple[str, tuple[str, ...]]) -> tuple[dict[str, object], ...]:
    return tuple({"id": id_, "cidrs": cidrs} for id_, cidrs in given)


def _routes(template: Template, network: str) -> list[Json]:
    return [route for route in template.resources("aws_route").values() if route["destination_cidr_block"] == network]


def test_private_subnets_reach_networks_through_a_transit_gateway() -> None:
    template = _built(connections=_connections((GATEWAY, ("10.0.0.0/8", "192.168.0.0/16"))))
    attachment = template.only("aws_ec2_transit_gateway_vpc_attachment")
    assert attachment["transit_gateway_id"] == GATEWAY
    assert attachment["subnet_ids"] == [f"${{aws_subnet.vpc_private-{zone['name']}.id}}" for zone in ZONES]
    for network in ("10.0.0.0/8", "192.168.0.0/16"):
        routes = _routes(template, network)
        assert [route["route_table_id"] for route in routes] == [
            f"${{aws_route_table.vpc_private-{zone['name']}-routes.id}}" for zone in ZONES
        ]
        for route in routes:
            assert route["transit_gateway_id"] == GATEWAY
            assert route["depends_on"] == [f"aws_ec2_transit_gateway_vpc_attachment.vpc_attachment-{GATEWAY}"]


def test_a_peering_connection_is_only_routed_to() -> None:
    template = _built(connections=_connections((PEERING, ("10.9.0.0/16",))))
    assert not template.resources("aws_ec2_transit_gateway_vpc_attachment")
    assert [route["vpc_peering_connection_id"] for route in _routes(template, "10.9.0.0/16")] == [PEERING, PEERING]


def test_a_network_that_is_added_does_not_change_the_routes_of_others() -> None:
    before, after = (
        _built(connections=_connections((GATEWAY, networks)))
        for networks in (("10.9.0.0/16",), ("10.8.0.0/16", "10.9.0.0/16"))
    )
    assert before.resources("aws_route").items() <= after.resources("aws_route").items()


def test_a_transit_gateway_can_be_the_way_to_the_internet() -> None:
    changes = {"connections": _connections((GATEWAY, ("0.0.0.0/0",))), "nat_gateways": "none"}
    assert {
        route["transit_gateway_id"] for route in _routes(_built(**changes), "0.0.0.0/0") if "gateway_id" not in route
    } == {GATEWAY}


@pytest.mark.parametrize(
    ("principals", "condition"),
    [
        ("account", {"StringEquals": {"aws:PrincipalAccount": "123456789012"}}),
        ("o-a1b2c3d4e5", {"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}),
    ],
)
def test_endpoints_pass_only_requests_of_the_own_account_or_organization(
    principals: str, condition: dict[str, object]
) -> None:
    template = _built(endpoint_principals=principals, interface_endpoints=("sts",))
    endpoints = template.resources("aws_vpc_endpoint")
    own, services = json.loads(endpoints["vpc_endpoint-sts"]["policy"])["Statement"]
    assert own["Condition"] == condition
    assert services["Condition"] == {"Bool": {"aws:PrincipalIsAWSService": "true"}}
    *same, images = json.loads(endpoints["vpc_s3"]["policy"])["Statement"]
    assert same == [own, services]
    assert (images["Action"], images["Principal"]) == (["s3:GetObject"], "*")
    assert images["Resource"] == [
        "arn:aws:s3:::al2023-repos-ap-northeast-2-de612dc2/*",
        "arn:aws:s3:::prod-ap-northeast-2-starport-layer-bucket/*",
    ]


def test_endpoints_have_no_policy_by_default() -> None:
    endpoints = _built(interface_endpoints=("sts",)).resources("aws_vpc_endpoint").values()
    assert not any("policy" in endpoint for endpoint in endpoints)


def test_only_with_a_transit_gateway_the_apply_role_attaches_the_vpc() -> None:
    assert "TransitGateway" not in str(apply_shared_policy.statements(SEOUL, _config()))
    config = _config(connections=_connections((GATEWAY, ("10.9.0.0/16",)), (PEERING, ("10.8.0.0/16",))))
    (*_, attach) = apply_shared_policy.statements(SEOUL, config)["network"]
    assert attach.actions == ["ec2:CreateTransitGatewayVpcAttachment"]
    assert attach.resources == [f"arn:aws:ec2:ap-northeast-2:*:transit-gateway/{GATEWAY}"]


def test_only_with_secondary_networks_the_apply_role_adds_them() -> None:
    assert "AssociateVpcCidrBlock" not in str(apply_shared_policy.statements(SEOUL, _config()))
    config = _config(secondary_cidrs=("100.64.0.0/16",))
    assert "ec2:AssociateVpcCidrBlock" in str(apply_shared_policy.statements(SEOUL, config)["network"])


def test_in_an_existing_vpc_the_apply_role_makes_only_what_hosts_and_runners_need() -> None:
    assert "ec2:" not in str(apply_shared_policy.statements(SEOUL, None))
    policies = apply_shared_policy.statements(SEOUL, None, access_host=True)
    assert "network" not in policies
    subnets = [one for one in policies["existing-vpc"] if one.sid == "InSubnets"]
    assert [one.actions for one in subnets] == [["ec2:RunInstances"]]
