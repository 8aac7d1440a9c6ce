"""The Applications of each Argo CD, through `kubectl` and the contexts of the user's kubeconfig."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from operations.clients.kubectl import kubectl
from operations.errors import OperationError
from operations.portal.model import Unknown

_APPLICATIONS = "applications.argoproj.io"


class Application(NamedTuple):
    """The status of an Application, in the words of Argo CD."""

    sync: str
    health: str


ArgoCd = Mapping[str, Application] | Unknown
"""The Applications of an Argo CD by name."""


class Context(NamedTuple):
    """A context of a kubeconfig: its name, and the name and API server of its cluster."""

    name: str
    cluster: str
    server: str


def contexts() -> list[Context]:
    """The contexts of the user's kubeconfig, without secrets.

    Raises:
        OperationError: if `kubectl` is not installed, or cannot read it.
    """
    config = json.loads(kubectl("config", "view", "--output=json"))
    clusters = {one["name"]: one["cluster"] for one in config.get("clusters") or ()}
    found = []
    for one in config.get("contexts") or ():
        name = one["context"].get("cluster", "")
        cluster = clusters.get(name, {})
        host = cluster.get("tls-server-name")  # through a tunnel, the server that its certificate names
        found.append(Context(one["name"], name, f"https://{host}" if host else cluster.get("server", "")))
    return found


def of_cluster(known: list[Context], name: str, arn: str, endpoint: str | None) -> ArgoCd:
    """The Applications in a cluster: of the context with its endpoint, or named by the end of its ARN.

    `aws eks update-kubeconfig` gives clusters their ARN as name.
    """
    context = next((one for one in known if one.cluster.endswith(arn) or (endpoint and one.server == endpoint)), None)
    if context is None:
        return Unknown("no-kubeconfig", f"aws eks update-kubeconfig --name {name} --role-arn ROLE")
    return of_context(context.name)


def of_context(context: str) -> ArgoCd:
    """The Applications in the cluster of a context, of the current one if it is empty."""
    chosen = [f"--context={context}"] if context else []
    command = ["get", _APPLICATIONS, "--all-namespaces", "--output=json", "--request-timeout=20s"]
    try:
        items = json.loads(kubectl(*chosen, *command))["items"]
        return {str(one["metadata"]["name"]): _application(one.get("status") or {}) for one in items}
    except OperationError as error:
        return Unknown("argo-cd-unreachable", f"kubectl {' '.join([*chosen, 'get', _APPLICATIONS, '-A'])}", str(error))


def _application(status: Mapping[str, Any]) -> Application:
    return Application(*(str((status.get(part) or {}).get("status", "Unknown")) for part in ("sync", "health")))
