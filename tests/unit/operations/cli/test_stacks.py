"""The commands for stacks: which stacks and options they pass on, confirmation, and exit statuses."""

import json
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from operations import ami_releases, validate
from operations.deploy import deploy, plan
from operations.destroy import destroy
from operations.destroy.destroy import Destruction
from operations.drift import drift
from operations.output.report import Report, Status
from operations.preflight import preflight
from operations.repository import revision
from operations.scanner import scanner
from operations.terraform import runner, synthesis
from operations.terraform.stacks import Stack, read_stacks
from operations.upgrade import upgrade
from tests.stacks import REGION
from tests.unit.operations.cli.conftest import Terminal, run

DEV, PROD, SHARED = (f"{REGION}-{name}" for name in ("dev", "prod", "shared"))


def _mocked(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, status: Status = Status.FINE, **data: Any) -> Mock:
    """A function replaced by one that returns a report with this status and data."""
    mock = Mock(return_value=Report("the title", status, data))
    monkeypatch.setattr(module, name, mock)
    return mock


def _names(stacks: list[Stack]) -> list[str]:
    return [stack.name for stack in stacks]


def test_stacks_lists_every_stack_after_its_dependencies(output: Path) -> None:
    lines = [line.split(maxsplit=1) for line in run("stacks", "--output", output).stdout.splitlines()]
    assert [DEV, f"1 resource  reads {SHARED}"] in lines
    assert [SHARED, "1 resource"] in lines
    names = [name for name, _ in lines]
    assert names.index(SHARED) < names.index(DEV) < names.index(f"{DEV}-gitops")


@pytest.mark.parametrize("changed", [None, "main.py"])
def test_synth_lists_the_stacks_and_their_warnings(
    output: Path, monkeypatch: pytest.MonkeyPatch, changed: str | None
) -> None:
    manifest = json.loads((output / "manifest.json").read_text())
    for stack in manifest["stacks"].values():
        stack["annotations"] = [{"message": "placeholders remain"}]
    (output / "manifest.json").write_text(json.dumps(manifest))
    synthesize = Mock(return_value=changed)
    monkeypatch.setattr(synthesis, "synthesize", synthesize)

    result = run("synth", "--force", "--output", output)
    synthesize.assert_called_once_with(output, force=True)
    assert f"warning: {DEV}: placeholders remain" in result.stderr
    assert (f"{output} is up to date" in result.output) == (changed is None)
    assert f"{DEV}  " in result.stdout


def test_an_output_folder_without_stacks_is_an_error(tmp_path: Path) -> None:
    assert "make synth" in run("stacks", "--output", tmp_path, status=1).stderr


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """The selection of `plan`, whose base revision is the second positional argument after the patterns."""
    selection = Mock()
    monkeypatch.setattr(plan, "selection", selection)
    monkeypatch.setattr(revision, "default_base", lambda: "the merge base")
    _mocked(monkeypatch, plan, "plan", Status.ATTENTION)
    return selection


@pytest.mark.parametrize(
    ("options", "base"), [([], "the merge base"), (["--base", "HEAD~1"], "HEAD~1"), (["--all"], None)]
)
def test_plan_compares_with_the_merge_base_unless_told_otherwise(
    planned: Mock, output: Path, options: list[str], base: str | None
) -> None:
    run("plan", DEV, "--output", output, *options, status=2)
    planned.assert_called_once_with(output, [DEV], base)


@pytest.mark.parametrize("differs", [True, False])
def test_plan_only_lists_the_stacks_if_there_are_any(
    planned: Mock, output: Path, monkeypatch: pytest.MonkeyPatch, *, differs: bool
) -> None:
    planned.return_value.differs = differs
    listing = _mocked(monkeypatch, plan, "listing", Status.ATTENTION, places=[{"place": REGION}])
    run("plan", DEV, "--output", output, "--list", status=2)
    assert listing.called is differs


