"""Changes of a managed node group in the deployed region: the cluster always has nodes."""

import json
from functools import reduce
from pathlib import Path

import boto3
import pytest

from tests.e2e.clone import synthesize
from tests.e2e.region import OLDER, Calls, Region, operations
from tests.e2e.tamperings import without_hash

pytestmark = pytest.mark.e2e

_CLUSTER = "gitops-cluster-dev"
_GROUP = "aws_eks_node_group.node-group-main_node-group"
_CHANGES = {f"eks:{verb}" for verb in ("CreateNodegroup", "DeleteNodegroup", "UpdateNodegroupConfig",
            "UpdateNodegroupVersion")}  # fmt: skip
_REPLACED = ["eks:CreateNodegroup", "eks:DeleteNodegroup"]
_ON_LARGE = ('instance_types=("t3.medium",)', 'instance_types=("t3.large",)')
_ON_BOTTLEROCKET = ('ami_type="AL2023_x86_64_STANDARD"', 'ami_type="BOTTLEROCKET_x86_64"')
_OLD_AMI = ("max_size=10", f'max_size=10, release_version="{OLDER}.0-20261001"')
_FOUR = ("desired_size=3", "desired_size=4")


def test_a_replaced_node_group_is_created_before_the_old_one_is_destroyed(
    region: Region, aws: boto3.Session, clone: Path, calls: Calls
) -> None:
    """The old group keeps its version of the launch template: no call updates it."""
    settings, eks, stack = clone / "stacks/ap_northeast_2/dev.py", aws.client("eks"), region.stack("dev").name
    original = settings.read_text()
    groups = []
    for edits, expected in (
        ([_ON_LARGE, _OLD_AMI], _REPLACED),
        (None, ["eks:UpdateNodegroupVersion"]),
        ([_ON_LARGE, _ON_BOTTLEROCKET], _REPLACED),
        ([_ON_LARGE, _ON_BOTTLEROCKET, _FOUR], ["eks:UpdateNodegroupConfig"]),
        ([], _REPLACED),
    ):
        if edits is None:
            operations("ami-releases", stack)
        else:
            settings.write_text(reduce(lambda text, edit: text.replace(*edit), edits, original))
        synthesize(clone / "cdktf.out")
        calls.new()
        report = json.loads(operations("deploy", stack, "--yes", "--json"))
        assert [action for action in calls.new_in_order() if action in _CHANGES] == expected
        found = [(one["rule"], one["verdict"]) for one in report["findings"] if without_hash(one["address"]) == _GROUP]
        rules = ["replaces-nodes"] * (expected == _REPLACED) + ["lowers-version"] * (_OLD_AMI in (edits or []))
        assert found == [(rule, "for review") for rule in rules]
        (name,) = eks.list_nodegroups(clusterName=_CLUSTER)["nodegroups"]
        groups.append(eks.describe_nodegroup(clusterName=_CLUSTER, nodegroupName=name)["nodegroup"])
    names = [group["nodegroupName"] for group in groups]
    assert all(name.startswith("main-") for name in names)
    assert (names[0], names[2]) == (names[1], names[3])
    assert len(set(names)) == 3
    releases = [f"{OLDER}.0-20261001", f"{OLDER}.0-20261101", *["1.64.0-7c4f0d2b"] * 2, f"{OLDER}.0-20261101"]
    assert [group["releaseVersion"] for group in groups] == releases
    assert [group["scalingConfig"]["desiredSize"] for group in groups] == [3, 3, 3, 4, 3]
