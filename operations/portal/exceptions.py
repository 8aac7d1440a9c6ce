"""The table of accepted exceptions of guard, drift and scanner, each with the day on which it ends."""

from datetime import date
from pathlib import Path
from typing import Any

from operations.drift import ignored
from operations.errors import OperationError
from operations.guard import guard
from operations.portal.model import Day, State, Table
from operations.portal.sources import Row
from operations.repository import waivers
from operations.scanner import scanner

# Of each kind: the file, its table, its fields, and the field that names the subject.
_KINDS = {
    "guard": (guard.OVERRIDES, "override", guard.FIELDS, "address"),
    "drift": (ignored.FILE, "ignored", ignored.FIELDS, "finding"),
    "scanner": (scanner.EXCEPTIONS, "exception", scanner.FIELDS, "check"),
}


def table(root: Path) -> Table:
    """A row for each entry, the next to end first. One that has expired is shown as such.

    Raises:
        OperationError: if entries are invalid; the message lists all errors of all files.
    """
    rows, problems = list[tuple[date, Row]](), list[str]()
    for kind, (file, entries, fields, about) in _KINDS.items():
        try:
            read, wrong = waivers.read_waivers(root / file, entries, fields, about=about, optional=("attributes",))
        except OperationError as error:
            problems.append(str(error))
            continue
        problems += wrong
        rows += [(entry["until"], _row(kind, entry, about)) for _, entry in read]
    if problems:
        raise OperationError("\n".join(problems))
    columns = ["exception", "stack", "subject", "who", "reason", "until"]
    return Table("exceptions", columns, [row for _, row in sorted(rows, key=lambda one: one[0])])


def _row(kind: str, entry: dict[str, Any], about: str) -> Row:
    parts = [entry[about], entry.get("resource", ""), ", ".join(map(str, entry.get("attributes", [])))]
    subject = ": ".join(part for part in parts if part)
    return [State(kind), entry["stack"], subject, entry["who"], entry["why"], Day(entry["until"])]
