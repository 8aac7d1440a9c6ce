"""`deploy` with a fake `terraform`; `tests/e2e/test_deploy.py` runs the real one."""

import io
import json
import os
import sys
import threading
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from operations.cli import stacks as cli
from operations.deploy import deploy
from operations.errors import OperationError
from operations.guard.guard import Override
from operations.output.progress import Progress
from operations.output.report import Report, Status
from operations.terraform import runner
from operations.terraform.runner import Terraform
from operations.terraform.stacks import Stack, all_producers
from tests.stacks import make_stack
from tests.unit.operations.deploy.fake_terraform import FakeTerraform, Resources

pytestmark = pytest.mark.slow


def test_reads_the_hashes_from_a_report_of_plan(tmp_path: Path) -> None:
    stacks = {"shared": {"plan": "1 to create", "hash": "0a1b"}, "dev": {"plan": "planned after shared", "hash": ""}}
    (tmp_path / "reviewed.json").write_text(json.dumps({"stacks": stacks}))
    assert deploy.reviewed(tmp_path / "reviewed.json") == {"shared": "0a1b"}


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"stacks": {"dev": 1}}'])
def test_rejects_a_file_that_is_not_a_report_of_plan(tmp_path: Path, content: str) -> None:
    (tmp_path / "reviewed.json").write_text(content)
    problem = r"(not valid JSON \(line \d, column \d\)|not a report of `plan --json`)"
    with pytest.raises(OperationError, match=rf"reviewed\.json: {problem}; pass the output of `plan --json`$"):
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
        threading.Timer(0.1, runner.interrupt).start()
        try:
            assert not cli._ask("dev: the plan was not reviewed", "the plan")
        finally:
            runner._interrupted.clear()


@pytest.fixture
def terraform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeTerraform:
    return FakeTerraform(tmp_path, monkeypatch)


def _deploy(tmp_path: Path, stacks: Sequence[Stack], *, yes: bool = True, **options: Any) -> Report:
    all_options = deploy.Options(applies_unreviewed=yes, logs=tmp_path / "logs", **options)
    progress = Progress(Console(file=io.StringIO()))
    return deploy.deploy(stacks, all_producers(stacks), all_options, progress, " ".join)


def _outcomes(report: Report) -> dict[str, str]:
    return {name: one["outcome"] for name, one in report.data["stacks"].items()}


def _details(report: Report, stack: str) -> str:
    """The cell of the table."""
    return str(next(row for row in report.tables[0].rows if row[0] == stack)[-1])


_REPOSITORY = {"aws_ecr_repository.app": {"name": "app"}}


def _chain(terraform: FakeTerraform, *, shared: str = "1", **dev: Any) -> list[Stack]:
    """`dev` and `staging` read the value of `shared`, and `dev-gitops` reads from `dev`."""
    read = {"terraform_data.one": {"input": "${shared}", **dev}}
    return [
        terraform.stack("shared", {"terraform_data.one": {"value": shared}}),
        terraform.stack("dev", read, reads=("shared",)),
        terraform.stack("staging", {"terraform_data.one": {"input": "${shared}"}}, reads=("shared",)),
        terraform.stack("dev-gitops", {"terraform_data.one": {}}, reads=("dev",)),
    ]


def test_a_stack_is_planned_after_its_producers_are_applied(tmp_path: Path, terraform: FakeTerraform) -> None:
    assert _deploy(tmp_path, _chain(terraform)).status is Status.FINE
    report = _deploy(tmp_path, _chain(terraform, shared="2"))
    assert _outcomes(report) == {
        "shared": "applied", "dev": "applied", "staging": "applied", "dev-gitops": "unchanged"
    }  # fmt: skip
    assert terraform.state("dev")["terraform_data.one"]["input"] == "2"
    assert report.title == "deploy: 3 applied, 1 unchanged"
    assert report.data["again"] is None


def test_after_a_failure_independent_stacks_finish_and_consumers_are_not_reached(
    tmp_path: Path, terraform: FakeTerraform
) -> None:
    stacks = _chain(terraform, apply_error="AccessDenied")
    report = _deploy(tmp_path, stacks)
    assert _outcomes(report) == {
        "shared": "applied", "dev": "failed", "staging": "applied", "dev-gitops": "not reached"
    }  # fmt: skip
    assert report.status is Status.ERROR
    assert report.data["stacks"]["dev"]["what"] == "AccessDenied\nwith terraform_data.one"
    assert report.data["stacks"]["dev-gitops"]["what"] == "depends on dev"
    assert report.data["again"] == "dev dev-gitops"
    assert report.notes == ["continue with: dev dev-gitops"]
    assert _outcomes(_deploy(tmp_path, _chain(terraform))) == {
        "shared": "unchanged", "dev": "applied", "staging": "unchanged", "dev-gitops": "applied"
    }  # fmt: skip


