"""The control plane of the tests is a real one, and stops with the process that started it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from operations.errors import OperationError
from operations.local.cluster.control_plane import ControlPlane
from tests import ROOT
from tests.cluster.manifests import Manifest, deployment, pod
from tests.gitops.tree import documents

pytestmark = pytest.mark.cluster

_SECONDS = 30


def test_the_api_server_has_the_pinned_version(control_plane: ControlPlane) -> None:
    assert json.loads(control_plane.kubectl("get", "--raw=/version"))["gitVersion"] == "v1.37.2"


def test_there_is_a_node_in_every_zone(control_plane: ControlPlane) -> None:
    zones = [node["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in control_plane.get("nodes")["items"]]

    assert sorted(zones) == ["ap-northeast-2a", "ap-northeast-2b", "ap-northeast-2c"]


def test_pods_of_a_deployment_become_ready(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.apply(deployment(namespace, "web", replicas=3))

    control_plane.kubectl("rollout", "status", f"--namespace={namespace}", "deployment/web", f"--timeout={_SECONDS}s")


def test_a_privileged_pod_is_refused(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.apply(pod(namespace, "restricted"))

    with pytest.raises(OperationError, match=r'violates PodSecurity "restricted:latest": privileged'):
        control_plane.apply(pod(namespace, "privileged", privileged=True, allowPrivilegeEscalation=True))


def test_a_service_account_has_no_permissions_by_default(control_plane: ControlPlane, namespace: str) -> None:
    account = f"--as=system:serviceaccount:{namespace}:default"

    with pytest.raises(
        OperationError, match=f'cannot list resource "pods" in API group "" in the namespace "{namespace}"'
    ):
        control_plane.get("pods", f"--namespace={namespace}", account)


def test_an_unknown_field_is_refused(control_plane: ControlPlane, namespace: str) -> None:
    wrong = deployment(namespace, "web", replicas=1)
    wrong["spec"]["replica"] = 2

    with pytest.raises(OperationError, match=r"\.spec\.replica: field not declared in schema"):
        control_plane.apply(wrong)


def test_a_service_can_claim_files_and_no_disk(control_plane: ControlPlane, namespace: str) -> None:
    quota = documents((ROOT / "management/service-namespace/base/limits.yaml").read_text())[1]
    quota["metadata"]["namespace"] = namespace
    control_plane.apply(quota)
    used = f"resourcequota/{quota['metadata']['name']}"
    control_plane.kubectl("wait", f"--namespace={namespace}", used, "--for=jsonpath={.status.used.pods}=0")

    control_plane.apply(_claim(namespace, "files", "efs-ap"))
    with pytest.raises(OperationError, match="exceeded quota: service, requested: gp3"):
        control_plane.apply(_claim(namespace, "disk", "gp3"))


def _claim(namespace: str, name: str, storage_class: str) -> Manifest:
    resources = {"requests": {"storage": "1Gi"}}
    spec = {"storageClassName": storage_class, "accessModes": ["ReadWriteMany"], "resources": resources}
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


@pytest.mark.usefixtures("go_programs")
def test_all_processes_end_with_the_block(tmp_path: Path) -> None:
    before = _groups_started_by(os.getpid())
    with ControlPlane(tmp_path):
        groups = _groups_started_by(os.getpid()) - before
        assert "kube-apiserver" in _programs(groups)

    assert _programs(groups) == set()


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The synthesized stacks."""
    folder = tmp_path_factory.mktemp("synthesized")
    environment = {**os.environ, "CDKTF_OUTDIR": str(folder)}
    subprocess.run([sys.executable, "main.py"], cwd=ROOT, env=environment, check=True, capture_output=True)
    return folder


@pytest.mark.parametrize("ending", ["SIGINT", "SIGTERM", "SIGKILL"])
@pytest.mark.usefixtures("go_programs")
def test_no_process_outlives_the_cluster_command(ending: str, output: Path, tmp_path: Path) -> None:
    # A background job ignores SIGINT, and so would its child processes.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        [sys.executable, "-m", "operations", "cluster", "--output", str(output)],
        cwd=ROOT, env={**os.environ, "TMPDIR": str(tmp_path)}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, start_new_session=True,
    ) as cluster:  # fmt: skip
        assert cluster.stdout is not None
        for line in cluster.stdout:
            if "runs until Ctrl-C" in line:
                break
        groups = _groups_started_by(cluster.pid)
        assert "kube-apiserver" in _programs(groups)
        assert "argocd" in _programs(groups)
        cluster.send_signal(signal.Signals[ending])
        output_after = cluster.stdout.read()

    _wait_until_gone(groups)
    assert "Traceback" not in output_after
    if ending == "SIGKILL":
        assert cluster.returncode == -signal.SIGKILL
    else:
        assert cluster.returncode == 0
        assert list(tmp_path.iterdir()) == []


def _groups_started_by(parent: int) -> set[int]:
    """The process groups of a process's children, except its own."""
    return {group for _, of, group, _ in _processes() if of == parent and group != os.getpgid(parent)}


def _programs(groups: set[int]) -> set[str]:
    """The programs that run in these groups."""
    return {program for _, _, group, program in _processes() if group in groups}


def _wait_until_gone(groups: set[int]) -> None:
    deadline = time.monotonic() + _SECONDS
    while _programs(groups) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert _programs(groups) == set()


def _processes() -> list[tuple[int, int, int, str]]:
    """The id, parent, group and program of each running process."""
    listed = ["ps", "-A", "-o", "pid=,ppid=,pgid=,state=,comm="]
    rows = [
        line.split(None, 4)
        for line in subprocess.run(listed, check=True, capture_output=True, text=True).stdout.splitlines()
    ]
    return [(int(pid), int(parent), int(group), comm) for pid, parent, group, state, comm in rows if state[0] != "Z"]
