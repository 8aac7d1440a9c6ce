"""Changes of a managed node group in the deployed region: the cluster always has nodes."""

import json
from pathlib import Path

import boto3
import pytest

from operations.terraform.synthesis import synthesize
from tests.e2e.region import Calls, Region, operations
from tests.e2e.tamperings import without_hash

pytestmark = pytest.mark.e2e

_GROUP = "aws_eks_node_group.node-group-main_node-group"
_CHANGES = {f"eks:{verb}" for verb in ("CreateNodegroup", "DeleteNodegroup", "UpdateNodegroupConfig",
            "UpdateNodegroupVersion")}  # fmt: skip
_REPLACED = ["eks:CreateNodegroup", "eks:DeleteNodegroup"]
_ON_LARGE = ('instance_types=("t3.medium",)', 'instance_types=("t3.large",)')
_ON_BOTTLEROCKET = ('ami_type="AL2023_x86_64_STANDARD"', 'ami_type="BOTTLEROCKET_x86_64"')
_FOUR = ("desired_size=3", "desired_size=4")


def test_a_replaced_node_group_is_created_before_the_old_one_is_destroyed(
    region: Region, aws: boto3.Session, clone: Path, calls: Calls
) -> None:
    """The old group keeps its version of the launch template: no call updates it."""
    settings, eks, stack = clone / "stacks/ap_northeast_2/dev.py", aws.client("eks"), region.stack("dev").name
    original = settings.read_text()
    names = []
    for edits, expected in (
        ([_ON_LARGE], _REPLACED),
        ([_ON_LARGE, _ON_BOTTLEROCKET], _REPLACED),
        ([_ON_LARGE, _ON_BOTTLEROCKET, _FOUR], ["eks:UpdateNodegroupConfig"]),
        ([], _REPLACED),
    ):
        text = original
        for old, new in edits:
            text = text.replace(old, new)
        settings.write_text(text)
        synthesize(clone / "cdktf.out")
        calls.new()
        report = json.loads(operations("deploy", stack, "--yes", "--json"))
        assert [action for action in calls.new_in_order() if action in _CHANGES] == expected
        found = [(without_hash(one["address"]), one["rule"], one["verdict"]) for one in report["findings"]]
        assert found == ([(_GROUP, "replaces-nodes", "for review")] if expected == _REPLACED else [])
        (name,) = eks.list_nodegroups(clusterName="gitops-cluster-dev")["nodegroups"]
        assert name.startswith("main-")
        names.append(name)
    assert names[1] == names[2]
    assert len(set(names)) == 3
