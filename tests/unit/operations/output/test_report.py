"""Reports as tables, JSON and Markdown."""

import json
from pathlib import Path

import pytest

from operations.output.report import Report, Status, Table, markdown, show

REPORT = Report(
    title="1 of 2 stacks with changess",
    status=Status.ATTENTION,
    data={"stacks": ["ap-northeast-2-dev"]},
    tables=[Table("Changes", ["address", "why"], [["aws_vpc.vpc", "a | b\nc"]])],
    notes=["ap-northeast-2-dev-gitops is planned after it"],
)


def test_json_contains_the_data_and_the_status(capsys: pytest.CaptureFixture[str]) -> None:
    show(REPORT, as_json=True)
    assert json.loads(capsys.readouterr().out) == {
        "title": "1 of 2 stacks with changess",
        "status": 2,
        "stacks": ["ap-northeast-2-dev"],
    }


def test_text_contains_the_title_tables_and_notes(capsys: pytest.CaptureFixture[str]) -> None:
    show(REPORT, as_json=False)
    printed = capsys.readouterr().out
    assert printed.startswith("1 of 2 stacks with changess\n")
    assert "aws_vpc.vpc" in printed
    assert "- ap-northeast-2-dev-gitops is planned after it" in printed


def test_markdown_escapes_cells() -> None:
    assert markdown(REPORT).splitlines() == [
        "### 1 of 2 stacks with changess",
        "",
        "**Changes**",
        "",
        "| address | why |",
        "| --- | --- |",
        r"| aws_vpc.vpc | a \| b<br>c |",
        "",
        "- ap-northeast-2-dev-gitops is planned after it",
    ]


def test_reports_are_appended_to_the_job_summary_of_a_workflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    show(REPORT, as_json=True)
    show(REPORT, as_json=True)
    assert (tmp_path / "summary").read_text() == markdown(REPORT) * 2
