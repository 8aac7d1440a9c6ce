"""ControlPlane: etcd, the API server, the controllers, the scheduler, and nodes that kwok simulates."""

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
    """Kubernetes on loopback for the length of a block; it also ends with whoever started it, however that ends.

    Everything of it lies below the folder `home`. Admission is real (service accounts, Pod Security, quotas); pods are
    not: they become ready on simulated nodes, one in each zone, and no container runs.
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
        """What kubectl prints, as the administrator.

        Raises:
            OperationError: it failed, with what it says about it.
        """
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
        return process.output(programs.program("kubectl"), *arguments, environment=environment, stdin=stdin)

    def get(self, *arguments: str) -> dict[str, Any]:
        """What `kubectl get` finds, as JSON.

        Raises:
            OperationError: there is no such object.
        """
        found: dict[str, Any] = json.loads(self.kubectl("get", *arguments, "--output=json"))
        return found

    def apply(self, *manifests: Mapping[str, Any], dry_run: bool = False) -> None:
        """Apply manifests, by server-side apply with strict validation of fields; in a dry run nothing is stored.

        Raises:
            OperationError: the API server refused one.
        """
        # Not as a List: of that kubectl would judge the fields itself.
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
            f"--flex-volume-plugin-dir={self.home / 'volume-plugins'}",  # which it makes
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
        self.kubectl(
            *wait, "--for=create", "--namespace=default", "serviceaccount/default"
        )  # no pod is admitted before

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
            "--unsafe-no-fsync",  # nothing is kept
        )

    def _start_api_server(self, port: int, etcd_port: int) -> None:
        key = self._certificates / "apiserver.key"  # it makes its certificate before it reads the key
        self._program(
            "kube-apiserver",
            f"--etcd-servers=http://{HOST}:{etcd_port}",
            f"--bind-address={HOST}",
            f"--secure-port={port}",
            f"--cert-dir={self._certificates}",
            # A loopback address is none for an endpoint; without both it would look for a network to be reached by.
            f"--advertise-address={HOST}",
            "--endpoint-reconciler-type=none",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            "--service-cluster-ip-range=10.96.0.0/16",
            f"--token-auth-file={self.home / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--allow-privileged=true",  # as on EKS: who may is decided by Pod Security
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
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}
