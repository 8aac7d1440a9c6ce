"""ArgoCd: the processes of Argo CD and Argo Rollouts, on a local control plane."""

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
_RECONCILIATION_INTERVAL = "10s"
# The ConfigMaps for RBAC and notifications come from Git, as in production.
_CONFIG_MAPS = ("argocd-cmd-params-cm", "argocd-gpg-keys-cm", "argocd-ssh-known-hosts-cm", "argocd-tls-certs-cm")
_TOOLS = ("argocd", "helm", "kubectl", "kustomize")
# The names of the Services for metrics, in the charts argo-cd and argo-rollouts.
_METRICS = (
    "argocd-application-controller-metrics",
    "argocd-applicationset-controller-metrics",
    "argocd-notifications-controller-metrics",
    "argocd-repo-server-metrics",
    "argocd-server-metrics",
    "argo-rollouts-metrics",
)

_UNCONTROLLED = (
    "autoscaling_HorizontalPodAutoscaler",
    "policies.kyverno.io_ImageValidatingPolicy",
    "policies.kyverno.io_ValidatingPolicy",
)
"""Kinds that Argo CD 3.6 would never find healthy here: there are no metrics of Pods, and Kyverno does not run."""
_HEALTHY = 'return {status = "Healthy"}'


class ArgoCd:
    """A context manager that runs Argo CD and Argo Rollouts. They also stop when the parent process ends.

    `settings` are added to the ConfigMap `argocd-cm`. As in production, the destination `https://kubernetes.default.svc`
    is the control plane. Argo CD polls Git every ten seconds; a local repository has the URL `file:///...`. External
    charts are not fetched, because their controllers would not run and their webhooks would reject other objects.

    All ports listen on 127.0.0.1, except the metrics ports of the application, notifications and rollouts controllers,
    which cannot be bound to an address. `metrics_ports` has the ports by the names of the charts' Services.
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
        """The password of the user `admin`, which the API server of Argo CD generated."""
        found = self._cluster.get("secret", f"--namespace={ARGO_CD_NAMESPACE}", "argocd-initial-admin-secret")
        return base64.b64decode(found["data"]["password"]).decode()

    def argocd(self, *arguments: str | Path, stdin: str = "") -> str:
        """Run the `argocd` command line, such as `argocd admin settings rbac can`, and return its output.

        Raises:
            OperationError: if the command fails, with its error output.
        """
        return process.output(self.tools / "argocd", *arguments, environment=self._environment(), stdin=stdin)

    def _install(self) -> None:
        """Create the objects that the Helm chart creates, except the Pods."""
        for module in ("argo-cd", "argo-rollouts"):
            self._cluster.kubectl("apply", "--server-side", f"--filename={programs.files(module)}")
        self._cluster.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        restricted = {"name": ARGO_CD_NAMESPACE, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
        key = secrets.token_hex()
        settings = {
            "application.resourceTrackingMethod": "annotation",
            **{f"resource.customizations.health.{kind}": _HEALTHY for kind in _UNCONTROLLED},
            **self._settings,
        }
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
        # Argo CD 3.6.1 asks this program of its image for the signature of each commit, even if it needs none.
        verify = self.tools / "git-verify-wrapper.sh"
        verify.write_text("#!/bin/sh\n")
        verify.chmod(0o755)
        redis, repo_server, self.port, *others = free_ports(12)
        port = iter(others)
        metrics = self.metrics_ports = {name: next(port) for name in _METRICS}
        cache = f"--redis={HOST}:{redis}"
        manifests = (f"--repo-server={HOST}:{repo_server}", "--repo-server-plaintext")
        self.processes.start("redis", programs.program("redis"), f"{HOST}:{redis}")
        self._component(
            "argocd-repo-server",
            f"--address={HOST}",
            f"--port={repo_server}",
            f"--metrics-address={HOST}",
            f"--metrics-port={metrics['argocd-repo-server-metrics']}",
            "--disable-tls",
            "--client-ca-path=",  # Argo CD 3.6.1 refuses --disable-tls with the default of this option
            cache,
        )
        self._component(
            "argocd-server",
            f"--address={HOST}",
            f"--port={self.port}",
            f"--metrics-address={HOST}",
            f"--metrics-port={metrics['argocd-server-metrics']}",
            "--insecure",
            *manifests,
            cache,
        )
        controller = metrics["argocd-application-controller-metrics"]
        self._component("argocd-application-controller", f"--metrics-port={controller}", *manifests, cache)
        self._component(
            "argocd-applicationset-controller",
            f"--metrics-addr={HOST}:{metrics['argocd-applicationset-controller-metrics']}",
            f"--probe-addr={HOST}:{next(port)}",
            f"--webhook-addr={HOST}:{next(port)}",
            f"--argocd-repo-server={HOST}:{repo_server}",
            "--repo-server-plaintext",
        )
        if self._notifications:
            self._component(
                "argocd-notifications",
                f"--metrics-port={metrics['argocd-notifications-controller-metrics']}",
                f"--argocd-repo-server={HOST}:{repo_server}",
                "--argocd-repo-server-plaintext",
            )
        self.processes.start(
            "rollouts-controller",
            programs.program("rollouts-controller"),
            "--namespace=",  # all namespaces
            "--leader-elect=false",
            f"--metricsPort={metrics['argo-rollouts-metrics']}",
            f"--healthzPort={next(port)}",
            environment=self._environment(),
        )
        for name, listening_port in (("Argo CD's repository server", repo_server), ("Argo CD's API server", self.port)):
            self.processes.wait_for(name, partial(answers, listening_port))

    def _component(self, name: str, *arguments: str) -> None:
        """Start a component of Argo CD. All components are the same program."""
        environment = {**self._environment(), "ARGOCD_BINARY_NAME": name}
        self.processes.start(name, self.tools / "argocd", *arguments, environment=environment)

    def _environment(self) -> dict[str, str]:
        """The environment of the processes, without the caller's home and settings for Argo CD, Git and Helm."""
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("ARGOCD_", "GIT_", "HELM_"))},
            "ARGOCD_APPLICATIONSET_CONTROLLER_REQUEUE_AFTER": _RECONCILIATION_INTERVAL,
            "ARGOCD_FAKE_IN_CLUSTER": "true",
            "ARGOCD_GPG_ENABLED": "false",
            "ARGOCD_RECONCILIATION_JITTER": "0s",
            "ARGOCD_RECONCILIATION_TIMEOUT": _RECONCILIATION_INTERVAL,
            "ARGOCD_REPO_ERROR_GRACE_PERIOD_SECONDS": "1s",  # by default, rendering errors show after three minutes
            "HTTPS_PROXY": f"http://{HOST}:9",  # an unused port, so that no external chart can be fetched
            "HOME": str(self._home),
            "KUBECONFIG": str(self._cluster.kubeconfig),
            "PATH": f"{self.tools}{os.pathsep}{os.environ['PATH']}",
            "TMPDIR": str(self._home / "tmp"),
        }


def _object(api_version: str, kind: str, name: str, labels: Mapping[str, str] | None = None) -> dict[str, Any]:
    metadata = {"name": name, "namespace": ARGO_CD_NAMESPACE, "labels": dict(labels or {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata}
