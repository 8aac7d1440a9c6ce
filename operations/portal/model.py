"""What the portal shows: tables of cells, and which cells are not known. Written as JSON into the page.

A name, such as that of a table, column or state, is a key of `words.json`, which has its text in each language. Other
texts are shown as they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime
from typing import Any, Literal

Level = Literal["", "good", "warn", "bad"]
"""How a cell is marked. Rows with `warn` or `bad` need attention."""


@dataclass(frozen=True)
class Unknown:
    """A value that is not known: why, the command that makes it known, and the message of what failed."""

    why: str
    command: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Text:
    """A text that is marked."""

    text: str
    level: Level = ""


@dataclass(frozen=True)
class Code:
    """A long value that is shown shortened, such as a digest."""

    text: str


@dataclass(frozen=True)
class State:
    """A state, by its name."""

    name: str
    level: Level = ""


@dataclass(frozen=True)
class Day:
    """A day until which something is valid; the page counts the days that are left. Soon is within `soon_days`."""

    day: date
    soon_days: int = 60


@dataclass(frozen=True)
class Since:
    """A time in the past; the page shows how long ago it is. It is old after `old_days`; never without."""

    at: datetime
    old_days: int | None = None


@dataclass(frozen=True)
class Lines:
    """Several texts, which the page counts and folds. `level` is that of one or more of them; none is good."""

    lines: Sequence[str]
    level: Level = "warn"


@dataclass(frozen=True)
class Money:
    """An amount a month, in cents, with the sign of a difference."""

    amount: str
    currency: str


@dataclass(frozen=True)
class Behind:
    """How many images an environment is behind the one before it, and since when."""

    images: int
    since: datetime | None = None


Cell = str | Unknown | Text | Code | State | Day | Since | Lines | Money | Behind | None
"""A cell; None if there is nothing to say."""


@dataclass(frozen=True)
class Table:
    """A table. A column that is no key of `words.json` is a name, such as that of an environment."""

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Portal:
    """Everything on the page. `revision` is the commit of this repository."""

    made: datetime
    revision: str
    tables: Sequence[Table]

    def document(self) -> dict[str, Any]:
        """The portal as JSON data. Each cell that is no text has its `type`."""
        document: dict[str, Any] = _data(self)
        return document


def _data(value: Any) -> Any:
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    if isinstance(value, (list, tuple)):
        return [_data(one) for one in value]
    if not is_dataclass(value):
        return value
    data = {field.name: _data(getattr(value, field.name)) for field in fields(value)}
    return data if isinstance(value, (Portal, Table)) else {"type": type(value).__name__.lower(), **data}


def joined(document: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A document in which rows with something not known come from documents of the same stacks that know it.

    A table whose columns or rows differ, because it was made from other settings, is left as it is.
    """
    tables = [
        {**table, "rows": _joined_rows(table, [one for other in others for one in other["tables"]])}
        for table in document["tables"]
    ]
    return {**document, "tables": tables}


def _joined_rows(table: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    rows = [list(row) for row in table["rows"]]
    for other in others:
        same = (other["name"], other["columns"], len(other["rows"])) == (table["name"], table["columns"], len(rows))
        for row, found in zip(rows, other["rows"], strict=True) if same else ():
            pairs = list(zip(row, found, strict=True))
            # All of the row, because what is known of one cell can depend on another, such as the running version.
            if _names(row) == _names(found) and any(
                _is_unknown(here) and not _is_unknown(there) for here, there in pairs
            ):
                row[:] = [here if _is_unknown(there) else there for here, there in pairs]
    return rows


def _names(row: Sequence[Any]) -> list[Any]:
    """The first cells of a row, which name its subject."""
    return [cell for cell in row[:3] if isinstance(cell, str)]


def _is_unknown(cell: Any) -> bool:
    return isinstance(cell, dict) and cell.get("type") == "unknown"
