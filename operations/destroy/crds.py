"""The custom resource definitions that a destroyed in-cluster stack leaves, and their removal.

They are left so that an uninstallation cannot take instances with it. Removing them is a step of its own for the same
reason, and refuses while there are instances.
"""

import json
from collections.abc import Callable

from operations.clients.kubectl import kubectl, server
from operations.errors import OperationError

_GROUPS = (
    *("aga.k8s.aws", "elbv2.k8s.aws", "gateway.k8s.aws"),  # not Gateway API's own, gateway.networking.k8s.io
    "argoproj.io",
    *("external-secrets.io", "generators.external-secrets.io"),
    *("karpenter.k8s.aws", "karpenter.sh"),
    *("kyverno.io", "policies.kyverno.io", "reports.kyverno.io", "wgpolicyk8s.io", "openreports.io"),
    "monitoring.coreos.com",
)
"""Of the load balancer controller, of Argo CD and of what it brought: with Applications it deletes no definition."""


def remove(say: Callable[[str], None]) -> None:
    """Remove the definitions from the current cluster. Safe to run again.

    Raises:
        OperationError: there are instances, which are named; nothing is removed then.
    """
    say(f"cluster {server()}")
    definitions = json.loads(kubectl("get", "customresourcedefinitions", "--output=json"))["items"]
    names = [entry["metadata"]["name"] for entry in definitions if entry["spec"]["group"] in _GROUPS]
    if not names:
        say("nothing to remove")
        return
    columns = ("--no-headers", "--output=custom-columns=:.kind,:.metadata.namespace,:.metadata.name")
    left = [
        line.split()
        for name in names
        for line in kubectl("get", name, "--all-namespaces", *columns).splitlines()
        if line
    ]
    if left:
        shown = [f"{kind} {name}" if space == "<none>" else f"{kind} {space}/{name}" for kind, space, name in left]
        raise OperationError("instances still exist, and would go too; delete them first:\n" + "\n".join(shown))
    kubectl("delete", "customresourcedefinitions", *names)
    for name in names:
        say(f"removed {name}")
