"""ControlPlane: etcd, the API server, the controller manager, the scheduler, and nodes simulated by kwok."""

import json
import os
import secrets
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from operations.clients import process
from operations.errors import OperationError
from operations.local.cluster import programs
from operations.local.cluster.processes import Processes
from operations.local.ports import HOST, free_ports

ARGO_CD_NAMESPACE = "argocd"
REGION = "ap-northeast-2"
ZONES = ("a", "b", "c")
_START_SECONDS = 60


class ControlPlane:
    """A context manager that runs Kubernetes on 127.0.0.1. It also stops when the parent process ends, even if killed.

    All its files are in the folder `home`. Admission is real (service accounts, Pod Security, quotas). Pods are
    simulated: they become ready on simulated nodes, one in each zone, and no container runs.
    """

    def __init__(self, home: Path) -> None:
        self.home = home.absolute()
        self.kubeconfig = self.home / "kubeconfig"
        self.logs = self.home / "logs"
        self._certificates = self.home / "certificates"
        self._token = secrets.token_hex()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.processes = stack.enter_context(Processes(self.logs))
            self._start()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def kubectl(self, *arguments: str | Path, stdin: str = "") -> str:
        """Run kubectl as the administrator, and return its output.

        Raises:
            OperationError: if kubectl fails, with its error output.
        """
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
        return process.output(programs.program("kubectl"), *arguments, environment=environment, stdin=stdin)

    def get(self, *arguments: str) -> dict[str, Any]:
        """The output of `kubectl get` as JSON.

        Raises:
            OperationError: if the object does not exist.
        """
        found: dict[str, Any] = json.loads(self.kubectl("get", *arguments, "--output=json"))
        return found

    def apply(self, *manifests: Mapping[str, Any], dry_run: bool = False) -> None:
        """Apply manifests with server-side apply and strict field validation. A dry run stores nothing.

        Raises:
            OperationError: if the API server rejects a manifest.
        """
        # Not as a List, whose fields kubectl would validate instead of the API server.
        documents = "\n---\n".join(map(json.dumps, manifests))
        options = ["--dry-run=server", "--force-conflicts"] if dry_run else []
        self.kubectl("apply", "--server-side", "--filename=-", *options, stdin=documents)

    def _start(self) -> None:
        etcd, etcd_peers, api, controllers, scheduler, kwok = free_ports(6)
        self._write_credentials(api)
        self._start_etcd(etcd, etcd_peers)
        self._start_api_server(api, etcd)
        self.processes.wait_for("the API server", self._is_ready, _START_SECONDS)
        as_administrator = f"--kubeconfig={self.kubeconfig}"
        self._program(
            "kube-controller-manager",
            as_administrator,
            f"--cert-dir={self._certificates / 'controller-manager'}",
            f"--bind-address={HOST}",
            f"--secure-port={controllers}",
            "--leader-elect=false",
            f"--flex-volume-plugin-dir={self.home / 'volume-plugins'}",  # is created by it
            f"--root-ca-file={self._certificates / 'apiserver.crt'}",
            f"--service-account-private-key-file={self._certificates / 'apiserver.key'}",
        )
        self._program(
            "kube-scheduler",
            as_administrator,
            f"--cert-dir={self._certificates / 'scheduler'}",
            f"--bind-address={HOST}",
            f"--secure-port={scheduler}",
            "--leader-elect=false",
        )
        self._program(
            "kwok",
            as_administrator,
            "--manage-all-nodes=true",
            f"--node-ip={HOST}",
            f"--server-address={HOST}:{kwok}",
            *[f"--config={stage}" for stage in sorted(programs.files("kwok").iterdir())],
        )
        self.apply(*[_node(zone) for zone in ZONES])
        wait = ("wait", f"--timeout={_START_SECONDS}s")
        self.kubectl(*wait, "--for=condition=Ready", "node", "--all")
        # Pods are only admitted once their service account exists.
        self.kubectl(*wait, "--for=create", "--namespace=default", "serviceaccount/default")

    def _start_etcd(self, port: int, peer_port: int) -> None:
        client, peers = f"http://{HOST}:{port}", f"http://{HOST}:{peer_port}"
        self._program(
            "etcd",
            f"--data-dir={self.home / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
            "--unsafe-no-fsync",  # the data is temporary
        )

    def _start_api_server(self, port: int, etcd_port: int) -> None:
        key = self._certificates / "apiserver.key"  # generated by the API server before it reads the key
        self._program(
            "kube-apiserver",
            f"--etcd-servers=http://{HOST}:{etcd_port}",
            f"--bind-address={HOST}",
            f"--secure-port={port}",
            f"--cert-dir={self._certificates}",
            # An endpoint cannot have a loopback address; without both options, the API server looks for another.
            f"--advertise-address={HOST}",
            "--endpoint-reconciler-type=none",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            "--service-cluster-ip-range=10.96.0.0/16",
            f"--token-auth-file={self.home / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--allow-privileged=true",  # as on EKS, where Pod Security restricts it
        )

    def _write_credentials(self, port: int) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        tokens = self.home / "tokens.csv"
        for file in (tokens, self.kubeconfig):
            file.touch(mode=0o600)
        tokens.write_text(f"{self._token},admin,admin,system:masters\n", encoding="utf-8")
        name = "local"
        cluster = {
            "server": f"https://{HOST}:{port}",
            "certificate-authority": str(self._certificates / "apiserver.crt"),
        }
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": ARGO_CD_NAMESPACE}}],
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": name, "user": {"token": self._token}}],
        }
        self.kubeconfig.write_text(json.dumps(config), encoding="utf-8")

    def _is_ready(self) -> bool:
        try:
            return self.kubectl("get", "--raw=/readyz") == "ok"
        except OperationError:
            return False

    def _program(self, name: str, *arguments: str) -> None:
        self.processes.start(name, programs.program(name), *arguments)


def _node(zone: str) -> dict[str, Any]:
    name = f"node-{zone}"
    labels = {
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "topology.kubernetes.io/region": REGION,
        "topology.kubernetes.io/zone": f"{REGION}{zone}",
    }
    # kwok gives no ephemeral storage, which Pods request.
    size = {"cpu": "1k", "memory": "1Ti", "pods": "1M", "ephemeral-storage": "1Ti"}
    status = {"capacity": size, "allocatable": size}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "status": status}
