"""One report in three forms."""

import json
from pathlib import Path

import pytest

from operations.output.report import Report, Status, Table, markdown, show

REPORT = Report(
    title="1 of 2 stacks changes",
    status=Status.ATTENTION,
    data={"stacks": ["ap-northeast-2-dev"]},
    tables=[Table("Changes", ["address", "why"], [["aws_vpc.vpc", "a | b\nc"]])],
    notes=["ap-northeast-2-dev-gitops is planned after it"],
)


def test_pipelines_read_json_with_the_status(capsys: pytest.CaptureFixture[str]) -> None:
    show(REPORT, as_json=True)
    assert json.loads(capsys.readouterr().out) == {
        "title": "1 of 2 stacks changes",
        "status": 2,
        "stacks": ["ap-northeast-2-dev"],
    }


def test_people_read_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    show(REPORT, as_json=False)
    said = capsys.readouterr().out
    assert said.startswith("1 of 2 stacks changes\n")
    assert "aws_vpc.vpc" in said
    assert "- ap-northeast-2-dev-gitops is planned after it" in said


def test_summaries_are_markdown_that_no_cell_breaks() -> None:
    assert markdown(REPORT).splitlines() == [
        "### 1 of 2 stacks changes",
        "",
        "**Changes**",
        "",
        "| address | why |",
        "| --- | --- |",
        r"| aws_vpc.vpc | a \| b<br>c |",
        "",
        "- ap-northeast-2-dev-gitops is planned after it",
    ]


def test_a_workflow_gets_its_summary_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary"))
    show(REPORT, as_json=True)
    show(REPORT, as_json=True)
    assert (tmp_path / "summary").read_text() == markdown(REPORT) * 2
