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
    environment_stacks,
    read_configurations,
    read_platform,
    read_stacks,
    select_stacks,
)
from stacks import platform
from tests.stacks import REGION, make_further_stack, make_stack, write_output

_BACKEND: dict[str, Any] = {"terraform": {"backend": {"s3": {}}}}
_NOT_BLOCKS: list[Any] = [[], None, {"a": []}]
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
def test_names_and_globs_select_each_stack_once_in_order(tmp_path: Path, patterns: list[str], names: list[str]) -> None:
    (tmp_path / "cdk.tf.json").write_text(json.dumps(_BACKEND))
    stacks = [dataclasses.replace(stack, directory=tmp_path) for stack in _STACKS]
    assert [stack.name for stack in select_stacks(stacks, patterns)] == [f"ap-northeast-2-{n}" for n in names]


@pytest.mark.parametrize(
    "content",
    [
        *("{}", "[]", "null", '{"terraform": null}', '{"terraform": {"backend": {}}}'),
        *('{"terraform": {"backend": []}}', '{"terraform": {"backend": {"s3": null}}}'),
        *(json.dumps(_BACKEND | {block: value}) for block in ("resource", "data") for value in _NOT_BLOCKS),
    ],
)
def test_rejects_a_chosen_stack_with_an_incomplete_configuration(tmp_path: Path, content: str) -> None:
    (tmp_path / "cdk.tf.json").write_text(content)
    with pytest.raises(OperationError, match=r"cdk\.tf\.json: written incompletely; synthesize again: make synth$"):
        select_stacks([make_stack(directory=tmp_path)], [])


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


def _message(output: Path) -> str:
    with pytest.raises(OperationError) as raised:
        read_platform(output)
    return str(raised.value).removeprefix(f"{output}/").removesuffix("; synthesize again: make synth")


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("environment", {"environment": None}, "environment: got null, expected a string"),
        ("environment", {"tags": None}, "tags: got null, expected an object"),
        ("environment", {"tags": {"a": 1}}, "tags.a: got 1, expected a string"),
        ("environment", {"cluster": {"name": "dev"}}, "cluster.controller_tags: not found"),
        ("environment", {"cluster": None}, "cluster: required for the kind environment"),
        ("environment", {"backups": None}, "backups: required for the kind environment"),
        ("in-cluster", {"cluster": None}, "cluster: required for the kind in-cluster"),
        (
            "environment",
            {"kind": "nope"},
            'kind: got "nope", expected one of backend, shared, environment, in-cluster',
        ),
    ],
)
def test_names_a_wrong_field_of_a_stack(tmp_path: Path, kind: Kind, changes: dict[str, Any], message: str) -> None:
    write_output(tmp_path, [make_stack(directory=tmp_path, kind=kind, name="dev")])
    file = tmp_path / "platform.json"
    document = json.loads(file.read_text())
    document["stacks"]["dev"] |= changes
    file.write_text(json.dumps(document))
    assert _message(tmp_path) == f"platform.json: stacks.dev.{message}"


_EMPTY = json.dumps(
    {"version": VERSION, "regions": [], "placeholders": [], "stacks": {}, "kubernetes": {}, "charts": []}
)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("manifest.json", "{", "not valid JSON (line 1, column 2)"),
        ("manifest.json", "[]", "got a list, expected an object"),
        ("manifest.json", '{"stacks": {}}', "no stacks"),
        ("manifest.json", '{"stacks": {"dev": {"dependencies": []}}}', "stacks.dev.workingDirectory: not found"),
        (
            "manifest.json",
            '{"stacks": {"dev": {"dependencies": ["x"], "workingDirectory": "dev"}}}',
            "stacks.dev.dependencies: x: no such stack",
        ),
        (
            "manifest.json",
            '{"stacks": {"dev": {"dependencies": ["dev"], "workingDirectory": "dev"}}}',
            "dev reads dev: a cycle",
        ),
        ("platform.json", "null", "got null, expected an object"),
        ("platform.json", "{}", "version: not found"),
        ("platform.json", _EMPTY, "stacks.dev: not found"),
    ],
)
def test_names_the_file_and_the_problem(tmp_path: Path, file: str, content: str, message: str) -> None:
    write_output(tmp_path, [make_stack(directory=tmp_path, name="dev")])
    (tmp_path / file).write_text(content)
    assert _message(tmp_path) == f"{file}: {message}"


def test_rejects_another_format_version(tmp_path: Path) -> None:
    write_output(tmp_path, [make_stack(directory=tmp_path)])
    (tmp_path / "platform.json").write_text('{"version": 1}')
    with pytest.raises(
        OperationError, match=rf"platform\.json: format version 1, expected {VERSION}; synthesize again"
    ):
        read_platform(tmp_path)


