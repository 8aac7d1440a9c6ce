"""Small manifests that a real API server accepts."""

from collections.abc import Mapping
from typing import Any

Manifest = dict[str, Any]


def restricted_namespace(name: str) -> Manifest:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def config_map(namespace: str, name: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}}


def pod(namespace: str, name: str, **security: object) -> Manifest:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": _pod_spec("web:1", security)}


def deployment(namespace: str, name: str, *, replicas: int) -> Manifest:
    metadata = {"name": name, "namespace": namespace}
    spec = {"replicas": replicas, **_template(name, "web:1")}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def canary(namespace: str, name: str, *, image: str) -> Manifest:
    metadata = {"name": name, "namespace": namespace}
    strategy = {"canary": {"steps": [{"setWeight": 50}, {"pause": {"duration": "1s"}}]}}
    spec = {"replicas": 2, "strategy": strategy, **_template(name, image)}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": metadata, "spec": spec}


def _template(name: str, image: str) -> Manifest:
    labels = {"app.kubernetes.io/name": name}
    return {
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": _pod_spec(image, {})},
    }


def _pod_spec(image: str, security: Mapping[str, object]) -> Manifest:
    """A Pod spec that the level `restricted` admits; `security` overrides its security context."""
    restricted = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    return {"containers": [{"name": "web", "image": image, "securityContext": {**restricted, **security}}]}
