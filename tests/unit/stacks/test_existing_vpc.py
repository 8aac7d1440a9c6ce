"""The example with an existing VPC: the stacks read the network, and own none of it."""

from pathlib import Path
from typing import Any

import pytest

from operations.terraform.stacks import ExistingVpc, Stack, Subnet, read_stacks
from stacks import rules, warnings
from stacks.settings import Owner, Region
from tests.edited_settings import EditedSettings
from tests.policies import Role
from tests.template import Template, every_stack, resolved

_ZONES = ("ap-northeast-2a", "ap-northeast-2b", "ap-northeast-2c")
_NETWORK = {
    "aws_default_security_group", "aws_eip", "aws_flow_log", "aws_internet_gateway", "aws_nat_gateway", "aws_route",
    "aws_route_table", "aws_route_table_association", "aws_subnet", "aws_vpc", "aws_vpc_endpoint",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The settings, and in `out` their synthesized stacks."""
    return tmp_path_factory.mktemp("existing-vpc")


@pytest.fixture(scope="module")
def settings(folder: Path) -> tuple[Owner, list[Region]]:
    edited = EditedSettings(folder)
    edited.use_existing_vpc()
    edited.replace("ap_northeast_2/dev.py", "databases=(", 'karpenter={"max_nodes": 5}, databases=(')
    return edited.load()


@pytest.fixture(scope="module")
def existing(folder: Path, settings: tuple[Owner, list[Region]]) -> dict[str, Template]:
    return every_stack(settings, folder / "out")


@pytest.fixture(scope="module")
def described(folder: Path, existing: dict[str, Template]) -> dict[str, Stack]:  # noqa: ARG001 (writes the output)
    return {stack.name: stack for stack in read_stacks(folder / "out")}


def test_the_stacks_own_no_network(existing: dict[str, Template], platform: dict[str, Template]) -> None:
    def owned(stacks: dict[str, Template]) -> set[str]:
        return {kind for stack in stacks.values() for kind, _, _ in stack.all_resources()} & _NETWORK

    assert owned(existing) == set()
    assert owned(platform) == _NETWORK


def test_no_log_group_and_key_policy_is_for_flow_logs(existing: dict[str, Template]) -> None:
    shared = existing["ap-northeast-2-shared"]
    assert shared.resources("aws_cloudwatch_log_group") == {}
    sids = [statement.get("Sid") for statement in shared.document("aws_kms_key.key")["Statement"]]
    assert "CloudWatchLogs" not in sids


def test_the_outputs_name_the_vpc(existing: dict[str, Template]) -> None:
    assert existing["ap-northeast-2-shared"].json["output"]["vpc_id"]["value"] == "${data.aws_vpc.vpc.id}"


@pytest.mark.parametrize(
    ("kind", "attribute", "subnets"),
    [("aws_eks_node_group", "subnet_ids", "private"), ("aws_db_subnet_group", "subnet_ids", "database")],
)
def test_nodes_and_databases_are_in_its_subnets(
    existing: dict[str, Template], kind: str, attribute: str, subnets: str
) -> None:
    (resource, *_) = existing["ap-northeast-2-prod"].resources(kind).values()
    found = [resolved(value, existing) for value in resource[attribute]]
    assert found == [f"${{data.aws_subnet.vpc_{subnets}-{zone}.id}}" for zone in _ZONES]


def test_the_cluster_secret_has_its_name_and_network(existing: dict[str, Template]) -> None:
    secrets = existing["ap-northeast-2-dev-gitops"].resources("kubernetes_secret_v1").values()
    (annotations,) = [found for one in secrets if (found := one["metadata"].get("annotations", {}))]
    assert resolved(annotations["platform/vpc-id"], existing) == "${data.aws_vpc.vpc.id}"
    assert (annotations["platform/vpc-name"], annotations["platform/vpc-cidr"]) == ("company", "10.0.0.0/16")


_VPC = "arn:aws:ec2:ap-northeast-2:123456789012:vpc/vpc-0123456789abcdef0"
_SUBNET = "arn:aws:ec2:ap-northeast-2:123456789012:subnet/subnet-0123456789abcde0a"


@pytest.mark.parametrize("role", ["plan_role", "apply-shared_role", "apply-dev_role"])
@pytest.mark.parametrize(
    "action", ["DescribeRouteTables", "DescribeSubnets", "DescribeVpcAttribute", "DescribeVpcEndpoints", "DescribeVpcs"]
)
def test_delivery_roles_may_read_it(existing: dict[str, Template], role: str, action: str) -> None:
    assert Role(existing["ap-northeast-2-shared"], role).may(f"ec2:{action}", "*", tags={})


@pytest.mark.parametrize("tags", [{}, {"Environment": "shared"}])
@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("CreateSubnet", _VPC),
        ("CreateTags", _SUBNET),
        ("DeleteSubnet", _SUBNET),
        ("DeleteVpc", _VPC),
        ("ModifyVpcAttribute", _VPC),
    ],
)
def test_the_apply_role_of_shared_cannot_change_it(
    existing: dict[str, Template], action: str, resource: str, tags: dict[str, str]
) -> None:
    assert not Role(existing["ap-northeast-2-shared"], "apply-shared_role").may(f"ec2:{action}", resource, tags=tags)


@pytest.mark.parametrize(
    ("tags", "allowed"), [({}, True), ({"Environment": "shared"}, True), ({"Environment": "network"}, False)]
)
def test_an_environment_may_use_it_unless_a_tag_says_that_it_is_of_another_one(
    existing: dict[str, Template], tags: dict[str, str], *, allowed: bool
) -> None:
    role = Role(existing["ap-northeast-2-shared"], "apply-dev_role")
    assert role.may("ec2:CreateSecurityGroup", _VPC, tags=tags) is allowed
    assert role.may("ec2:CreateNetworkInterface", _SUBNET, tags=tags) is allowed


def test_the_apply_role_of_shared_has_no_policies_for_networks(existing: dict[str, Template]) -> None:
    policies = existing["ap-northeast-2-shared"].resources("aws_iam_policy")
    assert {name for name in policies if name.startswith("apply-shared_")} == {
        "apply-shared_identity",
        "apply-shared_images-and-domain",
    }
    assert "log-group:/aws/vpc" not in policies["apply-shared_images-and-domain"]["policy"]


@pytest.mark.parametrize(
    ("stack", "addresses", "tags"),
    [
        ("shared", {}, {}),
        (
            "dev",
            {"private": 1967, "database": 1},
            {
                "public": {"kubernetes.io/role/elb": "1"},
                "private": {"kubernetes.io/role/internal-elb": "1", "karpenter.sh/discovery": "company"},
            },
        ),
    ],
)
def test_platform_json_says_what_a_stack_needs_in_it(
    described: dict[str, Stack], stack: str, addresses: dict[str, int], tags: Any
) -> None:
    vpc = described[f"ap-northeast-2-{stack}"].existing_vpc
    assert isinstance(vpc, ExistingVpc)
    assert (vpc.id, vpc.cidr) == ("vpc-0123456789abcdef0", "10.0.0.0/16")
    assert list(vpc.subnets)[:3] == [
        Subnet("private", "ap-northeast-2a", "subnet-0123456789abcde0a", {}),
        Subnet("public", "ap-northeast-2a", None, {"tier": "public"}),
        Subnet("database", "ap-northeast-2a", "subnet-0123456789abcde1a", {}),
    ]
    assert (vpc.addresses, vpc.tags) == (addresses, tags)


def test_other_stacks_and_platforms_have_no_existing_vpc(described: dict[str, Stack], platform_folder: Path) -> None:
    for name in ("ap-northeast-2-backend", "ap-northeast-2-dev-gitops"):
        assert described[name].existing_vpc is None
    assert {stack.existing_vpc for stack in read_stacks(platform_folder)} == {None}


def test_networks_of_two_existing_vpcs_may_overlap(edited: EditedSettings) -> None:
    """Nobody can change them. A VPC that the platform creates does not overlap an existing one."""
    edited.use_existing_vpc()
    edited.add_region("us_west_2", network=1)
    edited.replace("us_west_2/shared.py", 'cidr="10.1.0.0/16"', 'cidr="10.0.0.0/16"')
    owner, regions = edited.load()
    assert rules.broken(owner, regions) == []


def test_a_network_of_docker_is_a_warning_in_an_existing_vpc_too(edited: EditedSettings) -> None:
    edited.use_existing_vpc()
    edited.replace("ap_northeast_2/shared.py", "10.0.0.0/16", "172.17.0.0/16")
    _, regions = edited.load()
    assert "vpc.cidr" in [problem.field for problem in warnings._of_shared(regions[0].shared)]
