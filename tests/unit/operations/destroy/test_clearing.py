"""Clearing a cluster, with a fake Kubernetes: objects with finalizers, and controllers that remove them."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from operations.destroy.clearing import Clearing
from operations.errors import OperationError

_CASCADE = "resources-finalizer.argocd.argoproj.io"
_OWNED = "argocd.argoproj.io/tracking-id"
_KINDS = (
    "applications.argoproj.io",
    "applicationsets.argoproj.io",
    "nodepools.karpenter.sh",
    "nodeclaims.karpenter.sh",
)


class Cluster:
    """Answers like kubectl. At each pause the controllers remove their finalizers from the objects being deleted."""

    def __init__(self, *definitions: str) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.asked: list[str] = []
        self.controllers: set[str] = set()
        self.when_gone: dict[tuple[str, str], Callable[[], None]] = {}
        for name in definitions:
            self.add("customresourcedefinitions", name)

    def add(self, kind: str, name: str, *finalizers: str, **rest: Any) -> None:
        metadata = {"name": name, "namespace": "n", "uid": f"{kind}/{name}", "finalizers": [*finalizers]}
        self.objects[kind, name] = {"metadata": metadata, **rest}

    def kubectl(self, verb: str, kind: str, *arguments: str) -> str:
        self.asked.append(" ".join((verb, kind, *arguments)))
        if verb == "get":
            return json.dumps({"items": [one for (of, _), one in self.objects.items() if of == kind]})
        one = self.objects.get((kind, arguments[0]))
        if one is None:
            if "--ignore-not-found" in arguments:
                return ""
            raise OperationError(f'Error from server (NotFound): {kind} "{arguments[0]}" not found')
        if verb == "patch":
            patch = json.loads(next(a for a in arguments if a.startswith("--patch=")).removeprefix("--patch="))
            for field, value in patch.items():
                one[field].update(value)
        elif verb == "delete":
            one["metadata"]["deletionTimestamp"] = "now"
            self._collect()
        return ""

    def pause(self, _: float) -> None:
        for one in self.objects.values():
            if "deletionTimestamp" in one["metadata"]:
                one["metadata"]["finalizers"] = [f for f in one["metadata"]["finalizers"] if f not in self.controllers]
        self._collect()

    def _collect(self) -> None:
        for key, one in list(self.objects.items()):
            if "deletionTimestamp" in one["metadata"] and not one["metadata"]["finalizers"]:
                del self.objects[key]
                self.when_gone.pop(key, lambda: None)()

    @property
    def deleted(self) -> list[str]:
        return [line.split()[2] for line in self.asked if line.startswith("delete")]

    @property
    def left(self) -> list[str]:
        return [name for kind, name in self.objects if kind != "customresourcedefinitions"]


def _clear(cluster: Cluster, timeout_seconds: float = 60) -> list[str]:
    messages: list[str] = []
    Clearing(cluster.kubectl, messages.append, timeout_seconds, cluster.pause).clear()
    return messages


@pytest.fixture
def cluster() -> Cluster:
    """A cluster with objects of Argo CD, the load balancer controller, the CSI driver and Karpenter."""
    made = Cluster(*_KINDS)
    made.controllers = {
        _CASCADE,
        "ingress.k8s.aws/resources",
        "kubernetes.io/pvc-protection",
        "karpenter.sh/termination",
    }
    made.add("applications.argoproj.io", "root", _CASCADE)
    made.add("applications.argoproj.io", "by-hand", _CASCADE)
    made.add("applicationsets.argoproj.io", "services")
    made.add("ingresses.networking.k8s.io", "web", "ingress.k8s.aws/resources")
    made.objects["ingresses.networking.k8s.io", "web"]["metadata"]["annotations"] = {_OWNED: "shop:Ingress:n/web"}
    made.add("services", "lb", spec={"type": "LoadBalancer"})
    made.add("services", "inside", spec={"type": "ClusterIP"})
    made.add("persistentvolumeclaims", "data", "kubernetes.io/pvc-protection")
    made.add("nodepools.karpenter.sh", "default", "karpenter.sh/termination")
    return made


def test_only_objects_with_aws_resources_are_deleted(cluster: Cluster) -> None:
    messages = _clear(cluster)
    assert cluster.left == ["inside"]
    assert messages[0] == "deleting the root Application and all resources of Argo CD"
    assert "waiting for volumes: persistentvolumeclaims n/data" in messages


def test_nodes_of_auto_mode_are_left_to_eks() -> None:
    cluster = Cluster(*_KINDS)
    of_eks = {"nodeClassRef": {"group": "eks.amazonaws.com", "kind": "NodeClass", "name": "default"}}
    cluster.add("nodepools.karpenter.sh", "system", spec={"template": {"spec": of_eks}})
    cluster.add("nodeclaims.karpenter.sh", "system-1", "karpenter.sh/termination", spec=of_eks)
    assert _clear(cluster) == []
    assert cluster.left == ["system", "system-1"]


def test_the_root_application_is_deleted_first_and_nodes_last(cluster: Cluster) -> None:
    _clear(cluster)
    assert cluster.deleted == ["root", "services", "by-hand", "web", "lb", "data", "default"]


def test_nothing_is_deleted_before_the_root_application(cluster: Cluster) -> None:
    """Self-healing would recreate it."""
    left: list[str] = []
    cluster.when_gone["applications.argoproj.io", "root"] = lambda: left.extend(cluster.left)
    _clear(cluster)
    assert {"web", "lb", "data", "default"} <= set(left)


def test_an_ingress_without_an_application_is_deleted_before_the_root(cluster: Cluster) -> None:
    """External DNS still runs then, and removes its records."""
    cluster.add("ingresses.networking.k8s.io", "argocd-server", "ingress.k8s.aws/resources")
    gone: list[str] = []
    cluster.when_gone["ingresses.networking.k8s.io", "argocd-server"] = lambda: gone.extend(cluster.deleted)
    _clear(cluster)
    assert gone == ["argocd-server"]


def test_an_application_without_the_finalizer_gets_it_before_the_deletion(cluster: Cluster) -> None:
    cluster.add("applications.argoproj.io", "root")
    _clear(cluster)
    (patch,) = [line for line in cluster.asked if line.startswith("patch")]
    assert patch.split()[2] == "root"
    assert _CASCADE in patch


def test_an_application_that_was_deleted_after_it_was_listed_is_skipped(cluster: Cluster) -> None:
    """A child Application is deleted with its parent."""
    child = "applications.argoproj.io", "of-by-hand"
    cluster.add(*child)

    def kubectl(verb: str, kind: str, *arguments: str) -> str:
        if verb == "patch":
            cluster.objects.pop(child)
        return cluster.kubectl(verb, kind, *arguments)

    Clearing(kubectl, lambda _: None, 60, cluster.pause).clear()
    assert cluster.left == ["inside"]


def test_an_error_when_adding_the_finalizer_is_reported(cluster: Cluster) -> None:
    cluster.add("applications.argoproj.io", "refuses")

    def kubectl(verb: str, kind: str, *arguments: str) -> str:
        if verb == "patch":
            raise OperationError("Error from server (Forbidden)")
        return cluster.kubectl(verb, kind, *arguments)

    with pytest.raises(OperationError, match="Forbidden"):
        Clearing(kubectl, lambda _: None, 60, cluster.pause).clear()


def test_a_timeout_reports_the_finalizer_and_the_remedy(cluster: Cluster) -> None:
    cluster.controllers.discard(_CASCADE)
    with pytest.raises(OperationError) as refused:
        _clear(cluster, timeout_seconds=0)
    first, line = str(refused.value).splitlines()
    assert first == "the root Application: still not deleted after 0 s; fix this and repeat"
    assert line.startswith(f"applications n/root: waits for {_CASCADE} (Argo CD deletes its resources")


def test_a_timeout_on_a_load_balancer_names_the_logs_of_its_controller(cluster: Cluster) -> None:
    cluster.controllers.discard("ingress.k8s.aws/resources")
    with pytest.raises(OperationError) as raised:
        _clear(cluster, timeout_seconds=0.05)
    first, line = str(raised.value).splitlines()
    assert first.startswith("load balancers: still not deleted")
    assert line.startswith("ingresses n/web: waits for ingress.k8s.aws/resources (the load balancer controller deletes")
    assert line.endswith("kubectl --namespace kube-system logs deployment/aws-load-balancer-controller)")


def test_a_timeout_reports_an_object_that_is_created_again(cluster: Cluster) -> None:
    cluster.when_gone["services", "lb"] = lambda: cluster.add("services", "lb", spec={"type": "LoadBalancer"})
    with pytest.raises(OperationError, match="services n/lb: waits for no finalizer; another process recreates it"):
        _clear(cluster, timeout_seconds=0.05)


def test_continues_after_an_interruption(cluster: Cluster) -> None:
    cluster.controllers.discard("kubernetes.io/pvc-protection")
    with pytest.raises(OperationError, match="a Pod still mounts it"):
        Clearing(cluster.kubectl, lambda _: None, 0.05, cluster.pause).clear()
    before = len(cluster.asked)
    cluster.controllers.add("kubernetes.io/pvc-protection")
    _clear(cluster)
    assert cluster.left == ["inside"]
    assert [line.split()[2] for line in cluster.asked[before:] if line.startswith("delete")] == ["default"]


def test_webhooks_without_a_service_are_removed(cluster: Cluster) -> None:
    def hook(service: str) -> dict[str, Any]:
        return {"webhooks": [{"clientConfig": {"service": {"namespace": "n", "name": service}}}]}

    cluster.add("validatingwebhookconfigurations", "orphan", **hook("gone"))
    cluster.add("validatingwebhookconfigurations", "served", **hook("inside"))
    cluster.add("mutatingwebhookconfigurations", "by-url", webhooks=[{"clientConfig": {"url": "https://example.com"}}])
    messages = _clear(cluster)
    assert cluster.left == ["inside", "served", "by-url"]
    assert any("orphan: its Service is gone" in line for line in messages)


def test_a_cluster_without_argo_cd_and_karpenter_is_cleared_too() -> None:
    cluster = Cluster()
    cluster.add("persistentvolumes", "kept")
    _clear(cluster)
    assert cluster.left == []


def test_a_cluster_without_application_sets_is_cleared_too() -> None:
    cluster = Cluster("applications.argoproj.io")
    cluster.controllers = {_CASCADE}
    cluster.add("applications.argoproj.io", "root", _CASCADE)
    cluster.add("applications.argoproj.io", "child", _CASCADE)
    _clear(cluster)
    assert cluster.deleted == ["root", "child"]
    assert cluster.left == []


def test_a_cluster_that_goes_on_loses_only_the_applications(cluster: Cluster) -> None:
    cluster.add("applications.argoproj.io", "root", _CASCADE)
    cluster.add("persistentvolumeclaims", "of-somebody-else")
    cluster.add("ingresses.networking.k8s.io", "of-somebody-else")
    Clearing(cluster.kubectl, lambda _: None, 60, cluster.pause).clear(only_applications=True)
    assert "root" not in cluster.left
    assert cluster.left.count("of-somebody-else") == 2


def test_the_operations_of_applications_are_ended_because_nothing_is_deleted_meanwhile(cluster: Cluster) -> None:
    cluster.add("applications.argoproj.io", "root", _CASCADE)
    cluster.add("applications.argoproj.io", "retries", _CASCADE, operation={}, status={"operationState": {}})
    cluster.add("applications.argoproj.io", "begins", _CASCADE, operation={})
    _clear(cluster)
    ended = [line for line in cluster.asked if "Terminating" in line]
    assert [line.split()[2] for line in ended] == ["retries"]
    assert cluster.asked.index(ended[0]) < min(
        index for index, line in enumerate(cluster.asked) if line.startswith("delete")
    )


_EXPLANATION = (
    "v1beta1.metrics.k8s.io: its Service kube-system/metrics-server does not answer, so no namespace "
    "can be deleted; mend the Service, or remove the API: kubectl delete apiservice v1beta1.metrics.k8s.io"
)


@pytest.fixture
def without_metrics(cluster: Cluster) -> Cluster:
    for name, status in (("v1.apps", "True"), ("v1beta1.metrics.k8s.io", "False")):
        conditions = [{"type": "Available", "status": status}]
        service = {"namespace": "kube-system", "name": "metrics-server"}
        cluster.add(
            "apiservices.apiregistration.k8s.io", name, spec={"service": service}, status={"conditions": conditions}
        )
    return cluster


def test_an_api_that_does_not_answer_is_only_a_warning(without_metrics: Cluster) -> None:
    (warning,) = [line for line in _clear(without_metrics) if line.startswith("warning")]
    assert warning.endswith(_EXPLANATION)


@pytest.mark.parametrize("hangs", ["True", "False"])
def test_an_api_that_blocks_the_deletion_of_a_namespace_is_explained(without_metrics: Cluster, hangs: str) -> None:
    conditions = [{"type": "NamespaceDeletionDiscoveryFailure", "status": hangs}]
    without_metrics.add("namespaces", "orders", status={"conditions": conditions})
    without_metrics.add("applications.argoproj.io", "orders", "unknown")
    with pytest.raises(OperationError, match="Applications: still not deleted") as refused:
        _clear(without_metrics, 0.05)
    assert str(refused.value).endswith(_EXPLANATION) == (hangs == "True")
