"""How the fields of the settings differ between two revisions, by the page that is generated from their types."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PAGE = Path("docs/settings.md")

_CLASS = re.compile(r"### (\w+)")
_FIELD = re.compile(r"`(\w+)`")
_LINK = re.compile(r"\[([^\]]+)\]\(#[^)]*\)")
_REQUIRED = "**required**"


class Field(NamedTuple):
    """What the page says of a field."""

    type: str
    default: str
    limits: str


def fields(page: str) -> dict[str, Field]:
    """The fields of all settings by their names, such as `VpcConfig.cidr`."""
    found, kind = {}, ""
    for line in page.splitlines():
        if heading := _CLASS.fullmatch(line):
            kind = heading[1]
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)][1:-1]
        if len(cells) > len(Field._fields) and (name := _FIELD.fullmatch(cells[0])):
            found[f"{kind}.{name[1]}"] = Field(*(_LINK.sub(r"\1", cell).replace(r"\|", "|") for cell in cells[1:4]))
    return found


def differences(before: str, after: str) -> list[tuple[str, str]]:
    """The fields that differ between two versions of the page, each with what is different.

    A class that only one version has is listed by its name, without its fields.
    """
    old, new = fields(before), fields(after)
    kinds, new_kinds = ({name.partition(".")[0] for name in found} for found in (old, new))
    found = [(kind, "new") for kind in new_kinds - kinds] + [(kind, "removed") for kind in kinds - new_kinds]
    both = [name for name in {*old, *new} if name.partition(".")[0] in kinds & new_kinds]
    return sorted(found) + [(name, what) for name in sorted(both) for what in _different(old.get(name), new.get(name))]


def _different(old: Field | None, new: Field | None) -> Iterator[str]:
    if old is None and new is not None:
        yield "new, required" if new.default == _REQUIRED else f"new, {new.default} by default"
    elif new is None:
        yield "removed"
    elif old is not None and old != new:
        if old.type != new.type:
            yield f"type: {old.type} -> {new.type}"
        if old.default != new.default:
            yield f"default: {old.default} -> {new.default}".replace(_REQUIRED, "required")
        if old.limits != new.limits:
            yield f"limits: {new.limits or 'none'}".replace("<br>", "; ")
