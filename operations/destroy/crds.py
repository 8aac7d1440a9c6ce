"""Removes the custom resource definitions (CRDs) that a destroyed in-cluster stack leaves.

The stack keeps them, so that uninstalling a chart cannot delete instances. For the same reason their removal is a
separate step, which fails while instances exist.
"""

import json
from collections.abc import Callable

from operations.clients.kubectl import kubectl, server
from operations.errors import OperationError

_GROUPS = (
    *("aga.k8s.aws", "elbv2.k8s.aws", "gateway.k8s.aws"),  # not gateway.networking.k8s.io of Gateway API
    "argoproj.io",
    *("external-secrets.io", "generators.external-secrets.io"),
    "externaldns.k8s.io",  # DNSEndpoint, which the chart installs although no source reads it
    *("karpenter.k8s.aws", "karpenter.sh"),
    *("kyverno.io", "policies.kyverno.io", "reports.kyverno.io", "wgpolicyk8s.io", "openreports.io"),
    "monitoring.coreos.com",
)
"""API groups of the AWS Load Balancer Controller, of Argo CD, and of its Applications, which keep their CRDs."""


def remove(say: Callable[[str], None]) -> None:
    """Remove the CRDs from the current cluster. Safe to run again.

    Raises:
        OperationError: if instances exist; the message lists them, and nothing is removed.
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
        raise OperationError("instances still exist and would also be deleted; delete them first:\n" + "\n".join(shown))
    kubectl("delete", "customresourcedefinitions", *names)
    for name in names:
        say(f"removed {name}")
