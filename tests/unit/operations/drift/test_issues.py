"""One GitHub issue per stack with drift."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from operations.cli.app import app
from operations.drift import drift
from operations.drift.drift import Finding, Seen
from operations.drift.issues import follow
from operations.errors import OperationError
from tests import fake_gh
from tests.fake_gh import FakeGh

pytestmark = pytest.mark.slow

FINDING = {"kind": "changed", "name": "aws_vpc.vpc", "details": ["tags: a `b` ->\nc"], "attributes": ["tags"]}
OTHER = {"kind": "added", "name": "rule sgr-1", "details": [], "attributes": []}


@pytest.fixture
def gh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGh:
    return fake_gh.install(tmp_path / "github", monkeypatch)


def _drift(folder: Path, status: str, *findings: dict[str, Any], stack: str = "ap-northeast-2-dev") -> list[Path]:
    """The argument of `follow`: a report with this stack."""
    file = folder / "drift.json"
    file.write_text(json.dumps({"stacks": {stack: {"status": status, "drift": findings}}}))
    return [file]


def test_opens_an_issue(tmp_path: Path, gh: FakeGh) -> None:
    follow(_drift(tmp_path, "drift", FINDING))
    (issue,) = gh["issues"]
    assert issue["title"] == "Drift: ap-northeast-2-dev"
    assert issue["body"].startswith("- changed `aws_vpc.vpc`: `tags: a 'b' -> c`\n")


def test_reads_the_report_of_the_command_drift(tmp_path: Path, gh: FakeGh) -> None:
    finding = Finding("ap-northeast-2-dev", "deleted", "aws_subnet.a", ["it is gone"])
    report = drift.report({"ap-northeast-2-dev": Seen(drift=[finding])}, [], [], date(2026, 11, 25))
    (tmp_path / "drift.json").write_text(json.dumps(report.data))
    follow([tmp_path / "drift.json"])
    assert gh["issues"][0]["body"].startswith("- deleted `aws_subnet.a`: `it is gone`\n")


def test_the_same_drift_does_not_update_the_issue(tmp_path: Path, gh: FakeGh, monkeypatch: pytest.MonkeyPatch) -> None:
    follow(_drift(tmp_path, "drift", FINDING))
    monkeypatch.setenv("GITHUB_RUN_ID", "2")
    assert follow(_drift(tmp_path, "drift", FINDING)).data["issues"] == {}
    assert len(gh["issues"]) == 1


def test_other_drift_updates_the_issue(tmp_path: Path, gh: FakeGh) -> None:
    follow(_drift(tmp_path, "drift", FINDING))
    assert follow(_drift(tmp_path, "drift", FINDING, OTHER)).data["issues"] == {"ap-northeast-2-dev": "updated"}
    assert "- added `rule sgr-1`" in gh["issues"][0]["body"]


@pytest.mark.parametrize("status", ["clean", "pending"])
def test_the_issue_is_closed_when_the_drift_is_gone(tmp_path: Path, gh: FakeGh, status: str) -> None:
    follow(_drift(tmp_path, "drift", FINDING))
    follow(_drift(tmp_path, status))
    assert [(issue["open"], issue["comment"]) for issue in gh["issues"]] == [(False, "The stack matches Git again.")]


def test_a_stack_that_could_not_be_checked_keeps_its_issue(tmp_path: Path, gh: FakeGh) -> None:
    follow(_drift(tmp_path, "drift", FINDING))
    follow(_drift(tmp_path, "error"))
    assert [issue["open"] for issue in gh["issues"]] == [True]


def test_stacks_that_are_not_in_the_report_keep_their_issues(tmp_path: Path, gh: FakeGh) -> None:
    follow(_drift(tmp_path, "drift", FINDING))
    follow(_drift(tmp_path, "clean", stack="ap-northeast-2-prod"))
    assert [issue["open"] for issue in gh["issues"]] == [True]


def test_a_region_whose_report_is_unusable_neither_hides_nor_closes_issues_of_the_others(
    tmp_path: Path, gh: FakeGh
) -> None:
    drifted, matching = (tmp_path / name for name in ("one", "two"))
    for folder in (drifted, matching):
        folder.mkdir()
    broken = tmp_path / "broken.json"
    broken.write_text("")  # the command failed before it could report
    follow(_drift(tmp_path, "drift", FINDING, stack="us-west-2-dev"))
    files = [broken, *_drift(drifted, "drift", FINDING), *_drift(matching, "clean", stack="eu-west-1-dev")]
    with pytest.raises(OperationError, match=r"broken\.json: not valid JSON"):
        follow(files)
    issues = {issue["title"]: issue["open"] for issue in gh["issues"]}
    assert issues == {"Drift: us-west-2-dev": True, "Drift: ap-northeast-2-dev": True}


def test_drift_that_comes_back_opens_a_new_issue(tmp_path: Path, gh: FakeGh) -> None:
    for status, findings in (("drift", [FINDING]), ("clean", []), ("drift", [FINDING])):
        follow(_drift(tmp_path, status, *findings))
    assert [issue["open"] for issue in gh["issues"]] == [False, True]


def test_a_long_list_is_truncated(tmp_path: Path, gh: FakeGh) -> None:
    follow(_drift(tmp_path, "drift", *[FINDING] * 5000))
    assert len(gh["issues"][0]["body"]) < 65_536
    assert "- and more; see the run\n" in gh["issues"][0]["body"]


def test_rejects_a_file_that_is_not_a_report_of_drift(tmp_path: Path, gh: FakeGh) -> None:
    (tmp_path / "drift.json").write_text("{}")
    with pytest.raises(OperationError, match=r"not a report of `drift --json`; pass the output of `drift --json`$"):
        follow([tmp_path / "drift.json"])
    assert gh["calls"] == []


def test_the_command_reports_the_changed_issues(tmp_path: Path, gh: FakeGh) -> None:
    result = CliRunner().invoke(app, ["issues-from-drift", *map(str, _drift(tmp_path, "drift", FINDING)), "--json"])
    assert json.loads(result.stdout)["issues"] == {"ap-northeast-2-dev": "opened"}
    assert len(gh["issues"]) == 1
