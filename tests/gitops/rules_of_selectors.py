"""Rules for selectors and ports: what a manifest selects is deployed, too, and listens on the port.

The API server accepts a selector that selects nothing. As in `rules_of_names.py`, a rule takes the manifests of one
entry of the tree and everything that is deployed, and yields one line for each violation.
"""

from collections.abc import Iterator, Sequence

from tests.gitops.pods import Pods, matches, namespace_of, pods, selected, text
from tests.gitops.rules import is_judged_topology_key, name_of, of_kind, with_paths
from tests.gitops.rules_of_names import REMEDY
from tests.gitops.rules_of_nodes import unknown_label_of_nodes, unknown_value_of_nodes
from tests.gitops.tree import Json, labels_of_node_groups


def selectors_select_something(manifests: Sequence[Json], deployed: Sequence[Json]) -> Iterator[str]:
    """Otherwise a Service has no endpoints, a disruption budget and a NetworkPolicy protect nothing, and so on."""
    running = pods(deployed)
    for manifest in manifests:
        namespace = namespace_of(manifest)
        for path, selector, namespaces in _selectors(manifest, deployed):
            if (selector.get("matchLabels") or selector.get("matchExpressions")) and not any(
                selected(selector, one, running) for one in namespaces
            ):
                yield f"{name_of(manifest)}: {path}: {text(selector)}: no Pod has these labels; {REMEDY}"
        if manifest["kind"] == "PodDisruptionBudget" and manifest["spec"].get("selector") is None:
            yield f"{name_of(manifest)}: spec.selector: missing: protects no Pod; write the labels of its Pods"
        for path, peer in _peers(manifest):
            if "namespaceSelector" in peer and not _namespaces(peer, namespace, deployed):
                chosen = text(peer["namespaceSelector"])
                yield f"{name_of(manifest)}: {path}.namespaceSelector: {chosen}: no such namespace; {REMEDY}"
        if manifest["kind"] == "ServiceMonitor" and not _services(manifest, deployed):
            chosen = text(manifest["spec"]["selector"])
            yield f"{name_of(manifest)}: spec.selector: {chosen}: no Service has these labels; {REMEDY}"
    yield from _spreads_select_their_own_pods(manifests)


def _selectors(manifest: Json, deployed: Sequence[Json]) -> Iterator[tuple[str, Json, Sequence[str | None]]]:
    """The paths of selectors of Pods, each with the namespaces in which it selects."""
    namespace, spec = namespace_of(manifest), manifest.get("spec") or {}
    if manifest["kind"] == "Service" and spec.get("selector"):
        yield "spec.selector", {"matchLabels": spec["selector"]}, [namespace]
    if manifest["kind"] == "PodDisruptionBudget":
        yield "spec.selector", spec.get("selector") or {}, [namespace]
    if manifest["kind"] == "PodMonitor":
        yield "spec.selector", spec["selector"], _monitored(manifest, deployed)
    if manifest["kind"] == "NetworkPolicy":
        yield "spec.podSelector", spec.get("podSelector") or {}, [namespace]
        for path, peer in _peers(manifest):
            if (chosen := _namespaces(peer, namespace, deployed)) and "podSelector" in peer:
                yield f"{path}.podSelector", peer["podSelector"], chosen
    for one in pods([manifest]):
        for path, term in with_paths(one.spec.get("affinity"), f"{one.path}spec.affinity"):
            if "topologyKey" in term and "labelSelector" in term:
                chosen = [*(term.get("namespaces") or []), *_namespaces(term, None, deployed)]
                yield f"{path}.labelSelector", term["labelSelector"], chosen or [namespace]


def _peers(manifest: Json) -> Iterator[tuple[str, Json]]:
    if manifest["kind"] == "NetworkPolicy":
        for direction, side in (("ingress", "from"), ("egress", "to")):
            for index, rule in enumerate(manifest["spec"].get(direction) or []):
                for number, peer in enumerate(rule.get(side) or []):
                    yield f"spec.{direction}[{index}].{side}[{number}]", peer