def test_a_stack_that_was_not_reached_names_the_stack_that_failed(tmp_path: Path, terraform: FakeTerraform) -> None:
    stacks = _chain(terraform)
    terraform.stack("shared", {"terraform_data.one": {"apply_error": "AccessDenied"}})
    report = _deploy(tmp_path, stacks)
    assert {one["what"] for name, one in report.data["stacks"].items() if name != "shared"} == {"depends on shared"}


def test_a_partly_failed_apply_reports_the_changes_that_were_made(tmp_path: Path, terraform: FakeTerraform) -> None:
    old: Resources = {"aws_eip.a": {}, "aws_eip.b": {"tags": 1}}
    _deploy(tmp_path, [terraform.stack("dev", old)])
    new: Resources = {"aws_eip.b": {"tags": 2}, "aws_eip.c": {"apply_error": "AddressLimitExceeded"}, "aws_eip.d": {}}
    report = _deploy(tmp_path, [terraform.stack("dev", new)])
    assert report.data["stacks"]["dev"]["done"] == ["aws_eip.a", "aws_eip.b"]
    assert _details(report, "dev") == (
        "AddressLimitExceeded\nwith aws_eip.c\n2 of 4 changes were made and saved in the state"
    )
    assert terraform.state("dev") == {"aws_eip.b": {"tags": 2}}


def test_a_replacement_whose_creation_failed_is_not_reported_as_made(tmp_path: Path, terraform: FakeTerraform) -> None:
    _deploy(tmp_path, [terraform.stack("dev", {"aws_eip.a": {"id": 1}})])
    report = _deploy(tmp_path, [terraform.stack("dev", {"aws_eip.a": {"id": 2, "apply_error": "LimitExceeded"}})])
    assert report.data["stacks"]["dev"]["done"] == []
    assert _details(report, "dev").endswith("0 of 1 changes were made and saved in the state")


def test_a_state_that_could_not_be_saved_is_reported_and_stops_the_next_deploy(
    tmp_path: Path, terraform: FakeTerraform
) -> None:
    stack = terraform.stack("dev", {"aws_eip.a": {}, "aws_eip.b": {"apply_error": "Failed to save state"}})
    unsaved = stack.directory / "errored.tfstate"
    remedy = f"save it: terraform -chdir={stack.directory} state push errored.tfstate && rm {unsaved}"
    first, second = _details(_deploy(tmp_path, [stack]), "dev"), _details(_deploy(tmp_path, [stack]), "dev")
    assert "\n1 of 2 changes were made, but not saved. " in first
    assert first.endswith(remedy)
    assert second.startswith(f"{unsaved}: the state of an apply that could not be saved; ")
    assert second.endswith(remedy)
    unsaved.unlink()
    terraform.stack("dev", {"aws_eip.a": {}})
    assert _outcomes(_deploy(tmp_path, [stack])) == {"dev": "unchanged"}


@pytest.mark.parametrize(
    ("error", "kind", "recovers"),
    [
        ("creating EC2 VPC: context canceled", "environment", True),
        ("Plugin did not respond", "environment", True),
        ("", "environment", True),
        ("AddressLimitExceeded", "environment", False),
        ("context canceled", "in-cluster", False),
    ],
    ids=["interrupted", "provider killed", "terraform killed", "an answer", "interrupted in a cluster"],
)
def test_an_apply_whose_requests_had_no_answer_must_be_recovered(
    tmp_path: Path, terraform: FakeTerraform, error: str, kind: Any, *, recovers: bool
) -> None:
    stack = terraform.stack("dev", {"aws_eip.a": {"apply_error": error}}, kind=kind)
    what = _deploy(tmp_path, [stack]).data["stacks"]["dev"]["what"]
    remedy = "AWS may have done more than the state says; do this first: make recover STACK=dev"
    assert what.endswith(f"\n{remedy}") is recovers


def test_a_plan_whose_provider_was_killed_needs_no_recovery(tmp_path: Path, terraform: FakeTerraform) -> None:
    stack = terraform.stack("dev", {"aws_eip.a": {"plan_error": "Plugin did not respond"}})
    assert _deploy(tmp_path, [stack]).data["stacks"]["dev"]["what"] == "Plugin did not respond\nwith aws_eip.a"


def test_a_failed_plan_does_not_report_changes(tmp_path: Path, terraform: FakeTerraform) -> None:
    stacks = [terraform.stack("dev", _REPOSITORY)]
    terraform.lock("dev", "minji@laptop")
    report = _deploy(tmp_path, stacks)
    assert "changes were made" not in _details(report, "dev")


