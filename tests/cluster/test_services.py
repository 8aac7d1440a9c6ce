"""The services of this repository under Argo CD and Argo Rollouts: a bad version gets no traffic.

Argo CD applies a complete Service, and Argo Rollouts narrows its selector to one version. If Argo CD reset the
selector, Argo Rollouts would treat the next version as the first one and skip its analysis. This tests the sync options
of the ApplicationSet `services`.
"""

import json
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from operations.local.cluster import programs
from operations.local.cluster.argo_cd import SERVER, ArgoCd
from operations.local.cluster.control_plane import ARGO_CD_NAMESPACE, ControlPlane
from tests import ROOT
from tests.cluster.git_repository import GitRepository
from tests.cluster.manifests import restricted_namespace

pytestmark = pytest.mark.cluster

yaml = pytest.importorskip("yaml", reason="PyYAML, which reads the ApplicationSet, is not installed")

SERVICES = ("bubblepool", "guestbook")

# Shorter durations, and a fake of Prometheus and of the preview.
_QUICKER = {
    "analysis.yaml": [
        (r"initialDelay: .*", "initialDelay: 1s"),
        (r"interval: .*", "interval: 1s"),
        (r"(address|url): http.*", r"\1: {url}"),
    ],
    "rollout.yaml": [(r"duration: .*", "duration: 6s")],
    # Kinds of External Secrets and the Prometheus operator, which do not run here.
    "kustomization.yaml": [(r"components:\n- database\n", ""), (r"- monitor.yaml\n", "")],
}


class Measured(ThreadingHTTPServer):
    """Reports whether the new version is healthy, as its preview and as its success rate."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.well = True


class _Answer(BaseHTTPRequestHandler):
    server: Measured

    def do_GET(self) -> None:
        self._answer({"status": "ok" if self.server.well else "down"})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        sample = {"metric": {}, "value": [time.time(), "1" if self.server.well else "0.5"]}
        self._answer({"status": "success", "data": {"resultType": "vector", "result": [sample]}})

    def _answer(self, value: object) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(value).encode())

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class Delivery:
    """The services in dev, from a repository that Argo CD tracks."""

    def __init__(self, cluster: ControlPlane, folder: Path) -> None:
        self._cluster = cluster
        self._repository = GitRepository(folder)

    def start(self, measured: Measured) -> None:
        for service in SERVICES:
            shutil.copytree(ROOT / "service" / service, self._repository.folder / "service" / service)
        for name, edits in _QUICKER.items():
            for file in self._repository.folder.rglob(name):
                text = file.read_text()
                for pattern, replacement in edits:
                    text = re.sub(pattern, replacement.format(url=measured.url), text)
                file.write_text(text)
        self._repository.commit()
        self._cluster.apply(_open_project())
        for service in SERVICES:
            self._cluster.apply(restricted_namespace(f"{service}-dev"), _application(service, self._repository.url))

    def bring(self, version: int) -> None:
        """Set a new version of each service, as a pipeline does."""
        for service in SERVICES:
            subprocess.run(
                [
                    programs.program("kustomize"),
                    *("edit", "set", "image", f"{service}=*:{version}.0.0@sha256:{str(version) * 64}"),
                ],
                cwd=self._repository.folder / "service" / service / "overlays" / "dev",
                check=True,
            )
        self._repository.commit()

    def wait(self, service: str, *conditions: str) -> dict[str, Any]:
        """Wait until the Rollout meets the conditions, and return it."""
        for condition in conditions:
            for step in ("create", f"jsonpath={condition}"):
                where = (f"--namespace={service}-dev", f"rollout/{service}")
                self._cluster.kubectl("wait", *where, f"--for={step}", "--timeout=120s")
        return self._cluster.get("rollout", f"--namespace={service}-dev", service)

    def stable_version(self, service: str) -> str:
        """The version, as its pod template hash, that the Service with all requests selects."""
        (name,) = [name for name, weight in self.weights(service).items() if weight == 100]
        return self.selected(service, name)

    def selected(self, service: str, name: str) -> str:
        found = self._cluster.get("service", f"--namespace={service}-dev", name)
        return str(found["spec"]["selector"]["rollouts-pod-template-hash"])

    def weights(self, service: str) -> dict[str, int]:
        """The share of the requests, in percent, that the load balancer sends to each Service."""
        ingress = self._cluster.get("ingress", f"--namespace={service}-dev", service)
        action = json.loads(ingress["metadata"]["annotations"][f"alb.ingress.kubernetes.io/actions.{service}"])
        return {group["ServiceName"]: group["Weight"] for group in action["ForwardConfig"]["TargetGroups"]}

    def analyses(self, service: str) -> dict[str, str]:
        found = self._cluster.get("analysisruns", f"--namespace={service}-dev")["items"]
        return {run["metadata"]["name"]: run["status"]["phase"] for run in found}


def _open_project() -> dict[str, Any]:
    """The project of the services. That of their team permits only the platform's repository."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": {"name": "services", "namespace": ARGO_CD_NAMESPACE},
        "spec": {"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}]},
    }


