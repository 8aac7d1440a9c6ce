"""Values of a Helm chart against what the chart publishes; a chart takes a misspelt key without a word."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

Json = dict[str, Any]

SHARED = Path(__file__).parents[2] / "shared"


def published(file: Path) -> Json:
    """A YAML file of what charts and CRDs publish; the test is skipped, with the reason, where it is not there."""
    if not file.is_file():
        pytest.skip(f"what is published is not there: {file.name} below {file.parent.name}/")
    yaml = pytest.importorskip("yaml", reason="PyYAML, which reads what is published, is not installed")
    content: Json = yaml.safe_load(file.read_text())
    return content


def unlike(
    ours: Json, theirs: Json, free: Mapping[str, str], numbers: frozenset[str] = frozenset(), above: str = ""
) -> Iterator[str]:
    """What the chart does not have, and what it has as another type.

    Below a path of `free` every key is right; a path of `numbers` may be one where the chart's default is a text.
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
    """The paths of a chart's empty maps: which keys they take, the chart does not say."""
    found: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            found |= open_maps(value, f"{above}{key}.") if value else {f"{above}{key}": "an empty map"}
    return found
