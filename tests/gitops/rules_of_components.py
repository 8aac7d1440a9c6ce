"""What the repository asks of a component, of a service's overlay, and of the AppProjects that admit them.

A rule yields what is wrong, a line each.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from typing import Any

from eks_gitops.in_cluster.cluster_secret import ClusterAnnotations, ClusterLabels, label_key
from tests.gitops.rules import group_of, name_of, of_kind
from tests.gitops.tree import Component, Json, Overlay, read


def cluster_keys() -> set[str]:
    """What ApplicationSets may read of a cluster's Secret."""
    return {label_key(field.name) for kind in (ClusterLabels, ClusterAnnotations) for field in fields(kind)}


_COMPONENT = {
    "namespace": str,
    "overlays": bool,
    "foundation": bool,
    "clusters": dict,
    "chart": dict,
    "parameters": list,
    "patches": list,
}
_CHART = {"repository": str, "name": str, "version": str}
_PARAMETER = {"name": str, "annotation": str}
_PATCH = {"kind": str, "name": str, "path": str, "annotation": str}
_OPTIONAL = {"key": str, "format": str, "op": str}
_APPLICATION = {"team": str, "host": str, "database": str}


def component_is_complete(component: Component) -> Iterator[str]:
    """The ApplicationSet renders what it is given, and says nothing of a key that it does not know."""
    settings = component.settings
    wrong = list(_shape("component.yaml", settings, _COMPONENT))
    yield from wrong
    if not wrong:
        yield from (
            f"clusters: {key} is no label that clusters are selected by"
            for key in settings["clusters"]
            if key != "karpenter"
        )
        yield from _chart_is_pinned(component)
        yield from _values_are_known(settings)
        yield from (
            f"{entry.relative_to(component.folder)}: no kustomization.yaml"
            for entry in component.entries
            if not (entry / "kustomization.yaml").is_file()
        )


def _chart_is_pinned(component: Component) -> Iterator[str]:
    if bool(component.chart) != (component.folder / "values.yaml").is_file():
        yield "values.yaml: there with a chart, and only then"
    if component.chart:
        yield from _shape("chart", component.chart, _CHART)
        version = str(component.chart.get("version"))
        if not re.fullmatch(r"v?\d+\.\d+\.\d+", version):
            yield f"chart: version {version} is not one exact version"
        text = (component.folder / "component.yaml").read_text()
        if not re.search(r"# renovate: datasource=\S+ depName=\S+.*\n +version: ", text):
            yield "chart: no renovate marker above the version"


def _values_are_known(settings: Json) -> Iterator[str]:
    for name, known in (("parameters", _PARAMETER), ("patches", _PATCH)):
        for index, entry in enumerate(settings[name]):
            where = f"{name}[{index}]"
            yield from _shape(where, entry, known, _OPTIONAL)
            if "annotation" in entry and entry["annotation"] not in cluster_keys():
                yield f"{where}: {entry['annotation']} is not in the contract of the cluster secret"
            if not re.fullmatch(r"[^%]*%s[^%]*", str(entry.get("format", "%s"))):
                yield f"{where}: format needs one %s, for the value"
            if entry.get("op", "replace") not in {"add", "replace"}:
                yield f"{where}: op {entry['op']}"


def patches_meet_what_they_change(component: Component, manifests: Sequence[Json]) -> Iterator[str]:
    """kustomize takes a patch that matches nothing without a word, and the placeholder stays."""
    for patch in component.settings["patches"]:
        targets = [one for one in of_kind(manifests, patch["kind"]) if one["metadata"]["name"] == patch["name"]]
        if not targets:
            yield f"no {patch['kind']} {patch['name']}"
        parts = [part.replace("~1", "/").replace("~0", "~") for part in patch["path"].split("/")[1:]]
        for target in targets:
            try:
                value = _at(target, parts[:-1] if patch.get("op") == "add" else parts)
            except (KeyError, IndexError, ValueError, TypeError):
                yield f"{name_of(target)}: no {patch['path']}"
            else:
                if patch.get("op") != "add" and not isinstance(value, str):
                    yield f"{name_of(target)}: {patch['path']} is no text"


def namespaces_say_whose_they_are(component: Component, manifests: Sequence[Json]) -> Iterator[str]:
    """By this label the policies for services leave a namespace out."""
    for namespace in of_kind(manifests, "Namespace"):
        if (namespace["metadata"].get("labels") or {}).get("platform/component") != component.name:
            yield f"{name_of(namespace)}: no label platform/component: {component.name}"


def _at(value: Any, parts: Sequence[str]) -> object:
    for part in parts:
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def overlay_is_complete(overlay: Overlay, teams: set[str]) -> Iterator[str]:
    yield from _shape(overlay.marker.name, overlay.settings, _APPLICATION)
    if overlay.settings.get("team") not in teams:
        yield f"team: {overlay.settings.get('team')} has no AppProject"
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", str(overlay.settings.get("host"))):
        yield f"host: {overlay.settings.get('host')} is not one label below the domain"
    if overlay.is_kustomized:
        namespace = read(overlay.folder / "kustomization.yaml").get("namespace")
        if namespace != overlay.namespace:
            yield f"kustomization.yaml: namespace {namespace}, not {overlay.namespace}"


def _shape(
    where: str, given: Json, required: Mapping[str, type], optional: Mapping[str, type] | None = None
) -> Iterator[str]:
    known = {**required, **(optional or {})}
    yield from (f"{where}: {key} is missing" for key in required if key not in given)
    yield from (f"{where}: {key} is unknown" for key in given if key not in known)
    for key in given.keys() & known.keys():
        if type(given[key]) is not known[key]:
            yield f"{where}: {key} is no {known[key].__name__}"


@dataclass(frozen=True)
class Brought:
    """What an Application of a project brings: manifests, and the namespace of those that name none."""

    project: str
    application: str
    namespace: str
    manifests: Sequence[Json]
    repositories: Sequence[str] = ()


_CLUSTER_SCOPED = {
    "ClusterSecretStore", "EC2NodeClass", "ImageValidatingPolicy", "Namespace", "NodePool", "ValidatingPolicy",
}  # fmt: skip


def projects_admit_what_is_brought(known: Sequence[Json], applications: Sequence[Brought]) -> Iterator[str]:
    """Argo CD refuses the rest, and tells nobody before the sync."""
    specs = {project["metadata"]["name"]: project["spec"] for project in known}
    for application in applications:
        spec = specs.get(application.project)
        if spec is None:
            yield f"{application.application}: no AppProject {application.project}"
            continue
        for repository in application.repositories:
            if not any(fnmatchcase(repository, admitted) for admitted in spec.get("sourceRepos") or []):
                yield f"{application.application}: {application.project} admits no {repository}"
        told = set()
        for manifest in application.manifests:
            cluster = manifest["kind"] in _CLUSTER_SCOPED
            admitted = spec.get("clusterResourceWhitelist" if cluster else "namespaceResourceWhitelist") or []
            if not any(
                fnmatchcase(group_of(manifest), entry["group"]) and fnmatchcase(manifest["kind"], entry["kind"])
                for entry in admitted
            ):
                told.add(f"{application.application}: {application.project} admits no {manifest['kind']}")
            namespace = manifest["metadata"].get("namespace") or application.namespace
            if not cluster and not any(
                fnmatchcase(namespace, entry["namespace"]) for entry in spec.get("destinations") or []
            ):
                told.add(f"{application.application}: {application.project} does not reach namespace {namespace}")
        yield from sorted(told)
