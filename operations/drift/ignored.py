"""Accepted drift: a reviewed file, in which each entry has an owner, a reason and an expiry date."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path

from operations.errors import OperationError
from operations.repository import waivers

FILE = Path("drift-ignored.toml")
FIELDS = {"stack": str, "finding": str, "who": str, "why": str, "until": date, "attributes": list}


@dataclass(frozen=True)
class Ignored:
    """Ignores one finding of a stack until the end of a day.

    `finding` is its name in the report. For a changed resource `attributes` limits the entry to those attributes;
    without them, all its changes are ignored.
    """

    stack: str
    finding: str
    who: str
    why: str
    until: date
    attributes: Sequence[str] = ()

    @property
    def reason(self) -> str:
        """Who ignores the finding, why, and until when."""
        return f"{self.who}: {self.why}, until {self.until}"

    def covers(self, stack: str, finding: str, attributes: Sequence[str]) -> bool:
        """Whether the entry matches a finding with all its changed attributes."""
        named = fnmatchcase(stack, self.stack) and self.finding == finding
        return named and (not self.attributes or (bool(attributes) and set(attributes) <= set(self.attributes)))


def read_ignored(file: Path) -> list[Ignored]:
    """The entries of a file; none if the file does not exist.

    Raises:
        OperationError: if entries are invalid, with all errors. An expired entry is valid: the report notes it, and
            its finding is reported again.
    """
    entries, problems = waivers.read_waivers(file, "ignored", FIELDS, about="finding", optional=("attributes",))
    if problems:
        raise OperationError("\n".join(problems))
    return [Ignored(**entry) for _, entry in entries]
