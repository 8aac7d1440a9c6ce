"""Drift that is known and left alone: a reviewed list, in which each entry says who answers for it, why, until when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path

from operations.errors import OperationError
from operations.repository import waivers

FILE = Path("drift-ignored.toml")
_FIELDS = {"stack": str, "finding": str, "who": str, "why": str, "until": date, "attributes": list}


@dataclass(frozen=True)
class Ignored:
    """Leaves one finding of one stack alone until the end of a day.

    `finding` is what the report calls it. A resource that was changed is left alone as far as `attributes` go, and
    whole without them.
    """

    stack: str
    finding: str
    who: str
    why: str
    until: date
    attributes: Sequence[str] = ()

    @property
    def reason(self) -> str:
        """Why it is left alone, by whom and until when."""
        return f"{self.who}: {self.why}, until {self.until}"

    def covers(self, stack: str, finding: str, attributes: Sequence[str]) -> bool:
        """Whether it speaks of a finding, and of all attributes that were changed."""
        named = fnmatchcase(stack, self.stack) and self.finding == finding
        return named and (not self.attributes or (bool(attributes) and set(attributes) <= set(self.attributes)))


def read_ignored(file: Path) -> list[Ignored]:
    """The entries of a file; none where there is no such file.

    Raises:
        OperationError: with everything that is wrong in it. An entry that is out of date is not wrong: it is told, and
            what it named is found again.
    """
    entries, problems = waivers.read_waivers(file, "ignored", _FIELDS, about="finding", optional=("attributes",))
    if problems:
        raise OperationError("\n".join(problems))
    return [Ignored(**entry) for _, entry in entries]
