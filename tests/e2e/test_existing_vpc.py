"""Stacks in a VPC that exists already: they are deployed into it, planned without changes, and destroyed without it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from operations.local.emulator_process import Emulator
from tests.e2e.clone import clone_into, point_at, synthesize
from tests.e2e.existing_vpc import ZONES, add_network, network_of
from tests.e2e.region import operations, reported
from tests.e2e.tiny import client
from tests.edited_settings import with_existing_vpc

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("aws_provider")]

_SHARED, _DEV = "ap-northeast-2-shared", "ap-northeast-2-dev"


class _Company(NamedTuple):
    """A company's VPC, and a copy of this repository whose region uses it."""

    root: Path
    environment: dict[str, str]
    vpc: str
    subnets: dict[str, str]

    def client(self, service: str) -> Any:
        return client(service, self.environment)

    def edit(self, file: str, old: str, new: str) -> None:
        """Edit a settings file of the region, and synthesize."""
        path = self.root / "stacks/ap_northeast_2" / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        synthesize(self.root / "cdktf.out")


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory, aws_provider: None) -> Iterator[_Company]:  # noqa: ARG001
    root = clone_into(tmp_path_factory.mktemp("company"))
    with Emulator(root / "emulator.log") as emulator, pytest.MonkeyPatch.context() as patch:
        point_at(patch, root, emulator.environment)
        ec2 = client("ec2", emulator.environment)
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        company = _Company(root, dict(emulator.environment), vpc, add_network(ec2, vpc))
        zones = "".join(
            f'ExistingZone(name="{zone}", private="{company.subnets[f"private-{zone[-1]}"]}", '
            f'public="tag:Name=public-{zone[-1]}", database="tag:Name=database-{zone[-1]}"),\n'
            for zone in ZONES
        )
        text = f'    vpc=ExistingVpcConfig(id="{vpc}", name="company", cidr="10.0.0.0/16", zones=(\n{zones}    )),\n'
        shared = root / "stacks/ap_northeast_2/shared.py"
        shared.write_text(with_existing_vpc(shared.read_text(), text))
        company.edit("__init__.py", '("dev", "staging", "prod")', '("dev",)')
        operations("bootstrap")
        yield company


@pytest.mark.long
def test_a_region_in_an_existing_vpc_is_deployed_planned_and_destroyed(company: _Company) -> None:
    ec2 = company.client("ec2")
    before = network_of(ec2, company.vpc)
    _, report = reported("preflight", _SHARED, _DEV)
    lines = [line for line in report["checks"] if line["subject"].startswith(company.vpc)]
    assert len(lines) == 14
    # MiniStack says that a subnet of any size has 251 free addresses.
    assert [line["subject"] for line in lines if line["outcome"] != "passed"] == [
        f"{company.vpc}: addresses of nodes and Pods"
    ]

    operations("deploy", _SHARED, _DEV, "--yes")
    assert network_of(ec2, company.vpc) == before
    network = company.client("eks").describe_cluster(name="gitops-cluster-dev")["cluster"]["resourcesVpcConfig"]
    private, database = ({company.subnets[f"{kind}-{letter}"] for letter in "abc"} for kind in ("private", "database"))
    assert (network["vpcId"], set(network["subnetIds"])) == (company.vpc, private)
    (group,) = company.client("rds").describe_db_subnet_groups()["DBSubnetGroups"]
    assert {subnet["SubnetIdentifier"] for subnet in group["Subnets"]} == database
    operations("plan", _SHARED, _DEV, "--all")  # fails if anything is left to do
    operations("drift", _SHARED, _DEV)  # fails if anything differs, or is in no state

    company.edit("dev.py", "    cluster=ClusterConfig(", "    teardown=True,\n    cluster=ClusterConfig(")
    operations("deploy", _DEV, "--yes")
    status, report = reported("destroy", _SHARED, _DEV, "--confirm", "dev,shared")
    assert {entry["outcome"] for entry in report["stacks"].values()} == {"destroyed"}, report
    assert (status, network_of(ec2, company.vpc)) == (0, before)


def test_a_plan_fails_with_what_is_not_as_in_the_settings(company: _Company) -> None:
    ec2, ids, vpc = company.client("ec2"), company.subnets, company.vpc
    other = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    elsewhere = ec2.create_subnet(VpcId=other, CidrBlock="10.9.0.0/24", AvailabilityZone=ZONES[0])["Subnet"]["SubnetId"]
    assert _errors(
        company,
        (ids["private-a"], elsewhere),
        (ids["private-b"], ids["spare-c"]),
        (ids["private-c"], "subnet-0123456789abcdef0"),
        ("tag:Name=public-a", "tag:Name=public-d"),
    ) == {
        f"{elsewhere}: in {other}, not in {vpc}; correct it in vpc.zones",
        f"{ids['spare-c']}: in ap-northeast-2c, not in ap-northeast-2b; correct it in vpc.zones",
        f"{elsewhere}: has 10.9.0.0/24, which is not in 10.0.0.0/16; correct vpc.cidr or vpc.zones",
        "with data.aws_subnet.vpc_private-ap-northeast-2c",
        "with data.aws_subnet.vpc_public-ap-northeast-2a",
    }
    assert _errors(company, ('cidr="10.0.0.0/16"', 'cidr="10.0.0.0/17"')) == {
        f"vpc.cidr: 10.0.0.0/17: not a network of {vpc}, which has 10.0.0.0/16",
        f"{ids['private-c']}: has 10.0.128.0/19, which is not in 10.0.0.0/17; correct vpc.cidr or vpc.zones",
    }


def _errors(company: _Company, *edits: tuple[str, str]) -> set[str]:
    """The details of the errors of a plan with other settings, without the hashes of CDKTF."""
    shared = company.root / "stacks/ap_northeast_2/shared.py"
    before = shared.read_text()
    text = before
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    shared.write_text(text)
    synthesize(company.root / "cdktf.out")
    status, report = reported("plan", _SHARED, "--all")
    shared.write_text(before)
    assert status == 1
    (error,) = report["errors"]
    lines = [re.sub("_[0-9A-F]{8}$", "", line) for line in error.removeprefix(f"{_SHARED}: ").splitlines()]
    return {*lines} - {"Resource postcondition failed", "no matching EC2 Subnet found"}
