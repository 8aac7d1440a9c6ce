"""A rule for the requests that policies select: the API server and Kyverno accept any name of a resource there."""

import json
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from pathlib import Path

from tests.gitops.rules import group_of, name_of
from tests.gitops.rules_of_files import KUBERNETES
from tests.gitops.tree import Json, documents

Resources = Mapping[tuple[str, str], set[str]]
"""The versions of each resource, by group and plural name."""

# Subresources: https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris and the API of 1.36.
_SUBRESOURCES = {
    "*", "approval", "attach", "binding", "ephemeralcontainers", "eviction", "exec", "finalize", "log", "portforward",
    "proxy", "resize", "scale", "status", "token",
}  # fmt: skip


def known_resources(crds: Path) -> Resources:
    """The resources of the Kubernetes API, and those of the CRDs in a folder."""
    found: dict[tuple[str, str], set[str]] = {}
    for group, version, kind in _built_in():
        found.setdefault((group, _plural(kind)), set()).add(version)
    for file in crds.glob("*.yaml"):
        for crd in documents(file.read_text()):
            if crd["kind"] == "CustomResourceDefinition":
                versions = {version["name"] for version in crd["spec"]["versions"] if version["served"]}
                found[crd["spec"]["group"], crd["spec"]["names"]["plural"]] = versions
    return found


@cache
def _built_in() -> list[tuple[str, str, str]]:
    """Group, version and kind of all objects in the schemas of the package kubernetes-validate."""
    schemas = files("kubernetes_validate") / "kubernetes-json-schema" / f"v{KUBERNETES}.0-local" / "_definitions.json"
    return [
        (named["group"], named["version"], named["kind"])
        for schema in json.loads(schemas.read_text())["$defs"].values()
        if {"kind", "metadata"} <= schema.get("properties", {}).keys()
        for named in schema.get("x-kubernetes-group-version-kind", [])
        if not named["kind"].endswith("List")
    ]


def _plural(kind: str) -> str:
    """The name of a resource: see `UnsafeGuessKindToResource` of k8s.io/apimachinery v0.36.3, `pkg/api/meta`."""
    name = kind.lower()
    if name.endswith("endpoints"):
        return name
    if name.endswith("s"):
        return f"{name}es"
    return f"{name[:-1]}ies" if name.endswith("y") else f"{name}s"


def policies_select_existing_resources(manifests: Sequence[Json], known: Resources) -> Iterator[str]:
    """A policy for a resource that does not exist never denies anything."""
    for manifest in manifests:
        if group_of(manifest) in {"admissionregistration.k8s.io", "policies.kyverno.io"}:
            constraints = manifest["spec"].get("matchConstraints") or {}
            for field in ("resourceRules", "excludeResourceRules"):
                for rule in constraints.get(field) or []:
                    where = f"{name_of(manifest)}: spec.matchConstraints.{field}"
                    yield from (f"{where}: {problem}" for problem in _unmatched(rule, known))


def _unmatched(rule: Json, known: Resources) -> Iterator[str]:
    groups, versions = rule.get("apiGroups") or [], rule.get("apiVersions") or []
    matched = {
        name
        for (group, name), served in known.items()
        if {"*", group} & set(groups) and ("*" in versions or served & set(versions))
    }
    for resource in rule.get("resources") or []:
        name, _, subresource = resource.partition("/")
        if name not in {"*", *matched}:
            yield f"no resource {name} in {_written(groups, versions)}; {_remedy(name, matched, known)}"
        if subresource and subresource not in _SUBRESOURCES:
            close = get_close_matches(subresource, _SUBRESOURCES, n=1)
            yield f"no subresource {subresource} of {name}; " + (f"write {close[0]}" if close else "remove it")


def _remedy(name: str, matched: set[str], known: Resources) -> str:
    close = sorted({one for one in matched if one in {_plural(name), name.lower()}})
    elsewhere = [f"{name} of {_written([group], sorted(known[group, one]))}" for group, one in known if one == name]
    if not matched:
        return f"write {', or '.join(elsewhere)}" if elsewhere else "correct the group and the version, or add the CRD"
    return f"write {', or '.join(close or elsewhere)}" if close or elsewhere else "correct it, or add its CRD"


def _written(groups: Sequence[str], versions: Sequence[str]) -> str:
    return ", ".join(f"{group}/{version}".lstrip("/") for group in groups for version in versions)
