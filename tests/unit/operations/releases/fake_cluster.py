"""A fake `kubectl` for a cluster with records of Helm releases, and the objects that they name."""

import base64
import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from operations.errors import OperationError
from operations.releases.releases import Kubectl
from operations.terraform.stacks import Stack
from tests.stacks import make_stack

WEB = """
apiVersion: v1
kind: ConfigMap
metadata: {name: web}
data: {day: 2026-01-01, size: "1"}
"""


class FakeCluster:
    def __init__(self, *revisions: tuple[str, str], name: str = "web") -> None:
        """`revisions` are the statuses and manifests of a release."""
        self.records: list[dict[str, Any]] = [
            {"name": name, "version": number, "manifest": text, "info": {"status": status, "last_deployed": "2026"}}
            for number, (status, text) in enumerate(revisions, start=1)
        ]
        self.objects: list[dict[str, Any]] = []
        self.pods: list[dict[str, Any]] = []
        self.sets: list[dict[str, Any]] = []
        self.unknown = ""
        self.did: list[tuple[str, str]] = []

    def run(self, *arguments: str, stdin: str | None = None) -> str:
        match arguments:
            case ("get", "secrets", *_):
                name = f"name={self.records[0]['name']}" if self.records else "no record"
                found = self.records if any(one.endswith(name) for one in arguments) else []
                return json.dumps({"items": [{"data": {"release": encoded(one)}} for one in found]})
            case ("get", "pods", *_):
                return json.dumps({"items": self.pods})
            case ("get", "statefulsets", *_):
                return json.dumps({"items": self.sets})
            case ("get", *_):
                return self._get(stdin or "")
        self.did.append((" ".join(arguments), stdin or ""))
        return ""

    def _get(self, stdin: str) -> str:
        asked = [json.loads(line) for line in stdin.splitlines()]
        if any(one["kind"] == self.unknown for one in asked):
            raise OperationError(f'no matches for kind "{self.unknown}"')
        names = [(one["kind"], one["metadata"]["name"]) for one in asked]
        found = [one for one in self.objects if (one["kind"], one["metadata"]["name"]) in names]
        return json.dumps({"kind": "List", "items": found}) if found else ""

    @contextmanager
    def connected(self, _: Stack) -> Iterator[Kubectl]:
        yield self.run


def encoded(release: dict[str, Any]) -> str:
    return base64.b64encode(base64.b64encode(gzip.compress(json.dumps(release).encode()))).decode()


def live(kind: str, name: str, *owned: dict[str, Any], **rest: Any) -> dict[str, Any]:
    managed = [{"manager": "helm", "fieldsV1": fields} for fields in owned]
    metadata = {"name": name, "namespace": "argocd", "uid": name, "resourceVersion": "7", "managedFields": managed}
    return {"kind": kind, "metadata": metadata, **rest}


def in_cluster_stack(folder: Path) -> Stack:
    """A stack with the release `web`, in a namespace that it creates."""
    namespace = "${kubernetes_namespace_v1.argo-cd.metadata[0].name}"
    resources = {
        "helm_release": {"web": {"name": "web", "namespace": namespace}},
        "kubernetes_namespace_v1": {"argo-cd": {"metadata": {"name": "argocd"}}},
    }
    provider = {"kubernetes": [{"config_path": "config"}]}
    configuration = {"resource": resources, "provider": provider, "terraform": {"backend": {"s3": {}}}}
    (folder / "cdk.tf.json").write_text(json.dumps(configuration))
    return make_stack(directory=folder, kind="in-cluster")
