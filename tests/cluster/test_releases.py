"""Helm itself against the real API server: changes by hand, and operations that were killed.

The Helm provider of Terraform cannot be had here; it contains the same code of Helm 3.
"""

import base64
import functools
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from operations.clients import process
from operations.errors import OperationError
from operations.local.cluster import programs
from operations.local.cluster.control_plane import ControlPlane
from operations.releases import releases
from operations.releases.releases import Release
from tests.cluster.manifests import Manifest, deployment, restricted_namespace

pytestmark = pytest.mark.cluster

_CHART = {
    "Chart.yaml": "{apiVersion: v2, name: tiny, version: 1.0.0}",
    "templates/web.yaml": """
apiVersion: v1
kind: ConfigMap
metadata: {name: web}
data: {colour: {{ .Values.colour | quote }}, size: "1"}
---
apiVersion: v1
kind: Secret
metadata: {name: web}
stringData: {password: hunter2}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      nodeSelector: {{ .Values.nodes | toJson }}
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: web
          image: web:{{ .Values.colour }}
          env: [{name: A, value: "1"}, {name: B, value: "2"}]
          resources: {requests: {cpu: 1000m, memory: 1024Mi}}
          securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}]}
{{- if .Values.more }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: more}
{{- end }}
""",
    "templates/hook.yaml": """
apiVersion: v1
kind: ConfigMap
metadata: {name: hook, annotations: {"helm.sh/hook": pre-install}}
""",
    "values.yaml": "{colour: blue, replicas: 1, nodes: {}, more: false}",
}
_NOWHERE = {"nodes": {"kubernetes.io/hostname": "none"}}


class Helm:
    """The release `web` of a small chart in a namespace."""

    def __init__(self, cluster: ControlPlane, namespace: str, folder: Path) -> None:
        self.cluster, self.namespace, self.chart = cluster, namespace, [str(folder)]
        for name, text in _CHART.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(text)

    def _command(self, timeout: str, values: dict[str, Any]) -> list[str]:
        return [
            str(programs.program("helm")), "upgrade", "--install", "web", *self.chart, "--wait",
            f"--namespace={self.namespace}", f"--kubeconfig={self.cluster.kubeconfig}", f"--timeout={timeout}",
            *[f"--set-json={name}={json.dumps(value)}" for name, value in values.items()],
        ]  # fmt: skip

    def deploy(self, **values: Any) -> None:
        process.output(*self._command("60s", values))

    def killed(self, **values: Any) -> None:
        """Kill Helm while it waits for Pods that are not scheduled."""
        before = self.release.revisions[-1]["version"] if self.exists else 0
        with subprocess.Popen(self._command("300s", {**_NOWHERE, **values})) as helm:
            while not (self.exists and self.release.revisions[-1]["version"] > before and self._is_waiting()):
                time.sleep(0.2)
            helm.kill()

    def _is_waiting(self) -> bool:
        found = self.cluster.kubectl("get", "pods", f"--namespace={self.namespace}", "--output=json")
        return any(one["status"]["phase"] == "Pending" for one in json.loads(found)["items"])

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        return self.cluster.kubectl(*arguments, stdin=stdin or "")

    @property
    def exists(self) -> bool:
        return bool(self._read())

    @property
    def release(self) -> Release:
        (found,) = self._read()
        return found

    def _read(self) -> list[Release]:
        return releases.read(self.run, {"helm_release.web": (self.namespace, "web")})

    def differences(self) -> dict[str, list[str]]:
        return {one.name: list(one.fields) for one in releases.differences(self.run, self.release)}

    def heals(self) -> bool:
        releases.put_back(self.run, list(releases.differences(self.run, self.release)))
        return not self.differences()

    def by_hand(self, *arguments: str) -> None:
        self.run(*arguments, f"--namespace={self.namespace}")


class _Private(SimpleHTTPRequestHandler):
    """Serves a folder to whoever has the password."""

    def do_GET(self) -> None:
        if self.headers["Authorization"] == "Basic " + base64.b64encode(b"robot:secret").decode():
            super().do_GET()
        else:
            self.send_error(HTTPStatus.UNAUTHORIZED)


