"""The cluster for people: it runs until Ctrl-C, and leaves nothing behind."""

import json
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from operations.cluster import programs
from operations.cluster.argo_cd import ArgoCd
from operations.cluster.control_plane import ControlPlane
from operations.cluster.handover import handover
from operations.cluster.processes import HOST

_ROOT = Path(__file__).parents[2]

_STACK = _ROOT / "cdktf.out" / "stacks" / "ap-northeast-2-dev-gitops" / "cdk.tf.json"


def run(say: Callable[[str], None], show: Callable[[str], None]) -> None:
    """Build what is missing, start everything, tell how to reach it, and wait for Ctrl-C.

    Raises:
        OperationError: a program could not be built, did not start, or ended by itself.
    """
    programs.build_all(say)
    for ending in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)  # as Ctrl-C
    with tempfile.TemporaryDirectory(prefix="cluster-") as home:
        try:
            _run(Path(home), say, show)
        except KeyboardInterrupt:
            say("stopped")


def _run(home: Path, say: Callable[[str], None], show: Callable[[str], None]) -> None:
    configuration = json.loads(_STACK.read_text(encoding="utf-8"))
    say("starting the control plane")
    with ControlPlane(home) as cluster:
        say("starting Argo CD and Argo Rollouts")
        with ArgoCd(cluster, notifications=True) as argo_cd:
            cluster.apply(*handover(configuration, _ROOT, "HEAD"))
            say("\nIt runs until Ctrl-C, and follows what is committed here, as dev does. In another terminal:")
            show(f"  export KUBECONFIG={cluster.kubeconfig}")
            show(f"  export PATH={argo_cd.tools}:$PATH    # kubectl, argocd, helm and kustomize of these versions")
            show("  kubectl get applications --watch")
            show(f"  argocd login {HOST}:{argo_cd.port} --plaintext --username admin --password {argo_cd.password}")
            show(f"The logs are in {cluster.logs}.")
            # The Go module has no web pages: they are made by Node.
            show(f"Argo CD answers at http://{HOST}:{argo_cd.port}, to its command line and API.")
            while True:
                cluster.processes.check()
                argo_cd.processes.check()
                time.sleep(1)
