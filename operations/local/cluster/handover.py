"""The objects that an in-cluster stack creates for Argo CD: the cluster Secret, the project and the root Application.

They are read from the synthesized stack, so that the local cluster gets the same objects as Terraform creates.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from operations.local.cluster.control_plane import ARGO_CD_NAMESPACE

_NAMESPACE = re.compile(r"\$\{kubernetes_namespace_v1\.[^}]+\}")
_KNOWN_AFTER_APPLY = re.compile(r"\$\{[^}]+\}")


def handover(
    configuration: Mapping[str, Any], repository: Path, revision: str, *, clusters: Sequence[str] = ("in-cluster",)
) -> list[dict[str, Any]]:
    """The manifests of an in-cluster stack, with the URL and revision replaced by those of a local repository.

    `configuration` is the Terraform JSON of a stack with Argo CD. Values known only after apply, such as the VPC id,
    are `unknown`. `clusters` are those whose Secrets come first, in this order, by their names in Argo CD.
    """
    resources = configuration["resource"]
    secrets = {
        secret["data"]["name"]: secret
        for secret in resources["kubernetes_secret_v1"].values()
        if secret["metadata"].get("labels", {}).get("argocd.argoproj.io/secret-type") == "cluster"
    }
    values = [
        json.loads(release["values"][0])
        for release in resources["helm_release"].values()
        if release["chart"] == "argocd-apps"
    ]
    manifests = [
        *[
            {"apiVersion": "v1", "kind": "Secret", "metadata": secret["metadata"], "stringData": secret["data"]}
            for secret in map(secrets.__getitem__, clusters)
        ],
        *[_custom("AppProject", *item) for release in values for item in release.get("projects", {}).items()],
        *[_custom("Application", *item) for release in values for item in release.get("applications", {}).items()],
    ]
    text = _NAMESPACE.sub(ARGO_CD_NAMESPACE, json.dumps(manifests))
    text = _KNOWN_AFTER_APPLY.sub("unknown", text)
    annotations = secrets[clusters[0]]["metadata"]["annotations"]
    text = text.replace(annotations["platform/repository-url"], f"file://{repository.absolute()}")
    found: list[dict[str, Any]] = json.loads(text)
    for manifest in found:
        if manifest["kind"] == "Secret":
            manifest["metadata"]["annotations"]["platform/repository-revision"] = revision
        if manifest["kind"] == "Application":
            manifest["spec"]["source"]["targetRevision"] = revision
    return found


def _custom(kind: str, name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The object that the chart argocd-apps renders for an item of its values."""
    metadata = {"name": name, "namespace": values["namespace"], "finalizers": values["finalizers"]}
    spec = {key: value for key, value in values.items() if key not in {"namespace", "finalizers"}}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
