"""Rules for numbers: replicas, disruption budgets, and the limits of a namespace.

The API server checks each object by itself. As in `rules_of_names.py`, a rule takes the manifests of one entry of the
tree and everything that is deployed, and yields one line for each violation.
"""

from collections.abc import Iterator, Sequence
from decimal import ROUND_CEILING, Decimal

from tests.gitops.pods import Pods, named, namespace_of, pods, selected
from tests.gitops.quantities import amount, as_quantity, wrong_quantities
from tests.gitops.rules import group_of, name_of, of_kind
from tests.gitops.tree import Json

_FILE_OF_QUOTAS = "management/service-namespace/base/limits.yaml"
_SCALABLE = {"Deployment", "ReplicaSet", "Rollout", "StatefulSet"}


def autoscalers_find_their_target(manifests: Sequence[Json], deployed: Sequence[Json]) -> Iterator[str]:
    """An autoscaler looks for the kind in the API group that it names, and for metrics of the named container."""
    for autoscaler in of_kind(manifests, "HorizontalPodAutoscaler"):
        reference = autoscaler["spec"]["scaleTargetRef"]
        for target in named(reference["kind"], reference["name"], namespace_of(autoscaler), deployed):
            if group_of(reference) != group_of(target):
                yield (
                    f"{name_of(autoscaler)}: spec.scaleTargetRef.apiVersion: {reference.get('apiVersion')}; "
                    f"write {target['apiVersion']}, that of {name_of(target)}"
                )
            containers = [container.get("name") for one in pods([target]) for _, container in one.running]
            for index, metric in enumerate(autoscaler["spec"].get("metrics") or []):
                yield from _unknown_resource(autoscaler, index, metric)
                container = metric.get("containerResource", {}).get("container")
                if container and containers and container not in containers:
                    field = f"spec.metrics[{index}].containerResource.container"
                    names = ", ".join(str(name) for name in containers)
                    yield f"{name_of(autoscaler)}: {field}: {container}: no such container; write one of {names}"


def workloads_have_one_autoscaler(manifests: Sequence[Json], deployed: Sequence[Json]) -> Iterator[str]:
    """Otherwise none of them scales: each reports `AmbiguousSelector`.

    Source: computeReplicasForMetrics of Kubernetes 1.36, pkg/controller/podautoscaler/horizontal.go.
    """
    for autoscaler in of_kind(manifests, "HorizontalPodAutoscaler"):
        target = autoscaler["spec"]["scaleTargetRef"]
        same = [
            name_of(one)
            for one in of_kind(deployed, "HorizontalPodAutoscaler")
            if namespace_of(one) == namespace_of(autoscaler)
            and (one["spec"]["scaleTargetRef"]["kind"], one["spec"]["scaleTargetRef"]["name"])
            == (target["kind"], target["name"])
        ]
        if name_of(autoscaler) in same[1:]:
            yield (
                f"{name_of(autoscaler)}: spec.scaleTargetRef: {target['kind']} {target['name']}: also of {same[0]}; "
                "write all metrics in one"
            )


def pods_have_one_disruption_budget(manifests: Sequence[Json], deployed: Sequence[Json]) -> Iterator[str]:
    """Otherwise the API server refuses every eviction, so no node can be drained.

    Source: `pkg/registry/core/pod/storage/eviction.go` of Kubernetes 1.36.
    """
    budgets = [one for one in of_kind(deployed, "PodDisruptionBudget") if one["spec"].get("selector") is not None]
    for one in pods(manifests):
        chosen = [
            name_of(budget)
            for budget in budgets
            if namespace_of(budget) == one.namespace and selected(budget["spec"]["selector"], one.namespace, [one])
        ]
        yield from (
            f"{name}: spec.selector: Pods of {name_of(one.owner)}, which {chosen[0]} selects; remove one"
            for name in chosen[1:]
        )


# The API groups of metrics that are not of resources: GetRawMetric, GetObjectMetric and GetExternalMetric of Kubernetes
# 1.37.2, pkg/controller/podautoscaler/metrics/client.go.
_GROUPS_OF_METRICS = {
    "External": "external.metrics.k8s.io",
    "Object": "custom.metrics.k8s.io",
    "Pods": "custom.metrics.k8s.io",
}


def metrics_of_autoscalers_are_served(manifests: Sequence[Json], deployed: Sequence[Json]) -> Iterator[str]:
    """Without an adapter that serves the API group, the autoscaler finds no metric and does not scale by it."""
    served = {one["spec"].get("group") for one in of_kind(deployed, "APIService")}
    for autoscaler in of_kind(manifests, "HorizontalPodAutoscaler"):
        for index, metric in enumerate(autoscaler["spec"].get("metrics") or []):
            group = _GROUPS_OF_METRICS.get(metric.get("type", ""))
            if group and group not in served:
                yield (
                    f"{name_of(autoscaler)}: spec.metrics[{index}].type: {metric['type']}: nothing serves {group}; "
                    "write Resource, with cpu or memory, or add its APIService (what others create: "
                    "tests/gitops/created_elsewhere.yaml)"
                )


