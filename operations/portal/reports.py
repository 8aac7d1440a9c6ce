"""Reports of `plan`, `drift`, `preflight` and `cost`, which users and pipelines write with `--json` into a folder."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ValidationError

from operations.errors import OperationError
from operations.terraform.json_files import read_json

FOLDER = Path(".portal/reports")
_LONGEST = 60
"""Characters of a value in a message."""
_REMEDY = "write what plan, drift, preflight or cost prints with --json, or remove it"


class _Finding(BaseModel):
    kind: str
    name: str
    details: list[str] = []


class _Waiting(BaseModel):
    address: str
    changes: str
    until: str


class Drifted(BaseModel):
    """A stack in a report of `drift`."""

    status: str
    drift: list[_Finding]
    pending: list[str]
    waiting: list[_Waiting] = []
    errors: list[str]


class Drift(BaseModel):
    """A report of `drift`."""

    stacks: dict[str, Drifted]


class _Planned(BaseModel):
    plan: str
    hash: str


class Change(BaseModel):
    """A change in a report of `plan`."""

    address: str
    action: str
    why: str = ""


class Plan(BaseModel):
    """A report of `plan`; `changes` are those of the stacks with changes."""

    stacks: dict[str, _Planned]
    changes: dict[str, list[Change]]
    errors: list[str]


class Check(BaseModel):
    """A result in a report of `preflight`."""

    subject: str
    outcome: str
    message: str


class Preflight(BaseModel):
    """A report of `preflight`."""

    checks: list[Check]


class Total(BaseModel):
    """The cost of a stack a month, which the report writes with commas between thousands."""

    total: Annotated[Decimal, BeforeValidator(lambda text: str(text).replace(",", ""))]


class Cost(BaseModel):
    """A report of `cost`; `base_stacks` are the costs at the revision `base`, with which it was compared."""

    base: str | None
    currency: str
    stacks: dict[str, Total]
    base_stacks: dict[str, Total]


Kind = TypeVar("Kind", Drift, Plan, Preflight, Cost)

# The member that only a report of this kind has.
_KINDS: Mapping[str, tuple[type[BaseModel], Callable[[Mapping[str, Any]], bool]]] = {
    "cost": (Cost, lambda found: "base_stacks" in found),
    "preflight": (Preflight, lambda found: "checks" in found),
    "plan": (Plan, lambda found: "changes" in found and "stacks" in found),
    "drift": (Drift, lambda found: "stacks" in found and "notes" in found),
}


@dataclass(frozen=True)
class SavedReport:
    """A report, its file, and when the file was written."""

    file: Path
    made: datetime
    content: BaseModel


@dataclass(frozen=True)
class Reports:
    """All reports of a folder, oldest first."""

    found: Sequence[SavedReport] = ()

    def of(self, kind: type[Kind]) -> Iterator[tuple[SavedReport, Kind]]:
        """The reports of a kind, newest first."""
        for report in reversed(self.found):
            if isinstance(report.content, kind):
                yield report, report.content


def command(name: str, *options: str) -> str:
    """The command that writes a report into the usual folder."""
    line = " ".join([".venv/bin/python -m operations", name, *options, "--json"])
    return f"mkdir -p {FOLDER} && {line} > {FOLDER}/{name}.json"


def read_reports(folder: Path) -> Reports:
    """All reports in a folder and the folders in it; none if it is the usual folder, and does not exist.

    Raises:
        OperationError: if the folder does not exist, or files are no such reports; the message lists all of them.
    """
    if not folder.is_dir():
        if folder == FOLDER and not folder.exists():
            return Reports()
        what = "a file, not a folder" if folder.exists() else "no such folder"
        raise OperationError(f"{folder}: {what}; name the folder of the reports")
    found, problems = [], []
    for file in sorted(folder.rglob("*.json")):
        try:
            found.append(_read(file))
        except OperationError as error:
            problems.append(str(error))
    if problems:
        raise OperationError("\n".join(problems))
    return Reports(sorted(found, key=lambda report: report.made))


def _read(file: Path) -> SavedReport:
    if file.is_file() and not file.stat().st_size:
        raise OperationError(
            f"{file}: empty, as after a command that failed; run the command again, or remove the file"
        )
    document = read_json(file, _REMEDY)
    known = isinstance(document, dict) and [kind for kind, fits in _KINDS.values() if fits(document)]
    if not known:
        raise OperationError(f"{file}: no report of plan, drift, preflight or cost; {_REMEDY}")
    try:
        content = known[0].model_validate(document)
    except (ValidationError, RecursionError) as error:
        raise OperationError(f"{file}: {_wrong(error)}; {_REMEDY}") from error
    return SavedReport(file, datetime.fromtimestamp(file.stat().st_mtime, UTC), content)


def _wrong(error: ValidationError | RecursionError) -> str:
    """The first member that is not as a command writes it, with its value, in our words and not those of pydantic."""
    if isinstance(error, RecursionError):
        return "JSON nested too deeply"
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    if first["type"] == "missing":
        return f"{where}: missing"
    return f"{where}: {json.dumps(first['input'])[:_LONGEST]}: not what a command writes here"
