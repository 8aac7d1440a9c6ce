"""Clearing a real Kubernetes cluster, with a real Argo CD that self-heals, and real finalizers."""

import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from operations.destroy.clearing import Clearing
from operations.errors import OperationError
from operations.local.cluster.argo_cd import SERVER, ArgoCd
from operations.local.cluster.control_plane import ARGO_CD_NAMESPACE, ControlPlane
from tests.cluster.git_repository import GitRepository
from tests.cluster.manifests import Manifest, config_map, pod, restricted_namespace

pytestmark = pytest.mark.cluster

_CASCADE = "resources-finalizer.argocd.argoproj.io"
_OF_A_LOAD_BALANCER = "ingress.k8s.aws/resources"
_SHOP, _UNMANAGED = "shop", "unmanaged"


@pytest.fixture(scope="module")
def cluster(go_programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:  # noqa: ARG001
    """A separate cluster with a root Application, a child Application, and objects that Argo CD does not own."""
    folder = tmp_path_factory.mktemp("clearing")
    repository = GitRepository(folder / "repository")
    repository.write("bootstrap/shop.json", _application("shop", "shop", repository.url))
    repository.write("shop/namespace.json", restricted_namespace(_SHOP))
    repository.write("shop/config.json", config_map(_SHOP, "config"))
    repository.write("shop/ingress.json", _ingress(_SHOP))
    repository.commit()
    with ControlPlane(folder / "control-plane") as running, ArgoCd(running):
        running.apply(_application("root", "bootstrap", repository.url))
        wait = ("wait", "--for=create", "--timeout=90s")
        running.kubectl(*wait, f"namespace/{_SHOP}")
        running.kubectl(*wait, f"--namespace={_SHOP}", "ingress/web", "configmap/config")
        running.apply(restricted_namespace(_UNMANAGED), _claim(), _mounting(), _ingress(_UNMANAGED))
        yield running


@pytest.fixture(scope="module")
def load_balancer_controller(cluster: ControlPlane) -> Iterator[None]:
    """Removes the finalizer of deleted Ingresses, as the controller does."""
    done = threading.Event()

    def work() -> None:
        while not done.wait(0.5):
            for one in cluster.get("ingresses", "--all-namespaces")["items"]:
                if "deletionTimestamp" in one["metadata"]:
                    name, space = one["metadata"]["name"], one["metadata"]["namespace"]
                    patch = '--patch={"metadata":{"finalizers":null}}'
                    with contextlib.suppress(OperationError):  # it was deleted already
                        cluster.kubectl("patch", "ingress", name, f"--namespace={space}", "--type=merge", patch)

    thread = threading.Thread(target=work)
    thread.start()
    yield
    done.set()
    thread.join()


@pytest.mark.usefixtures("load_balancer_controller")
def test_a_cluster_is_cleared_and_a_timeout_reports_the_finalizer(cluster: ControlPlane) -> None:
    messages: list[str] = []

    def say(text: str) -> None:
        messages.append(text)
        clearing.timeout_seconds = 3 if "holding volumes" in text else 60

    clearing = Clearing(cluster.kubectl, say, 60, _soon)
    with pytest.raises(OperationError) as raised:
        clearing.clear()
    assert "volumes: still not deleted" in str(raised.value)
    waits = "persistentvolumeclaims unmanaged/data: waits for kubernetes.io/pvc-protection (a Pod still mounts it"
    assert waits in str(raised.value)
    deleting = [text for text in messages if text.startswith("deleting")]
    assert deleting[:2] == [
        "deleting 1 object holding records",  # the Ingress that Argo CD does not own
        "deleting the root Application and all resources of Argo CD",
    ]
    assert _names(cluster, "applications.argoproj.io") == set()
    assert _names(cluster, "ingresses") == set()
    assert "config" not in _names(cluster, "configmaps")

    cluster.kubectl("delete", "pod", f"--namespace={_UNMANAGED}", "web", "--now")
    clearing.clear()
    assert _names(cluster, "persistentvolumeclaims") == set()


def test_an_application_between_two_retries_is_deleted_at_once(cluster: ControlPlane, tmp_path: Path) -> None:
    repository = GitRepository(tmp_path / "repository")
    metadata = {"name": "web", "namespace": "default"}
    repository.write("app/custom.json", {"apiVersion": "example.com/v1", "kind": "Missing", "metadata": metadata})
    repository.commit()
    application = _application("retries", "app", repository.url)
    application["spec"]["syncPolicy"]["retry"] = {"limit": -1, "backoff": {"duration": "1h", "maxDuration": "1h"}}
    cluster.apply(application)
    retries = "--for=jsonpath={.status.operationState.retryCount}=1"
    cluster.kubectl("wait", f"--namespace={ARGO_CD_NAMESPACE}", retries, "--timeout=60s", "application/retries")
    Clearing(cluster.kubectl, lambda _: None, 60, _soon).clear(only_applications=True)
    assert _names(cluster, "applications.argoproj.io") == set()


def test_an_api_that_does_not_answer_is_explained_because_a_namespace_stays(cluster: ControlPlane) -> None:
    service = {"namespace": "kube-system", "name": "metrics-server"}
    api = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1beta1.metrics.k8s.io"},
        "spec": {
            "group": "metrics.k8s.io",
            "version": "v1beta1",
            "service": service,
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "insecureSkipTLSVerify": True,
        },
    }
    claim = _claim()
    claim["metadata"] |= {"namespace": "stays", "finalizers": ["example.com/kept"]}
    cluster.apply(api, restricted_namespace("stays"), claim)
    cluster.kubectl("wait", "--for=condition=Available=false", "--timeout=30s", "apiservice/v1beta1.metrics.k8s.io")
    cluster.kubectl("delete", "namespace", "stays", "--wait=false")
    messages: list[str] = []
    clearing = Clearing(cluster.kubectl, messages.append, 5, _soon)
    with pytest.raises(OperationError, match=r"its Service kube-system/metrics-server does not answer"):
        clearing.clear()
    cluster.kubectl(
        "patch", "pvc", "data", "--namespace=stays", "--type=merge", '--patch={"metadata":{"finalizers":null}}'
    )
    clearing.clear()
    assert "does not answer" in messages[-1]
    assert "stays" in _names(cluster, "namespaces")
    cluster.kubectl("delete", "apiservice", "v1beta1.metrics.k8s.io")  # the remedy of the message
    cluster.kubectl("wait", "--for=delete", "--timeout=60s", "namespace/stays")


def _soon(_: float) -> None:
    threading.Event().wait(0.5)


def _names(cluster: ControlPlane, kind: str) -> set[str]:
    return {one["metadata"]["name"] for one in cluster.get(kind, "--all-namespaces")["items"]}


def _application(name: str, path: str, url: str) -> Manifest:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": ARGO_CD_NAMESPACE, "finalizers": [_CASCADE]},
        "spec": {
            "project": "default",
            "source": {"repoURL": url, "targetRevision": "main", "path": path},
            "destination": {"server": SERVER, "namespace": ARGO_CD_NAMESPACE},
            "syncPolicy": {"automated": {"prune": True, "selfHeal": True}},
        },
    }


def _ingress(namespace: str) -> Manifest:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "web", "namespace": namespace, "finalizers": [_OF_A_LOAD_BALANCER]},
        "spec": {"defaultBackend": backend},
    }


def _claim() -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": _UNMANAGED},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }


def _mounting() -> Manifest:
    """A Pod that mounts the PersistentVolumeClaim and is already scheduled."""
    manifest: Manifest = json.loads(json.dumps(pod(_UNMANAGED, "web")))
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    manifest["spec"] |= {"nodeName": "node-a", "volumes": [volume]}
    return manifest
