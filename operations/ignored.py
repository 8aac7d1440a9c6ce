"""Drift that is known and left alone: a reviewed list, in which each entry says who answers for it, why, until when."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path

from operations.errors import OperationError

FILE = Path("drift-ignored.toml")
_FIELDS = {"stack": str, "finding": str, "who": str, "why": str, "until": date, "attributes": list}
_OPTIONAL = {"attributes"}
_EXPECTED = {
    "until": "write a date without quotes, such as 2026-01-31",
    "attributes": 'write a list of names, such as ["engine_version"]',
}


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

    def covers(self, stack: str, finding: str, attributes: Sequence[str]) -> bool:
        """Whether it speaks of a finding, and of all attributes that were changed."""
        named = fnmatchcase(stack, self.stack) and self.finding == finding
        return named and (not self.attributes or (bool(attributes) and set(attributes) <= set(self.attributes)))


def read(file: Path) -> list[Ignored]:
    """The entries of a file; none where there is no such file.

    Raises:
        OperationError: with everything that is wrong in it. An entry that is out of date is not wrong: it is told, and
            what it named is found again.
    """
    if not file.is_file():
        return []
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise OperationError(f"{file}: {error}; write it as TOML") from error
    problems = [f"{file}: {name!r}: not known; write [[ignored]]" for name in document.keys() - {"ignored"}]
    found = []
    for number, entry in enumerate(document.get("ignored", []), 1):
        where = f"{file}: ignored {number} ({entry.get('stack')} {entry.get('finding')})"
        wrong = [f"{where}: {name!r}: not known; remove it" for name in sorted(entry.keys() - _FIELDS)]
        for name, kind in _FIELDS.items():
            if name in _OPTIONAL - entry.keys():
                continue
            if type(entry.get(name)) is not kind or not entry[name]:
                wrong.append(f"{where}: {name}: {entry.get(name)!r}: {_EXPECTED.get(name, 'name one, as text')}")
        if not wrong:
            found.append(Ignored(**entry))
        problems += wrong
    if problems:
        raise OperationError("\n".join(problems))
    return found