def _namespaces(peer: Json, own: str | None, deployed: Sequence[Json]) -> list[str | None]:
    """The namespaces that a peer of a NetworkPolicy, or a term of an affinity, selects: by default, its own."""
    if "namespaceSelector" not in peer:
        return [own] if own else []
    labels = {
        one["metadata"]["name"]: {
            "kubernetes.io/metadata.name": one["metadata"]["name"],
            **(one["metadata"].get("labels") or {}),
        }
        for one in of_kind(deployed, "Namespace")
    }
    return [name for name, has in labels.items() if matches(peer["namespaceSelector"], has)]


def _monitored(monitor: Json, deployed: Sequence[Json]) -> list[str | None]:
    chosen = monitor["spec"].get("namespaceSelector") or {}
    if chosen.get("any"):
        return list({namespace_of(one) for one in deployed})
    return chosen.get("matchNames") or [namespace_of(monitor)]


def _services(monitor: Json, deployed: Sequence[Json]) -> list[Json]:
    return [
        service
        for namespace in _monitored(monitor, deployed)
        for service in of_kind(deployed, "Service")
        if namespace_of(service) == namespace
        and matches(monitor["spec"]["selector"], service["metadata"].get("labels") or {})
    ]


def _spreads_select_their_own_pods(manifests: Sequence[Json]) -> Iterator[str]:
    """The scheduler counts the Pods that the selector matches: others are spread in vain."""
    for one in pods(manifests):
        for index, spread in enumerate(one.spec.get("topologySpreadConstraints") or []):
            chosen = spread.get("labelSelector")
            path = f"{one.path}spec.topologySpreadConstraints[{index}]"
            if chosen and not any(matches(chosen, labels) for labels in one.labels):
                path = f"{path}.labelSelector"
                yield f"{name_of(one.owner)}: {path}: {text(chosen)}: not the labels of its own Pods; write those"
            # DefaultRolloutUniqueLabelKey of Argo Rollouts 1.10.2, pkg/apis/rollouts/v1alpha1/types.go; the scheduler
            # ignores a key that the Pods do not have.
            if one.owner["kind"] == "Rollout" and "pod-template-hash" in (spread.get("matchLabelKeys") or []):
                where = f"{name_of(one.owner)}: {path}.matchLabelKeys: pod-template-hash"
                yield f"{where}: not a label of its Pods; write rollouts-pod-template-hash"


def ports_are_declared(manifests: Sequence[Json], deployed: Sequence[Json]) -> Iterator[str]:
    """Otherwise nothing listens: a Service has no endpoints, a probe fails, and a NetworkPolicy opens nothing.

    A container may listen on ports that it does not declare, so a number is compared only with those of other Pods that
    declare any.
    """
    running = pods(deployed)
    for manifest in manifests:
        for path, port, protocol, ports in (
            *_ports_of_service(manifest, running),
            *_ports_of_policy(manifest, deployed, running),
            *_ports_of_monitor(manifest, deployed, running),
        ):
            known = [one for one in ports if protocol in {"", one.get("protocol", "TCP")}]
            found = any(port in {one.get("name"), one.get("number")} for one in known)
            if not found and (ports or isinstance(port, str)):
                names = sorted({str(one.get("name") or one["number"]) for one in known})
                remedy = f"write one of {', '.join(names)}" if names else "write a number"
                yield f"{name_of(manifest)}: {path}: {port}: no such port; {remedy}"
        for one in pods([manifest]):
            yield from _ports_of_probes(one)
        yield from _numbers_of_policy(manifest, deployed, running)


# The path of a field with a port, the port, its protocol (empty for any), and the ports from which it may be chosen.
_Ports = Iterator[tuple[str, str | int, str, list[Json]]]


def _declared(chosen: Sequence[Pods]) -> list[Json]:
    return [{**port, "number": port.get("containerPort")} for one in chosen for port in one.ports]


