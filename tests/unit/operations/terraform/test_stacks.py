"""Choosing among synthesized stacks."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from operations.cli.app import app
from operations.errors import OperationError
from operations.terraform.stacks import Stack, all_producers, read_stacks, select_stacks

_STACKS = [
    Stack("ap-northeast-2-shared", Path(), ()),
    Stack("ap-northeast-2-dev", Path(), ("ap-northeast-2-shared",)),
    Stack("ap-northeast-2-dev-gitops", Path(), ("ap-northeast-2-dev",)),
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
def test_names_and_globs_choose_each_stack_once_in_order(patterns: list[str], names: list[str]) -> None:
    assert [stack.name for stack in select_stacks(_STACKS, patterns)] == [f"ap-northeast-2-{n}" for n in names]


def test_rejects_all_unknown_names_with_those_that_come_close() -> None:
    with pytest.raises(OperationError) as raised:
        select_stacks(_STACKS, ["ap-northeast-2-share", "x", "*-dev"])
    first, second = str(raised.value).splitlines()
    assert first.startswith("ap-northeast-2-share: no stack is called that; choose from ap-northeast-2-shared")
    assert second == f"x: no stack is called that; choose from {', '.join(stack.name for stack in _STACKS)}"


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
def test_rejects_what_was_written_half(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(OperationError, match=r"manifest\.json: .*; synthesize again: make synth$"):
        read_stacks(tmp_path)


def test_a_tree_without_stacks_is_listed_as_nothing(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"stacks": {}}')
    result = CliRunner().invoke(app, ["stacks", "--output", str(tmp_path)])
    assert (result.exit_code, result.output) == (0, "")


def test_producers_are_those_of_producers_too() -> None:
    assert all_producers(_STACKS)["ap-northeast-2-dev-gitops"] == {
        "ap-northeast-2-dev",
        "ap-northeast-2-shared",
    }


def test_a_stack_whose_file_is_gone_is_told_with_the_way_back(tmp_path: Path) -> None:
    with pytest.raises(OperationError, match=r"cdk\.tf\.json: .*; synthesize again: make synth"):
        _ = Stack("dev", tmp_path, ()).configuration