def _unknown_resource(autoscaler: Json, index: int, metric: Json) -> Iterator[str]:
    """The metrics server measures CPU and memory. Source: pkg/storage/types.go of its version 0.8."""
    for kind in ("containerResource", "resource"):
        name = metric.get(kind, {}).get("name", "cpu")
        if name not in {"cpu", "memory"}:
            field = f"spec.metrics[{index}].{kind}.name"
            yield f"{name_of(autoscaler)}: {field}: {name}: nothing measures it; write cpu or memory"


def disruption_budgets_permit_a_drain(manifests: Sequence[Json], deployed: Sequence[Json]) -> Iterator[str]:
    """Otherwise no node with one of the Pods can be drained: upgrades and Karpenter wait for it.

    Source: getExpectedPodCount of Kubernetes 1.36, pkg/controller/disruption/disruption.go, which rounds shares up.
    """
    for budget in of_kind(manifests, "PodDisruptionBudget"):
        spec = budget["spec"]
        known = pods(deployed) if spec.get("selector") is not None else []
        chosen = selected(spec.get("selector") or {}, namespace_of(budget), known)
        count = sum(replicas_of(one.owner, deployed)[0] for one in chosen)
        if not count or any(one.owner["kind"] not in _SCALABLE for one in chosen):
            continue
        if "maxUnavailable" in spec and _share(spec["maxUnavailable"], count) < 1:
            yield (
                f"{name_of(budget)}: spec.maxUnavailable: {spec['maxUnavailable']}: no Pod may be evicted, so no node "
                "can be drained; write at least 1"
            )
        if "minAvailable" in spec and _share(spec["minAvailable"], count) >= count:
            yield (
                f"{name_of(budget)}: spec.minAvailable: {spec['minAvailable']}: all of at least {count} Pods, so no "
                "node can be drained; write maxUnavailable: 1 instead"
            )


def _share(value: str | int, of: int) -> int:
    text = str(value)
    if not text.endswith("%"):
        return int(text)
    return int((Decimal(text[:-1]) * of / 100).to_integral_value(ROUND_CEILING))


def replicas_of(workload: Json, deployed: Sequence[Json]) -> tuple[int, int]:
    """The minimum and the maximum number of Pods of a workload."""
    if autoscaler := _autoscaler(workload, deployed):
        return autoscaler["spec"].get("minReplicas", 1), autoscaler["spec"].get("maxReplicas", 1)
    replicas = (workload.get("spec") or {}).get("replicas", 1)
    return replicas, replicas


def _autoscaler(workload: Json, deployed: Sequence[Json]) -> Json | None:
    for autoscaler in of_kind(deployed, "HorizontalPodAutoscaler"):
        target = autoscaler["spec"]["scaleTargetRef"]
        same = (target["kind"], target["name"]) == (workload["kind"], workload["metadata"]["name"])
        if same and namespace_of(autoscaler) == namespace_of(workload):
            return autoscaler
    return None


def containers_stay_within_limit_ranges(manifests: Sequence[Json], deployed: Sequence[Json]) -> Iterator[str]:
    """Otherwise the API server refuses the Pods, while their workload waits."""
    for one in pods(manifests):
        for bounds, entry in _limits_of_containers(one, deployed):
            for field, value, name in _quantities_of(one):
                number = amount(value)
                least, most = (amount(entry.get(bound, {}).get(name)) for bound in ("min", "max"))
                at = f"{name_of(one.owner)}: {field}: {value}"
                if number is not None and most is not None and number > most:
                    yield f"{at}: above the max of {name_of(bounds)}; write at most {entry['max'][name]}"
                if number is not None and least is not None and number < least:
                    yield f"{at}: below the min of {name_of(bounds)}; write at least {entry['min'][name]}"


def _limits_of_containers(one: Pods, deployed: Sequence[Json]) -> Iterator[tuple[Json, Json]]:
    """The entries for containers of the LimitRanges of a Pod's namespace."""
    for bounds in _of_namespace("LimitRange", one, deployed):
        yield from ((bounds, entry) for entry in bounds["spec"]["limits"] if entry["type"] == "Container")


def _of_namespace(kind: str, one: Pods, deployed: Sequence[Json]) -> list[Json]:
    return [found for found in of_kind(deployed, kind) if namespace_of(found) == one.namespace]


def _quantities_of(one: Pods) -> Iterator[tuple[str, object, str]]:
    """The fields with requests and limits of a Pod, their values, and the names of the resources."""
    for key in ("containers", "initContainers"):
        for index, container in enumerate(one.spec.get(key) or []):
            for kind in ("requests", "limits"):
                for name, value in ((container.get("resources") or {}).get(kind) or {}).items():
                    yield f"{one.path}spec.{key}[{index}].resources.{kind}.{name}", value, name


