"""Reading and selecting synthesized stacks."""

import dataclasses
import json
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.testing import CliRunner

from operations.cli.app import app
from operations.errors import OperationError
from operations.terraform.stacks import (
    VERSION,
    Backups,
    Cluster,
    Kind,
    Platform,
    Region,
    Stack,
    State,
    all_producers,
    backend_stacks,
    read_configurations,
    read_platform,
    read_stacks,
    select_stacks,
)
from stacks import platform
from tests.stacks import make_stack, write_output

_STACKS = [
    make_stack("shared", kind="shared"),
    make_stack("dev", reads=["ap-northeast-2-shared"]),
    make_stack("dev", kind="in-cluster", reads=["ap-northeast-2-dev"]),
]


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        ([], ["shared", "dev", "dev-gitops"]),
        (["ap-northeast-2-dev"], ["dev"]),
        (["ap-northeast-2-dev*", "ap-northeast-2-dev"], ["dev", "dev-gitops"]),
        (["*-dev", "*-shared"], ["shared", "dev"]),
    ],
)
def test_names_and_globs_select_each_stack_once_in_order(patterns: list[str], names: list[str]) -> None:
    assert [stack.name for stack in select_stacks(_STACKS, patterns)] == [f"ap-northeast-2-{n}" for n in names]


def test_rejects_all_unknown_names_and_suggests_similar_ones() -> None:
    with pytest.raises(OperationError) as raised:
        select_stacks(_STACKS, ["ap-northeast-2-share", "x", "*-dev"])
    first, second = str(raised.value).splitlines()
    assert first.startswith("ap-northeast-2-share: no such stack; choose from ap-northeast-2-shared")
    assert second == f"x: no such stack; choose from {', '.join(stack.name for stack in _STACKS)}"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"[]",
        b'{"stacks": null}',
        b'{"stacks": {"dev": {}}}',
        b'{"stacks": {"dev": {"dependencies": ["nowhere"], "workingDirectory": "stacks/dev"}}}',
        b'{"stacks": {"dev": {"dependencies": ["dev"], "workingDirectory": "stacks/dev"}}}',
    ],
)
@pytest.mark.parametrize("file", ["manifest.json", "platform.json"])
def test_rejects_incompletely_written_files(tmp_path: Path, file: str, content: bytes) -> None:
    write_output(tmp_path, [make_stack(directory=tmp_path, name="dev")])
    (tmp_path / file).write_bytes(content)
    with pytest.raises(OperationError, match=r"(manifest|platform)\.json: .*; synthesize again: make synth$"):
        read_stacks(tmp_path)


def test_rejects_another_format_version(tmp_path: Path) -> None:
    write_output(tmp_path, [])
    (tmp_path / "platform.json").write_text('{"version": 2}')
    with pytest.raises(OperationError, match=r"platform\.json: format version 2, expected 1; synthesize again"):
        read_platform(tmp_path)


def test_rejects_an_output_without_platform_json(tmp_path: Path) -> None:
    write_output(tmp_path, [])
    (tmp_path / "platform.json").unlink()
    with pytest.raises(OperationError, match=r"platform\.json: not found; synthesize again: make synth$"):
        read_platform(tmp_path)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (platform.Stack, Stack),
        (platform.State, State),
        (platform.Cluster, Cluster),
        (platform.Backups, Backups),
        (platform.Region, Region),
        (platform.Platform, Platform),
    ],
)
def test_fields_that_are_written_are_those_that_are_read(written: Any, read: Any) -> None:
    fields = {field.name for field in dataclasses.fields(read)}
    fields ^= {"name", "directory", "dependencies", "part"} if read is Stack else set()
    fields |= {"version"} if read is Platform else set()
    assert fields == written.__annotations__.keys()
    assert platform.VERSION == VERSION
    assert get_args(platform.Kind) == get_args(Kind)


def test_an_output_without_stacks_lists_nothing(tmp_path: Path) -> None:
    write_output(tmp_path, [])
    result = CliRunner().invoke(app, ["stacks", "--output", str(tmp_path)])
    assert (result.exit_code, result.output) == (0, "")


def test_dependencies_include_indirect_ones() -> None:
    assert all_producers(_STACKS)["ap-northeast-2-dev-gitops"] == {
        "ap-northeast-2-dev",
        "ap-northeast-2-shared",
    }


def test_message_about_a_missing_stack_file_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(OperationError, match=r"cdk\.tf\.json: .*; synthesize again: make synth"):
        _ = make_stack(directory=tmp_path).configuration


def test_stacks_are_read_dependencies_first_with_their_descriptions(tmp_path: Path) -> None:
    stacks = [
        make_stack("dev", tmp_path / "dev", reads=["ap-northeast-2-shared"]),
        make_stack("shared", tmp_path / "shared", kind="shared"),
        make_stack("backend", tmp_path / "backend", kind="backend"),
    ]
    region = Region("ap-northeast-2", "stacks/ap_northeast_2/shared.py", ["dev"], "push-")
    write_output(tmp_path, stacks, [region])
    read = read_platform(tmp_path)
    assert read.regions == [region]
    assert {stack.name: stack for stack in read.stacks} == {stack.name: stack for stack in stacks}
    names = [stack.name for stack in read.stacks]
    assert names.index("ap-northeast-2-shared") < names.index("ap-northeast-2-dev")
    assert [stack.name for stack in backend_stacks(read.stacks)] == ["ap-northeast-2-backend"]


def test_configurations_are_read_by_name(tmp_path: Path) -> None:
    write_output(tmp_path, [make_stack("dev", tmp_path / "stacks/dev")])
    configuration = {"resource": {"aws_vpc": {"vpc": {"cidr_block": "10.0.0.0/16"}}}}
    (tmp_path / "stacks/dev").mkdir(parents=True)
    (tmp_path / "stacks/dev/cdk.tf.json").write_text(json.dumps(configuration))
    assert read_configurations(tmp_path) == {"ap-northeast-2-dev": configuration}
    (stack,) = read_stacks(tmp_path)
    assert list(stack.resources()) == [("aws_vpc", "vpc", {"cidr_block": "10.0.0.0/16"})]


def test_rejects_an_output_that_was_never_synthesized(tmp_path: Path) -> None:
    with pytest.raises(OperationError, match=r"manifest\.json: not found; synthesize first: make synth$"):
        read_configurations(tmp_path)


@pytest.mark.parametrize("path", ["~/.kube/config", None])
def test_an_in_cluster_stack_names_its_kubeconfig(tmp_path: Path, path: str | None) -> None:
    provider = {"config_path": path} if path else {"host": "https://eks"}
    (tmp_path / "cdk.tf.json").write_text(json.dumps({"provider": {"kubernetes": [provider]}}))
    stack = make_stack("dev", tmp_path, kind="in-cluster")
    assert stack.is_in_cluster
    assert stack.kubeconfig == path


def test_a_cluster_owns_what_has_one_of_its_tags() -> None:
    cluster = Cluster("dev", {"kubernetes.io/cluster/dev": "owned", "elbv2.k8s.aws/cluster": "dev"})
    assert cluster.owns({"elbv2.k8s.aws/cluster": "dev", "Name": "lb"})
    assert not cluster.owns({"elbv2.k8s.aws/cluster": "prod"})
    assert not cluster.owns({})