def test_rejects_an_output_without_platform_json(tmp_path: Path) -> None:
    write_output(tmp_path, [make_stack(directory=tmp_path)])
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


def test_a_command_rejects_an_output_without_stacks(tmp_path: Path) -> None:
    write_output(tmp_path, [])
    result = CliRunner().invoke(app, ["stacks", "--output", str(tmp_path)])
    assert result.exit_code == 1
    assert result.output.endswith("manifest.json: no stacks; synthesize again: make synth\n")


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


def test_the_first_stack_is_that_of_the_first_environment_which_has_one(tmp_path: Path) -> None:
    stacks = [make_stack(name, tmp_path / name) for name in ("alpha", "prod", "dev")]
    region = Region("ap-northeast-2", "stacks/ap_northeast_2/shared.py", ["test", "dev", "prod", "alpha"], "push-")
    write_output(tmp_path, stacks, [region])
    assert read_platform(tmp_path).first("environment").environment == "dev"


def test_configurations_are_read_by_name(tmp_path: Path) -> None:
    write_output(tmp_path, [make_stack("dev", tmp_path / "stacks/dev")])
    configuration = _BACKEND | {"resource": {"aws_vpc": {"vpc": {"cidr_block": "10.0.0.0/16"}}}}
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
    (tmp_path / "cdk.tf.json").write_text(json.dumps(_BACKEND | {"provider": {"kubernetes": [provider]}}))
    stack = make_stack("dev", tmp_path, kind="in-cluster")
    assert stack.is_in_cluster
    assert stack.kubeconfig == path


@pytest.mark.parametrize("provider", [None, {}, {"kubernetes": []}, {"kubernetes": {}}, {"kubernetes": ["x"]}, ["x"]])
def test_a_damaged_provider_is_reported(tmp_path: Path, provider: object) -> None:
    (tmp_path / "cdk.tf.json").write_text(json.dumps(_BACKEND | {"provider": provider}))
    with pytest.raises(OperationError, match=r"cdk\.tf\.json: provider\.kubernetes: not found; synthesize again"):
        _ = make_stack("dev", tmp_path, kind="in-cluster").kubeconfig


def test_a_cluster_owns_what_has_one_of_its_tags() -> None:
    cluster = Cluster("dev", {"kubernetes.io/cluster/dev": "owned", "elbv2.k8s.aws/cluster": "dev"})
    assert cluster.owns({"elbv2.k8s.aws/cluster": "dev", "Name": "lb"})
    assert not cluster.owns({"elbv2.k8s.aws/cluster": "prod"})
    assert not cluster.owns({})


def test_a_platform_without_a_stack_of_a_kind_is_rejected() -> None:
    with pytest.raises(OperationError, match=r"^in-cluster: no stack of this kind; synthesize again: make synth$"):
        Platform([], [], []).first("in-cluster")


def test_a_resource_that_a_role_of_another_account_creates_is_known(tmp_path: Path) -> None:
    record = {"provider": "aws.domain", "name": "dev.example.com"}
    configuration = {
        "terraform": {"backend": {"s3": {}}},
        "provider": {"aws": [{}, {"alias": "copy"}, {"alias": "domain", "assume_role": [{"role_arn": "arn"}]}]},
        "resource": {
            "aws_route53_record": {"delegation": record, "validation": {}},
            "aws_s3_bucket": {"copy": {"provider": "aws.copy"}},
        },
    }
    (tmp_path / "cdk.tf.json").write_text(json.dumps(configuration))
    stack = make_stack(directory=tmp_path)
    assert stack.is_elsewhere("aws_route53_record", "delegation")
    assert not stack.is_elsewhere("aws_route53_record", "validation")
    assert not stack.is_elsewhere("aws_s3_bucket", "copy")


def test_an_environment_is_its_first_cluster_and_a_further_one_has_a_name_of_its_own() -> None:
    first, further = make_stack("dev"), make_further_stack()
    assert environment_stacks([further, first], "dev") == [first]
    assert environment_stacks([further, first], "ap-northeast-2-dev") == [first]
    assert environment_stacks([further, first], "dev-blue") == [further]
    assert environment_stacks([further, first], "ap-northeast-2-dev-blue") == [further]
    assert environment_stacks([further, first], None) == [further, first]
    platform = Platform([Region(REGION, "shared.py", ["dev"], "push-")], [first, further], [])
    assert platform.first("environment") == first
