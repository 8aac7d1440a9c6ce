"""The manifests of `broken/fields*.yaml`: objects of the real tree with other fields, and manifests of their own."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.gitops.rules import name_of
from tests.gitops.tree import Json


def cases() -> list[Json]:
    files = sorted((Path(__file__).parent / "broken").glob("fields*.yaml"))
    return [case for file in files for case in yaml.safe_load(file.read_text())]


def manifests(case: Json, rendered: Mapping[str, Sequence[Json]]) -> list[Json]:
    """The manifests of a case; none if the tree has lost the object, because its owners changed the example.

    Each key of `set` is the JSON pointer of a field; without a value, it is removed.
    """
    if "manifests" in case:
        return list(case["manifests"])
    changed = copy.deepcopy(list(rendered[case["entry"]]))
    target = next((manifest for manifest in changed if name_of(manifest) == case["object"]), None)
    if target is None:
        return []
    for pointer, value in case["set"].items():
        *above, last = (part.replace("~1", "/") for part in pointer.split("/")[1:])
        holder: Any = target
        for part in above:
            holder = holder[int(part)] if isinstance(holder, list) else holder.setdefault(part, {})
        key = int(last) if isinstance(holder, list) else last
        if value is None:
            del holder[key]
        else:
            holder[key] = value
    return changed
