"""A new Kubernetes version of dev, and the way back: the command, the plan, the guard, and the deploy."""

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import boto3
import pytest

from eks_gitops.versions import ADDON_SETS
from tests.e2e.clone import synthesize
from tests.e2e.region import NEWER, OLDER, Calls, Region, operations, reported
from tests.policies import Role
from tests.template import Template

pytestmark = pytest.mark.e2e

STACK, CLUSTER = "ap-northeast-2-dev", "gitops-cluster-dev"
UPDATES = {"eks:UpdateClusterVersion", "eks:UpdateNodegroupVersion", "eks:UpdateAddon"}


def _failed(report: dict[str, Any]) -> set[str]:
    return {line["subject"] for line in report["checks"] if line["outcome"] == "failed"}


def _group(aws: boto3.Session) -> str:
    (name,) = aws.client("eks").list_nodegroups(clusterName=CLUSTER)["nodegroups"]
    return str(name)


def _versions(aws: boto3.Session) -> dict[str, str]:
    """What runs in dev."""
    eks = aws.client("eks")
    group = eks.describe_nodegroup(clusterName=CLUSTER, nodegroupName=_group(aws))["nodegroup"]
    addon = eks.describe_addon(clusterName=CLUSTER, addonName="kube-proxy")["addon"]
    return {
        "cluster": eks.describe_cluster(name=CLUSTER)["cluster"]["version"],
        "nodes": group["version"],
        "kube-proxy": addon["addonVersion"],
    }


def _all_of(version: str) -> dict[str, str]:
    return {"cluster": version, "nodes": version, "kube-proxy": ADDON_SETS[version].versions["kube-proxy"]}


def _plan() -> tuple[dict[str, str], list[str]]:
    """The planned actions by type of resource, and the rules of the guard."""
    status, report = reported("plan", STACK, "--all")
    assert status == 2, report
    changes = {change["address"].split(".")[0]: change["action"] for change in report["changes"][STACK]}
    return changes, [finding["rule"] for finding in report["findings"]]


@pytest.fixture
def output(clone: Path, region: Region) -> Iterator[Path]:  # noqa: ARG001 (deployed first)
    """The output folder, which is synthesized again after the test changed the settings."""
    yield clone / "cdktf.out"
    synthesize(clone / "cdktf.out")


def test_dev_gets_a_new_version_and_goes_back(output: Path, region: Region, aws: boto3.Session, calls: Calls) -> None:
    assert _versions(aws) == _all_of(OLDER)
    _, report = reported("upgrade", "staging", NEWER, "--write")
    assert _failed(report) == {"environment dev"}

    status, report = reported("upgrade", "dev", NEWER, "--write")
    assert (status, _failed(report)) == (2, set())  # the cluster has no Kubernetes API to ask for nodes
    assert f'+        version="{NEWER}"' in report["diff"]
    synthesize(output)
    assert _plan() == ({"aws_eks_cluster": "update", "aws_eks_node_group": "update", "aws_eks_addon": "update"}, [])
    calls.new()
    operations("deploy", STACK, "--yes")
    updates = [action for action in calls.new_in_order() if action in UPDATES]
    assert updates == ["eks:UpdateClusterVersion", "eks:UpdateAddon", "eks:UpdateNodegroupVersion"]
    role = Role(Template(json.dumps(region.stack("shared").configuration)), "apply-dev_role")
    allowed = [pattern for entry in role.statements if entry["Effect"] == "Allow" for pattern in entry["Action"]]
    assert all(any(fnmatchcase(action, pattern) for pattern in allowed) for action in updates)
    assert _versions(aws) == _all_of(NEWER)
    operations("plan", STACK, "--all")  # without changes

    _, report = reported("upgrade", "dev", OLDER, "--write")
    assert _failed(report) == {f"node group {_group(aws)}", "add-on kube-proxy", "insight Kubelet version skew"}
    eks = aws.client("eks")
    eks.update_nodegroup_version(clusterName=CLUSTER, nodegroupName=_group(aws), version=OLDER)
    kube_proxy = _all_of(OLDER)["kube-proxy"]
    eks.update_addon(clusterName=CLUSTER, addonName="kube-proxy", addonVersion=kube_proxy)
    _, report = reported("upgrade", "dev", OLDER, "--write")
    assert _failed(report) == set()
    synthesize(output)
    assert _plan() == ({"aws_eks_cluster": "update"}, ["lowers-version"])
    operations("deploy", STACK, "--yes")
    assert _versions(aws) == _all_of(OLDER)
    operations("plan", STACK, "--all")
