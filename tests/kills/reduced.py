"""Small stacks for tests: some resources of the synthesized ones, with their names, tags and references."""

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

_ADDRESS = re.compile(r"\b(aws_\w+)\.([\w-]+)")


def reduced(configuration: Mapping[str, Any], without: Collection[str]) -> dict[str, Any]:
    """A stack with the first resource of each type, and what these refer to, but none of the types `without`."""
    resources = configuration["resource"]
    chosen: set[tuple[str, str]] = set()
    for kind, named in resources.items():
        closures = (_closure(resources, (kind, name)) for name in named)
        chosen |= next((one for one in closures if not {other for other, _ in one} & set(without)), set())
    kept = {
        kind: {name: arguments for name, arguments in named.items() if (kind, name) in chosen}
        for kind, named in resources.items()
    }
    outputs = {
        name: output
        for name, output in configuration.get("output", {}).items()
        if set(_ADDRESS.findall(json.dumps(output))) <= chosen
    }
    return {
        **{block: configuration[block] for block in ("terraform", "provider")},
        "resource": {kind: named for kind, named in kept.items() if named},
        "output": outputs,
    }


def _closure(resources: Mapping[str, Any], first: tuple[str, str]) -> set[tuple[str, str]]:
    """A resource and all that it refers to."""
    found, left = set(), [first]
    while left:
        kind, name = one = left.pop()
        if one not in found:
            found.add(one)
            left += _ADDRESS.findall(json.dumps(resources[kind][name]))
    return found
