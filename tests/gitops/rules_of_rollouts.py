"""Rules for what analyses measure. `check-argo-rollouts` checks each Rollout with the Services and templates it names.

A rule takes the rendered manifests of every entry of the tree, and yields one line for each violation.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import SplitResult, urlsplit

from tests.gitops.rules import name_of, of_kind, with_paths
from tests.gitops.tree import Json, components

Entries = Mapping[str, Sequence[Json]]
Ports = frozenset[int]
Services = dict[tuple[str, str], Ports]

# Services that charts create and that analyses use: see `templates/prometheus/service.yaml` of kube-prometheus-stack
# 88.5.3, and the operator's Service of every Prometheus.
_OF_CHARTS: Services = {
    ("monitoring", "monitoring-kube-prometheus-prometheus"): frozenset({9090}),
    ("monitoring", "prometheus-operated"): frozenset({9090}),
}
_OF_TERRAFORM = {"argocd", "kube-system"}
_PORTS = {"http": "80", "https": "443"}


def addresses_of_analyses_exist(entries: Entries) -> Iterator[str]:
    """At another address the analysis gets no answer, and after some errors it aborts every rollout.

    Names with a `.svc`, or whose second part is a namespace, are those of Services; others may be outside of the
    cluster. A name alone is looked up in the namespace of the controller, argo-rollouts.
    """
    services, namespaces = _services(entries), _namespaces(entries)
    for entry, manifests in entries.items():
        for template in of_kind(manifests, "AnalysisTemplate", "ClusterAnalysisTemplate"):
            for field, text in _addresses(template):
                url = urlsplit(_filled_in(text, template))
                own = _namespace(entry, template) if template["kind"] == "AnalysisTemplate" else "*"
                where = f"{entry}: {name_of(template)}: {field}: {text}"
                yield from (f"{where}: {problem}" for problem in _problems(url, own, services, namespaces))


def _filled_in(text: str, template: Json) -> str:
    """The text with the values of arguments, and `*` for one that has no value in the template."""
    for argument in template["spec"].get("args") or []:
        if "value" in argument:
            pattern = rf"\{{\{{\s*args\.{re.escape(argument['name'])}\s*\}}\}}"
            text = argument["value"].join(re.split(pattern, text))
    return re.sub(r"\{\{[^}]*\}\}", "*", text)


def _addresses(template: Json) -> Iterator[tuple[str, str]]:
    for path, holder in with_paths(template["spec"].get("metrics") or [], "spec.metrics"):
        for provider, field in (("prometheus", "address"), ("web", "url")):
            named = holder.get(provider)
            if isinstance(named, dict) and field in named:
                yield f"{path}.{provider}.{field}", named[field]


def _problems(url: SplitResult, own: str, services: Services, namespaces: set[str]) -> Iterator[str]:
    """What is wrong with a URL, in which `*` is an argument. As a namespace, that is the one of the template."""
    labels = (url.hostname or "*").split(".")
    if "*" in labels[0]:
        return
    if len(labels) == 1:
        labels += ["argo-rollouts", "svc"]
    if "svc" in labels[2:] and labels[2:] not in (["svc"], ["svc", "cluster", "local"]):
        yield f"write {labels[0]}.{labels[1]}.svc"
    elif labels[2:3] == ["svc"] or (len(labels) == 2 and labels[1] in {"*", *namespaces}):
        namespace = own if labels[1] == "*" else labels[1]
        found = [
            ports
            for (known, name), ports in services.items()
            if name == labels[0] and ("*" in namespace or namespace == known)
        ]
        port = url.netloc.rpartition(":")[2] if ":" in url.netloc else _PORTS.get(url.scheme, "")
        if not found:
            others = sorted(name for known, name in services if known == namespace)
            remedy = f"it has {', '.join(others)}" if others else "write SERVICE.NAMESPACE.svc of one that exists"
            yield f"no Service {labels[0]} in the namespace {namespace}; {remedy}"
        elif "*" not in port and not any(port in map(str, ports) or not ports for ports in found):
            listed = ", ".join(str(one) for one in sorted(frozenset().union(*found)))
            yield f"Service {labels[0]} has no port {port}; write one of {listed}"


def _services(entries: Entries) -> Services:
    """The ports of each Service; none if clients reach the Pods directly, at any port."""
    found = dict(_OF_CHARTS)
    for entry, manifests in entries.items():
        for service in of_kind(manifests, "Service"):
            direct = service["spec"].get("clusterIP") == "None" or "ports" not in service["spec"]
            ports = frozenset() if direct else frozenset(port["port"] for port in service["spec"]["ports"])
            found[_namespace(entry, service), service["metadata"]["name"]] = ports
    return found


def _namespaces(entries: Entries) -> set[str]:
    created = {one["metadata"]["name"] for manifests in entries.values() for one in of_kind(manifests, "Namespace")}
    return {*created, *_OF_TERRAFORM, *(_namespace(entry, {"metadata": {}}) for entry in entries)}


def _namespace(entry: str, manifest: Json) -> str:
    """The namespace of a manifest: for a service, the one of its overlay; for a component, that of its settings."""
    parts = entry.split("/")
    if parts[0] == "service":
        return f"{parts[1]}-{parts[-1]}"
    settings = {component.name: component.settings["namespace"] for component in components()}
    return str(manifest["metadata"].get("namespace") or settings.get(parts[1], parts[1]))


ALL = (addresses_of_analyses_exist,)
