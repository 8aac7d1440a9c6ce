"""Strict JSON schemas of Kubernetes and of CRDs, which reject fields that the API server would drop silently."""

import json
from collections.abc import Iterator
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

from tests.gitops.tree import Json, documents

KUBERNETES = "1.36"

# The metadata fields that manifests in Git can have. The API has more, which are set by Kubernetes.
_METADATA: Json = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string"},
        "namespace": {"type": "string"},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "annotations": {"type": "object", "additionalProperties": {"type": "string"}},
        "finalizers": {"type": "array", "items": {"type": "string"}},
    },
}
_DEFINITIONS = "#/$defs/"


class Schemas:
    """A folder of schemas for kubeconform, to which the schema of each requested kind is written."""

    def __init__(self, definitions: Path, folder: Path) -> None:
        self._definitions = {file: file.read_text() for file in sorted(definitions.glob("*/*.yaml"))}
        self._folder = folder
        self.location = f"{folder}/{{{{.ResourceKind}}}}_{{{{.Group}}}}_{{{{.ResourceAPIVersion}}}}.json"

    def provide(self, kind: str, api_version: str) -> None:
        """Write the schema of a kind, if there is one. kubeconform rejects kinds without a schema."""
        group, _, version = api_version.rpartition("/")
        target = self._folder / f"{kind.lower()}_{group or version}_{version}.json"
        if not target.exists():
            schema = self._of_kubernetes(kind, group, version) or self._of_definition(kind, group, version)
            if schema:
                target.write_text(json.dumps(schema))

    def _of_kubernetes(self, kind: str, group: str, version: str) -> Json | None:
        name = "-".join(part.lower() for part in (kind, group.partition(".")[0], version) if part)
        if not (self._kubernetes / f"{name}.json").is_file():
            return None
        schema: Json = json.loads((self._kubernetes / f"{name}.json").read_text())
        if group not in {known["group"] for known in schema.get("x-kubernetes-group-version-kind", [{"group": group}])}:
            return None
        return {**_inside(schema), "$defs": {used: _inside(self._parts[used]) for used in self._closure(schema)}}

    @cached_property
    def _kubernetes(self) -> Path:
        return Path(str(files("kubernetes_validate") / "kubernetes-json-schema" / f"v{KUBERNETES}.0-local-strict"))

    @cached_property
    def _parts(self) -> Json:
        parts: Json = json.loads((self._kubernetes / "_definitions.json").read_text())["$defs"]
        return parts

    def _closure(self, schema: Json) -> set[str]:
        found: set[str] = set()
        waiting = list(_references(schema))
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += _references(self._parts[name])
        return found

    def _of_definition(self, kind: str, group: str, version: str) -> Json | None:
        for file, text in self._definitions.items():
            # Parsing YAML is slow, so only candidate files are parsed.
            if f"kind: {kind}\n" in text and f"group: {group}\n" in text:
                spec = _definition(file)["spec"]
                for known in spec["versions"]:
                    if (spec["names"]["kind"], known["name"], known["served"]) == (kind, version, True):
                        schema = _strict(known["schema"]["openAPIV3Schema"])
                        schema["properties"]["metadata"] = _METADATA
                        return schema
        return None


@cache
def _definition(file: Path) -> Json:
    (definition,) = documents(file.read_text())
    return definition


def _references(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        reference = schema.get("$ref")
        if isinstance(reference, str):
            yield reference.rpartition(_DEFINITIONS)[2]
        for value in schema.values():
            yield from _references(value)
    if isinstance(schema, list):
        for value in schema:
            yield from _references(value)


def _inside(schema: Any) -> Any:
    """The schema with references to its own `$defs`."""
    if isinstance(schema, dict):
        return {
            key: "".join(value.rpartition(_DEFINITIONS)[1:])
            if key == "$ref" and isinstance(value, str)
            else _inside(value)
            for key, value in schema.items()
        }
    return [_inside(value) for value in schema] if isinstance(schema, list) else schema


def _strict(schema: Json) -> Json:
    """The JSON schema of a CRD schema, without additional properties where the CRD declares the properties."""
    strict: Json = {key: value for key, value in schema.items() if not key.startswith("x-kubernetes-")}
    if schema.get("x-kubernetes-int-or-string"):
        strict.pop("type", None)
        strict["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            strict[key] = _strict(schema[key])
    if "properties" in schema:
        strict["properties"] = {name: _strict(value) for name, value in schema["properties"].items()}
        if schema.get("x-kubernetes-embedded-resource"):
            strict["properties"] |= {name: {} for name in ("apiVersion", "kind", "metadata")}
        if not schema.get("x-kubernetes-preserve-unknown-fields"):
            strict.setdefault("additionalProperties", False)
    if strict.pop("nullable", False) and "type" in strict:
        strict["type"] = [strict["type"], "null"]
        if "enum" in strict:
            strict["enum"] = [*strict["enum"], None]
    return strict
