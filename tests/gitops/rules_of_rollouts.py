"""Rules for what analyses measure, and for the plugins and labels of Rollouts.

`check-argo-rollouts` checks each Rollout with the Services and templates it names.

A rule takes the rendered manifests of every entry of the tree, and yields one line for each violation.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import SplitResult, urlsplit

from tests.gitops.rules import name_of, of_kind, with_paths
from tests.gitops.tree import Json, components, read

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


def plugins_are_installed(entries: Entries) -> Iterator[str]:
    """The controller knows only the plugins in the values of its chart; with another one the rollout or run fails.

    Source: GetPluginInfo of Argo Rollouts 1.10.2, utils/plugin/plugin.go; values.yaml of chart argo-rollouts 2.41.0.
    """
    values = [read(one.folder / "values.yaml") for one in components() if one.name == "argo-rollouts"]
    for entry, manifests in entries.items():
        for manifest in of_kind(manifests, "Rollout", "AnalysisTemplate", "ClusterAnalysisTemplate"):
            for path, kind, name in _plugins(manifest.get("spec") or {}):
                known = [one["name"] for each in values for one in (each.get("controller") or {}).get(kind) or []]
                if name not in known:
                    remedy = f"write one of {', '.join(known)}" if known else "remove it"
                    yield (
                        f"{entry}: {name_of(manifest)}: {path}: {name}: not in controller.{kind} of "
                        f"management/argo-rollouts/values.yaml; {remedy}"
                    )


def _plugins(spec: Json) -> Iterator[tuple[str, str, str]]:
    """The path of each plugin that is named, its kind in the values of the chart, and its name."""
    canary = (spec.get("strategy") or {}).get("canary") or {}
    for index, step in enumerate(canary.get("steps") or []):
        if "plugin" in step:
            yield f"spec.strategy.canary.steps[{index}].plugin.name", "stepPlugins", str(step["plugin"].get("name"))
    for name in (canary.get("trafficRouting") or {}).get("plugins") or {}:
        yield "spec.strategy.canary.trafficRouting.plugins", "trafficRouterPlugins", name
    for path, _, provider in _providers(spec, "plugin"):
        yield from ((path, "metricProviderPlugins", name) for name in provider)


def _providers(spec: Json, *names: str) -> Iterator[tuple[str, str, Json]]:
    """The path of each provider of a template with one of the names, its name, and its settings."""
    for index, metric in enumerate(spec.get("metrics") or []):
        for name, provider in (metric.get("provider") or {}).items():
            if name in names:
                yield f"spec.metrics[{index}].provider.{name}", name, provider or {}


_NAME = r"[A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?"
_KEY = rf"([a-z0-9]([a-z0-9.-]{{0,251}}[a-z0-9])?/)?{_NAME}"


def labels_of_versions_are_valid(entries: Entries) -> Iterator[str]:
    """The API server refuses a ReplicaSet with them, and one whose Pods its selector does not match: the update stops.

    Sources: SyncEphemeralPodMetadata of Argo Rollouts 1.10.2, utils/replicaset/canary.go, which adds and later removes
    them, also if the template of the Pods has the same;
    IsQualifiedName and IsValidLabelValue of k8s.io/apimachinery v0.37.2, pkg/util/validation/validation.go.
    """
    for entry, manifests in entries.items():
        for rollout in of_kind(manifests, "Rollout"):
            own = (rollout["spec"].get("selector") or {}).get("matchLabels") or {}
            for path, labels in _labels_of_versions(rollout["spec"]):
                for key, value in labels.items():
                    where = f"{entry}: {name_of(rollout)}: {path}.{key}"
                    if not re.fullmatch(_KEY, key, re.ASCII):
                        yield f"{where}: no key of a label; write letters, digits, - _ and ., such as role"
                    elif value and not re.fullmatch(_NAME, str(value), re.ASCII):
                        yield f"{where}: {value}: no value of a label; write at most 63 letters, digits, - _ and ."
                    elif key in own:
                        yield f"{where}: {value}: spec.selector has this key; write another one"


def _labels_of_versions(spec: Json) -> Iterator[tuple[str, Json]]:
    for path, holder in with_paths(spec.get("strategy"), "spec.strategy"):
        for field in ("activeMetadata", "canaryMetadata", "previewMetadata", "stableMetadata"):
            if field in holder:
                yield f"{path}.{field}.labels", (holder[field] or {}).get("labels") or {}


def analyses_start_at_a_step(entries: Entries) -> Iterator[str]:
    """Otherwise the analysis in the background never runs, and nothing aborts the update.

    Source: BeforeStartingStep of Argo Rollouts 1.10.2, utils/replicaset/canary.go. Nothing compares them.
    """
    for entry, manifests in entries.items():
        for rollout in of_kind(manifests, "Rollout"):
            canary = (rollout["spec"].get("strategy") or {}).get("canary") or {}
            start, steps = (canary.get("analysis") or {}).get("startingStep"), len(canary.get("steps") or [])
            if isinstance(start, int) and start >= steps:
                field = f"spec.strategy.canary.analysis.startingStep: {start}"
                remedy = f"write at most {steps - 1}" if steps else "remove it"
                yield f"{entry}: {name_of(rollout)}: {field}: there are {steps} steps, from 0; {remedy}"


_DURATION = r"[+-]?((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))+|[+-]?0"


def queries_of_providers_are_valid(entries: Entries) -> Iterator[str]:
    """Otherwise each measurement is an error, and the analysis aborts every rollout.

    Sources: validateIncomingProps in metricproviders/datadog/datadog.go of Argo Rollouts 1.10.2, Run in its
    metricproviders/cloudwatch/cloudwatch.go; MetricDataQuery in the API of CloudWatch (botocore, 2010-08-01).
    """
    for entry, manifests in entries.items():
        for template in of_kind(manifests, "AnalysisTemplate", "ClusterAnalysisTemplate"):
            for path, name, provider in _providers(template["spec"], "cloudWatch", "datadog"):
                for problem in _OF_PROVIDERS[name](provider):
                    yield f"{entry}: {name_of(template)}: {path}{problem}"


def _of_datadog(provider: Json) -> Iterator[str]:
    query, queries = provider.get("query"), provider.get("queries") or {}
    if not query and not queries:
        yield ": no query; add query or queries"
    elif query and queries:
        yield ".query: not with queries; remove one"
    elif queries and provider.get("apiVersion", "v1") == "v1":
        yield ".apiVersion: v1: knows no queries; write v2"
    elif len(queries) > 1 and not provider.get("formula"):
        yield f".formula: missing; add one of {', '.join(queries)}"
    elif provider.get("formula") and not queries:
        yield ".formula: needs queries; write them instead of query"
    yield from _wrong_durations(provider, "interval", "requestTimeout")


def _of_cloudwatch(provider: Json) -> Iterator[str]:
    yield from _wrong_durations(provider, "interval")
    for index, query in enumerate(provider.get("metricDataQueries") or []):
        name = str(query.get("id", "missing"))
        if "id" not in query or ("{{" not in name and not re.fullmatch(r"[a-z]\w*", name, re.ASCII)):
            yield f".metricDataQueries[{index}].id: {name}; write a lower-case letter, then letters, digits and _"


def _wrong_durations(provider: Json, *fields: str) -> Iterator[str]:
    for field in fields:
        value = str(provider.get(field, "1s"))
        if "{{" not in value and not re.fullmatch(_DURATION, value, re.ASCII):
            yield f".{field}: {value}: no duration; write such as 5m"


_OF_PROVIDERS = {"cloudWatch": _of_cloudwatch, "datadog": _of_datadog}

ALL = (
    addresses_of_analyses_exist,
    analyses_start_at_a_step,
    labels_of_versions_are_valid,
    plugins_are_installed,
    queries_of_providers_are_valid,
)
