"""What an in-cluster stack gives Argo CD to start with: the registered cluster, the project and the root Application.

All three are read from the synthesized stack, so that what is tried here is what Terraform makes.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from operations.local.cluster.control_plane import ARGO_CD_NAMESPACE

_NAMESPACE = re.compile(r"\$\{kubernetes_namespace_v1\.[^}]+\}")
_KNOWN_AFTER_APPLY = re.compile(r"\$\{[^}]+\}")


def handover(configuration: Mapping[str, Any], repository: Path, revision: str) -> list[dict[str, Any]]:
    """The manifests of the in-cluster stack `configuration`, for a repository on this machine.

    The owner's URL and revision become these. What only an apply would tell, such as the VPC's id, is `unknown`.
    """
    secret = next(
        secret
        for secret in configuration["resource"]["kubernetes_secret_v1"].values()
        if secret["metadata"].get("labels", {}).get("argocd.argoproj.io/secret-type") == "cluster"
    )
    values = [
        json.loads(release["values"][0])
        for release in configuration["resource"]["helm_release"].values()
        if release["chart"] == "argocd-apps"
    ]
    manifests = [
        {"apiVersion": "v1", "kind": "Secret", "metadata": secret["metadata"], "stringData": secret["data"]},
        *[_custom("AppProject", *item) for release in values for item in release.get("projects", {}).items()],
        *[_custom("Application", *item) for release in values for item in release.get("applications", {}).items()],
    ]
    text = _NAMESPACE.sub(ARGO_CD_NAMESPACE, json.dumps(manifests))
    text = _KNOWN_AFTER_APPLY.sub("unknown", text)
    annotations = secret["metadata"]["annotations"]
    text = text.replace(annotations["platform/repository-url"], f"file://{repository.absolute()}")
    found: list[dict[str, Any]] = json.loads(text)
    found[0]["metadata"]["annotations"]["platform/repository-revision"] = revision
    for manifest in found:
        if manifest["kind"] == "Application":
            manifest["spec"]["source"]["targetRevision"] = revision
    return found


def _custom(kind: str, name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """An item of the chart argocd-apps as the chart makes it."""
    metadata = {"name": name, "namespace": values["namespace"], "finalizers": values["finalizers"]}
    spec = {key: value for key, value in values.items() if key not in {"namespace", "finalizers"}}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