@pytest.fixture
def private(helm: Helm, tmp_path: Path) -> Iterator[Helm]:
    """A release whose chart is in a private repository."""
    program, folder = programs.program("helm"), tmp_path / "repository"
    process.output(program, "package", tmp_path, f"--destination={folder}")
    process.output(program, "repo", "index", folder)
    handler = functools.partial(_Private, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        helm.chart = ["tiny", f"--repo=http://127.0.0.1:{server.server_port}", "--username=robot", "--password=secret"]
        yield helm
        server.shutdown()
        thread.join()


@pytest.fixture
def helm(control_plane: ControlPlane, tmp_path: Path) -> Iterator[Helm]:
    """A release in a namespace of its own, whose name is that of the test's folder."""
    namespace = f"helm-{tmp_path.name[-40:]}".replace("_", "-").lower()
    control_plane.apply(restricted_namespace(namespace))
    yield Helm(control_plane, namespace, tmp_path)
    control_plane.kubectl("delete", "namespace", namespace, "--wait=false")


_DEPLOYMENT = ("patch", "deployment", "web", "--type=strategic")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ((), {}),
        (("patch", "configmap", "web", '--patch={"data":{"colour":"red"}}'), {"ConfigMap web": ["data.colour"]}),
        (("patch", "configmap", "web", '--patch={"data":{"size":null}}'), {"ConfigMap web": ["data.size"]}),
        (("patch", "secret", "web", '--patch={"data":{"password":"eA=="}}'), {"Secret web": ["data.password"]}),
        (("delete", "configmap", "web"), {"ConfigMap web": []}),
        (("delete", "configmap", "hook"), {}),
        (("scale", "deployment", "web", "--replicas=2"), {"Deployment web": ["spec.replicas"]}),
        (
            (*_DEPLOYMENT, '--patch={"spec":{"template":{"spec":{"containers":[{"name":"web","image":"x"}]}}}}'),
            {"Deployment web": ["spec.template.spec.containers[0].image"]},
        ),
        (("set", "env", "deployment/web", "B-"), {"Deployment web": ["spec.template.spec.containers[0].env[1]"]}),
        (("rollout", "restart", "deployment/web"), {}),
        (("patch", "deployment", "web", '--patch={"spec":{"revisionHistoryLimit":3}}'), {}),
        (
            (
                "patch", "networkpolicy", "web", "--type=merge",
                '--patch={"spec":{"ingress":[{"from":[{"ipBlock":{"cidr":"0.0.0.0/0"}}]}]}}',
            ),
            {"NetworkPolicy web": ["spec.ingress"]},
        ),
    ],
    ids=[
        "none", "changed", "removed", "secret", "deleted", "hook", "scaled", "image", "variable", "restarted",
        "defaulted", "access",
    ],
)  # fmt: skip
def test_what_is_changed_by_hand_is_found_and_put_back(
    helm: Helm, change: tuple[str, ...], found: dict[str, list[str]]
) -> None:
    helm.deploy()
    if change:
        helm.by_hand(*change)

    assert helm.differences() == found
    details = [text for one in releases.differences(helm.run, helm.release) for text in one.details]
    assert not any("hunter2" in text or "aHVudGVyMg" in text or "eA==" in text for text in details)
    assert helm.heals()
    helm.deploy(colour="green")  # Helm goes on with what was put back
    assert helm.differences() == {}


@pytest.mark.parametrize("replicas", [1, 3], ids=["one", "highly-available"])
def test_a_killed_upgrade_is_rolled_back(helm: Helm, replicas: int) -> None:
    helm.deploy(colour="blue", replicas=replicas)
    helm.killed(colour="red", replicas=replicas, more=True)
    assert helm.release.is_interrupted
    with pytest.raises(OperationError, match="another operation"):
        helm.deploy(colour="green")

    assert releases.repair(helm.run, helm.release) == "web: rolled back from revision 2 to 1"
    assert helm.differences() == {}
    with pytest.raises(OperationError, match='"more" not found'):
        helm.by_hand("get", "configmap", "more")
    helm.deploy(colour="green")
    assert helm.release.status == "deployed"
    assert helm.differences() == {}


def test_a_killed_first_installation_is_done_again(helm: Helm) -> None:
    helm.killed()
    assert helm.release.status == "pending-install"
    with pytest.raises(OperationError, match="another operation"):
        helm.deploy()

    releases.repair(helm.run, helm.release)
    assert not helm.exists
    helm.deploy()
    assert (helm.release.status, helm.differences()) == ("deployed", {})


def test_a_chart_of_a_private_repository_is_repaired_alike(private: Helm) -> None:
    private.killed()
    releases.repair(private.run, private.release)
    private.deploy(colour="blue")
    private.killed(colour="red")
    releases.repair(private.run, private.release)
    assert private.differences() == {}
    private.deploy(colour="green")
    assert (private.release.status, private.differences()) == ("deployed", {})


def test_a_pod_that_blocks_a_stateful_set_is_found(helm: Helm) -> None:
    release = Release("helm_release.web", "web", helm.namespace, [])
    where = f"--namespace={helm.namespace}"
    helm.cluster.apply(_stateful_set(helm.namespace, {"kubernetes.io/hostname": "none"}))
    helm.run("wait", where, "--for=create", "pod/web-0", "--timeout=30s")
    later = datetime.now(UTC) + timedelta(minutes=2)
    assert releases.stuck(helm.run, release, later) == []  # it has the newest template

    helm.cluster.apply(_stateful_set(helm.namespace, {}))
    observed = "--for=jsonpath={.status.observedGeneration}=2"
    helm.run("wait", where, observed, "statefulset/web", "--timeout=30s")
    assert releases.stuck(helm.run, release, datetime.now(UTC)) == []  # it may become ready yet
    assert releases.stuck(helm.run, release, later) == [(helm.namespace, "web-0")]
    with pytest.raises(OperationError, match="timed out"):
        helm.run("wait", where, "--for=condition=Ready", "pod/web-0", "--timeout=5s")

    helm.run("delete", "pod", "web-0", where)
    helm.run("rollout", "status", where, "statefulset/web", "--timeout=30s")
    assert releases.stuck(helm.run, release, later) == []


def _stateful_set(namespace: str, nodes: dict[str, str]) -> Manifest:
    made = deployment(namespace, "web", replicas=1)
    made["metadata"]["annotations"] = {"meta.helm.sh/release-name": "web"}
    made["spec"] |= {"serviceName": "web"}
    made["spec"]["template"]["spec"]["nodeSelector"] = nodes
    return {**made, "kind": "StatefulSet"}
