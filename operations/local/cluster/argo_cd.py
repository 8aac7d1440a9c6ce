"""ArgoCd: Argo CD's own processes and Argo Rollouts, on a control plane of this machine."""

import base64
import os
import secrets
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Self

from operations.clients import process
from operations.local.cluster import programs
from operations.local.cluster.control_plane import ARGO_CD_NAMESPACE, ControlPlane
from operations.local.cluster.processes import Processes
from operations.local.ports import HOST, answers, free_ports

SERVER = "https://kubernetes.default.svc"

_PART_OF = {"app.kubernetes.io/part-of": "argocd"}
_LOOKS_EVERY = "10s"
# The ConfigMaps for RBAC and notifications come from Git, as in production.
_CONFIG_MAPS = ("argocd-cmd-params-cm", "argocd-gpg-keys-cm", "argocd-ssh-known-hosts-cm", "argocd-tls-certs-cm")
_TOOLS = ("argocd", "helm", "kubectl", "kustomize")


class ArgoCd:
    """Argo CD and Argo Rollouts for the length of a block; they also end with whoever started them.

    `settings` are added to the ConfigMap `argocd-cm`. Destinations are as in production: `https://kubernetes.default.svc`
    is the control plane. It looks at Git every ten seconds; a repository on this machine is `file:///...`. Charts from
    outside are not fetched: their controllers would not run here, and their webhooks would refuse what others bring.

    Everything listens on 127.0.0.1 but the metrics of the application, notifications and rollouts controllers, which
    know no address to bind to.
    """

    def __init__(
        self, control_plane: ControlPlane, *, settings: Mapping[str, str] | None = None, notifications: bool = False
    ) -> None:
        self._cluster = control_plane
        self._settings = settings or {}
        self._notifications = notifications
        self._home = control_plane.home / "argo-cd"
        self.tools = self._home / "bin"

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.processes = stack.enter_context(Processes(self._cluster.logs))
            self._install()
            self._start()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def password(self) -> str:
        """The password of the user `admin`, which the server made."""
        found = self._cluster.get("secret", f"--namespace={ARGO_CD_NAMESPACE}", "argocd-initial-admin-secret")
        return base64.b64decode(found["data"]["password"]).decode()

    def argocd(self, *arguments: str | Path, stdin: str = "") -> str:
        """What Argo CD's command line prints, such as `argocd admin settings rbac can`.

        Raises:
            OperationError: it failed, with what it says about it.
        """
        return process.output(self.tools / "argocd", *arguments, environment=self._environment(), stdin=stdin)

    def _install(self) -> None:
        """What the Helm chart installs, without the pods."""
        for module in ("argo-cd", "argo-rollouts"):
            self._cluster.kubectl("apply", "--server-side", f"--filename={programs.files(module)}")
        self._cluster.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        restricted = {"name": ARGO_CD_NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
        key = secrets.token_hex()
        settings = {"application.resourceTrackingMethod": "annotation", **self._settings}
        self._cluster.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": restricted},
            {**_object("v1", "ConfigMap", "argocd-cm", _PART_OF), "data": settings},
            *[_object("v1", "ConfigMap", name, _PART_OF) for name in _CONFIG_MAPS],
            {**_object("v1", "Secret", "argocd-secret", _PART_OF), "stringData": {"server.secretkey": key}},
        )

    def _start(self) -> None:
        for folder in (self.tools, self._home / "tmp"):
            folder.mkdir(parents=True)
        for name in _TOOLS:
            (self.tools / name).symlink_to(programs.program(name))
        redis, repo_server, self.port, *others = free_ports(12)
        port = iter(others)
        cache = f"--redis={HOST}:{redis}"
        manifests = (f"--repo-server={HOST}:{repo_server}", "--repo-server-plaintext")
        self.processes.start("redis", programs.program("redis"), f"{HOST}:{redis}")
        self._component(
            "argocd-repo-server",
            f"--address={HOST}",
            f"--port={repo_server}",
            f"--metrics-address={HOST}",
            f"--metrics-port={next(port)}",
            "--disable-tls",
            cache,
        )
        self._component(
            "argocd-server",
            f"--address={HOST}",
            f"--port={self.port}",
            f"--metrics-address={HOST}",
            f"--metrics-port={next(port)}",
            "--insecure",
            *manifests,
            cache,
        )
        self._component("argocd-application-controller", f"--metrics-port={next(port)}", *manifests, cache)
        self._component(
            "argocd-applicationset-controller",
            f"--metrics-addr={HOST}:{next(port)}",
            f"--probe-addr={HOST}:{next(port)}",
            f"--webhook-addr={HOST}:{next(port)}",
            f"--argocd-repo-server={HOST}:{repo_server}",
            "--repo-server-plaintext",
        )
        if self._notifications:
            self._component(
                "argocd-notifications",
                f"--metrics-port={next(port)}",
                f"--argocd-repo-server={HOST}:{repo_server}",
                "--argocd-repo-server-plaintext",
            )
        self.processes.start(
            "rollouts-controller",
            programs.program("rollouts-controller"),
            "--namespace=",  # of Rollouts: every
            "--leader-elect=false",
            f"--metricsPort={next(port)}",
            f"--healthzPort={next(port)}",
            environment=self._environment(),
        )
        for what, listens in (("Argo CD's repository server", repo_server), ("Argo CD's API server", self.port)):
            self.processes.wait_for(what, partial(answers, listens))

    def _component(self, name: str, *arguments: str) -> None:
        """One of Argo CD's components: all are one program."""
        environment = {**self._environment(), "ARGOCD_BINARY_NAME": name}
        self.processes.start(name, self.tools / "argocd", *arguments, environment=environment)

    def _environment(self) -> dict[str, str]:
        """Neither settings nor home of the person around us, else Git, Helm and Argo CD would take theirs."""
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("ARGOCD_", "GIT_", "HELM_"))},
            "ARGOCD_APPLICATIONSET_CONTROLLER_REQUEUE_AFTER": _LOOKS_EVERY,
            "ARGOCD_FAKE_IN_CLUSTER": "true",
            "ARGOCD_GPG_ENABLED": "false",
            "ARGOCD_RECONCILIATION_JITTER": "0s",
            "ARGOCD_RECONCILIATION_TIMEOUT": _LOOKS_EVERY,
            "ARGOCD_REPO_ERROR_GRACE_PERIOD_SECONDS": "1s",  # else what does not render is told after three minutes
            "HTTPS_PROXY": f"http://{HOST}:9",  # nobody listens: what a chart from outside brings would not run here
            "HOME": str(self._home),
            "KUBECONFIG": str(self._cluster.kubeconfig),
            "PATH": f"{self.tools}{os.pathsep}{os.environ['PATH']}",
            "TMPDIR": str(self._home / "tmp"),
        }


def _object(api_version: str, kind: str, name: str, labels: Mapping[str, str] | None = None) -> dict[str, Any]:
    metadata = {"name": name, "namespace": ARGO_CD_NAMESPACE, "labels": dict(labels or {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}
