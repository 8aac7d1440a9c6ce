"""Validating on this machine: what passed, what failed and what could not be checked are told apart."""

import sys
from pathlib import Path

import pytest

from operations import validate
from operations.output.report import Status
from operations.validate import Step
from tests.stacks import make_stack


@pytest.fixture
def terraform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A terraform that runs the script written to this file."""
    program = tmp_path / "terraform"
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return program


def _script(program: Path, script: str) -> None:
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_a_stack_is_validated_without_its_backend_and_beside_its_own_data(terraform: Path, tmp_path: Path) -> None:
    _script(terraform, 'echo "$TF_DATA_DIR $*" >> calls')
    step = validate.stack_is_valid(make_stack(directory=tmp_path, name="dev"))
    assert step.outcome == "passed"
    calls = [line.split(" ", 1) for line in (tmp_path / "calls").read_text().splitlines()]
    assert [arguments for _, arguments in calls] == [
        "init -backend=false -input=false -no-color",
        "validate -no-color",
    ]
    assert not Path(calls[0][0]).exists()


def test_what_terraform_refuses_failed_and_says_why(terraform: Path, tmp_path: Path) -> None:
    _script(terraform, '[ "$1" = init ] || { echo "Error: Unsupported argument" >&2; exit 1; }')
    step = validate.stack_is_valid(make_stack(directory=tmp_path, name="dev"))
    assert (step.outcome, step.said) == ("failed", "Error: Unsupported argument")


def test_a_stack_whose_providers_cannot_be_had_is_skipped(terraform: Path, tmp_path: Path) -> None:
    _script(terraform, 'echo "Error: Failed to query available provider packages"; exit 1')
    step = validate.stack_is_valid(make_stack(directory=tmp_path, name="dev-gitops"))
    assert (step.outcome, step.said) == ("skipped", "its providers cannot be had from here")


@pytest.mark.parametrize(("status", "outcome"), [(0, "passed"), (1, "failed"), (5, "skipped")])
def test_a_command_is_told_by_what_it_ends_with(status: int, outcome: str) -> None:
    step = validate.command("any", sys.executable, "-c", f"import sys; print('why'); sys.exit({status})", none=5)
    assert step.outcome == outcome
    assert step.said == ("why" if outcome == "failed" else "")


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_without_tests_is_skipped(tmp_path: Path, *, there: bool) -> None:
    folder = tmp_path if there else tmp_path / "none"
    step = validate.pytest("manifests", folder)
    assert (step.name, step.outcome) == ("manifests", "skipped")
    assert str(folder) in step.said


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        (["passed", "passed"], Status.FINE),
        (["passed", "skipped"], Status.ATTENTION),
        (["failed", "skipped"], Status.ERROR),
    ],
)
def test_worst_step_decides_the_status(monkeypatch: pytest.MonkeyPatch, outcomes: list[str], status: Status) -> None:
    steps = [Step("any", outcome, 0.4) for outcome in outcomes]  # type: ignore[arg-type]
    monkeypatch.setattr(validate, "_steps", lambda _: iter(steps))
    said: list[str] = []
    report = validate.validate([], said.append)
    assert report.status is status
    assert len(said) == len(report.data["steps"]) == 2
