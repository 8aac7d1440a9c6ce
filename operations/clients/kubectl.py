"""Kubernetes clusters through `kubectl`, which must be installed."""

from pathlib import Path

from operations.clients import process
from operations.errors import OperationError


def kubectl(*arguments: str, kubeconfig: Path | None = None, stdin: str | None = None) -> str:
    """The output of a `kubectl` command, with the current context of `kubeconfig` or of the user's own kubeconfig.

    Raises:
        OperationError: if `kubectl` is not installed or failed; a failure has the message of `kubectl`.
    """
    chosen = ["--kubeconfig", str(kubeconfig)] if kubeconfig else []
    finished = process.run("kubectl", *chosen, *arguments, stdin=stdin)
    if finished.returncode:
        printed = finished.stderr.strip().removeprefix("error: ")
        raise OperationError(printed or f"kubectl {' '.join(arguments)} failed (status {finished.returncode})")
    return finished.stdout


def server(kubeconfig: Path | None = None) -> str:
    """The URL of the API server of the current context; through a tunnel, the one that its certificate names.

    Raises:
        OperationError: if `kubectl` is not installed, cannot read the kubeconfig, or no context is selected in it.
    """
    path = "--output=jsonpath={.clusters[0].cluster.server} {.clusters[0].cluster.tls-server-name}"
    try:
        printed = kubectl("config", "view", "--minify", path, kubeconfig=kubeconfig)
    except OperationError as error:
        if "current-context" not in str(error):
            raise
        remedy = "kubectl config use-context NAME, or aws eks update-kubeconfig --name CLUSTER --role-arn ROLE"
        raise OperationError(f"{error}; choose a cluster: {remedy}") from error
    url, _, name = printed.strip().partition(" ")
    return f"https://{name}" if name else url
