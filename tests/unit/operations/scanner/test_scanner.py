"""The scanner: failed checks need a reason, and a reason needs a failed check. A fake checkov prints its results."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from operations.errors import OperationError
from operations.output.report import Report, Status
from operations.scanner import scanner
from operations.scanner.scanner import Reason
from operations.terraform.runner import Terraform
from tests import ROOT
from tests.stacks import make_stack

TODAY = date(2026, 1, 31)
REASON = Reason("CKV_2", "*-dev", "aws_db_instance.*", "minji", "dev may be down", TODAY)
Checkov = Callable[..., None]
_FAKE = """#!/bin/sh
printf '%s\\n' "$HOME" "$PWD" "$@" > {log}
env | cut -d= -f1 >> {log}
cat {results}
"""


def _record(stack: str, check: str, resource: str = "aws_db_instance.a") -> dict[str, str]:
    path = f"/anywhere/{stack}.json"
    return {"file_abs_path": path, "check_id": check, "check_name": "What it says", "resource_address": resource}


@pytest.fixture
def checkov(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkov:
    """Installs a fake checkov, with the checks that pass and fail."""

    def install(passed: list[dict[str, str]], failed: list[dict[str, str]], errors: tuple[str, ...] = ()) -> None:
        results = {"passed_checks": passed, "failed_checks": failed, "parsing_errors": errors}
        (tmp_path / "results.json").write_text(json.dumps({"results": results}))
        program = tmp_path / "checkov"
        program.write_text(_FAKE.format(log=tmp_path / "log", results=tmp_path / "results.json"))
        program.chmod(0o755)
        monkeypatch.setattr(scanner, "PROGRAM", program)

    return install


def _plan(folder: Path, stack: str) -> Path:
    plan = folder / f"{stack}.json"
    plan.write_text('{"planned_values": {}}')
    return plan


def _scan(tmp_path: Path, *allowed: Reason) -> Report:
    return scanner.scan([_plan(tmp_path, "seoul-dev")], allowed, ["seoul-dev"])


def test_checks_are_counted_by_stack(tmp_path: Path, checkov: Checkov) -> None:
    passed = [_record("seoul-dev", "CKV_1"), _record("seoul-dev", "CKV_3"), _record("seoul-prod", "CKV_1")]
    checkov(passed, [_record("seoul-dev", "CKV_2")])
    plans = [_plan(tmp_path, "seoul-dev"), _plan(tmp_path, "seoul-prod")]
    report = scanner.scan(plans, [REASON], ["seoul-dev", "seoul-prod"])
    assert (report.status, report.notes) == (Status.FINE, [])
    assert report.title == "checkov: 3 passed, 0 failed, 1 with a reason"
    assert report.tables[0].rows == [
        ["seoul-dev", "2", "0", "1"],
        ["seoul-prod", "1", "0", "0"],
        ["all", "3", "0", "1"],
    ]


def test_a_failed_check_without_a_reason_is_an_error(tmp_path: Path, checkov: Checkov) -> None:
    checkov([_record("seoul-dev", "CKV_1")], [_record("seoul-dev", "CKV_2", "aws_s3_bucket.b")])
    report = _scan(tmp_path)
    assert report.status is Status.ERROR
    remedy = "fix it, or give the reason in scanner-exceptions.toml"
    assert report.notes == [f"seoul-dev: aws_s3_bucket.b: CKV_2: What it says; {remedy}"]


@pytest.mark.parametrize("failed", [("seoul-prod", "CKV_2", "aws_db_instance.a"), ("seoul-dev", "CKV_3", "aws_vpc.v")])
def test_a_reason_is_for_one_check_and_the_stacks_and_resources_that_match(
    tmp_path: Path, checkov: Checkov, failed: tuple[str, str, str]
) -> None:
    checkov([_record("seoul-dev", "CKV_1")], [_record(*failed)])
    report = _scan(tmp_path, REASON)
    assert report.notes[0].startswith(f"{failed[0]}: {failed[2]}: {failed[1]}: ")
    unused = "scanner-exceptions.toml: CKV_2: *-dev: aws_db_instance.*: no check fails; remove it"
    assert report.notes[1:] == [unused]


def test_whether_a_reason_is_needed_is_known_with_all_plans(tmp_path: Path, checkov: Checkov) -> None:
    checkov([_record("seoul-dev", "CKV_1")], [])
    plan = _plan(tmp_path, "seoul-dev")
    report = scanner.scan([plan], [REASON], ["seoul-dev", "seoul-prod"])
    assert (report.status, report.notes) == (Status.FINE, ["seoul-prod: not scanned: no plan of it"])


def test_a_plan_without_any_check_is_an_error(tmp_path: Path, checkov: Checkov) -> None:
    checkov([], [])
    assert _scan(tmp_path).notes == ["seoul-dev: checkov checked no resource; see whether it is a plan"]


def test_checkov_uses_neither_the_network_nor_settings_of_this_machine(
    tmp_path: Path, checkov: Checkov, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BC_API_KEY", "key")
    monkeypatch.setenv("AWS_PROFILE", "prod")
    checkov([_record("seoul-dev", "CKV_1")], [])
    _scan(tmp_path)
    home, folder, *given = (tmp_path / "log").read_text().splitlines()
    assert home == folder
    assert not Path(home).exists()
    assert {"--skip-download", "--framework", "terraform_plan", str(tmp_path / "seoul-dev.json")} <= set(given)
    assert not {"BC_API_KEY", "AWS_PROFILE"} & set(given)


@pytest.mark.parametrize("content", ["[]", '{"resource_changes": []}'])
def test_a_file_that_is_no_plan_is_an_error(tmp_path: Path, checkov: Checkov, content: str) -> None:
    checkov([], [])
    plan = tmp_path / "seoul-dev.json"
    plan.write_text(content)
    with pytest.raises(OperationError, match="not a plan; give it what `terraform show -json PLAN` prints"):
        scanner.scan([plan], [], [])


def test_a_plan_that_checkov_cannot_read_is_an_error(tmp_path: Path, checkov: Checkov) -> None:
    checkov([], [], ("/anywhere/seoul-dev.json",))
    with pytest.raises(OperationError, match=r"/anywhere/seoul-dev\.json: checkov cannot read it; give it"):
        _scan(tmp_path)


def test_a_missing_checkov_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanner, "PROGRAM", Path("none/checkov"))
    with pytest.raises(OperationError, match="none/checkov: not installed; run: make checkov"):
        _scan(tmp_path)


def test_an_expired_reason_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "scanner-exceptions.toml"
    entry = '[[exception]]\ncheck = "CKV_2"\nstack = "*-dev"\nresource = "aws_db_instance.*"\nwho = "minji"\n'
    file.write_text(f'{entry}why = "dev may be down"\nuntil = 2026-01-31\n')
    assert scanner.reasons(file, TODAY) == [REASON]
    with pytest.raises(OperationError) as error:
        scanner.reasons(file, date(2026, 2, 1))
    where = f"{file}: exception 1 (*-dev CKV_2): until: 2026-01-31"
    assert str(error.value) == f"{where}: expired; fix it, or have the reason reviewed again"


def test_the_committed_reasons_are_valid() -> None:
    assert scanner.reasons(ROOT / scanner.EXCEPTIONS, TODAY)


def test_an_unchanged_stack_is_shown_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`stream_plan` returns nothing for a plan without changes."""
    documents = {"dev": {}, "prod": {"planned_values": {"of": "prod"}}}
    monkeypatch.setattr(Terraform, "stream_plan", lambda self, *_: documents[self.directory.name])
    monkeypatch.setattr(Terraform, "output", lambda *_: '{"planned_values": {"of": "dev"}}')
    stacks = [make_stack(directory=tmp_path / name, name=name) for name in documents]
    files = scanner.write_plans(stacks, tmp_path, tmp_path / "logs")
    found = {file.name: json.loads(file.read_text())["planned_values"]["of"] for file in files}
    assert found == {"dev.json": "dev", "prod.json": "prod"}