def _ports_of_service(manifest: Json, running: Sequence[Pods]) -> _Ports:
    """Source: FindPort of Kubernetes 1.36, which looks for a name and a protocol."""
    spec = manifest.get("spec") or {}
    if manifest["kind"] == "Service" and spec.get("selector"):
        chosen = selected({"matchLabels": spec["selector"]}, namespace_of(manifest), running)
        for index, port in enumerate(spec.get("ports") or [] if chosen else []):
            target = port.get("targetPort", port["port"])
            yield f"spec.ports[{index}].targetPort", target, port.get("protocol", "TCP"), _declared(chosen)


def _ports_of_policy(manifest: Json, deployed: Sequence[Json], running: Sequence[Pods]) -> _Ports:
    """The port of a rule for incoming traffic is one of the selected Pods; for outgoing traffic, one of the peers."""
    if manifest["kind"] == "NetworkPolicy":
        own = selected(manifest["spec"].get("podSelector") or {}, namespace_of(manifest), running)
        for direction in ("ingress", "egress"):
            for index, rule in enumerate(manifest["spec"].get(direction) or []):
                chosen = own if direction == "ingress" else _destinations(manifest, rule, deployed, running)
                for number, port in enumerate(rule.get("ports") or []):
                    if isinstance(port.get("port"), str) and (chosen or direction == "egress"):
                        path = f"spec.{direction}[{index}].ports[{number}].port"
                        yield path, port["port"], port.get("protocol", "TCP"), _declared(chosen)


def _numbers_of_policy(manifest: Json, deployed: Sequence[Json], running: Sequence[Pods]) -> Iterator[str]:
    """The commonest mistake is the port of the Service: a policy permits those of Pods.

    Only if all Pods are known and declare ports. For outgoing traffic one of the ports must be theirs: on the way to a
    Service, some networks also compare its own. Source: networking/v1/types.go of k8s.io/api v0.37.0.
    """
    if manifest["kind"] == "NetworkPolicy":
        for direction, index, chosen in _sides(manifest, deployed, running):
            known = _declared(chosen) if all(one.ports for one in chosen) else []
            wrong = []
            ports = manifest["spec"][direction][index].get("ports") or []
            for number, port in enumerate(ports):
                first = port.get("port")
                numbers = range(first, port.get("endPort", first) + 1) if isinstance(first, int) else ()
                protocol = port.get("protocol", "TCP")
                if numbers and not any(
                    one["number"] in numbers and one.get("protocol", "TCP") == protocol for one in known
                ):
                    wrong.append((f"spec.{direction}[{index}].ports[{number}].port", first))
            if known and (direction == "ingress" or len(wrong) == len(ports)):
                names = ", ".join(sorted({str(one.get("name") or one["number"]) for one in known}))
                yield from (
                    f"{name_of(manifest)}: {path}: {first}: no port of its Pods; write one of {names}"
                    for path, first in wrong
                )


def _sides(
    policy: Json, deployed: Sequence[Json], running: Sequence[Pods]
) -> Iterator[tuple[str, int, Sequence[Pods]]]:
    """The direction and the index of each rule, with the Pods whose ports it permits; none if they are not all known.

    Those of charts and of EKS are not: `created_elsewhere.yaml` has some of their Pods, and some of their ports.
    """
    partly = {namespace_of(one) for one in deployed if one["kind"] == "Pod"} | {
        one["metadata"]["name"]
        for one in of_kind(deployed, "Namespace")
        if "platform/component" in (one["metadata"].get("labels") or {})
        or one["metadata"]["name"] not in {each.namespace for each in running}
    }
    own, spec = namespace_of(policy), policy["spec"]
    for index, _ in enumerate(spec.get("ingress") or [] if own not in partly else []):
        yield "ingress", index, selected(spec.get("podSelector") or {}, own, running)
    for index, rule in enumerate(spec.get("egress") or []):
        peers = rule.get("to") or []
        places = [(peer, _namespaces(peer, own, deployed)) for peer in peers]
        known = not any("ipBlock" in peer or partly & {*names} for peer, names in places)
        yield "egress", index, _destinations(policy, rule, deployed, running) if peers and known else []


