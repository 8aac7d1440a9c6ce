"""Changes of the settings, read from `changes.toml`."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

FILES = {
    "owner": "owner.py",
    "region": "ap_northeast_2/__init__.py",
    "shared": "ap_northeast_2/shared.py",
    "dev": "ap_northeast_2/dev.py",
    "staging": "ap_northeast_2/staging.py",
    "prod": "ap_northeast_2/prod.py",
}
"""The settings files by a short name."""


class Edit(NamedTuple):
    """A text of a settings file that is replaced everywhere in it."""

    file: str
    old: str
    new: str


class SettingsChange(NamedTuple):
    """A change of one field."""

    field: str
    """The class and the field, such as `NodeGroupConfig.labels`."""
    how: str
    """`set`, `unset`, `add`, `remove`, `raise`, `lower` or `replace`, and of what if a field has several."""
    edits: tuple[Edit, ...]
    note: str
    """What a plan does not tell: a refusal of AWS, or steps, with the source."""
    base: str
    """What is deployed before: a name in `BASES`."""

    @property
    def name(self) -> str:
        """The field and how it changes."""
        return f"{self.field}: {self.how}"


def _edits(entry: Mapping[str, Any]) -> tuple[Edit, ...]:
    return tuple(Edit(entry["file"], edit["old"], edit["new"]) for edit in entry.get("edits", [entry]))


_DOCUMENT = tomllib.loads(Path(__file__).with_name("changes.toml").read_text(encoding="utf-8"))

BASES: dict[str, list[Edit]] = {}
"""Edits of the example settings before they are deployed, by name."""
for _entry in _DOCUMENT["base"]:
    BASES.setdefault(_entry.get("name", ""), []).extend(_edits(_entry))

CHANGES = tuple(
    SettingsChange(entry["field"], entry["how"], _edits(entry), entry.get("note", ""), entry.get("base", ""))
    for entry in _DOCUMENT["change"]
)
