"""A zone is added to the VPC of the deployed region, and removed again as in docs/runbook/network.md."""

from pathlib import Path

import boto3
import pytest

from tests.e2e.clone import synthesize
from tests.e2e.region import Region, operations, reported

pytestmark = pytest.mark.e2e

_ZONE = "ap-northeast-2d"
_SUBNETS = {
    "public": "10.0.4.0/24",
    "private": "10.0.128.0/19",
    "database": "10.0.14.0/24",
}


def test_a_new_zone_reaches_all_but_the_control_planes_and_can_be_removed(
    region: Region, aws: boto3.Session, clone: Path
) -> None:
    names = [stack.name for stack in region.stacks]
    settings = clone / "stacks/ap_northeast_2/shared.py"
    before = settings.read_text()
    cidrs = ", ".join(f'{kind}="{cidr}"' for kind, cidr in _SUBNETS.items())
    settings.write_text(before.replace("zones=(", f'zones=(Zone(name="{_ZONE}", {cidrs}),'))  # the order has no effect
    synthesize(clone / "cdktf.out")
    changes = _planned("ap-northeast-2-shared")
    assert {action for action, _ in changes} == {"create", "update"}
    assert {f"aws_subnet.vpc_{kind}-{_ZONE}" for kind in _SUBNETS} < {name for _, name in _without_hashes(changes)}
    operations("deploy", "ap-northeast-2-shared", "--yes")
    others = {("update", f"aws_db_subnet_group.database-{name}_subnet-group") for name in ("ledger", "orders")}
    planned = _without_hashes(_planned("ap-northeast-2-dev")) - others  # test_databases.py added these databases
    assert planned == {
        ("create", f"aws_efs_mount_target.file-system_mount-target-{_ZONE}"),
        ("replace", "aws_eks_node_group.node-group-main_node-group"),
        ("update", "aws_db_subnet_group.database-bubblepool_subnet-group"),
    }
    operations("deploy", "ap-northeast-2-dev", "--yes")
    assert _zones(aws) == {"control plane": "abc", "nodes": "abcd", "database": "abcd", "files": "abcd"}
    operations("plan", *names, "--all")  # fails if anything is left to do

    settings.write_text(before)
    synthesize(clone / "cdktf.out")
    operations("deploy", "ap-northeast-2-dev", "--yes")
    assert _zones(aws) == {"control plane": "abc", "nodes": "abc", "database": "abc", "files": "abc"}
    status, report = reported("deploy", "ap-northeast-2-shared", "--yes")
    assert (status, report["stacks"]["ap-northeast-2-shared"]["outcome"]) == (2, "refused")
    subnets = [address for action, address in _planned("ap-northeast-2-shared") if address.startswith("aws_subnet.")]
    assert len(subnets) == len(_SUBNETS)
    overrides = clone / "guard-overrides.toml"
    overrides.write_text("".join(_override(address) for address in subnets))
    operations("deploy", "ap-northeast-2-shared", "--yes")
    overrides.unlink()
    operations("plan", *names, "--all")


def _planned(stack: str) -> set[tuple[str, str]]:
    """The action and the address of each planned change of a stack."""
    status, report = reported("plan", stack, "--all")
    assert status == 2, report
    return {(change["action"], change["address"]) for change in report["changes"][stack]}


def _without_hashes(changes: set[tuple[str, str]]) -> set[tuple[str, str]]:
    return {(action, address.rpartition("_")[0]) for action, address in changes}


def _zones(aws: boto3.Session) -> dict[str, str]:
    """The zones of dev, by their letters."""
    eks, efs = aws.client("eks"), aws.client("efs")
    cluster = "gitops-cluster-dev"
    (group,) = eks.list_nodegroups(clusterName=cluster)["nodegroups"]
    (system,) = [one for one in efs.describe_file_systems()["FileSystems"] if "-dev-" in one.get("Name", "")]
    targets = efs.describe_mount_targets(FileSystemId=system["FileSystemId"])["MountTargets"]
    (subnet_group,) = [
        one
        for one in aws.client("rds").describe_db_subnet_groups()["DBSubnetGroups"]
        if "-dev-bubblepool" in one["DBSubnetGroupName"]
    ]
    subnets = {
        "control plane": eks.describe_cluster(name=cluster)["cluster"]["resourcesVpcConfig"]["subnetIds"],
        "nodes": eks.describe_nodegroup(clusterName=cluster, nodegroupName=group)["nodegroup"]["subnets"],
        "database": [subnet["SubnetIdentifier"] for subnet in subnet_group["Subnets"]],
        "files": [target["SubnetId"] for target in targets],
    }
    described = aws.client("ec2").describe_subnets()["Subnets"]
    zones = {subnet["SubnetId"]: subnet["AvailabilityZone"][-1] for subnet in described}
    return {name: "".join(sorted(zones[subnet] for subnet in ids)) for name, ids in subnets.items()}


def _override(address: str) -> str:
    return (
        f'[[override]]\nstack = "ap-northeast-2-shared"\naddress = "{address}"\n'
        'who = "minji"\nwhy = "the zone is no longer used"\nuntil = 2999-01-01\n'
    )
