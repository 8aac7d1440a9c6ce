"""Custom resource definitions of third-party charts, so that the test cluster can store their objects."""

from operations.local.cluster.control_plane import ControlPlane
from tests.chart_values import SHARED
from tests.cluster.manifests import Manifest

# The kinds in the Git tree. Without the published definitions beside the checkout, any field is accepted.
_KINDS = {
    "external-secrets": {"external-secrets.io/v1": ["ClusterSecretStore", "ExternalSecret"]},
    "karpenter": {"karpenter.k8s.aws/v1": ["EC2NodeClass"], "karpenter.sh/v1": ["NodePool"]},
    "kyverno": {"policies.kyverno.io/v1": ["ImageValidatingPolicy", "ValidatingPolicy"]},
    "prometheus-operator": {"monitoring.coreos.com/v1": ["PodMonitor", "PrometheusRule", "ServiceMonitor"]},
}
_CLUSTER_SCOPED = {
    "ClusterSecretStore",
    "EC2NodeClass",
    "ImageValidatingPolicy",
    "NodePool",
    "ValidatingPolicy",
}


def define(control_plane: ControlPlane) -> None:
    """Create the definitions in the API server, with their published schemas if available."""
    for folder, kinds in _KINDS.items():
        if (SHARED / "schemas" / folder).is_dir():
            control_plane.kubectl("apply", "--server-side", f"--filename={SHARED / 'schemas' / folder}")
        else:
            control_plane.apply(*[_definition(api, kind) for api, names in kinds.items() for kind in names])
    control_plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")


def _definition(api: str, kind: str) -> Manifest:
    group, _, version = api.partition("/")
    plural = f"{kind.lower()[:-1]}ies" if kind.endswith("y") else f"{kind.lower()}{'es' if kind.endswith('s') else 's'}"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "names": {"kind": kind, "plural": plural},
            "scope": "Cluster" if kind in _CLUSTER_SCOPED else "Namespaced",
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


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
