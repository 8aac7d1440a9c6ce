"""The control plane, with fake programs; `tests/cluster` runs the real ones."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from operations.errors import OperationError
from operations.local import ports
from operations.local.cluster.control_plane import ControlPlane
from operations.local.cluster.processes import Processes
from tests.unit.operations.local.cluster.fake_programs import FakePrograms

pytestmark = pytest.mark.slow

SERVERS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")


@pytest.fixture
def cluster(tmp_path: Path, fakes: FakePrograms) -> Iterator[ControlPlane]:
    assert fakes.program("kubectl").exists()
    with ControlPlane(tmp_path / "home") as cluster:
        yield cluster


@pytest.mark.usefixtures("fakes")
def test_every_program_is_started_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    start = Processes.start

    def record(self: Processes, name: str, *command: str | Path, **options: Any) -> None:
        started.append(name)
        start(self, name, *command, **options)

    monkeypatch.setattr(Processes, "start", record)
    with ControlPlane(tmp_path / "home"):
        assert tuple(started) == SERVERS


def test_the_simulated_nodes_get_their_stages(cluster: ControlPlane, fakes: FakePrograms) -> None:
    cluster.processes.wait_for("kwok", lambda: bool(fakes.calls_of("kwok")))
    (kwok,) = fakes.calls_of("kwok")
    assert any(argument.startswith("--config=") for argument in kwok.arguments)


def test_all_programs_listen_on_loopback_and_on_different_ports(cluster: ControlPlane, fakes: FakePrograms) -> None:
    cluster.processes.wait_for("the programs", lambda: {*SERVERS} <= {call.name for call in fakes.calls})
    arguments = [argument for name in SERVERS for call in fakes.calls_of(name) for argument in call.arguments]
    listening = [argument for argument in arguments if re.match(r"--(bind|server|node|listen|advertise)", argument)]
    assert len(listening) >= len(SERVERS)
    assert [argument for argument in listening if ports.HOST not in argument] == []
    secure_ports = [argument for argument in arguments if argument.startswith("--secure-port=")]
    assert len({*secure_ports}) == len(secure_ports) == 3


def test_the_administrators_credentials_are_private(cluster: ControlPlane) -> None:
    config = json.loads(cluster.kubeconfig.read_text())
    token = config["users"][0]["user"]["token"]
    tokens = cluster.home / "tokens.csv"
    assert tokens.read_text() == f"{token},admin,admin,system:masters\n"
    assert [file.stat().st_mode & 0o777 for file in (tokens, cluster.kubeconfig)] == [0o600, 0o600]
    assert config["clusters"][0]["cluster"]["server"].startswith("https://127.0.0.1:")


@pytest.mark.usefixtures("cluster")
def test_there_is_a_simulated_node_in_each_zone(fakes: FakePrograms) -> None:
    zones = {node["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in fakes.applied()}
    assert zones == {f"ap-northeast-2{zone}" for zone in "abc"}


def test_a_dry_run_stores_nothing(cluster: ControlPlane, fakes: FakePrograms) -> None:
    cluster.apply({"kind": "ConfigMap"}, {"kind": "Secret"}, dry_run=True)
    call = fakes.calls_of("kubectl")[-1]
    assert "--dry-run=server" in call.arguments
    assert call.stdin == '{"kind": "ConfigMap"}\n---\n{"kind": "Secret"}'
    assert call.environment["KUBECONFIG"] == str(cluster.kubeconfig)


def test_errors_of_kubectl_are_reported(cluster: ControlPlane, fakes: FakePrograms) -> None:
    fakes.break_("kubectl")
    with pytest.raises(OperationError, match="kubectl get: kubectl is broken"):
        cluster.get("node", "none")


@pytest.mark.parametrize("name", ["etcd", "kube-apiserver"])
def test_a_program_that_does_not_start_is_reported_with_its_log(tmp_path: Path, fakes: FakePrograms, name: str) -> None:
    fakes.break_(f"kubectl {name}")
    with (
        pytest.raises(OperationError, match=rf"(?s)^{name} exited unexpectedly .*{name} is broken"),
        ControlPlane(tmp_path / "home"),
    ):
        pass