def _application(service: str, url: str) -> dict[str, Any]:
    """The Application that the ApplicationSet generates for a service, except the project and the host."""
    applied = yaml.safe_load((ROOT / "management" / "bootstrap" / "sets" / "services.yaml").read_text())
    template = applied["spec"]["template"]
    annotations = template["metadata"]["annotations"]
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": f"{service}-dev", "namespace": ARGO_CD_NAMESPACE, "annotations": annotations},
        "spec": {
            **template["spec"],
            "project": "services",
            "destination": {"server": SERVER, "namespace": f"{service}-dev"},
            "source": {
                "repoURL": url,
                "targetRevision": "main",
                "path": f"service/{service}/overlays/dev",
                "kustomize": {"images": [f"{service}=registry.example/{service}:*@*"]},
            },
        },
    }


@pytest.fixture(scope="module")
def measured() -> Iterator[Measured]:
    with Measured() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def delivery(
    control_plane: ControlPlane,
    argo_cd: ArgoCd,  # noqa: ARG001  (syncs the services)
    measured: Measured,
    tmp_path_factory: pytest.TempPathFactory,
) -> Delivery:
    """The first version of each service runs, then a second one after a successful analysis."""
    delivery = Delivery(control_plane, tmp_path_factory.mktemp("delivered") / "repository")
    delivery.start(measured)
    for service in SERVICES:
        delivery.wait(service, "{.status.phase}=Healthy")
    delivery.bring(1)
    for service in SERVICES:
        image = f"registry.example/{service}:1.0.0@sha256:{'1' * 64}"
        delivery.wait(
            service,
            f"{{.spec.template.spec.containers[0].image}}={image}",
            "{.status.conditions[?(@.type=='Completed')].status}=False",
            "{.status.phase}=Healthy",
        )
    return delivery


@pytest.mark.parametrize("service", SERVICES)
def test_a_good_version_becomes_stable_after_its_analysis(delivery: Delivery, service: str) -> None:
    analyses = delivery.analyses(service)
    assert analyses
    assert set(analyses.values()) == {"Successful"}
    rollout = delivery.wait(service, "{.status.phase}=Healthy")
    assert delivery.stable_version(service) == rollout["status"]["currentPodHash"] == rollout["status"]["stableRS"]
    # Ping had the first version. The second one took over from pong, whose pods the load balancer already knew.
    assert delivery.weights(service) == {f"{service}-ping": 0, f"{service}-pong": 100}


def test_clients_in_the_cluster_get_the_active_version_of_guestbook(delivery: Delivery) -> None:
    active = delivery.selected("guestbook", "guestbook")
    assert active == delivery.selected("guestbook", "guestbook-pong")
    assert active != delivery.selected("guestbook", "guestbook-ping")


def test_a_bad_version_is_aborted_and_the_stable_one_is_kept(delivery: Delivery, measured: Measured) -> None:
    before = {service: delivery.stable_version(service) for service in SERVICES}
    measured.well = False
    delivery.bring(2)
    for service in SERVICES:
        rollout = delivery.wait(service, "{.status.abort}=true", "{.status.phase}=Degraded")
        assert ":2.0.0@" in rollout["spec"]["template"]["spec"]["containers"][0]["image"]
        assert "Failed" in delivery.analyses(service).values()
        assert delivery.stable_version(service) == before[service]
        assert delivery.weights(service) == {f"{service}-ping": 0, f"{service}-pong": 100}
