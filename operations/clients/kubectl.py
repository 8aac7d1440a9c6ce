"""Asking a cluster by kubectl, which must be installed."""

from pathlib import Path

from operations.clients import process
from operations.errors import OperationError


def kubectl(*arguments: str, kubeconfig: Path | None = None) -> str:
    """What kubectl prints, speaking with the current cluster of `kubeconfig`, or else of the caller's own.

    Raises:
        OperationError: it is not installed, or failed; the message is kubectl's own.
    """
    chosen = ["--kubeconfig", str(kubeconfig)] if kubeconfig else []
    asked = process.run("kubectl", *chosen, *arguments)
    if asked.returncode:
        raise OperationError(
            asked.stderr.strip() or f"kubectl {' '.join(arguments)} failed (status {asked.returncode})"
        )
    return asked.stdout


def server(kubeconfig: Path | None = None) -> str:
    """The URL of the current cluster.

    Raises:
        OperationError: there is no kubectl, no kubeconfig that it can read, or no cluster is chosen in it.
    """
    path = "--output=jsonpath={.clusters[0].cluster.server}"
    try:
        return kubectl("config", "view", "--minify", path, kubeconfig=kubeconfig).strip()
    except OperationError as error:
        if "current-context" not in str(error):
            raise
        remedy = "kubectl config use-context NAME, or aws eks update-kubeconfig --name CLUSTER --role-arn ROLE"
        raise OperationError(f"{error}; choose a cluster: {remedy}") from error
