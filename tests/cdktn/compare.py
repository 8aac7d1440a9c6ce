"""Compares the stacks that CDKTF and CDK Terrain synthesize, and reads the differences that were reviewed."""

import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, TypeAdapter

REVIEWED = Path(__file__).with_name("differences.toml")
_ABSENT: Any = object()
_ADDRESSES = {"resource": 3, "data": 3, "ephemeral": 3, "module": 2, "output": 2}
"""How many keys lead to what has an address in the state, or is read by another stack, by top-level key."""


class Difference(NamedTuple):
    """A value that differs, such as at `terraform.required_providers.aws.version` of `stacks/ap-northeast-2-dev`."""

    document: str
    path: tuple[str, ...]
    cdktf: Any
    cdktn: Any

    def __str__(self) -> str:
        values = f"{_shown(self.cdktf)} with CDKTF, {_shown(self.cdktn)} with CDK Terrain"
        return f"{self.document}: {'.'.join(self.path)}: {values}"

    @property
    def is_of_the_state(self) -> bool:
        """Whether it adds, removes or renames what is in the state or read by another stack, or changes the backend."""
        if len(self.path) < 2:  # a whole document or table
            return self.path[:1] not in {("version",), ("//",)}
        return self.path[:2] == ("terraform", "backend") or len(self.path) <= _ADDRESSES.get(self.path[0], 0)


class Reviewed(BaseModel):
    """A reviewed difference, in all documents that match a pattern; `is_list` if only CDK Terrain has a list of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    documents: str
    path: tuple[str, ...]
    cdktf: Any = _ABSENT
    cdktn: Any = _ABSENT
    is_list: Literal[True] | None = None
    why: str

    def __str__(self) -> str:
        return f"{self.documents}: {'.'.join(self.path)} ({self.why})"

    def permits(self, difference: Difference) -> bool:
        """Whether it is this difference."""
        if difference.is_of_the_state or difference.path != self.path:
            return False
        values = (difference.cdktf, [difference.cdktf]) if self.is_list else (self.cdktf, self.cdktn)
        return fnmatchcase(difference.document, self.documents) and values == (difference.cdktf, difference.cdktn)


def read_reviewed(file: Path = REVIEWED) -> list[Reviewed]:
    """The reviewed differences of a file."""
    entries = tomllib.loads(file.read_text(encoding="utf-8"))["difference"]
    return TypeAdapter(list[Reviewed]).validate_python(entries)


def documents(output: Path) -> dict[str, Any]:
    """What a synthesis has written: each stack as `stacks/<name>`, and its other files."""
    return {
        str(file.parent.relative_to(output) if file.name == "cdk.tf.json" else file.relative_to(output)): json.loads(
            file.read_text(encoding="utf-8")
        )
        for file in sorted(output.rglob("*.json"))
    }


def differences(cdktf: Mapping[str, Any], cdktn: Mapping[str, Any]) -> Iterator[Difference]:
    """All differences of two sets of documents."""
    for name in sorted(cdktf.keys() | cdktn.keys()):
        for path, one, other in _different(cdktf.get(name, _ABSENT), cdktn.get(name, _ABSENT)):
            yield Difference(name, path, one, other)


def problems(found: Iterable[Difference], reviewed: Iterable[Reviewed], names: Iterable[str]) -> list[str]:
    """The differences that were not reviewed, and the reviewed ones that a document which they name does not have."""
    found, reviewed, names = list(found), list(reviewed), list(names)
    wrong = []
    for one in found:
        if not any(entry.permits(one) for entry in reviewed):
            remedy = "it must not differ" if one.is_of_the_state else f"review it, and add it to {REVIEWED.name}"
            wrong.append(f"{one}: {remedy}")
    for entry in reviewed:
        named = {name for name in names if fnmatchcase(name, entry.documents)}
        missing = named - {one.document for one in found if entry.permits(one)}
        if missing or not named:
            where = ", ".join(sorted(missing)) or "any document"
            wrong.append(f"{REVIEWED.name}: {entry}: no such difference in {where}; correct it or remove it")
    return wrong


def _different(one: Any, other: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            yield from _different(one.get(key, _ABSENT), other.get(key, _ABSENT), (*path, key))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for number, pair in enumerate(zip(one, other, strict=True)):
            yield from _different(*pair, (*path, str(number)))
    elif one is _ABSENT or other is _ABSENT or type(one) is not type(other) or one != other:
        yield path, one, other


def _shown(value: Any) -> str:
    return "nothing" if value is _ABSENT else json.dumps(value, sort_keys=True)