def test_plan_sets_the_accounts_that_it_lists_as_an_output(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_OUTPUT", str(output / "outputs"))
    run("plan", "--all", "--list", "--output", output, status=2)
    names = ("backend", "shared", "dev", "prod", "dev-gitops")
    stacks = " ".join(f"{REGION}-{name}" for name in names)
    places = [{"place": REGION, "region": REGION, "stacks": stacks}]
    assert (output / "outputs").read_text() == f"places={json.dumps(places)}\n"


def test_guard_checks_plans(tmp_path: Path) -> None:
    file = tmp_path / f"{DEV}.json"
    change = {"actions": ["delete"], "before": {"bucket": "data"}, "after": None}
    resource = {"address": "aws_s3_bucket.data", "type": "aws_s3_bucket", "mode": "managed", "name": "data"}
    file.write_text(json.dumps({"resource_changes": [{**resource, "change": change}]}))
    result = run("guard", file, "--overrides", tmp_path / "none.toml", "--json", status=2)
    (finding,) = json.loads(result.stdout)["findings"]
    assert (finding["stack"], finding["address"], finding["verdict"]) == (DEV, "aws_s3_bucket.data", "refused")


def test_deploy_without_a_terminal_cannot_ask(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed = _mocked(monkeypatch, deploy, "deploy", Status.ATTENTION)
    run("deploy", f"{REGION}-[sd]*", "--output", output, status=2)
    stacks, producers, options, *_ = deployed.call_args.args
    assert _names(stacks) == [SHARED, DEV, f"{DEV}-gitops"]
    assert producers[f"{DEV}-gitops"] == {SHARED, DEV}
    assert (options.ask, options.applies_unreviewed) == (None, False)


def test_deploy_prints_a_command_that_resumes_with_the_same_options(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed = _mocked(monkeypatch, deploy, "deploy")
    run("deploy", "--output", output, "--yes", "--wait-for-lock", "10m")
    resume_command = deployed.call_args.args[4]
    assert resume_command([DEV]).endswith(f"-m operations deploy {DEV} --output {output} --wait-for-lock 10m --yes")


def test_recover_imports_into_the_named_stacks(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed = _mocked(monkeypatch, deploy, "deploy")
    run("recover", DEV, "--output", output, "--yes")
    stacks, _, options, _, resume_command = deployed.call_args.args
    assert (_names(stacks), options.is_recovery, options.applies_unreviewed) == ([DEV], True, True)
    assert resume_command([DEV]).endswith(f"-m operations recover {DEV} --output {output} --yes")


def test_adopt_imports_into_one_stack(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed = _mocked(monkeypatch, deploy, "deploy")
    run("adopt", DEV, "--output", output, "--yes", "--id", "aws_vpc.vpc=vpc-1")
    stacks, _, options, _, resume_command = deployed.call_args.args
    adoption = options.adoption
    assert (_names(stacks), adoption.ids, len(adoption.every)) == ([DEV], {"aws_vpc.vpc": "vpc-1"}, 5)
    assert resume_command([DEV]).endswith(f"-m operations adopt {DEV} --output {output} --yes --id aws_vpc.vpc=vpc-1")


def test_adopt_rejects_several_stacks(output: Path) -> None:
    errors = run("adopt", f"{REGION}-*", "--output", output, status=1).stderr
    assert errors == f"error: {REGION}-*: matches 5 stacks; name one\n"


def test_deploy_applies_the_reviewed_plans(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed = _mocked(monkeypatch, deploy, "deploy")
    reviewed = output.parent / "reviewed.json"
    reviewed.write_text(json.dumps({"stacks": {DEV: {"hash": "a" * 64, "plan": "changes"}}}))
    run("deploy", DEV, "--output", output, "--reviewed", reviewed)
    assert deployed.call_args.args[2].reviewed == {DEV: "a" * 64}


@pytest.mark.parametrize(("answer", "is_confirmed"), [("y\n", True), ("yes\n", True), ("\n", False), ("no\n", False)])
def test_deploy_asks_at_a_terminal(
    output: Path,
    terminal: Terminal,
    monkeypatch: pytest.MonkeyPatch,
    *,
    answer: str,
    is_confirmed: bool,
) -> None:
    deployed = _mocked(monkeypatch, deploy, "deploy")
    assert terminal.run("deploy", DEV, "--output", output) == 0
    terminal.type(answer)
    assert deployed.call_args.args[2].ask(f"{DEV} was not reviewed", "1 to add") is is_confirmed
    assert f"1 to add\n{DEV} was not reviewed. Apply it?" in terminal.printed()


def test_an_interrupt_while_deploy_asks_counts_as_a_no(
    output: Path, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed = _mocked(monkeypatch, deploy, "deploy")
    terminal.run("deploy", DEV, "--output", output)
    monkeypatch.setattr(runner, "is_interrupted", Mock(side_effect=[False, True]))
    assert deployed.call_args.args[2].ask("Not reviewed", "1 to add") is False


@pytest.mark.parametrize(("options", "jobs"), [([], 7), (["--jobs", "2"], 2)])
def test_drift_runs_as_many_plans_as_fit_or_as_given(
    output: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], jobs: int
) -> None:
    found = _mocked(monkeypatch, drift, "drift", Status.ATTENTION)
    monkeypatch.setattr(drift, "jobs", lambda: 7)
    run("drift", DEV, "--output", output, "--ignored", output / "none.toml", *options, status=2)
    chosen, every, ignored, _ = found.call_args.args
    assert (_names(chosen), len(every), ignored) == ([DEV], 5, [])
    assert found.call_args.kwargs["parallelism"] == jobs


@pytest.fixture
def destroyed(output: Path, monkeypatch: pytest.MonkeyPatch) -> Mock:
    """`destroy.destroy`, after a preparation that finds no problem."""
    held = {stack.name: [Mock(), Mock()] for stack in read_stacks(output)}
    monkeypatch.setattr(destroy, "prepare", lambda chosen, every: Destruction(chosen, held, every, {}))
    return _mocked(monkeypatch, destroy, "destroy")


def test_destroy_without_a_terminal_needs_confirm(output: Path, destroyed: Mock) -> None:
    errors = run("destroy", DEV, PROD, "--output", output, status=1).stderr
    assert errors == "error: destroy: needs confirmation, and there is no terminal; add --confirm dev,prod\n"
    destroyed.assert_not_called()


def test_destroy_rejects_the_confirmation_of_another_environment(output: Path, destroyed: Mock) -> None:
    errors = run("destroy", PROD, "--output", output, "--confirm", "dev", status=1).stderr
    assert errors == "error: confirmation: got 'dev', expected 'prod'; nothing was changed\n"
    destroyed.assert_not_called()


def test_destroy_prints_a_command_that_resumes_with_the_remaining_stacks(output: Path, destroyed: Mock) -> None:
    run("destroy", DEV, PROD, "--output", output, "--confirm", "dev,prod", "--patience", "30")
    destruction, options, _ = destroyed.call_args.args
    assert options.timeout_seconds == 30 * 60
    command = options.resume_command(destruction.stacks[:1])
    assert command.endswith(f"-m operations destroy {DEV} --output {output} --patience 30 --confirm dev")


def test_destroy_asks_for_the_environment_at_a_terminal(output: Path, destroyed: Mock, terminal: Terminal) -> None:
    terminal.type("dev\n")
    assert terminal.run("destroy", DEV, "--output", output) == 0
    destroyed.assert_called_once()
    assert f"{DEV}: 2 resources\nAll resources will be destroyed. Type dev to continue:" in terminal.printed()


def test_destroy_is_aborted_by_ctrl_d(output: Path, destroyed: Mock, terminal: Terminal) -> None:
    terminal.type("\x04")
    assert terminal.run("destroy", DEV, "--output", output) == 1
    assert terminal.printed().endswith("aborted\n")
    destroyed.assert_not_called()


def test_preflight_checks_the_chosen_stacks_and_the_placeholders(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = _mocked(monkeypatch, preflight, "preflight", Status.ATTENTION)
    file = output / "platform.json"
    platform = json.loads(file.read_text())
    file.write_text(json.dumps({**platform, "placeholders": ["stacks/owner.py: domain"]}))
    run("preflight", "*-prod", "--output", output, status=2)
    stacks, placeholders, _ = checked.call_args.args
    assert (_names(stacks), placeholders) == ([PROD], ["stacks/owner.py: domain"])


def test_validate_prints_progress_apart_from_its_json(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [validate.Step("manifests", "passed", 1.2), validate.Step("workflows", "skipped", 0, "no tests")]
    monkeypatch.setattr(validate, "_steps", lambda *_: iter(steps))
    result = run("validate", "--output", output, "--json", status=2)
    assert result.stderr.splitlines() == ["manifests: passed in 1 s", "workflows: skipped in 0 s"]
    assert [step["outcome"] for step in json.loads(result.stdout)["steps"]] == ["passed", "skipped"]


@pytest.mark.parametrize("write", [False, True])
def test_upgrade_passes_on_its_arguments(output: Path, monkeypatch: pytest.MonkeyPatch, *, write: bool) -> None:
    mock = _mocked(monkeypatch, upgrade, "upgrade", Status.ATTENTION)
    run("upgrade", "dev", "1.36", *(["--write"] if write else []), "--output", output, status=2)
    assert mock.call_args.args[1:] == ("dev", "1.36", Path())
    assert mock.call_args.kwargs == {"write": write}


def test_ami_releases_of_the_named_stacks_are_pinned(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = _mocked(monkeypatch, ami_releases, "pin")
    assert "the title" in run("ami-releases", DEV, "--output", output).stdout
    (chosen, root) = pinned.call_args.args
    assert (_names(chosen), root) == ([DEV], Path())


def test_scan_plans_the_aws_stacks_if_it_gets_no_plans(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    aws_stacks = [stack.name for stack in read_stacks(output) if not stack.is_in_cluster]
    scan, write = _mocked(monkeypatch, scanner, "scan"), Mock(return_value=["planned"])
    monkeypatch.setattr(scanner, "write_plans", write)
    run("scan", "--output", output, "--exceptions", "none.toml")
    assert _names(write.call_args.args[0]) == aws_stacks
    scan.assert_called_once_with(["planned"], [], aws_stacks)


def test_scan_reads_existing_plans(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = _mocked(monkeypatch, scanner, "scan", Status.ERROR)
    run("scan", "dev.json", "--output", output, "--exceptions", "none.toml", status=1)
    assert scan.call_args.args[:2] == ([Path("dev.json")], [])
