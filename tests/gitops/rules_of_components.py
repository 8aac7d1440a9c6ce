"""Rules for components, for overlays of services, and for the AppProjects of both.

A rule yields one line for each violation.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

from eks_gitops.in_cluster.cluster_secret import ClusterAnnotations, ClusterLabels, label_key
from tests.gitops.rules import containers, group_of, name_of, of_kind, with_paths, within
from tests.gitops.tree import Component, Json, Overlay, read


def cluster_keys() -> set[str]:
    """The labels and annotations of the cluster Secret that ApplicationSets can read."""
    return {label_key(field.name) for kind in (ClusterLabels, ClusterAnnotations) for field in fields(kind)}


_COMPONENT = {
    "namespace": str,
    "overlays": str,
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
_OPTIONAL_IN_PATCHES = {**_OPTIONAL, "json": bool}
_APPLICATION = {"team": str, "host": str, "database": str}


def component_is_complete(component: Component) -> Iterator[str]:
    """An ApplicationSet ignores unknown keys silently, so the settings of a component are checked here."""
    settings = component.settings
    wrong = list(_shape("component.yaml", settings, _COMPONENT))
    yield from wrong
    if not wrong:
        yield from (
            f"component.yaml: clusters.{key}: selects no clusters; write karpenter, container-logs or argo-cd"
            for key in settings["clusters"]
            if key not in {"karpenter", "container-logs", "argo-cd"}
        )
        labels = [label_key(field.name) for field in fields(ClusterLabels)]
        if settings["overlays"] not in {"", *labels}:
            where = f"component.yaml: overlays: {settings['overlays']}"
            yield f'{where}: no label of the cluster Secret; write one of {", ".join(labels)}, or ""'
        yield from _chart_is_pinned(component)
        yield from _annotations_are_known(settings)
        yield from (
            f"{entry.relative_to(component.folder)}/kustomization.yaml: does not exist; add it"
            for entry in component.entries
            if not (entry / "kustomization.yaml").is_file()
        )


def _chart_is_pinned(component: Component) -> Iterator[str]:
    if bool(component.chart) != (component.folder / "values.yaml").is_file():
        yield "values.yaml: must exist if component.yaml has a chart, and only then; add or remove it"
    if component.chart:
        yield from _shape("component.yaml: chart", component.chart, _CHART)
        version = str(component.chart.get("version"))
        if not re.fullmatch(r"v?\d+\.\d+\.\d+", version):
            yield f"component.yaml: chart.version: {version}: not one exact version; write such as 1.2.3"
        text = (component.folder / "component.yaml").read_text()
        if not re.search(r"# renovate: datasource=\S+ depName=\S+.*\n +version: ", text):
            yield "component.yaml: chart.version: no renovate marker above it; write # renovate: datasource=… depName=…"


def _annotations_are_known(settings: Json) -> Iterator[str]:
    for name, known, optional in (
        ("parameters", _PARAMETER, _OPTIONAL),
        ("patches", _PATCH, _OPTIONAL_IN_PATCHES),
    ):
        for index, entry in enumerate(settings[name]):
            where = f"component.yaml: {name}[{index}]"
            yield from _shape(where, entry, known, optional)
            if "annotation" in entry and entry["annotation"] not in cluster_keys():
                close = get_close_matches(entry["annotation"], sorted(cluster_keys()), n=1)
                remedy = f"write {close[0]}" if close else "write one of docs/in-cluster.md"
                yield f"{where}.annotation: {entry['annotation']}: no key of the cluster Secret; {remedy}"
            if not re.fullmatch(r"[^%]*%s[^%]*", str(entry.get("format", "%s"))):
                yield f"{where}.format: {entry['format']}: write one %s, for the value"
            if entry.get("op", "replace") not in {"add", "replace"}:
                yield f"{where}.op: {entry['op']}: write add or replace"


def patches_have_targets(component: Component, manifests: Sequence[Json]) -> Iterator[str]:
    """Kustomize ignores a patch without a target silently, so the placeholder would remain."""
    for index, patch in enumerate(component.settings["patches"]):
        where = f"component.yaml: patches[{index}]"
        targets = [one for one in of_kind(manifests, patch["kind"]) if one["metadata"]["name"] == patch["name"]]
        if not targets:
            yield f"{where}: no {patch['kind']} {patch['name']}; correct kind or name"
        parts = [part.replace("~1", "/").replace("~0", "~") for part in patch["path"].split("/")[1:]]
        for target in targets:
            try:
                value = _at(target, parts[:-1] if patch.get("op") == "add" else parts)
            except (KeyError, IndexError, ValueError, TypeError):
                yield f"{where}.path: {patch['path']}: {name_of(target)} has no such field; correct it"
            else:
                if patch.get("op") != "add" and isinstance(value, str) is patch.get("json", False):
                    kind = "a list or an object" if patch.get("json") else "a string"
                    remedy = "remove json" if patch.get("json") else "write json: true"
                    yield f"{where}.path: {patch['path']}: in {name_of(target)} not {kind}; correct it, or {remedy}"


def namespaces_have_a_component_label(component: Component, manifests: Sequence[Json]) -> Iterator[str]:
    """The policies for services exclude namespaces with this label."""
    for namespace in of_kind(manifests, "Namespace"):
        if (namespace["metadata"].get("labels") or {}).get("platform/component") != component.name:
            yield f"{name_of(namespace)}: metadata.labels.platform/component: missing; write {component.name}"


def objects_are_in_namespaces_of_the_component(component: Component, manifests: Sequence[Json]) -> Iterator[str]:
    """Those of its folder, and those of its chart as far as its values say: its own, and others that it creates."""
    own = [component.settings["namespace"], *(one["metadata"]["name"] for one in of_kind(manifests, "Namespace"))]
    given = [(name_of(one), one["metadata"].get("namespace", own[0])) for one in manifests]
    given += [(f"{file}: {path}", value) for file, path, value in _values(component, "namespaceOverride")]
    for where, namespace in given:
        if namespace not in own:
            yield f"{where}: namespace {namespace}: not of the component; write {' or '.join(sorted(set(own)))}"


# What many charts call an object, with `enabled: true` below, and its API version and kind.
_OBJECTS = {
    "autoscaling": ("autoscaling/v2", "HorizontalPodAutoscaler"),
    "ingress": ("networking.k8s.io/v1", "Ingress"),
    "networkPolicy": ("networking.k8s.io/v1", "NetworkPolicy"),
    "pdb": ("policy/v1", "PodDisruptionBudget"),
    "persistence": ("v1", "PersistentVolumeClaim"),
    "podDisruptionBudget": ("policy/v1", "PodDisruptionBudget"),
    "podMonitor": ("monitoring.coreos.com/v1", "PodMonitor"),
    "prometheusRule": ("monitoring.coreos.com/v1", "PrometheusRule"),
    "serviceMonitor": ("monitoring.coreos.com/v1", "ServiceMonitor"),
}


def objects_in_values(component: Component) -> Iterator[Json]:
    """The objects that the chart of a component creates, as far as its values say: charts are not rendered here."""
    for file in sorted(component.folder.glob("values*.yaml")):
        yield from (one for _, one in with_paths(read(file)) if {"apiVersion", "kind", "metadata"} <= one.keys())
    for key, (version, kind) in _OBJECTS.items():
        for name, path, value in _values(component, key):
            if isinstance(value, dict) and value.get("enabled") is True:
                yield {"apiVersion": version, "kind": kind, "metadata": {"name": f"{name}: {path}"}}


def _values(component: Component, key: str) -> Iterator[tuple[str, str, Any]]:
    """The values of this key at any depth: the file, the path and the value."""
    for file in sorted(component.folder.glob("values*.yaml")):
        for path, holder in with_paths(read(file)):
            if key in holder:
                yield file.name, f"{path}.{key}".removeprefix("."), holder[key]


def _at(value: Any, parts: Sequence[str]) -> object:
    for part in parts:
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def overlay_is_complete(overlay: Overlay, teams: set[str]) -> Iterator[str]:
    yield from _shape(overlay.marker.name, overlay.settings, _APPLICATION)
    team, host, marker = overlay.settings.get("team"), overlay.settings.get("host"), overlay.marker.name
    if team not in teams:
        yield f"{marker}: team: {team}: no AppProject; write one of {', '.join(sorted(teams))}"
    if host != overlay.service:
        yield f"{marker}: host: {host}: not the name of the service; write {overlay.service}"
    if overlay.is_kustomized:
        namespace = read(overlay.folder / "kustomization.yaml").get("namespace")
        if namespace != overlay.namespace:
            yield f"kustomization.yaml: namespace: {namespace}; write {overlay.namespace}"
    elif (name := read(overlay.folder / "values.yaml").get("name")) != overlay.service:
        yield f"values.yaml: name: {name}: not the name of the folder, which its image has; write {overlay.service}"


def objects_belong_to_the_team(overlay: Overlay, manifests: Sequence[Json]) -> Iterator[str]:
    """The label of the team is that of the file which selects the project."""
    team, label = overlay.settings.get("team"), "app.kubernetes.io/part-of"
    others: dict[str, list[str]] = {}
    for manifest in manifests:
        given = str((manifest["metadata"].get("labels") or {}).get(label, team))
        if given != str(team):
            others.setdefault(given, []).append(name_of(manifest))
    for given, (first, *more) in others.items():
        where = f"{first}: metadata.labels.{label}: {given}" + (f", as of {len(more)} other objects" if more else "")
        yield f"{where}; write {team}, the team of {overlay.marker.name}"


def databases_have_their_secret(overlay: Overlay, manifests: Sequence[Json]) -> Iterator[str]:
    """If a database is named, the ApplicationSets create its user, and set the key of the ExternalSecret `database`."""
    given = overlay.settings.get("database")
    external = any(one["metadata"]["name"] == "database" for one in of_kind(manifests, "ExternalSecret"))
    used = any(
        (holder.get(field) or {}).get("name") == "database"
        for one in manifests
        for holder in within(one)
        for field in ("secretRef", "secretKeyRef")
        if isinstance(holder.get(field), dict)
    )
    where = f"{overlay.marker.name}: database"
    if given and not external:
        yield f'{where}: {given}: no ExternalSecret database; add the component with it, or write ""'
    if given and external and not used:
        yield f'{where}: {given}: no container has the Secret database; refer to it, or write ""'
    if not given and external:
        yield f'{where}: "": ExternalSecret database has no secret; name the database, or remove the component with it'


def hosts_belong_to_the_service(overlay: Overlay, manifests: Sequence[Json]) -> Iterator[str]:
    """The host of a service is its name below the domain of the environment, which Git does not know.

    The ApplicationSet `services` sets it in the first rule of every Ingress: another host would be replaced, and that
    of another rule would remain an example.
    """
    own = f"{overlay.service}.{overlay.folder.name}.example.com"
    for ingress in of_kind(manifests, "Ingress"):
        for index, rule in enumerate(ingress["spec"].get("rules") or []):
            where = f"{name_of(ingress)}: spec.rules[{index}]"
            if rule.get("host") != own:
                yield f"{where}.host: {rule.get('host')}; write {own}, the only host of the service"
            if index and overlay.is_kustomized:
                yield f"{where}: only the first rule gets the real host; move its paths there, or to another Ingress"


def _shape(
    where: str, given: Json, required: Mapping[str, type], optional: Mapping[str, type] | None = None
) -> Iterator[str]:
    known = {**required, **(optional or {})}
    yield from (f"{where}: {key}: missing; add it" for key in required if key not in given)
    yield from (f"{where}: {key}: unknown; write one of {', '.join(known)}" for key in given if key not in known)
    for key in given.keys() & known.keys():
        if type(given[key]) is not known[key]:
            yield f"{where}: {key}: {given[key]!r}: not of type {known[key].__name__}; correct it"


@dataclass(frozen=True)
class Deployed:
    """The manifests of an Application, with its project and the namespace of manifests without one."""

    project: str
    application: str
    namespace: str
    manifests: Sequence[Json]
    repositories: Sequence[str] = ()
    server: str = "https://kubernetes.default.svc"


def components_are_deployed_as_they_say(
    known: Sequence[Component], applications: Sequence[Json], environment: str
) -> Iterator[str]:
    """The Applications that the ApplicationSets make of components, each in its namespace of the own cluster."""
    destinations = {application["metadata"]["name"]: application["spec"]["destination"] for application in applications}
    for component in known:
        name, wanted = f"{component.name}-{environment}", [Deployed.server, component.settings["namespace"]]
        given = destinations.get(name)
        if given and [given.get("server"), given.get("namespace")] != wanted:
            shown = " ".join(map(str, given.values()))
            yield f"Application {name}: destination {shown}: component.yaml says {' '.join(wanted)}"


# Source: `+genclient:nonNamespaced` of the types in k8s.io/api v0.37.2, apiextensions and kube-aggregator; the CRDs of
# the charts.
_CLUSTER_SCOPED = {
    "APIService", "CSIDriver", "ClusterRole", "ClusterRoleBinding", "ClusterSecretStore", "ClusterTrustBundle",
    "CustomResourceDefinition", "DeviceClass", "EC2NodeClass", "FlowSchema", "ImageValidatingPolicy", "IngressClass",
    "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding", "MutatingWebhookConfiguration", "Namespace",
    "NodePool", "PersistentVolume", "PriorityClass", "PriorityLevelConfiguration", "RuntimeClass", "ServiceCIDR",
    "StorageClass", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "ValidatingPolicy",
    "ValidatingWebhookConfiguration", "VolumeAttributesClass",
}  # fmt: skip


def projects_permit_deployed_resources(known: Sequence[Json], applications: Sequence[Deployed]) -> Iterator[str]:
    """Argo CD rejects other resources, but reports them only during a sync."""
    specs = {project["metadata"]["name"]: project["spec"] for project in known}
    for application in applications:
        spec = specs.get(application.project)
        if spec is None:
            yield f"Application {application.application}: no AppProject {application.project}; add it, or name another"
            continue
        where = f"Application {application.application}: AppProject {application.project}: spec"
        for repository in application.repositories:
            if not any(fnmatchcase(repository, permitted) for permitted in spec.get("sourceRepos") or []):
                yield f"{where}.sourceRepos: no {repository}; add it"
        own = [one["metadata"]["name"] for one in of_kind(application.manifests, "Namespace")]
        used = [one["metadata"].get("namespace") for one in application.manifests if one["kind"] not in _CLUSTER_SCOPED]
        violations = {
            f"{where}.destinations: no namespace {namespace}; add it"
            for namespace in {application.namespace, *own, *filter(None, used)}
            if not _is_destination(spec, application.server, namespace)
        }
        for manifest in application.manifests:
            cluster = manifest["kind"] in _CLUSTER_SCOPED
            field = "clusterResourceWhitelist" if cluster else "namespaceResourceWhitelist"
            permitted = spec.get(field) or []
            if not any(
                fnmatchcase(group_of(manifest), entry["group"]) and fnmatchcase(manifest["kind"], entry["kind"])
                for entry in permitted
            ):
                violations.add(f"{where}.{field}: no {manifest['kind']}; add it")
        yield from sorted(violations)


def _is_destination(spec: Json, server: str, namespace: str) -> bool:
    return any(
        fnmatchcase(server, entry.get("server", "")) and fnmatchcase(namespace, entry["namespace"])
        for entry in spec.get("destinations") or []
    )


def kustomizations_of_overlays_have_targets(overlay: Overlay, manifests: Sequence[Json]) -> Iterator[str]:
    """Kustomize ignores a patch and an image that match nothing."""
    if not overlay.is_kustomized:
        return
    kustomization = read(overlay.folder / "kustomization.yaml")
    for index, patch in enumerate(kustomization.get("patches") or []):
        target = patch.get("target") or {}
        chosen = {key: target[key] for key in ("kind", "name") if key in target}
        found = [one for one in manifests if _is_target(one, chosen)]
        if chosen and not found:
            named = " ".join(map(str, chosen.values()))
            yield f"kustomization.yaml: patches[{index}].target: no {named}; correct it"
    images = {
        re.split(r"[:@]", str(container.get("image")))[0]
        for manifest in manifests
        for _, container in containers(manifest)
    }
    for index, image in enumerate(kustomization.get("images") or []):
        if not {image.get("name"), image.get("newName")} & images:
            known = ", ".join(sorted(images))
            where = f"kustomization.yaml: images[{index}].name: {image.get('name')}"
            yield f"{where}: no container has it; write one of {known}"


def _is_target(manifest: Json, chosen: Json) -> bool:
    """Whether a patch with this target changes the manifest: Kustomize takes anchored regular expressions."""
    name = re.sub(r"-[a-z0-9]{10}$", "", manifest["metadata"]["name"])  # the hash of a generated ConfigMap
    values = {"kind": [manifest["kind"]], "name": [name, manifest["metadata"]["name"]]}
    return all(any(re.fullmatch(str(chosen[key]), one) for one in values[key]) for key in chosen)


def located(folder: str, line: str) -> str:
    """A problem with its place: a file of the folder, or an object of what is rendered from it."""
    return f"{folder}/{line}" if re.match(r"[\w./-]+\.yaml: ", line) else f"{folder}: {line}"


OF_OVERLAYS = (
    databases_have_their_secret,
    hosts_belong_to_the_service,
    kustomizations_of_overlays_have_targets,
    objects_belong_to_the_team,
)
