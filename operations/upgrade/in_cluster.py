"""What Kubernetes itself tells before its version changes: nodes, and PodDisruptionBudgets that block a drain."""

import json
from collections.abc import Iterator
from typing import Any

from operations.clients import kubectl
from operations.errors import OperationError
from operations.output.report import counted
from operations.preflight.check import Line
from operations.upgrade.cluster import Change, minor

# A kubelet may be three minor versions older than the API server, and not newer.
# Source: https://kubernetes.io/releases/version-skew-policy/#kubelet
_KUBELET_SKEW = 3


def checks(change: Change, endpoint: str) -> Iterator[Line]:
    """The nodes and PodDisruptionBudgets, if the current cluster of `kubectl` is this one, at `endpoint`."""
    choose = f"choose it with: aws eks update-kubeconfig --name {change.cluster} --role-arn ROLE"
    try:
        current = kubectl.server()
        if current != endpoint:
            yield Line("nodes and budgets", "warning", f"not checked: kubectl uses {current or 'no cluster'}; {choose}")
            return
        nodes = _items("nodes")
        budgets = _items("poddisruptionbudgets")
    except OperationError as error:
        yield Line("nodes and budgets", "warning", f"not checked: {error}")
        return
    yield from _nodes(change, nodes)
    yield from _budgets(budgets)


def _items(kind: str) -> list[Any]:
    found: list[Any] = json.loads(kubectl.kubectl("get", kind, "--all-namespaces", "--output=json"))["items"]
    return found


def _nodes(change: Change, nodes: list[Any]) -> Iterator[Line]:
    """Whether every kubelet can join the new control plane, also those of Karpenter."""
    versions = {
        node["metadata"]["name"]: node["status"]["nodeInfo"]["kubeletVersion"].removeprefix("v") for node in nodes
    }
    minors = {name: minor(".".join(version.split(".")[:2])) for name, version in versions.items()}
    newest = minor(change.version)
    bad = [f"{name} ({versions[name]})" for name, number in minors.items() if not 0 <= newest - number <= _KUBELET_SKEW]
    if bad:
        message = f"cannot join a control plane of {change.version}, and must be replaced before: {', '.join(bad)}"
        yield Line("nodes", "failed", message)
    else:
        yield Line("nodes", "passed", f"{counted(len(nodes), 'node')} can join a control plane of {change.version}")


def _budgets(budgets: list[Any]) -> Iterator[Line]:
    blocking = [
        f"{budget['metadata']['namespace']}/{budget['metadata']['name']}"
        for budget in budgets
        if budget["status"].get("disruptionsAllowed", 0) == 0 and budget["status"].get("expectedPods", 0) > 0
    ]
    if blocking:
        message = (
            f"allow no disruption, so that their nodes cannot be drained: {', '.join(blocking)}; add a replica, or "
            "wait until all are ready"
        )
        yield Line("PodDisruptionBudgets", "failed", message)
    else:
        yield Line("PodDisruptionBudgets", "passed", f"all {len(budgets)} allow a disruption")
