"""`ami-releases`: which AMI releases it writes into the settings."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from operations import ami_releases
from operations.clients import aws
from operations.terraform.stacks import Stack
from tests.stacks import make_further_stack, make_stack

_LINUX, _BOTTLEROCKET = "AL2023_x86_64_STANDARD", "BOTTLEROCKET_ARM_64"
_NEWEST = {
    "/aws/service/eks/optimized-ami/1.36/amazon-linux-2023/x86_64/standard/recommended/release_version": (
        "1.36.10-20261101"
    ),
    "/aws/service/bottlerocket/aws-k8s-1.36/arm64/latest/image_version": "1.64.0-7c4f0d2b",
}


@pytest.fixture(autouse=True)
def ssm(monkeypatch: pytest.MonkeyPatch) -> None:
    """The public parameters of a region."""

    def get_parameter(Name: str) -> Mapping[str, Any]:  # noqa: N803 (the name of AWS)
        return {"Parameter": {"Value": _NEWEST[Name]}}

    session = SimpleNamespace(client=lambda _: SimpleNamespace(get_parameter=get_parameter))
    monkeypatch.setattr(aws, "session", lambda *_, **__: session)


def _stack(ami_type: str, release: str | None, **more: Any) -> Stack:
    stack = make_stack(**more)
    group = {"node_group_name_prefix": "main-", "ami_type": ami_type, "version": "1.36"}
    pinned = {} if release is None else {"release_version": release}
    vars(stack)["configuration"] = {
        "resource": {"aws_eks_node_group": {"main": group | pinned}, "aws_vpc": {"vpc": {}}}
    }
    return stack


@pytest.mark.parametrize(
    ("ami_type", "old", "new"),
    [
        (_LINUX, None, "1.36.10-20261101"),
        (_LINUX, "1.36.9-20261015", "1.36.10-20261101"),
        (_LINUX, "1.36.10-20261015", "1.36.10-20261101"),
        (_LINUX, "1.36.10-20261101", "1.36.10-20261101"),
        (_LINUX, "1.36.10-20261109", "1.36.10-20261109"),
        (_LINUX, "1.36.11-20261030", "1.36.11-20261030"),
        (_BOTTLEROCKET, "1.9.0-ffffffff", "1.64.0-7c4f0d2b"),
        (_BOTTLEROCKET, "1.64.0-ffffffff", "1.64.0-7c4f0d2b"),
        (_BOTTLEROCKET, "1.65.0-00000000", "1.65.0-00000000"),
    ],
)
def test_the_newest_release_is_written_but_none_that_is_earlier(
    tmp_path: Path, ami_type: str, old: str | None, new: str
) -> None:
    """EKS cannot go back to an earlier release, and AWS may withdraw one."""
    stack = _stack(ami_type, old)
    file = tmp_path / stack.settings_file
    file.parent.mkdir(parents=True)
    pinned = "" if old is None else f', release_version="{old}"'
    file.write_text(f'NodeGroupConfig(name="main", ami_type="{ami_type}"{pinned})\n')
    report = ami_releases.pin([stack], tmp_path)
    assert file.read_text() == f'NodeGroupConfig(name="main", ami_type="{ami_type}", release_version="{new}")\n'
    assert report.title == f"{int(new != old)} of 1 node group with a newer AMI"
    assert [list(row) for row in report.tables[0].rows] == [["ap-northeast-2-dev", "main", old or "none", new]]


def test_other_stacks_have_no_node_groups(tmp_path: Path) -> None:
    assert ami_releases.pin([_stack(_LINUX, None, kind="in-cluster")], tmp_path).data == {"pins": []}


@pytest.mark.parametrize(
    ("ami_type", "name"),
    [
        (_LINUX, "/aws/service/eks/optimized-ami/1.36/amazon-linux-2023/x86_64/standard/recommended/release_version"),
        ("AL2023_ARM_64_STANDARD",
         "/aws/service/eks/optimized-ami/1.36/amazon-linux-2023/arm64/standard/recommended/release_version"),
        ("BOTTLEROCKET_x86_64", "/aws/service/bottlerocket/aws-k8s-1.36/x86_64/latest/image_version"),
        (_BOTTLEROCKET, "/aws/service/bottlerocket/aws-k8s-1.36/arm64/latest/image_version"),
    ],
)  # fmt: skip
def test_each_ami_type_has_its_parameter(ami_type: str, name: str) -> None:
    assert ami_releases.parameter(ami_type, "1.36") == name


def test_a_further_cluster_keeps_its_release(tmp_path: Path) -> None:
    assert ami_releases.pin([make_further_stack(tmp_path)], tmp_path).data["pins"] == []
