"""Compares Helm values with the published values of a chart, because Helm ignores unknown keys silently."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

Json = dict[str, Any]

SHARED = Path(__file__).parents[2] / "shared"


def published(file: Path) -> Json:
    """The content of a published YAML file of a chart or CRD. Skips the test if the file does not exist."""
    if not file.is_file():
        pytest.skip(f"published file not found: {file.name} in {file.parent.name}/")
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    content: Json = yaml.safe_load(file.read_text())
    return content


def unlike(
    ours: Json, theirs: Json, free: Mapping[str, str], numbers: frozenset[str] = frozenset(), above: str = ""
) -> Iterator[str]:
    """The keys of `ours` that the chart does not have, or has with another type.

    Below a path in `free`, any key is valid. A path in `numbers` can be a number although the default is a string.
    """
    for key, value in ours.items():
        path = f"{above}{key}"
        if path in free:
            if theirs.get(key) is not None and type(value) is not type(theirs[key]):
                yield f"{path}: {type(value).__name__}, not {type(theirs[key]).__name__}"
        elif key not in theirs:
            yield f"{path}: no such key"
        elif isinstance(value, dict) and isinstance(theirs[key], dict):
            yield from unlike(value, theirs[key], free, numbers, f"{path}.")
        elif path in numbers and type(value) is int:
            continue
        elif theirs[key] is not None and type(value) is not type(theirs[key]):
            yield f"{path}: {type(value).__name__}, not {type(theirs[key]).__name__}"


def open_maps(values: Json, above: str = "") -> dict[str, str]:
    """The paths of empty maps in a chart's values, whose valid keys are not known."""
    found: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            found |= open_maps(value, f"{above}{key}.") if value else {f"{above}{key}": "an empty map"}
    return found
