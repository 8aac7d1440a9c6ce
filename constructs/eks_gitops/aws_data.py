"""The data file `aws_data.json`: what AWS offers in its regions. `make aws-data` writes it, with its sources."""

import difflib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple


class AwsRegion(NamedTuple):
    """A region: its partition, and the names of its Availability Zones, if they are published."""

    partition: str
    zones: tuple[str, ...]


@cache
def content() -> dict[str, Any]:
    """The content of the file. It is read at the first use."""
    data: dict[str, Any] = json.loads(Path(__file__).with_suffix(".json").read_text())
    return data


def region(name: str) -> AwsRegion | None:
    """A region by its name, or None if there is no such region."""
    found = content()["regions"].get(name)
    return None if found is None else AwsRegion(found["partition"], tuple(found["zones"]))


def offered(region_set: int, region: str) -> bool:
    """Whether a region is in a set of regions. True if the offers of the region are not published."""
    sets = content()["region_sets"]
    return region in sets[region_set] or not any(region in regions for regions in sets)


def similar(name: str, names: Iterable[str]) -> str:
    """The three names that are most similar to `name`, for a message."""
    return ", ".join(difflib.get_close_matches(name, names, n=3, cutoff=0))