def _destinations(policy: Json, rule: Json, deployed: Sequence[Json], running: Sequence[Pods]) -> Sequence[Pods]:
    """The Pods to which a rule for outgoing traffic permits it: none behind an `ipBlock`, all without `to`."""
    if not rule.get("to"):
        return running
    return [
        one
        for peer in rule["to"]
        if "ipBlock" not in peer
        for namespace in _namespaces(peer, namespace_of(policy), deployed)
        for one in selected(peer.get("podSelector") or {}, namespace, running)
    ]


def _ports_of_monitor(manifest: Json, deployed: Sequence[Json], running: Sequence[Pods]) -> _Ports:
    """Of all Pods or Services that a monitor selects, one must have the port."""
    spec = manifest.get("spec") or {}
    if manifest["kind"] == "PodMonitor":
        namespaces = _monitored(manifest, deployed)
        chosen = [one for namespace in namespaces for one in selected(spec["selector"], namespace, running)]
        yield from _ports_of_endpoints(spec, "podMetricsEndpoints", _declared(chosen)) if chosen else ()
    if manifest["kind"] == "ServiceMonitor":
        services = _services(manifest, deployed)
        ports = [port for service in services for port in service["spec"].get("ports") or []]
        yield from _ports_of_endpoints(spec, "endpoints", ports) if services else ()


def _ports_of_endpoints(spec: Json, field: str, ports: list[Json]) -> _Ports:
    for index, endpoint in enumerate(spec.get(field) or []):
        for key in ("port", "portNumber"):
            if key in endpoint:
                yield f"spec.{field}[{index}].{key}", endpoint[key], "", ports


def _ports_of_probes(one: Pods) -> Iterator[str]:
    """Source: ResolveContainerPort of Kubernetes 1.36: a name is one of the same container."""
    for path, container in one.running:
        names = sorted(port["name"] for port in container.get("ports") or [] if "name" in port)
        for below, holder in with_paths(container, path):
            port = holder.get("port")
            if below.endswith((".httpGet", ".tcpSocket")) and isinstance(port, str) and port not in names:
                remedy = f"write one of {', '.join(names)}" if names else "write a number"
                yield f"{name_of(one.owner)}: {below}.port: {port}: no such port; {remedy}"


def containers_share_no_port(manifests: Sequence[Json], _: Sequence[Json]) -> Iterator[str]:
    """All containers of a Pod have one address: a second one that listens on a port fails."""
    for one in pods(manifests):
        seen: dict[tuple[int, str], str] = {}
        for path, container in one.running:
            for index, port in enumerate(container.get("ports") or []):
                field, key = f"{path}.ports[{index}]", (port["containerPort"], port.get("protocol", "TCP"))
                other = seen.setdefault(key, field)
                if other != field:
                    yield f"{name_of(one.owner)}: {field}.containerPort: {key[0]}: also in {other}; write another"


# The domains of labels that the kubelet, EKS and Karpenter set.
_DOMAINS_OF_NODES = ("kubernetes.io", "k8s.io", "eks.amazonaws.com", "ebs.csi.aws.com", "k8s.aws", "karpenter.sh")


def is_label_of_nodes(key: str) -> bool:
    """Whether a label is in a domain of the kubelet, EKS, its drivers, or Karpenter."""
    return key.partition("/")[0].endswith(_DOMAINS_OF_NODES)


def _labels_of_nodes(deployed: Sequence[Json]) -> set[str]:
    """The keys of the labels that NodePools and the settings of node groups give to nodes."""
    found = set(labels_of_node_groups())
    for pool in of_kind(deployed, "NodePool"):
        template = pool["spec"]["template"]
        found |= ((template.get("metadata") or {}).get("labels") or {}).keys()
        found |= {one["key"] for one in template["spec"].get("requirements") or []}
    return found


def nodes_have_the_selected_labels(manifests: Sequence[Json], deployed: Sequence[Json]) -> Iterator[str]:
    """Otherwise the Pods wait for a node forever, or are spread over nothing, or a preference has no effect."""
    for one in pods(manifests):
        yield from (f"{name_of(one.owner)}: {problem}" for problem in wrong_labels_of_nodes(one, deployed))


