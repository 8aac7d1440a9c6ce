"""Reviewed TOML files of exceptions. Each entry names its subject, who is responsible, why, and until when."""

import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from operations.errors import OperationError

_EXPECTED: Mapping[type, str] = {
    str: "write a non-empty string",
    date: "write a date without quotes, such as 2026-01-31",
    list: 'write a list of names, such as ["engine_version"]',
}


def read_waivers(
    file: Path, table: str, fields: Mapping[str, type], *, about: str, optional: Collection[str] = ()
) -> tuple[list[tuple[str, dict[str, Any]]], list[str]]:
    """The valid entries `[[table]]` of a file, each with its description for messages, and the errors of the others.

    `about` is the field that, with `stack`, names the subject of an entry. Without the file there are no entries.

    Raises:
        OperationError: if the file is not TOML, or `table` is not an array of tables.
    """
    if not file.is_file():
        return [], []
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # invalid TOML or UTF-8, or nested too deeply
        raise OperationError(f"{file}: {error}; write it as TOML") from error
    problems = [f"{file}: {name!r}: unknown table; write [[{table}]]" for name in document.keys() - {table}]
    entries = document.get(table, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise OperationError(f"{file}: [{table}]: write [[{table}]]")
    found = []
    for number, entry in enumerate(entries, 1):
        where = f"{file}: {table} {number} ({entry.get('stack')} {entry.get(about)})"
        wrong = [f"{where}: {name!r}: unknown field; remove it" for name in sorted(entry.keys() - fields)]
        for name, kind in fields.items():
            if name in optional and name not in entry:
                continue
            value = entry.get(name)
            if type(value) is not kind or not value or (isinstance(value, str) and not value.strip()):
                wrong.append(f"{where}: {name}: {value!r}: {_EXPECTED[kind]}")
        if not wrong:
            found.append((where, entry))
        problems += wrong
    return found, problems


def current(
    read: tuple[Iterable[tuple[str, dict[str, Any]]], Iterable[str]], today: date, expired: Callable[[str, date], str]
) -> list[dict[str, Any]]:
    """The entries of `read_waivers`, which must all be valid and not expired; `expired` is the error of one that is.

    Raises:
        OperationError: if entries are invalid or expired; the message lists all errors.
    """
    entries, problems = read
    too_old = [expired(where, entry["until"]) for where, entry in entries if entry["until"] < today]
    if wrong := [*problems, *too_old]:
        raise OperationError("\n".join(wrong))
    return [entry for _, entry in entries]