def workloads_fit_into_quotas(manifests: Sequence[Json], deployed: Sequence[Json]) -> Iterator[str]:
    """Otherwise the autoscaler cannot start the last Pods. The Pods of an update come in addition."""
    workloads = [one for one in pods(manifests) if one.owner["kind"] in _SCALABLE]
    quotas = [quota for one in workloads[:1] for quota in _of_namespace("ResourceQuota", one, deployed)]
    for quota in quotas:
        above: dict[str, list[str]] = {}
        for name, hard in quota["spec"].get("hard", {}).items():
            needed = [replicas_of(one.owner, deployed)[1] * _requested(one, name, deployed) for one in workloads]
            total, permitted = sum(needed, Decimal(0)), amount(hard)
            if permitted is not None and total > permitted:
                pairs = zip(workloads, needed, strict=True)
                counts = ", ".join(count_of(one.owner, deployed) for one, number in pairs if number)
                above.setdefault(counts, []).append(f"{name} {as_quantity(total, hard)} of {hard}")
        for counts, resources in above.items():
            yield (
                f"{counts}: {', '.join(resources)}: above {name_of(quota)} ({_FILE_OF_QUOTAS}); write less, or lower "
                "what a Pod needs"
            )


def services_and_claims_fit_into_quotas(manifests: Sequence[Json], deployed: Sequence[Json]) -> Iterator[str]:
    """Otherwise the API server refuses the object, and the Application is not synced.

    Source: https://kubernetes.io/docs/concepts/policy/resource-quotas/ of Kubernetes 1.36.
    """
    for quota in of_kind(deployed, "ResourceQuota"):
        hard = quota["spec"].get("hard", {})
        own = [one for one in manifests if namespace_of(one) == namespace_of(quota)]
        for service in of_kind(own, "Service"):
            kind = service["spec"].get("type", "ClusterIP")
            permitted = hard.get({"LoadBalancer": "services.loadbalancers", "NodePort": "services.nodeports"}.get(kind))
            if permitted is not None and amount(permitted) == 0:
                yield (
                    f"{name_of(service)}: spec.type: {kind}: {name_of(quota)} ({_FILE_OF_QUOTAS}) permits none; write "
                    "ClusterIP, and an Ingress"
                )
        claims = of_kind(own, "PersistentVolumeClaim")
        sizes = [amount(_storage(claim)) or Decimal(0) for claim in claims]
        total, most = sum(sizes, Decimal(0)), amount(hard.get("requests.storage"))
        if most is not None and total > most:
            yield (
                f"{', '.join(map(name_of, claims))}: spec.resources.requests.storage: "
                f"{as_quantity(total, hard['requests.storage'])} of {hard['requests.storage']}: above {name_of(quota)} "
                f"({_FILE_OF_QUOTAS}); write less"
            )


def _storage(claim: Json) -> object:
    return ((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage")


def count_of(workload: Json, deployed: Sequence[Json]) -> str:
    """The field that sets the maximum number of Pods, with its value."""
    autoscaler = _autoscaler(workload, deployed)
    field = f"{name_of(autoscaler)}: spec.maxReplicas" if autoscaler else f"{name_of(workload)}: spec.replicas"
    return f"{field}: {replicas_of(workload, deployed)[1]}"


def _requested(one: Pods, resource: str, deployed: Sequence[Json]) -> Decimal:
    """What a quota counts of a resource for one Pod."""
    if resource in {"pods", "count/pods"}:
        return Decimal(1)
    kind, _, name = resource.rpartition(".")
    defaults = [entry for _, entry in _limits_of_containers(one, deployed)]
    return sum((_of_container(container, kind, name, defaults) for _, container in one.running), Decimal(0))


def _of_container(container: Json, kind: str, name: str, defaults: Sequence[Json]) -> Decimal:
    """A container without a request has its limit, and one without both has the defaults of the LimitRange."""
    if kind not in {"", "limits", "requests"}:
        return Decimal(0)
    fields, default = (["limits"], "default") if kind == "limits" else (["requests", "limits"], "defaultRequest")
    resources = container.get("resources") or {}
    given = [(resources.get(field) or {}).get(name) for field in fields]
    given += [entry.get(default, {}).get(name) for entry in defaults]
    return next((amount(value) or Decimal(0) for value in given if value is not None), Decimal(0))


def quantities_are_whole(manifests: Sequence[Json], _: Sequence[Json]) -> Iterator[str]:
    """A request of `64m` of memory is valid for Kubernetes: the container gets none."""
    for manifest in manifests:
        yield from (f"{name_of(manifest)}: {line}" for line in wrong_quantities(manifest))


ALL = (
    autoscalers_find_their_target,
    containers_stay_within_limit_ranges,
    disruption_budgets_permit_a_drain,
    metrics_of_autoscalers_are_served,
    pods_have_one_disruption_budget,
    quantities_are_whole,
    services_and_claims_fit_into_quotas,
    workloads_have_one_autoscaler,
    workloads_fit_into_quotas,
)
