"""`plan` with a fake Terraform: which stacks are planned, which wait, and the report."""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from operations.deploy import plan
from operations.deploy.plan import Selection
from operations.errors import OperationError
from operations.guard.guard import Override
from operations.output.progress import Progress
from operations.output.report import Report, Status
from operations.repository import revision
from operations.terraform.runner import Terraform
from operations.terraform.stacks import Stack
from tests.stacks import make_stack, write_output

_PRODUCERS = {"shared": set[str](), "dev": {"shared"}, "dev-gitops": {"shared", "dev"}}


def _document(*addresses: str, action: str = "create") -> dict[str, Any]:
    change: dict[str, Any] = {"actions": [action], "before": None, "after": {}}
    return {"resource_changes": [{"address": a, "type": a.split(".")[0], "change": change} for a in addresses]}


def _planned(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    documents: Mapping[str, dict[str, Any] | str],
    *,
    differing: Mapping[str, str] | None = None,
    asked_for: Sequence[str] = tuple(_PRODUCERS),
) -> Report:
    def stream_plan(self: Terraform, file: Path, *_: object) -> dict[str, Any]:
        assert file.parent.stat().st_mode & 0o777 == 0o700
        document = documents[self.directory.name]
        if isinstance(document, str):
            raise OperationError(document)
        return document

    monkeypatch.setattr(Terraform, "stream_plan", stream_plan)
    stacks = [make_stack(directory=tmp_path / name, name=name, reads=_PRODUCERS[name]) for name in asked_for]
    base = None if differing is None else "abc123"
    progress = Progress(Console(file=io.StringIO()))
    return plan.plan(Selection(stacks, _PRODUCERS, base, differing), [], progress, parallelism=2, logs=tmp_path)


def _plans(report: Report) -> dict[str, str]:
    return {name: entry["plan"] for name, entry in report.data["stacks"].items()}


def test_consumers_of_a_stack_with_changes_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = _planned(tmp_path, monkeypatch, {"shared": _document("aws_eip.eip")})
    assert _plans(report) == {
        "shared": "1 to create",
        "dev": "planned after shared",
        "dev-gitops": "planned after shared",
    }
    assert report.status is Status.ATTENTION
    assert report.title == "1 of 3 stacks with changes, 2 to plan after them"
    assert {name for name, entry in report.data["stacks"].items() if entry["hash"]} == {"shared"}


def test_consumers_of_a_stack_without_changes_are_planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    documents = {"shared": _document(), "dev": _document("aws_eip.eip")}
    assert _plans(_planned(tmp_path, monkeypatch, documents)) == {
        "shared": "no changes",
        "dev": "1 to create",
        "dev-gitops": "planned after dev",
    }


def test_only_stacks_that_differ_are_planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    documents = {"dev": _document("aws_eip.eip")}
    report = _planned(tmp_path, monkeypatch, documents, differing={"dev": "changed"})
    assert _plans(report) == {"dev": "1 to create", "dev-gitops": "planned after dev"}
    assert report.notes == ["compared with abc123; stacks without differences are not planned"]


def _synthesized(output: Path, **instance_types: str) -> list[Stack]:
    """Write stacks with an instance of this type each."""
    stacks = []
    for name, instance_type in instance_types.items():
        folder = output / "stacks" / name
        folder.mkdir(parents=True)
        resource = {"aws_instance": {"one": {"instance_type": instance_type}}}
        (folder / "cdk.tf.json").write_text(json.dumps({"terraform": {"backend": {"s3": {}}}, "resource": resource}))
        stacks.append(make_stack(directory=folder, name=name))
    write_output(output, stacks)
    return stacks


def test_stacks_are_compared_with_the_base_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "out"
    _synthesized(output, same="t3.small", changed="t3.large", new="t3.small")
    _synthesized(tmp_path / "base/cdktf.out", same="t3.small", changed="t3.small", removed="t3.small")

    @contextmanager
    def synthesized_at(base: str) -> Iterator[Path]:
        assert base == "main"
        yield tmp_path / "base"

    monkeypatch.setattr(revision, "synthesized_at", synthesized_at)
    compared = plan.selection(output, [], "main")
    assert compared.differing == {"removed": "removed", "changed": "changed", "new": "new"}
    assert {stack.name: compared.reason(stack.name) for stack in compared.stacks} == {
        "same": None, "changed": "changed", "new": "new"
    }  # fmt: skip
    assert {plan.selection(output, [], None).reason(stack.name) for stack in compared.stacks} == {"asked for"}


