"""The resources that differ from those of another revision."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from operations.repository import revision, stack_differences
from tests.stacks import make_stack, write_output

BASE: dict[str, Any] = {
    "dev": {
        "resource": {
            "aws_vpc": {"kept": {"a": 1, "//": {"path": "x"}}, "changed": {"a": 1}, "old": {"a": 1}},
            "aws_kms_key": {f"gone-{number:02}": {} for number in range(12)},
        }
    },
    "prod": {"resource": {}, "output": {"id": {"value": "1"}}},
    "removed": {"resource": {"aws_vpc": {"vpc": {}}}},
    "same": {},
}
NOW: dict[str, Any] = {
    "dev": {
        "moved": [{"from": "aws_vpc.old", "to": "aws_vpc.new"}],
        "resource": {"aws_vpc": {"kept": {"a": 1}, "changed": {"a": 2}, "new": {"a": 1}}, "aws_subnet": {"one": {}}},
    },
    "prod": {"resource": {}, "output": {"id": {"value": "2"}}},
    "same": {},
}


def _write(output: Path, stacks: dict[str, Any]) -> None:
    made = []
    for name, configuration in stacks.items():
        directory = output / "stacks" / name
        directory.mkdir(parents=True)
        text = json.dumps({"terraform": {"backend": {"s3": {}}}, **configuration})
        (directory / "cdk.tf.json").write_text(text)
        made.append(make_stack("dev", directory, name=name))
    write_output(output, made)


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    _write(tmp_path / "cdktf.out", NOW)
    _write(tmp_path / "base/cdktf.out", BASE)

    @contextmanager
    def synthesized_at(name: str) -> Iterator[Path]:
        assert name == "HEAD^1"
        yield tmp_path / "base"

    monkeypatch.setattr(revision, "synthesized_at", synthesized_at)
    return tmp_path / "cdktf.out"


def test_stacks_are_compared_by_the_addresses_of_their_resources(output: Path) -> None:
    report = stack_differences.compare(output, "HEAD^1")
    assert report.title == "3 of 3 stacks changed since HEAD^1"
    (table,) = report.tables
    gone = [f"aws_kms_key.gone-{number:02}" for number in range(10)]
    assert table.rows == [
        ["dev", "changed", "aws_subnet.one", "aws_vpc.changed", "\n".join([*gone, "and 2 more"])],
        ["prod", "changed", "", "", ""],
        ["removed", "removed", "", "", "aws_vpc.vpc"],
    ]
    assert len(report.data["stacks"]["dev"]["removed"]) == 12
    assert report.notes == ["to see what Terraform would do: make plan BASE=HEAD^1"]


def test_a_revision_with_the_same_inputs_is_not_synthesized(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revision, "is_same_synthesis", lambda _base, _output: True)
    report = stack_differences.compare(output, "other")
    assert (report.title, report.tables, report.notes) == ("0 of 3 stacks changed since other", [], [])
