"""The Pods that manifests create, and what selects them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.gitops.embedded import is_pod_template
from tests.gitops.rules import of_kind, with_paths
from tests.gitops.tree import Json

# Controllers add these labels: https://kubernetes.io/docs/reference/labels-annotations-taints/
_OF_CONTROLLERS = {
    "apps.kubernetes.io/pod-index",
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-completion-index",
    "batch.kubernetes.io/job-name",
    "controller-revision-hash",
    "controller-uid",
    "job-name",
    "pod-template-hash",
    "rollouts-pod-template-hash",
    "statefulset.kubernetes.io/pod-name",
}


@dataclass(frozen=True)
class Pods:
    """The Pods of one template, which is at `path` of the manifest `owner`."""

    owner: Json
    path: str
    template: Json

    @property
    def spec(self) -> Json:
        spec: Json = self.template["spec"]
        return spec

    @property
    def namespace(self) -> str | None:
        return namespace_of(self.owner)

    @property
    def labels(self) -> list[Mapping[str, str]]:
        """The labels of the Pods. A Rollout adds some to the Pods of one version: `canaryMetadata`, for example."""
        own = (self.template.get("metadata") or {}).get("labels") or {}
        found = [own]
        if self.owner["kind"] == "Rollout":
            found += [
                {**own, **(holder[key].get("labels") or {})}
                for _, holder in with_paths(self.owner["spec"].get("strategy"))
                for key in ("activeMetadata", "canaryMetadata", "previewMetadata", "stableMetadata")
                if key in holder
            ]
        return found

    @property
    def running(self) -> list[tuple[str, Json]]:
        """The containers that run as long as the Pod, with their paths: also sidecars among the initContainers."""
        return [
            (f"{self.path}spec.{key}[{index}]", container)
            for key in ("containers", "initContainers")
            for index, container in enumerate(self.spec.get(key) or [])
            if key == "containers" or container.get("restartPolicy") == "Always"
        ]

    @property
    def ports(self) -> list[Json]:
        return [port for _, container in self.running for port in container.get("ports") or []]


def namespace_of(manifest: Json) -> str | None:
    namespace: str | None = manifest["metadata"].get("namespace")
    return namespace


def pods(manifests: Sequence[Json]) -> list[Pods]:
    """The Pods of all workloads, of the Jobs of analyses and of whatever else has a Pod template."""
    return [
        Pods(manifest, f"{path}." if path else "", holder)
        for manifest in manifests
        for path, holder in with_paths(manifest)
        if is_pod_template(holder)
    ]


def selected(selector: Json, namespace: str | None, deployed: Sequence[Pods]) -> list[Pods]:
    """The Pods of a namespace that a label selector matches."""
    return [
        one
        for one in deployed
        if one.namespace == namespace and any(matches(selector, labels) for labels in one.labels)
    ]


def matches(selector: Json, labels: Mapping[str, str]) -> bool:
    """Whether a label selector matches. The labels that controllers add to Pods may have any value."""
    plain = (selector.get("matchLabels") or {}).items()
    conditions = [{"key": key, "operator": "In", "values": [value]} for key, value in plain]
    return all(_holds(one, labels) for one in [*conditions, *(selector.get("matchExpressions") or [])])


def _holds(condition: Json, labels: Mapping[str, str]) -> bool:
    key: str = condition["key"]
    operator: str = condition["operator"]
    if key in _OF_CONTROLLERS:
        return True
    if operator in {"Exists", "DoesNotExist"}:
        return (key in labels) == (operator == "Exists")
    return bool((labels.get(key) in condition["values"]) == (operator == "In"))


def text(selector: Json) -> str:
    """A label selector, as `kubectl get --selector` takes it."""
    conditions = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for one in selector.get("matchExpressions") or []:
        values = f" ({', '.join(one['values'])})" if one.get("values") else ""
        conditions.append(f"{one['key']} {one['operator']}{values}")
    return ", ".join(conditions)


def named(kind: str, name: str, namespace: str | None, deployed: Sequence[Json]) -> list[Json]:
    """The manifests of a kind with a name in a namespace."""
    return [
        one for one in of_kind(deployed, kind) if one["metadata"]["name"] == name and namespace_of(one) == namespace
    ]