def test_no_differences_are_reported_as_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = _planned(tmp_path, monkeypatch, {}, differing={})
    assert (report.title, report.status, report.tables) == ("0 of 3 stacks with changes", Status.FINE, [])


@pytest.mark.parametrize(
    ("differing", "listed"),
    [
        (None, {"dev": "asked for"}),
        ({}, None),
        ({"dev": "changed"}, {"dev": "changed"}),
        ({"prod": "changed"}, None),
        ({"old": "removed"}, {"old": "removed"}),
    ],
)
def test_lists_the_stacks_to_plan(differing: dict[str, str] | None, listed: dict[str, str] | None) -> None:
    chosen = Selection([make_stack(name="dev")], {"dev": set()}, "abc123", differing)
    assert chosen.differs is (listed is not None)
    if listed is not None:
        report = plan.listing(chosen)
        assert (report.title, report.status, report.data["stacks"]) == ("1 stack to plan", Status.ATTENTION, listed)


def test_lists_the_accounts_of_the_stacks_to_plan() -> None:
    stacks = [
        make_stack(name=f"{region}-dev", region=region) for region in ("us-west-2", "eu-west-1", "ap-northeast-2")
    ]
    stacks.append(make_stack(name="eu-west-1-prod", region="eu-west-1", account="production"))
    differing = {"us-west-2-dev": "changed", "eu-west-1-dev": "new", "ap-south-1-dev": "removed"}
    differing["eu-west-1-prod"] = "changed"
    chosen = Selection(stacks, {stack.name: set() for stack in stacks}, "abc123", differing)
    assert plan.listing(chosen).data["places"] == [
        {"place": "eu-west-1", "region": "eu-west-1", "stacks": "eu-west-1-dev"},
        {"place": "eu-west-1-production", "region": "eu-west-1", "stacks": "eu-west-1-prod"},
        {"place": "us-west-2", "region": "us-west-2", "stacks": "us-west-2-dev"},
    ]
    assert plan.listing(chosen).data["removed"] == ["ap-south-1-dev"]


def test_a_stack_waits_for_a_producer_that_differs_and_was_not_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = _planned(tmp_path, monkeypatch, {}, differing={"shared": "changed"}, asked_for=["dev"])
    assert _plans(report) == {"dev": "planned after shared"}


def test_reports_a_removed_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = _planned(tmp_path, monkeypatch, {}, differing={"old": "removed"})
    assert report.status is Status.ATTENTION
    assert report.notes[0].startswith("old: removed since abc123; its resources would stay unmanaged")


def test_reports_a_failed_plan_and_the_stacks_that_wait_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = _planned(tmp_path, monkeypatch, {"shared": "shared: AccessDenied"})
    assert _plans(report)["dev-gitops"] == "planned after shared"
    assert _plans(report)["shared"] == "failed"
    assert report.status is Status.ERROR
    assert report.notes == ["error: shared: AccessDenied"]


def test_effects_of_the_changes_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    documents = {"shared": _document("aws_nat_gateway.nat", action="delete"), "dev": {}, "dev-gitops": {}}
    report = _planned(tmp_path, monkeypatch, documents)
    (effects,) = [table for table in report.tables if table.title == "What the changes do"]
    assert effects.rows == [["shared", next(iter(report.data["effects"]["shared"])), "aws_nat_gateway"]]
    assert "ends the connections through it" in effects.rows[0][1]


def test_the_guard_checks_the_plans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = _planned(tmp_path, monkeypatch, {"shared": _document("aws_vpc.vpc", action="delete")})
    assert report.title.endswith("; guard: 1 refused")
    assert [finding["address"] for finding in report.data["findings"]] == ["aws_vpc.vpc"]
    assert [table.title for table in report.tables] == ["Stacks", "Changes", "Guard"]


def test_rejects_an_override_for_an_unknown_stack(tmp_path: Path) -> None:
    misspelt = Override("devv", "aws_vpc.vpc", "minji", "why", date(2026, 1, 31))
    nothing = Selection([], _PRODUCERS)
    report = plan.plan(nothing, [misspelt], Progress(Console(file=io.StringIO())), parallelism=1, logs=tmp_path)
    assert report.status is Status.ERROR
    assert report.data["errors"][0].startswith("guard-overrides.toml: devv aws_vpc.vpc: no such stack")
