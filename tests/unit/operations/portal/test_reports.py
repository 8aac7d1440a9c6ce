"""Reading the reports of other commands, and the accepted exceptions."""

import json
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from operations.errors import OperationError
from operations.output.report import Report, Status
from operations.portal import exceptions, reports
from operations.portal.model import Day, State
from operations.portal.reports import Cost, Drift, Plan, Preflight, read_reports

DRIFT: dict[str, Any] = {"stacks": {}, "notes": []}
GOOD: dict[str, dict[str, Any]] = {
    "drift": DRIFT,
    "plan": {"stacks": {}, "changes": {}, "errors": []},
    "preflight": {"checks": []},
    "cost": {"base": None, "currency": "USD", "stacks": {}, "base_stacks": {}},
}


def _write(folder: Path, **contents: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / f"{name}.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def test_reports_are_known_by_their_content_in_any_folder(tmp_path: Path) -> None:
    for name, content in GOOD.items():
        _write(tmp_path / f"found/{name}-ap-northeast-2", report=content)
    found = read_reports(tmp_path)
    kinds: dict[str, Any] = {"drift": Drift, "plan": Plan, "preflight": Preflight, "cost": Cost}
    for name, kind in kinds.items():
        ((report, _),) = found.of(kind)
        assert report.file == tmp_path / f"found/{name}-ap-northeast-2/report.json"
        assert abs((datetime.now(UTC) - report.made).total_seconds()) < 600


def test_the_reports_that_commands_print_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from operations.drift import drift  # noqa: PLC0415
    from operations.output.report import show  # noqa: PLC0415

    report: Report = drift.report({"ap-northeast-2-dev": drift.Seen(pending=["create a"])}, [], [], date(2026, 1, 1))
    assert report.status is Status.FINE
    show(report, as_json=True)
    ((_, read),) = read_reports(_write(tmp_path, drift=capsys.readouterr().out)).of(Drift)
    assert read.stacks["ap-northeast-2-dev"].pending == ["create a"]


def test_the_usual_folder_need_not_exist(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_reports(reports.FOLDER).found == ()
    with pytest.raises(OperationError, match=r"^elsewhere: no such folder; name the folder of the reports$"):
        read_reports(Path("elsewhere"))
    Path("drift.json").touch()
    with pytest.raises(OperationError, match=r"^drift.json: a file, not a folder; name the folder of the reports$"):
        read_reports(Path("drift.json"))


def test_all_files_that_are_no_reports_are_named_at_once(tmp_path: Path) -> None:
    _write(
        tmp_path,
        a="{",
        b=[1],
        c={"stacks": {}},
        d={**DRIFT, "stacks": {"dev": {"status": 1, "drift": [], "pending": [], "errors": []}}},
        e={**GOOD["cost"], "stacks": {"dev": {"total": "much"}}},
        g="",
        f={**DRIFT, "stacks": {"dev": {"status": "", "drift": [], "pending": []}}},
    )
    with pytest.raises(OperationError) as error:
        read_reports(tmp_path)
    remedy = "write what plan, drift, preflight or cost prints with --json, or remove it"
    lines = str(error.value).splitlines()
    assert [line.partition(": ")[2] for line in lines] == [
        f"not valid JSON (line 1, column 2); {remedy}",
        f"no report of plan, drift, preflight or cost; {remedy}",
        f"no report of plan, drift, preflight or cost; {remedy}",
        f"stacks.dev.status: 1: not what a command writes here; {remedy}",
        f'stacks.dev.total: "much": not what a command writes here; {remedy}',
        f"stacks.dev.errors: missing; {remedy}",
        "empty, as after a command that failed; run the command again, or remove the file",
    ]


# --- exceptions -------------------------------------------------------------------------------------------------------

GUARD = '[[override]]\nstack = "dev"\naddress = "aws_vpc.vpc"\nwho = "minji"\nwhy = "moved"\nuntil = 2026-12-15\n'
DRIFT_IGNORED = """\
[[ignored]]
stack = "prod"
finding = "aws_db_instance.one"
attributes = ["engine_version"]
who = "junho"
why = "by RDS"
until = 2026-01-31
"""
SCANNER = """\
[[exception]]
check = "CKV_1"
stack = "*"
resource = "aws_vpc.*"
who = "minji"
why = "so"
until = 2027-01-31
"""


def test_exceptions_are_in_the_order_in_which_they_end(tmp_path: Path) -> None:
    assert exceptions.table(tmp_path).rows == []
    (tmp_path / "guard-overrides.toml").write_text(GUARD)
    (tmp_path / "drift-ignored.toml").write_text(DRIFT_IGNORED)
    (tmp_path / "scanner-exceptions.toml").write_text(SCANNER)
    assert exceptions.table(tmp_path).rows == [
        [State("drift"), "prod", "aws_db_instance.one: engine_version", "junho", "by RDS", Day(date(2026, 1, 31))],
        [State("guard"), "dev", "aws_vpc.vpc", "minji", "moved", Day(date(2026, 12, 15))],
        [State("scanner"), "*", "CKV_1: aws_vpc.*", "minji", "so", Day(date(2027, 1, 31))],
    ]


def test_all_errors_of_all_files_are_reported_at_once(tmp_path: Path) -> None:
    (tmp_path / "guard-overrides.toml").write_text("[[override]]\n")
    (tmp_path / "drift-ignored.toml").write_text("{")
    (tmp_path / "scanner-exceptions.toml").write_text(SCANNER.replace("minji", " "))
    with pytest.raises(OperationError) as error:
        exceptions.table(tmp_path)
    lines = str(error.value).splitlines()
    assert len(lines) == 5 + 1 + 1
    assert re.search(r"scanner-exceptions.toml: exception 1 .*: who: ' ': write a non-empty string", lines[-1])