def test_a_held_lock_is_reported_with_its_owner_and_how_to_wait(tmp_path: Path, terraform: FakeTerraform) -> None:
    stacks = [terraform.stack("dev", _REPOSITORY)]
    terraform.lock("dev", "minji@laptop")
    report = _deploy(tmp_path, stacks, lock_timeout="10m")
    what = report.data["stacks"]["dev"]["what"]
    assert what.startswith("minji@laptop holds the lock")
    assert "--wait-for-lock 10m" in what
    (plan,) = [call for call in terraform.calls if call.startswith("dev: plan")]
    assert "-lock-timeout=10m" in plan


def test_a_reviewed_plan_is_applied_without_confirmation(tmp_path: Path, terraform: FakeTerraform) -> None:
    refused = _deploy(tmp_path, [terraform.stack("dev", _REPOSITORY)], yes=False)
    assert _outcomes(refused) == {"dev": "refused"}
    assert refused.data["stacks"]["dev"]["what"].startswith("the plan was not reviewed (1 to create, hash ")
    reviewed = {"dev": refused.data["stacks"]["dev"]["hash"]}
    report = _deploy(tmp_path, [terraform.stack("dev", _REPOSITORY)], yes=False, reviewed=reviewed)
    assert _outcomes(report) == {"dev": "applied"}
    assert terraform.state("dev") == _REPOSITORY


def test_a_plan_that_differs_from_the_reviewed_one_is_refused(tmp_path: Path, terraform: FakeTerraform) -> None:
    stacks = [terraform.stack("dev", _REPOSITORY)]
    report = _deploy(tmp_path, stacks, yes=False, reviewed={"dev": "0a1b"})
    assert (report.status, _outcomes(report)) == (Status.ATTENTION, {"dev": "refused"})
    what = report.data["stacks"]["dev"]["what"]
    assert what == (
        f"the plan differs from the reviewed plan (1 to create, hash {report.data['stacks']['dev']['hash']}); "
        "plan again, review the plan, and deploy with --reviewed"
    )
    assert [row[:3] for row in report.tables[1].rows] == [["dev", "create", "aws_ecr_repository.app"]]
    assert not [call for call in terraform.calls if call.startswith("dev: apply")]


@pytest.mark.parametrize("agrees", [True, False])
def test_a_plan_is_shown_at_a_terminal_and_applied_only_after_a_yes(
    tmp_path: Path, terraform: FakeTerraform, *, agrees: bool
) -> None:
    questions = []

    def ask(question: str, plan: str) -> bool:
        questions.append((question, plan))
        return agrees

    report = _deploy(tmp_path, [terraform.stack("dev", _REPOSITORY)], yes=False, ask=ask)
    assert questions == [("dev: the plan was not reviewed", "aws_ecr_repository.app will be created\n")]
    assert _outcomes(report) == {"dev": "applied" if agrees else "refused"}
    assert report.data["stacks"]["dev"]["what"] == (
        "1 to create" if agrees else "the plan was not reviewed, and was declined"
    )


def _without_repository(tmp_path: Path, terraform: FakeTerraform) -> list[Stack]:
    """A stack whose plan destroys an image repository."""
    _deploy(tmp_path, [terraform.stack("dev", _REPOSITORY)])
    return [terraform.stack("dev", {})]


def test_the_guard_refuses_a_plan_that_destroys_data_even_without_confirmation(
    tmp_path: Path, terraform: FakeTerraform
) -> None:
    report = _deploy(tmp_path, _without_repository(tmp_path, terraform))
    assert (report.status, _outcomes(report)) == (Status.ATTENTION, {"dev": "refused"})
    assert report.data["stacks"]["dev"]["what"].startswith("destroy aws_ecr_repository.app: ")
    assert [table.title for table in report.tables] == ["Stacks", "Changes", "Guard"]
    assert terraform.state("dev") == _REPOSITORY


def test_an_overridden_plan_is_applied(tmp_path: Path, terraform: FakeTerraform) -> None:
    allowed = [Override("dev", "aws_ecr_repository.app", "minji", "moved", date(2099, 1, 1))]
    report = _deploy(tmp_path, _without_repository(tmp_path, terraform), allowed=allowed)
    assert _outcomes(report) == {"dev": "applied"}
    assert [finding["verdict"] for finding in report.data["findings"]] == ["overridden by minji until 2099-01-01"]


def test_the_guard_does_not_check_an_emulated_account(tmp_path: Path, terraform: FakeTerraform) -> None:
    report = _deploy(tmp_path, _without_repository(tmp_path, terraform), is_guarded=False)
    assert (_outcomes(report), report.data["findings"]) == ({"dev": "applied"}, [])


def test_plan_files_are_deleted(tmp_path: Path, terraform: FakeTerraform) -> None:
    """They hold the prior state in plaintext."""
    _deploy(tmp_path, [terraform.stack("dev", _REPOSITORY)])
    (plan,) = [call for call in terraform.calls if call.startswith("dev: plan")]
    (file,) = [option.removeprefix("-out=") for option in plan.split() if option.startswith("-out=")]
    assert not Path(file).parent.exists()


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
