"""Rules for the nodes that Pods require: a NodePool or a node group of the settings has some, in enough zones.

As in `rules_of_names.py`, a rule takes the manifests of one entry of the tree and everything that is deployed, and
yields one line for each violation. A label of which nothing is known here may have any value.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tests.gitops.pods import Pods, matches, pods, text
from tests.gitops.quantities import amount
from tests.gitops.rules import name_of, of_kind
from tests.gitops.rules_of_limits import count_of, replicas_of
from tests.gitops.rules_of_nodes import instance_types, satisfies
from tests.gitops.rules_of_selectors import is_label_of_nodes, wrong_labels_of_nodes
from tests.gitops.tree import Cluster, Json, clusters, places_of_nodes

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_ARCH, _CAPACITY, _OS = "kubernetes.io/arch", "karpenter.sh/capacity-type", "kubernetes.io/os"
_TYPE, _CATEGORY = "node.kubernetes.io/instance-type", "karpenter.k8s.aws/instance-category"
_REGION, _ZONE = "topology.kubernetes.io/region", "topology.kubernetes.io/zone"

# Source: NormalizedLabels of Karpenter 1.15, pkg/apis/v1/labels.go; the kubelet sets both names.
_OLD_NAMES = {
    "beta.kubernetes.io/arch": _ARCH,
    "beta.kubernetes.io/instance-type": _TYPE,
    "beta.kubernetes.io/os": _OS,
    "failure-domain.beta.kubernetes.io/region": _REGION,
    "failure-domain.beta.kubernetes.io/zone": _ZONE,
}

_Values = frozenset[str | None] | None
"""The values that a label may have, with None if a node may be without it; None if nothing is known."""
_NONE: _Values = frozenset({None})


class _Source(NamedTuple):
    """Where nodes come from: a NodePool, or a node group of the settings.

    `types` are the labels of its instance types, and `labels` the values of its others.
    """

    name: str
    types: Sequence[Mapping[str, str]]
    labels: Mapping[str, _Values]
    taints: Sequence[Json]

    def has(self, conditions: Sequence[Json], categories: Sequence[str]) -> bool:
        """Whether a node may satisfy all conditions, and be of one of the categories of instance types if any."""
        return any(
            self._satisfies(labels, conditions)
            for labels in self.types
            if not categories or labels.get(_CATEGORY) in categories
        )

    def _satisfies(self, of_type: Mapping[str, str], conditions: Sequence[Json]) -> bool:
        by_key: dict[str, list[Json]] = {}
        for one in conditions:
            key = _OLD_NAMES.get(str(one["key"]), str(one["key"]))
            by_key.setdefault(key, []).append({**one, "key": key})
        return all(
            values is None or any(satisfies({key: value} if value else {}, of_key) for value in values)
            for key, of_key in by_key.items()
            for values in [self._values(of_type, key)]
        )

    def _values(self, of_type: Mapping[str, str], key: str) -> _Values:
        if key in self.labels:
            return self.labels[key]
        if key.startswith(("karpenter.sh/", "karpenter.k8s.aws/")) and "karpenter.sh/nodepool" not in self.labels:
            return _NONE
        if key in instance_types()[0]:
            return frozenset({of_type.get(key)})
        return None if is_label_of_nodes(key) else _NONE


def _of_pool(pool: Json, known: Sequence[Cluster]) -> _Source:
    """The nodes of a NodePool. The ApplicationSet may set architectures and capacity types, those of the settings."""
    template = pool["spec"]["template"]
    settings = [cluster.settings.karpenter for cluster in known if cluster.settings.karpenter]
    further: Mapping[str, Sequence[str]] = {
        _ARCH: [value for one in settings for value in one.architectures],
        _CAPACITY: [value for one in settings for value in one.capacity_types],
    }
    labels: dict[str, _Values] = {
        **{key: frozenset(values) for key, values in places_of_nodes().items()},
        _CAPACITY: frozenset({"on-demand", "reserved", "spot"}),
        _OS: frozenset({"linux", "windows"}),
        "karpenter.sh/nodepool": frozenset({pool["metadata"]["name"]}),
        "eks.amazonaws.com/capacityType": _NONE,
        "eks.amazonaws.com/nodegroup": _NONE,
        **{key: frozenset({value}) for key, value in ((template.get("metadata") or {}).get("labels") or {}).items()},
    }
    of_types = []
    for given in template["spec"].get("requirements") or []:
        key, operator = given["key"], given.get("operator")
        values = [*(given.get("values") or []), *further.get(key, [])] if operator == "In" else given.get("values")
        one = {**given, "values": values}
        if key in instance_types()[0]:
            of_types.append(one)
        elif (before := labels.get(key)) is not None and before != _NONE:
            labels[key] = frozenset(value for value in before if value and satisfies({key: value}, [one]))
        elif not is_label_of_nodes(key) or operator == "In":
            labels[key] = frozenset(values or []) if operator == "In" else _NONE if operator == "DoesNotExist" else None
    types = [of_type for of_type in instance_types() if satisfies(of_type, of_types)]
    return _Source(name_of(pool), types, labels, template["spec"].get("taints") or [])


_EFFECTS = {"NO_EXECUTE": "NoExecute", "NO_SCHEDULE": "NoSchedule"}


def _of_groups(cluster: Cluster) -> Iterator[_Source]:
    """The nodes of the managed node groups, whose full names end with the time of their creation.

    Source of their labels: https://docs.aws.amazon.com/eks/latest/userguide/managed-node-groups.html
    """
    for group in cluster.settings.node_groups:
        yield _Source(
            f"node group {group.name}",
            [labels for labels in instance_types() if labels[_TYPE] in group.instance_types],
            {
                **{key: frozenset(values) for key, values in places_of_nodes().items()},
                _OS: frozenset({"linux"}),
                "eks.amazonaws.com/capacityType": frozenset({group.capacity_type}),
                **{key: frozenset({value}) for key, value in group.labels.items()},
            },
            [
                {"key": taint.key, "value": taint.value, "effect": _EFFECTS[taint.effect]}
                for taint in group.taints
                if taint.effect in _EFFECTS
            ],
        )


def _clusters_of(namespace: str | None) -> tuple[list[Cluster], bool]:
    """The clusters to which the Pods of a namespace are deployed, and whether one of them may have Karpenter."""
    name = (namespace or "").rpartition("-")[2]
    own = [cluster for cluster in clusters() if cluster.environment == name]
    return own or clusters(), not own or any(cluster.settings.karpenter for cluster in own)


def pods_have_a_place(manifests: Sequence[Json], deployed: Sequence[Json]) -> Iterator[str]:
    """Otherwise they wait for a node forever: each label exists, but no NodePool and no node group has all of them.

    What `nodes_have_the_selected_labels` finds is not said again. The nodes of EKS Auto Mode are not known here.
    """
    for one in pods(manifests):
        known, has_karpenter = _clusters_of(one.namespace)
        needs = _needs(one)
        is_unknown = "nodeName" in one.spec or any(cluster.settings.cluster.auto_mode for cluster in known)
        if not needs or is_unknown or any(wrong_labels_of_nodes(one, deployed)):
            continue
        pools = [_of_pool(pool, known) for pool in of_kind(deployed, "NodePool")]
        groups = [group for cluster in known for group in _of_groups(cluster)]
        problem = _no_place(one, needs, [*groups, *(pools if has_karpenter else [])])
        if problem and not has_karpenter and _no_place(one, needs, pools) is None:
            name = known[0].environment
            problem = f"{problem.partition('; ')[0]}; set karpenter in the settings of {name}, for the NodePool"
        if problem:
            yield f"{name_of(one.owner)}: {problem}"


class _Need(NamedTuple):
    """A field that requires nodes: with the labels of one of the `terms`, or with one of the instance categories."""

    field: str
    terms: Sequence[Sequence[Json]] = ((),)
    categories: Sequence[str] = ()


def _needs(one: Pods) -> list[_Need]:
    found = []
    if selector := one.spec.get("nodeSelector"):
        conditions = [{"key": key, "operator": "In", "values": [str(value)]} for key, value in selector.items()]
        found.append(_Need(f"{one.path}spec.nodeSelector: {text({'matchLabels': selector})}", [conditions]))
    affinity = ((one.spec.get("affinity") or {}).get("nodeAffinity") or {}).get(_REQUIRED) or {}
    if terms := [term.get("matchExpressions") or [] for term in affinity.get("nodeSelectorTerms") or [] if term]:
        written = ", or ".join(text({"matchExpressions": term}) for term in terms)
        found.append(_Need(f"{one.path}spec.affinity.nodeAffinity.{_REQUIRED}: {written}", terms))
    return [*found, *_needs_of_devices(one)]


# The categories of instance types that have the devices of a resource, by its domain.
# Source: https://docs.aws.amazon.com/ec2/latest/instancetypes/ac.html
_CATEGORIES = {"amd.com": ["g"], "aws.amazon.com": ["inf", "trn"], "habana.ai": ["dl"], "nvidia.com": ["g", "gr", "p"]}


def _needs_of_devices(one: Pods) -> Iterator[_Need]:
    """Device plugins offer these resources only where there is hardware for them; others may come from anywhere."""
    for key in ("containers", "initContainers"):
        for index, container in enumerate(one.spec.get(key) or []):
            for name, value in ((container.get("resources") or {}).get("limits") or {}).items():
                domain, _, resource = name.partition("/")
                if resource.startswith(("gpu", "mig-", "neuron", "gaudi")) and domain in _CATEGORIES and amount(value):
                    field = f"{one.path}spec.{key}[{index}].resources.limits.{name}: {value}"
                    yield _Need(field, categories=_CATEGORIES[domain])


def _no_place(one: Pods, needs: Sequence[_Need], sources: Sequence[_Source]) -> str | None:
    """Why no source has nodes for the Pods; None if one has."""
    terms: list[list[Json]] = [[]]
    for need in needs:
        terms = [[*before, *more] for before in terms for more in need.terms]
        sources = [source for source in sources if any(source.has(term, need.categories) for term in terms)]
        if not sources and need.categories:
            remedy = f"add a NodePool with {_CATEGORY} In [{', '.join(need.categories)}], or remove it"
            return f"{need.field}: no such instance type in the NodePools and node groups that it may use; {remedy}"
        if not sources:
            together = "" if need is needs[0] else " and all above"
            what = f"no NodePool or node group has nodes with this{together}"
            return f"{need.field}: {what}; correct it, or add a NodePool"
    missing = [_not_tolerated(source, one.spec.get("tolerations") or []) for source in sources]
    if all(missing):
        taint = missing[0][0]
        written = f"{taint['key']}={taint.get('value') or ''}:{taint['effect']}"
        where = f"{one.path}spec.tolerations: none of {written}"
        return f"{where}, a taint of {sources[0].name}, which has its nodes; add it"
    return None


def _not_tolerated(source: _Source, tolerations: Sequence[Json]) -> list[Json]:
    """Source: ToleratesTaint of k8s.io/api v0.37.2, core/v1/toleration.go, of which newer operators may hold."""
    return [
        taint
        for taint in source.taints
        if taint["effect"] in {"NoExecute", "NoSchedule"}
        and not any(
            one.get("effect") in {None, "", taint["effect"]}
            and (one.get("key") or taint["key"]) == taint["key"]
            and (
                one.get("operator") not in {None, "", "Equal"} or (one.get("value") or "") == (taint.get("value") or "")
            )
            for one in tolerations
        )
    ]


def pods_fit_into_the_zones(manifests: Sequence[Json], deployed: Sequence[Json]) -> Iterator[str]:
    """Otherwise the last Pods wait for a node in another zone forever.

    Source: the plugins InterPodAffinity and PodTopologySpread of the scheduler, Kubernetes 1.37.2. In fewer zones than
    `minDomains`, there may be `maxSkew` Pods in each.
    """
    for one in pods(manifests):
        if one.owner["kind"] not in {"Deployment", "ReplicaSet", "Rollout", "StatefulSet"}:
            continue
        places = {_REGION: 1, _ZONE: max(cluster.zones for cluster in _clusters_of(one.namespace)[0])}
        most, number = replicas_of(one.owner, deployed)[1], count_of(one.owner, deployed)
        anti = ((one.spec.get("affinity") or {}).get("podAntiAffinity") or {}).get(_REQUIRED) or []
        for index, term in enumerate(anti):
            key = _OLD_NAMES.get(term.get("topologyKey", ""), term.get("topologyKey"))
            is_own = not {"mismatchLabelKeys", "namespaceSelector", "namespaces"} & term.keys()
            selects = all(matches(term.get("labelSelector") or {}, labels) for labels in one.labels)
            if is_own and "labelSelector" in term and selects and most > places.get(key, most):
                field = f"{one.path}spec.affinity.podAntiAffinity.{_REQUIRED}[{index}]"
                remedy = "write less, or preferredDuringSchedulingIgnoredDuringExecution"
                what = f"one Pod in each {key}, of which there are fewer than {number}"
                yield f"{name_of(one.owner)}: {field}: {what}; {remedy}"
        for index, spread in enumerate(one.spec.get("topologySpreadConstraints") or []):
            key, skew = spread.get("topologyKey"), spread.get("maxSkew", 1)
            enough = places.get(_OLD_NAMES.get(key, key), spread.get("minDomains", 1))
            is_strict = spread.get("whenUnsatisfiable") == "DoNotSchedule"
            if is_strict and spread.get("minDomains", 1) > enough and most > enough * skew:
                field = f"{one.path}spec.topologySpreadConstraints[{index}].minDomains: {spread['minDomains']}"
                yield f"{name_of(one.owner)}: {field}: of {key} there are fewer; write less, or remove it"


ALL = (pods_fit_into_the_zones, pods_have_a_place)
