"""`deploy` with a fake Terraform; `tests/e2e/test_deploy.py` runs the real one."""

import io
import json
import os
import sys
import threading
from datetime import date
from pathlib import Path

import pytest
from rich.console import Console

from operations.cli import stacks as cli
from operations.deploy import deploy
from operations.errors import OperationError
from operations.guard.guard import Override
from operations.output.progress import Progress
from operations.output.report import Status
from operations.terraform import runner as terraform
from operations.terraform.runner import Terraform
from tests.stacks import make_stack


def test_reads_the_hashes_from_a_report_of_plan(tmp_path: Path) -> None:
    stacks = {"shared": {"plan": "1 to create", "hash": "0a1b"}, "dev": {"plan": "planned after shared", "hash": ""}}
    (tmp_path / "reviewed.json").write_text(json.dumps({"stacks": stacks}))
    assert deploy.reviewed(tmp_path / "reviewed.json") == {"shared": "0a1b"}


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"stacks": {"dev": 1}}'])
def test_rejects_a_file_that_is_not_a_report_of_plan(tmp_path: Path, content: str) -> None:
    (tmp_path / "reviewed.json").write_text(content)
    with pytest.raises(OperationError, match=r"reviewed\.json: .*; pass the output of `plan --json`$"):
        deploy.reviewed(tmp_path / "reviewed.json")


def _progress_output(*, terminal: bool) -> str:
    output = io.StringIO()
    with Progress(Console(file=output, force_terminal=terminal, width=120)) as progress:
        with progress.stack("dev", "applying: 1 to create", 1) as on_event:
            hook = {"resource": {"addr": "aws_eks_cluster.cluster"}, "action": "create"}
            on_event({"type": "apply_start", "hook": hook})
            on_event({"type": "apply_progress", "hook": hook | {"elapsed_seconds": 50}})
            on_event({"type": "apply_progress", "hook": hook | {"elapsed_seconds": 60}})
            on_event({"type": "apply_complete", "hook": {"resource": {"addr": "data.aws_vpc.vpc"}, "action": "read"}})
            if terminal:
                progress._bars.refresh()
            on_event({"type": "apply_complete", "hook": hook | {"elapsed_seconds": 64}})
            on_event({"type": "version", "@message": "Terraform 1.11.4"})
        progress.end("dev", "applied: 1 to create")
    return output.getvalue()


def test_progress_without_a_terminal_is_plain_lines() -> None:
    assert _progress_output(terminal=False).splitlines() == [
        "dev: applying: 1 to create",
        "dev: aws_eks_cluster.cluster still creating, 60 s",
        "dev: aws_eks_cluster.cluster created after 64 s",
        "dev: applied: 1 to create",
    ]


def test_progress_at_a_terminal_shows_the_resource_in_progress() -> None:
    output = _progress_output(terminal=True)
    assert "creating aws_eks_cluster.cluster" in output
    assert "1/1" in output


@pytest.mark.parametrize(("typed", "agreed"), [("y\n", True), ("YES\n", True), ("\n", False), ("", False)])
def test_only_yes_confirms_a_plan(monkeypatch: pytest.MonkeyPatch, typed: str, *, agreed: bool) -> None:
    read, write = os.pipe()
    os.write(write, typed.encode())
    os.close(write)
    with os.fdopen(read) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert cli._ask("dev: the plan was not reviewed", "the plan") is agreed


def test_an_interrupt_cancels_the_question(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    with os.fdopen(read) as stdin, os.fdopen(write, "w"):
        monkeypatch.setattr(sys, "stdin", stdin)
        threading.Timer(0.1, terraform.interrupt).start()
        try:
            assert not cli._ask("dev: the plan was not reviewed", "the plan")
        finally:
            terraform._interrupted.clear()


def test_an_unexpected_error_in_one_stack_does_not_hide_the_outcomes_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plan(self: Terraform, *_: object) -> dict[str, object]:
        if self.directory.name == "bad":
            raise ZeroDivisionError("by zero")
        return {}

    monkeypatch.setattr(Terraform, "stream_plan", plan)
    stacks = [make_stack(directory=tmp_path / name, name=name) for name in ("bad", "good")]
    options = deploy.Options(logs=tmp_path / "logs")
    report = deploy.deploy(stacks, {"bad": set(), "good": set()}, options, Progress(), " ".join)
    assert {name: one["outcome"] for name, one in report.data["stacks"].items()} == {
        "bad": "failed",
        "good": "unchanged",
    }
    assert report.data["stacks"]["bad"]["what"].startswith("ZeroDivisionError: by zero (in test_deploy.py:")
    assert report.notes == ["continue with: bad"]


def test_an_unused_override_is_reported_and_is_not_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a replacement failed halfway, only the creation is left, which needs no override."""
    monkeypatch.setattr(Terraform, "stream_plan", lambda *_: {})
    allowed = [Override("dev", "aws_db_instance.main", "minji", "a new one", date(2099, 1, 1))]
    options = deploy.Options(allowed=allowed, logs=tmp_path / "logs")
    report = deploy.deploy([make_stack(directory=tmp_path, name="dev")], {"dev": set()}, options, Progress(), " ".join)
    assert report.status == Status.FINE
    assert report.notes == ["guard-overrides.toml: dev aws_db_instance.main: not used by the plan; remove it"]
