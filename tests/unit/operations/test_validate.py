"""The command `validate`: checks pass, fail or are skipped."""

import sys
from pathlib import Path

import pytest

from operations import validate
from operations.output.report import Report, Status
from operations.scanner import scanner
from operations.validate import Step
from tests.stacks import make_stack

pytestmark = pytest.mark.slow


@pytest.fixture
def terraform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of a fake terraform, first on PATH."""
    program = tmp_path / "terraform"
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return program


def _script(program: Path, script: str) -> None:
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_a_stack_is_validated_without_its_backend_and_in_a_temporary_data_directory(
    terraform: Path, tmp_path: Path
) -> None:
    _script(terraform, 'echo "$TF_DATA_DIR $*" >> calls')
    step = validate.stack_is_valid(make_stack(directory=tmp_path, name="dev"))
    assert step.outcome == "passed"
    calls = [line.split(" ", 1) for line in (tmp_path / "calls").read_text().splitlines()]
    assert [arguments for _, arguments in calls] == [
        "init -backend=false -input=false -no-color",
        "validate -no-color",
    ]
    assert not Path(calls[0][0]).exists()


def test_a_stack_that_terraform_rejects_fails_with_its_error(terraform: Path, tmp_path: Path) -> None:
    _script(terraform, '[ "$1" = init ] || { echo "Error: Unsupported argument" >&2; exit 1; }')
    step = validate.stack_is_valid(make_stack(directory=tmp_path, name="dev"))
    assert (step.outcome, step.said) == ("failed", "Error: Unsupported argument")


def test_a_stack_without_available_providers_is_skipped(terraform: Path, tmp_path: Path) -> None:
    _script(terraform, 'echo "Error: Failed to query available provider packages"; exit 1')
    step = validate.stack_is_valid(make_stack(directory=tmp_path, name="dev-gitops"))
    assert (step.outcome, step.said) == ("skipped", "terraform init: providers not available")


def test_checks_whose_programs_or_folders_are_missing_are_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _script(tmp_path / "make", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    report = validate.validate([make_stack(directory=tmp_path, name="dev")], [], tmp_path / "plans", lambda _: None)
    assert {step["name"]: (step["outcome"], step["said"]) for step in report.data["steps"]} == {
        "dev": ("skipped", "terraform: not installed; install Terraform 1.11 or newer (below 2)"),
        "style and types": ("passed", ""),
        "manifests": ("skipped", "tests/gitops: not found"),
        "workflows": ("skipped", "tests/workflows: not found"),
    }
    assert report.status is Status.ATTENTION
    assert report.notes == [
        f"checkov did not run: {tmp_path}/plans/STACK.json: no plans; `terraform show -json` prints one"
    ]


def test_programs_that_cannot_be_run_fail_their_checks_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "terraform").write_bytes(b"\0")
    (tmp_path / "terraform").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    report = validate.validate([make_stack(directory=tmp_path, name="dev")], [], tmp_path / "plans", lambda _: None)
    remedy = "install Terraform 1.11 or newer (below 2)"
    assert [(step["outcome"], step["said"]) for step in report.data["steps"]] == [
        ("failed", f"terraform: cannot be run: Exec format error; {remedy}"),
        ("failed", "make: not installed; install Make"),
        ("skipped", "tests/gitops: not found"),
        ("skipped", "tests/workflows: not found"),
    ]


@pytest.mark.parametrize(("status", "outcome"), [(0, "passed"), (1, "failed")])
def test_the_exit_status_of_a_command_determines_its_outcome(status: int, outcome: str) -> None:
    step = validate.command("any", sys.executable, "-c", f"import sys; print('why'); sys.exit({status})")
    assert step.outcome == outcome
    assert step.said == ("why" if outcome == "failed" else "")


@pytest.mark.parametrize("exists", [True, False])
def test_a_folder_without_tests_is_skipped(tmp_path: Path, *, exists: bool) -> None:
    folder = tmp_path if exists else tmp_path / "none"
    step = validate.pytest("manifests", folder)
    assert (step.name, step.outcome) == ("manifests", "skipped")
    assert str(folder) in step.said


def test_tests_that_are_not_run_are_named_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "test_some.py").write_text(
        "import pytest\n"
        "@pytest.mark.parametrize('n', range(2))\n"
        "def test_one(n): pytest.skip('go: not installed; install Go')\n"
        "def test_two(): pytest.skip('go: not installed; install Go')\n"
        "def test_three(): pytest.skip('CRDs not found')\n"
        "def test_four(): pass\n"
    )
    step = validate.pytest("manifests", tmp_path)
    assert (step.outcome, step.not_run) == ("passed", 4)
    assert step.said.splitlines() == [
        "3 not run: go: not installed; install Go: test_one (2), test_two (1)",
        "1 not run: CRDs not found: test_three (1)",
    ]
    monkeypatch.setattr(validate, "_steps", lambda *_: iter([step]))
    messages: list[str] = []
    report = validate.validate([], [], Path("plans"), messages.append)
    assert report.status is Status.ATTENTION
    assert report.title == "0 failed, 0 skipped, 1 passed, 4 tests not run"
    assert messages[0].endswith(", 4 tests not run")


def test_failed_tests_are_shown_with_their_whole_messages(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text(
        "import pytest\n"
        "@pytest.mark.parametrize('n', range(50))\n"
        "def test_many(n): pytest.skip('the tree is broken: a.yaml:1')\n"
        "def test_go(): pytest.skip('go: not installed; install Go')\n"
        "def test_one(): assert 1 == 2\n"
        "def test_two(): pytest.fail('a.yaml: no Secret b\\nc.yaml: no Secret d', pytrace=False)\n"
        "@pytest.fixture\n"
        "def broken(): pytest.fail('e.yaml:1: wrong', pytrace=False)\n"
        "def test_three(broken): pass\n"
    )
    step = validate.pytest("manifests", tmp_path)
    assert (step.outcome, step.not_run) == ("failed", 1)
    name = f"{tmp_path.name}/test_some.py"
    said = [line.replace(f"{tmp_path.parent}/", "") for line in step.said.splitlines()]
    assert [line.partition(f"{name}::")[2] or line for line in said] == [
        "test_one - assert 1 == 2",
        "test_two - Failed: a.yaml: no Secret b",
        "c.yaml: no Secret d",
        "test_three - Failed: e.yaml:1: wrong",
        "1 not run: go: not installed; install Go: test_go (1)",
    ]


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        (["passed", "passed"], Status.FINE),
        (["passed", "skipped"], Status.ATTENTION),
        (["failed", "skipped"], Status.ERROR),
    ],
)
def test_the_worst_outcome_determines_the_status(
    monkeypatch: pytest.MonkeyPatch, outcomes: list[str], status: Status
) -> None:
    steps = [Step("any", outcome, 0.4) for outcome in outcomes]  # type: ignore[arg-type]
    monkeypatch.setattr(validate, "_steps", lambda *_: iter(steps))
    messages: list[str] = []
    report = validate.validate([], [], Path("plans"), messages.append)
    assert report.status is status
    assert len(messages) == len(report.data["steps"]) == 2


@pytest.mark.parametrize(("problems", "outcome"), [([], "passed"), (["dev: aws_vpc.vpc: CKV_1"], "failed")])
def test_existing_plans_are_checked_with_checkov(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problems: list[str], outcome: str
) -> None:
    monkeypatch.setattr(scanner, "PROGRAM", tmp_path / "checkov")
    monkeypatch.chdir(tmp_path)
    plans = [tmp_path / "dev.json"]
    missing = validate.plans_are_clean(plans, ["dev"])
    assert (missing.outcome, missing.said) == ("skipped", f"{tmp_path}/checkov: not installed; run: make checkov")
    (tmp_path / "checkov").touch()
    report = Report("checkov: all", Status.ERROR if problems else Status.FINE, {}, notes=problems)
    monkeypatch.setattr(scanner, "scan", lambda *_: report)
    step = validate.plans_are_clean(plans, ["dev"])
    assert (step.outcome, step.said) == (outcome, "\n".join(["checkov: all", *problems]))
    (tmp_path / "scanner-exceptions.toml").write_text("no TOML")
    assert validate.plans_are_clean(plans, ["dev"]).outcome == "failed"


def test_plans_are_looked_for_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "dev.json").touch()
    report = validate.validate([], [], tmp_path, lambda _: None)
    assert [step["name"] for step in report.data["steps"]][-1] == "checkov"
    assert report.notes == []
