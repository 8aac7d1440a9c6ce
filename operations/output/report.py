"""The report of a command: tables for users, JSON for pipelines, Markdown for job summaries."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any


class Status(IntEnum):
    """Exit status of every command, with the meaning of `terraform plan -detailed-exitcode`."""

    FINE = 0
    ERROR = 1
    ATTENTION = 2
    """The result needs attention: a change, drift, or a refusal that may be overridden."""


@dataclass(frozen=True)
class Table:
    """A table with headings. A cell may have several lines."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Report:
    """The outcome of a command: a one-line title, tables, notes, and `data`, which pipelines read."""

    title: str
    status: Status
    data: Mapping[str, Any]
    tables: Sequence[Table] = ()
    notes: Sequence[str] = field(default=())


def counted(number: int, noun: str) -> str:
    """A number with its noun, such as `1 stack` and `2 stacks`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def show(report: Report, *, as_json: bool) -> None:
    """Print a report and, in a GitHub workflow, append it to the job summary (`GITHUB_STEP_SUMMARY`)."""
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(markdown(report))
    if as_json:
        document = {"title": report.title, "status": int(report.status), **report.data}
        print(json.dumps(document, indent=2, sort_keys=True))
    else:
        _print(report)


def markdown(report: Report) -> str:
    """A report as Markdown, for a job summary or a comment."""
    lines = [f"### {report.title}", ""]
    for table in report.tables:
        lines += [f"**{table.title}**", "", _row(table.headings), _row("---" for _ in table.headings)]
        lines += [_row(_cell(cell) for cell in row) for row in table.rows]
        lines.append("")
    lines += [f"- {note}" for note in report.notes]
    return "\n".join(lines).rstrip() + "\n"


def _row(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", "<br>")


def _print(report: Report) -> None:
    from rich import box  # noqa: PLC0415  (takes 0.3 s, which `--json` does not need)
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table as RichTable  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(width=None if Console().is_terminal else 160)
    console.print(
        Text(
            report.title, style={Status.FINE: "bold green", Status.ERROR: "bold red"}.get(report.status, "bold yellow")
        )
    )
    for table in report.tables:
        shown = RichTable(*table.headings, title=table.title, title_justify="left", box=box.SIMPLE)
        for row in table.rows:
            shown.add_row(*[Text(cell) for cell in row])
        console.print(shown)
    for note in report.notes:
        console.print(Text(f"- {note}"))
