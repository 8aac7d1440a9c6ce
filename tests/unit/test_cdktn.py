"""The comparison of the stacks of CDKTF and CDK Terrain; `make cdktn-check` runs it with both."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests import ROOT
from tests.cdktn.compare import Reviewed, differences, documents, problems, read_reviewed
from tests.cdktn.rename import rename

_STACK = "stacks/seoul-dev"
_REVIEW = "review it, and add it to differences.toml"


def _problems(cdktf: Any, cdktn: Any, *reviewed: Reviewed) -> list[str]:
    one, other = {_STACK: cdktf}, {_STACK: cdktn}
    return problems(differences(one, other), reviewed, one)


def _reviewed(*path: str, documents: str = "stacks/*", **values: Any) -> Reviewed:
    return Reviewed(documents=documents, path=path, why="a reason", **values)


def test_an_unknown_difference_has_the_stack_the_path_and_both_values() -> None:
    assert _problems(
        {"resource": {"aws_vpc": {"vpc": {"tags": {"Name": "a"}, "old": [1, 2]}}}},
        {"resource": {"aws_vpc": {"vpc": {"tags": {"Name": "b"}, "old": [1, 3]}}}},
    ) == [
        f"stacks/seoul-dev: resource.aws_vpc.vpc.old.1: 2 with CDKTF, 3 with CDK Terrain: {_REVIEW}",
        f'stacks/seoul-dev: resource.aws_vpc.vpc.tags.Name: "a" with CDKTF, "b" with CDK Terrain: {_REVIEW}',
    ]


def test_a_reviewed_difference_is_permitted_with_exactly_its_values() -> None:
    entry = _reviewed("terraform", "version", cdktf="1", cdktn="2")
    assert _problems({"terraform": {"version": "1"}}, {"terraform": {"version": "2"}}, entry) == []
    assert len(_problems({"terraform": {"version": "1"}}, {"terraform": {"version": "3"}}, entry)) == 2


@pytest.mark.parametrize(("path", "documents"), [("other", "stacks/*"), ("version", "stacks/*-prod")])
def test_an_entry_permits_nothing_at_another_place(path: str, documents: str) -> None:
    entry = _reviewed("terraform", path, documents=documents, cdktf="1", cdktn="2")
    new, _stale = _problems({"terraform": {"version": "1"}}, {"terraform": {"version": "2"}}, entry)
    assert new.endswith(_REVIEW)


def test_a_value_that_only_one_has_is_a_difference() -> None:
    added = _reviewed("terraform", "new", cdktn="2")
    assert _problems({"terraform": {}}, {"terraform": {"new": "2"}}, added) == []
    (problem,) = _problems({"terraform": {"old": None}}, {"terraform": {}})
    assert "terraform.old: null with CDKTF, nothing with CDK Terrain" in problem


@pytest.mark.parametrize(("one", "other"), [(1, True), ([], {}), ([1], [1, 1]), ("1", 1)])
def test_values_of_another_kind_are_a_difference(one: Any, other: Any) -> None:
    assert len(_problems({"terraform": {"value": one}}, {"terraform": {"value": other}})) == 1


def test_a_block_may_be_in_a_list() -> None:
    entry = _reviewed("resource", "a", "b", "metadata", is_list=True)
    one, other = {"name": "argocd"}, {"name": "other"}

    def stack(metadata: Any) -> Any:
        return {"resource": {"a": {"b": {"metadata": metadata}}}}

    assert _problems(stack(one), stack([one]), entry) == []
    assert len(_problems(stack(one), stack([other]), entry)) == 2


def test_an_entry_that_nothing_needs_is_stale() -> None:
    entry = _reviewed("terraform", "version", cdktf="1", cdktn="2")
    elsewhere = _reviewed("terraform", "version", documents="stacks/*-prod", cdktf="1", cdktn="2")
    stack = {"terraform": {"version": "1"}}
    here, there = _problems(stack, stack, entry, elsewhere)
    what = "terraform.version (a reason): no such difference"
    assert here == f"differences.toml: stacks/*: {what} in stacks/seoul-dev; correct it or remove it"
    assert there == f"differences.toml: stacks/*-prod: {what} in any document; correct it or remove it"


def test_every_document_that_an_entry_names_must_have_the_difference() -> None:
    old, new = {"terraform": {"version": "1"}}, {"terraform": {"version": "2"}}
    entry = _reviewed("terraform", "version", cdktf="1", cdktn="2")
    one, other = {"stacks/a": old, "stacks/b": old}, {"stacks/a": new, "stacks/b": old}
    (problem,) = problems(differences(one, other), [entry], one)
    assert "no such difference in stacks/b;" in problem


@pytest.mark.parametrize(
    "path",
    [
        ("resource", "aws_vpc", "vpc"),
        ("resource", "aws_vpc"),
        ("data", "aws_region", "here"),
        ("ephemeral", "random", "password"),
        ("output", "vpc_id"),
        ("output",),
        ("terraform", "backend", "s3", "key"),
        ("terraform", "backend"),
    ],
)
def test_no_entry_permits_another_address_output_or_backend(path: tuple[str, ...]) -> None:
    def stack(value: Any) -> Any:
        for key in reversed(path):
            value = {key: value}
        return value

    entry = _reviewed(*path, cdktf="old", cdktn="new")
    first, _stale = _problems(stack("old"), stack("new"), entry)
    assert first.endswith("it must not differ")


def test_no_entry_permits_another_stack() -> None:
    entry = Reviewed(documents="*", path=(), cdktf={"resource": {}}, why="removed")
    first, _stale = problems(differences({_STACK: {"resource": {}}}, {}), [entry], {_STACK})
    assert first == 'stacks/seoul-dev: : {"resource": {}} with CDKTF, nothing with CDK Terrain: it must not differ'


def test_the_reviewed_differences_are_complete() -> None:
    entries = read_reviewed()
    assert entries
    assert all(entry.why and entry.path for entry in entries)


def test_an_entry_with_a_misspelt_field_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "differences.toml"
    file.write_text('[[difference]]\ndocuments = "*"\npath = ["version"]\ncdkft = "1"\nwhy = "a reason"\n')
    with pytest.raises(ValidationError, match="cdkft"):
        read_reviewed(file)


def test_stacks_are_named_by_their_folder(tmp_path: Path) -> None:
    (tmp_path / _STACK).mkdir(parents=True)
    (tmp_path / _STACK / "cdk.tf.json").write_text(json.dumps({"terraform": {}}))
    (tmp_path / "manifest.json").write_text(json.dumps({"version": "1"}))
    assert documents(tmp_path) == {_STACK: {"terraform": {}}, "manifest.json": {"version": "1"}}


def test_imports_are_renamed_and_nothing_else(tmp_path: Path) -> None:
    for folder in ("constructs/eks_gitops", "stacks", "tests"):
        (tmp_path / folder).mkdir(parents=True)
    source = tmp_path / "main.py"
    source.write_text(
        '"""Run `cdktf synth`."""\nimport cdktf\nfrom cdktf import App\n'
        "from cdktf_cdktf_provider_aws.vpc import Vpc\n\n"
        'app = cdktf.Testing.app()\nTAGS = {"ManagedBy": "cdktf"}\nOUTPUT = "cdktf.out"\n'
    )
    for file in ("pyproject.toml", "constructs/pyproject.toml"):
        (tmp_path / file).write_text((ROOT / file).read_text())
    assert source in rename(tmp_path)
    assert source.read_text() == (
        '"""Run `cdktf synth`."""\nimport cdktn\nfrom cdktn import App\n'
        "from cdktn_provider_aws.vpc import Vpc\n\n"
        'app = cdktn.Testing.app()\nTAGS = {"ManagedBy": "cdktf"}\nOUTPUT = "cdktf.out"\n'
    )
    assert '"cdktn==' in (text := (tmp_path / "constructs/pyproject.toml").read_text())
    assert '"cdktn-provider-aws==' in text
    assert "cdktf_" not in (tmp_path / "pyproject.toml").read_text()
    assert rename(tmp_path) == []
