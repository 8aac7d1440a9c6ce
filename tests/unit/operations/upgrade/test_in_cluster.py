"""The checks through `kubectl`: nodes that cannot join, and budgets that allow no disruption."""

import json
from typing import Any

import pytest

from operations.clients import kubectl
from operations.errors import OperationError
from operations.preflight.check import Line
from operations.upgrade import in_cluster
from operations.upgrade.cluster import Change

ENDPOINT = "https://dev.eks.amazonaws.com"


def _node(version: str) -> dict[str, Any]:
    return {"metadata": {"name": f"node-{version}"}, "status": {"nodeInfo": {"kubeletVersion": f"v{version}-eks-1"}}}


def _budget(allowed: int, pods: int) -> dict[str, Any]:
    status = {"disruptionsAllowed": allowed, "expectedPods": pods}
    return {"metadata": {"namespace": "shop", "name": f"budget-{allowed}-{pods}"}, "status": status}


def _lines(monkeypatch: pytest.MonkeyPatch, change: Change, *items: dict[str, Any]) -> list[Line]:
    def answer(_: str, kind: str, *_arguments: str) -> str:
        nodes = [item for item in items if "nodeInfo" in item["status"]]
        return json.dumps({"items": nodes if kind == "nodes" else [item for item in items if item not in nodes]})

    monkeypatch.setattr(kubectl, "server", lambda: ENDPOINT)
    monkeypatch.setattr(kubectl, "kubectl", answer)
    return list(in_cluster.checks(change, ENDPOINT))


@pytest.mark.parametrize(
    ("version", "kubelet", "outcome"),
    [("1.36", "1.33.1", "passed"), ("1.36", "1.32.9", "failed"), ("1.35", "1.36.0", "failed")],
)
def test_every_node_must_be_able_to_join(
    monkeypatch: pytest.MonkeyPatch, version: str, kubelet: str, outcome: str
) -> None:
    lines = _lines(monkeypatch, Change("dev", "1.35", version), _node(kubelet), _budget(1, 2))
    assert [line.outcome for line in lines] == [outcome, "passed"]
    assert (f"node-{kubelet} ({kubelet}-eks-1)" in lines[0].message) == (outcome == "failed")


@pytest.mark.parametrize(("allowed", "pods", "outcome"), [(0, 1, "failed"), (0, 0, "passed"), (1, 2, "passed")])
def test_a_budget_that_blocks_a_drain_fails(
    monkeypatch: pytest.MonkeyPatch, allowed: int, pods: int, outcome: str
) -> None:
    _, line = _lines(monkeypatch, Change("dev", "1.35", "1.36"), _budget(allowed, pods))
    assert line.outcome == outcome
    assert (f"shop/budget-{allowed}-{pods}; add a replica" in line.message) == (outcome == "failed")


@pytest.mark.parametrize("current", ["https://other", "", None])
def test_another_cluster_is_not_checked(monkeypatch: pytest.MonkeyPatch, current: str | None) -> None:
    def server() -> str:
        if current is None:
            raise OperationError("kubectl: not installed")
        return current

    monkeypatch.setattr(kubectl, "server", server)
    (line,) = in_cluster.checks(Change("dev", "1.35", "1.36"), ENDPOINT)
    assert line.outcome == "warning"
    assert line.message.startswith("not checked: ")