def wrong_labels_of_nodes(one: Pods, deployed: Sequence[Json]) -> Iterator[str]:
    """The labels and values of nodes that Pods select, and that no node has."""
    labels = _labels_of_nodes(deployed)
    own = sorted(key for key in labels if not is_label_of_nodes(key))
    for path, key, value, excludes in _chosen_nodes(one):
        if remedy := unknown_value_of_nodes(key, value) if value else None:
            yield f"{path}: {value}: no node has it; {remedy}"
        elif key in labels or (path.endswith("topologyKey") and is_judged_topology_key(key)):
            continue
        elif remedy := unknown_label_of_nodes(key):
            what = path if path.endswith(key) else f"{path}: {key}"
            yield f"{what}: no label of nodes; {remedy}"
        elif not excludes and not is_label_of_nodes(key):
            known = f"write one of {', '.join(own)}" if own else "add it to a NodePool, or remove it"
            what = f"{path}: {value}" if value else path
            yield f"{what}: no NodePool or node group has the label {key}; {known}"


def _chosen_nodes(one: Pods) -> Iterator[tuple[str, str, str | None, bool]]:
    """The path of each field that chooses nodes, the key of a label, its value if any, and whether it excludes them."""
    at, affinity = f"{one.path}spec", one.spec.get("affinity") or {}
    for key, value in (one.spec.get("nodeSelector") or {}).items():
        yield f"{at}.nodeSelector.{key}", key, value, False
    for path, term in with_paths(affinity.get("nodeAffinity"), f"{at}.affinity.nodeAffinity"):
        if "key" in term and "matchFields" not in path:
            operator = term.get("operator")
            if operator in {"In", "NotIn"}:
                values = term.get("values") or []
                yield from ((f"{path}.values", term["key"], value, operator == "NotIn") for value in values)
            else:
                yield f"{path}.key", term["key"], None, operator == "DoesNotExist"
    spreads = {"affinity": affinity, "topologySpreadConstraints": one.spec.get("topologySpreadConstraints")}
    for path, spread in with_paths(spreads, at):
        if "topologyKey" in spread:
            yield f"{path}.topologyKey", str(spread["topologyKey"]), None, False


def selected_namespaces_are_of_the_environment(manifests: Sequence[Json], deployed: Sequence[Json]) -> Iterator[str]:
    """A cluster has the namespaces of one environment, `<service>-<environment>`: there are none of another one."""
    of_components = {
        one["metadata"]["name"]
        for one in of_kind(deployed, "Namespace")
        if "platform/component" in (one["metadata"].get("labels") or {})
    }
    of_services = {namespace_of(one) for one in deployed} - of_components
    for manifest in manifests:
        own = namespace_of(manifest)
        for path, name in _named_namespaces(manifest) if own in of_services else ():
            right = f"{name.rpartition('-')[0]}-{(own or '').rpartition('-')[2]}"
            if {name, right} <= of_services and name != right:
                yield f"{name_of(manifest)}: {path}: {name}: of another environment; write {right}"


def _named_namespaces(manifest: Json) -> Iterator[tuple[str, str]]:
    if manifest["kind"] in {"PodMonitor", "ServiceMonitor"}:
        names = (manifest["spec"].get("namespaceSelector") or {}).get("matchNames") or []
        yield from ((f"spec.namespaceSelector.matchNames[{index}]", name) for index, name in enumerate(names))
    for path, peer in _peers(manifest):
        labels = (peer.get("namespaceSelector") or {}).get("matchLabels") or {}
        if name := labels.get("kubernetes.io/metadata.name"):
            yield f"{path}.namespaceSelector.matchLabels.kubernetes.io/metadata.name", name


ALL = (
    nodes_have_the_selected_labels,
    selected_namespaces_are_of_the_environment,
    selectors_select_something,
    ports_are_declared,
    containers_share_no_port,
)
