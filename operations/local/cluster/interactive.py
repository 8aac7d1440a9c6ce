"""The local cluster for interactive use: it runs until Ctrl-C and is then deleted."""

import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from operations.local.cluster import programs
from operations.local.cluster.argo_cd import ArgoCd
from operations.local.cluster.control_plane import ControlPlane
from operations.local.cluster.handover import handover
from operations.local.ports import HOST
from operations.terraform.stacks import Stack, read_platform

_ROOT = Path(__file__).parents[3]


def run_cluster(output: Path, say: Callable[[str], None], show: Callable[[str], None]) -> None:
    """Build missing programs, start the cluster, print how to connect to it, and wait for Ctrl-C.

    Argo CD gets the objects of the first environment's in-cluster stack.

    Raises:
        OperationError: if nothing was synthesized, or a program cannot be built, does not start, or exits.
    """
    stack = read_platform(output).first("in-cluster")
    programs.build_all(say)
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)  # handled like Ctrl-C
    with tempfile.TemporaryDirectory(prefix="cluster-") as home:
        try:
            _run_until_interrupted(Path(home), stack, say, show)
        except KeyboardInterrupt:
            say("stopped")


def _run_until_interrupted(home: Path, stack: Stack, say: Callable[[str], None], show: Callable[[str], None]) -> None:
    say("starting the control plane")
    with ControlPlane(home) as cluster:
        say("starting Argo CD and Argo Rollouts")
        with ArgoCd(cluster, notifications=True) as argo_cd:
            cluster.apply(*handover(stack.configuration, _ROOT, "HEAD"))
            say(f"\nThe cluster runs until Ctrl-C. Like {stack.name}, it deploys what is committed in this repository.")
            say("In another terminal:")
            show(f"  export KUBECONFIG={cluster.kubeconfig}")
            show(f"  export PATH={argo_cd.tools}:$PATH    # kubectl, argocd, helm and kustomize of these versions")
            show("  kubectl get applications --watch")
            show(
                "  # Without a load balancer controller, services with an Ingress stay Progressing: it gets no address."
            )
            show(f"  argocd login {HOST}:{argo_cd.port} --plaintext --username admin --password {argo_cd.password}")
            show(f"The logs are in {cluster.logs}.")
            # The web UI is not part of the Go module, because it is built with Node.
            show(f"The API of Argo CD is at http://{HOST}:{argo_cd.port}. The web UI is not available.")
            while True:
                cluster.processes.check()
                argo_cd.processes.check()
                time.sleep(1)
