"""Custom resource definitions of third-party charts, so that the test cluster can store their objects."""

from operations.local.cluster import programs
from operations.local.cluster.control_plane import ControlPlane

# Of Argo CD and Argo Rollouts, the definitions of the versions that run here are installed with them.
_PREFIXES = ("external-secrets.io", "karpenter", "monitoring.coreos.com", "policies.kyverno.io")


def define(control_plane: ControlPlane) -> None:
    """Create the definitions of charts in the API server, from the pinned modules."""
    files = [file for file in sorted(programs.files("crds").iterdir()) if file.name.startswith(_PREFIXES)]
    control_plane.kubectl("apply", "--server-side", *[f"--filename={file}" for file in files])
    control_plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")


def play_the_controllers(control_plane: ControlPlane) -> None:
    """Do what External Secrets and the load balancer controller would do: create Secrets, and set addresses."""
    for secret in control_plane.get("externalsecrets", "--all-namespaces")["items"]:
        name, namespace = secret["metadata"]["name"], secret["metadata"]["namespace"]
        target = secret["spec"].get("target", {}).get("name", name)
        if secret["spec"].get("target", {}).get("creationPolicy") != "Merge":
            metadata = {"name": target, "namespace": namespace}
            control_plane.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata})
        ready = '{"status": {"conditions": [{"type": "Ready", "status": "True", "reason": "SecretSynced"}]}}'
        _set_status(control_plane, "externalsecret", namespace, name, ready)
    for ingress in control_plane.get("ingresses", "--all-namespaces")["items"]:
        address = '{"status": {"loadBalancer": {"ingress": [{"hostname": "alb.example.com"}]}}}'
        _set_status(control_plane, "ingress", ingress["metadata"]["namespace"], ingress["metadata"]["name"], address)


def _set_status(control_plane: ControlPlane, kind: str, namespace: str, name: str, status: str) -> None:
    where = (f"--namespace={namespace}", "--subresource=status", "--type=merge")
    control_plane.kubectl("patch", kind, name, *where, f"--patch={status}")
