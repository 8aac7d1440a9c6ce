"""Three regions in one app: resources that must be unique per account or per region are created once."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from operations.deploy import plan, reviewed
from operations.terraform.stacks import read_stacks
from tests.edited_settings import EditedSettings
from tests.template import Template, every_stack

UNIQUE_PER_ACCOUNT = {
    "aws_iam_instance_profile": "name",
    "aws_iam_policy": "name",
    "aws_iam_role": "name",
    "aws_route53_zone": "name",
    "aws_s3_bucket": "bucket",
}
UNIQUE_PER_REGION = {
    "aws_cloudwatch_event_rule": "name",
    "aws_cloudwatch_log_group": "name",
    "aws_db_instance": "identifier",
    "aws_db_parameter_group": "name",
    "aws_db_subnet_group": "name",
    "aws_dynamodb_table": "name",
    "aws_ecr_repository": "name",
    "aws_eks_cluster": "name",
    "aws_kms_alias": "name",
    "aws_launch_template": "name",
    "aws_security_group": "name",
    "aws_sqs_queue": "name",
    "aws_vpc": "cidr_block",
}
REGIONS = ("ap-northeast-2", "eu-west-1", "us-west-2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The settings of three regions, and in `out` their synthesized stacks."""
    return tmp_path_factory.mktemp("regions")


@pytest.fixture(scope="module")
def regions(folder: Path) -> dict[str, Template]:
    """All stacks of three regions. The regions are copies of the first one, with changed names and networks."""
    settings = EditedSettings(folder)
    settings.replace("ap_northeast_2/prod.py", "databases=(", 'karpenter={"max_nodes": 20}, databases=(')
    settings.replace("ap_northeast_2/shared.py", 'lock="lockfile"', 'lock="both"')
    settings.add_region("us_west_2", network=1)
    settings.add_region("eu_west_1", network=2)
    return every_stack(settings.load(), folder / "out")


def _named(stacks: dict[str, Template], kinds: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    """The region, type and name of each resource of these types."""
    for stack, template in stacks.items():
        for kind, attribute in kinds.items():
            for resource in template.resources(kind).values():
                yield stack.rpartition("-")[0], kind, resource[attribute]


def _duplicates(names: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    return [name for name, times in Counter(names).items() if times > 1]


def test_every_region_has_every_stack(regions: dict[str, Template]) -> None:
    assert sorted(regions) == sorted(
        f"{region}-{stack}"
        for region in REGIONS
        for stack in (
            *("backend", "shared"),
            *("dev", "dev-gitops", "staging", "staging-gitops", "prod", "prod-gitops"),
        )
    )


def test_every_stack_has_its_own_state(regions: dict[str, Template]) -> None:
    backends = [stack.json["terraform"]["backend"]["s3"] for stack in regions.values()]
    assert _duplicates([(backend["bucket"], backend["key"]) for backend in backends]) == []
    assert _duplicates([(backend["key"],) for backend in backends]) == []


def test_names_that_are_global_in_an_account_are_unique(regions: dict[str, Template]) -> None:
    names = list(_named(regions, UNIQUE_PER_ACCOUNT))
    assert {kind for _, kind, _ in names} == set(UNIQUE_PER_ACCOUNT)
    assert _duplicates([(kind, name) for _, kind, name in names]) == []


def test_names_that_are_unique_per_region_are_unique(regions: dict[str, Template]) -> None:
    names = list(_named(regions, UNIQUE_PER_REGION))
    assert {kind for _, kind, _ in names} == set(UNIQUE_PER_REGION)
    assert _duplicates([(region, kind, name) for region, kind, name in names]) == []


def test_networks_do_not_overlap(regions: dict[str, Template]) -> None:
    networks = [(stack.only("aws_vpc")["cidr_block"],) for name, stack in regions.items() if name.endswith("-shared")]
    assert sorted(networks) == [("10.0.0.0/16",), ("10.1.0.0/16",), ("10.2.0.0/16",)]


def test_the_account_has_one_identity_provider_for_github(regions: dict[str, Template]) -> None:
    owners = [
        name
        for name, stack in regions.items()
        if "github_provider" in stack.resources("aws_iam_openid_connect_provider")
    ]
    assert owners == ["ap-northeast-2-shared"]


@pytest.mark.parametrize("region", REGIONS)
def test_every_region_trusts_the_identity_provider(regions: dict[str, Template], region: str) -> None:
    trust = regions[f"{region}-shared"].document("aws_iam_role.plan_role", "assume_role_policy")["Statement"][0]
    assert trust["Principal"] == {
        "Federated": ["arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"]
    }


def test_the_roles_of_the_workflows_are_those_of_each_region(regions: dict[str, Template]) -> None:
    """The objects of all regions together are the GitHub variable `AWS_ROLES`."""
    variable: dict[str, Any] = {}
    for region in REGIONS:
        variable |= regions[f"{region}-shared"].json["output"]["roles"]["value"]
    assert sorted(variable) == sorted(REGIONS)
    for region, roles in variable.items():
        assert set(roles["apply"]) == {"shared", "dev", "staging", "prod"}
        described = regions[f"{region}-shared"].resources("aws_iam_role")
        for arn, name in (
            (roles["plan"], f"{region}-shared-plan"),
            *((arn, f"{region}-{environment}-apply") for environment, arn in roles["apply"].items()),
        ):
            assert described[arn.removeprefix("${aws_iam_role.").removesuffix(".arn}")]["name"] == name


@pytest.mark.usefixtures("regions")
def test_each_job_of_the_workflow_deploys_its_stack_in_every_region(folder: Path) -> None:
    deploy = reviewed.accept(["everything"], read_stacks(folder / "out")).data["deploy"]
    assert set(deploy) == {"shared", "dev", "staging", "prod"}
    for environment, parts in deploy.items():
        for part, matrix in parts.items():
            suffix = "-gitops" if part == "cluster" else ""
            stacks = [f"{name}-{environment}{suffix}" for name in REGIONS]
            assert [(one["place"], one["region"], one["stacks"]) for one in matrix] == list(
                zip(REGIONS, REGIONS, stacks, strict=True)
            )


@pytest.mark.usefixtures("regions")
def test_the_workflows_list_every_region(folder: Path) -> None:
    places = plan.listing(plan.selection(folder / "out", [], None)).data["places"]
    assert [(one["place"], one["region"]) for one in places] == [(name, name) for name in REGIONS]
    assert sum(len(one["stacks"].split()) for one in places) == len(REGIONS) * 8


@pytest.mark.parametrize("region", REGIONS)
def test_stacks_depend_only_on_stacks_of_their_region(regions: dict[str, Template], region: str) -> None:
    for name, stack in regions.items():
        if name.startswith(region):
            states = stack.json.get("data", {}).get("terraform_remote_state", {}).values()
            assert {state["config"]["region"] for state in states} <= {region}
