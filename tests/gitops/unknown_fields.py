"""Which field is meant by one that its kind does not have: the API server names only the wrong one."""

import json
import re
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from tests.gitops.rules import group_of
from tests.gitops.rules_of_files import KUBERNETES
from tests.gitops.tree import Json, documents

_UNKNOWN = re.compile(r'unknown field "([^"]+)"')
_ALL_THAT_ARE_LISTED = 12  # more names are no help
_DEEPEST = 3  # below the fields of a specification: what is moved by mistake is never further


def with_known_field(manifest: Json, problem: str, crds: Path) -> str:
    """The problem of a manifest, with the field to write if it has an unknown one."""
    found = _UNKNOWN.fullmatch(problem)
    if found is None:
        return problem
    *above, name = re.findall(r"[^.\[\]]+|\[\d+\]", found[1])
    schemas = [_schema(manifest, crds)]
    for part in above:
        schemas.append(_below(schemas[-1], part))
    return f"{problem}; {_remedy(name, above, schemas)}"


def _remedy(name: str, above: list[str], schemas: list[Json]) -> str:
    """What to write. `above` are the parts of the path of the object, and `schemas` those of the objects above it."""
    names = sorted(_properties(schemas[-1]))
    if close := get_close_matches(name, names, n=1, cutoff=0.8):
        return f"write {close[0]}"
    if below := min(_paths(schemas[-1], name), key=len, default=None):
        return f"move it to {_path([*above, *below])}"
    if outer := [index for index, schema in enumerate(schemas) if index and name in _properties(schema)]:
        return f"move it to {_path([*above[: outer[-1]], name])}"
    if close := get_close_matches(name, names, n=1):
        return f"write {close[0]}"
    return f"write one of {', '.join(names)}" if 0 < len(names) <= _ALL_THAT_ARE_LISTED else "remove it"


def _path(parts: list[str]) -> str:
    return ".".join(parts).replace(".[", "[")


def _paths(schema: Json, name: str, depth: int = _DEEPEST) -> Iterator[tuple[str, ...]]:
    """The paths, through objects, of the fields of a name."""
    for key, below in _properties(schema).items():
        if key == name:
            yield (key,)
        elif depth > 1:
            yield from ((key, *path) for path in _paths(below, name, depth - 1))


def _below(schema: Json, part: str) -> Json:
    schema = _resolved(schema)
    below = (schema.get("properties") or {}).get(part) or schema.get("additionalProperties")
    if part.startswith("["):
        below = schema.get("items")
    return below if isinstance(below, dict) else {}


def _properties(schema: Json) -> Json:
    found: Json = _resolved(schema).get("properties") or {}
    return found


def _resolved(schema: Json) -> Json:
    reference = schema.get("$ref")
    found: Json = _definitions()[reference.rpartition("/")[2]] if reference else schema
    return found


def _schema(manifest: Json, crds: Path) -> Json:
    group, version = group_of(manifest), str(manifest["apiVersion"]).rpartition("/")[2]
    wanted = {"group": group, "version": version, "kind": manifest["kind"]}
    for definition in _definitions().values():
        if wanted in (definition.get("x-kubernetes-group-version-kind") or []):
            found: Json = definition
            return found
    return _of_crd(group, version, manifest["kind"], crds)


@cache
def _of_crd(group: str, version: str, kind: str, crds: Path) -> Json:
    for file in crds.glob("*.yaml"):
        text = file.read_text()
        for crd in documents(text) if f"kind: {kind}\n" in text else []:
            spec = crd["spec"]
            for one in spec["versions"]:
                if (spec["group"], one["name"], spec["names"]["kind"]) == (group, version, kind):
                    schema: Json = one["schema"]["openAPIV3Schema"]
                    return schema
    return {}


@cache
def _definitions() -> dict[str, Any]:
    """The schemas of built-in kinds in the package kubernetes-validate."""
    folder = files("kubernetes_validate") / "kubernetes-json-schema" / f"v{KUBERNETES}.0-local"
    found: dict[str, Any] = json.loads((folder / "_definitions.json").read_text())["$defs"]
    return found
