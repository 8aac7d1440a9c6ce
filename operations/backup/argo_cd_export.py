"""Exporting and importing the objects of Argo CD with `argocd admin`, and comparing two exports."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml

from operations.clients import process
from operations.errors import OperationError

NAMESPACE = "argocd"

IN_THE_CLUSTER = ("kubectl", f"--namespace={NAMESPACE}", "exec", "--stdin", "deployment/argocd-server", "--", "argocd")
"""Runs `argocd` in the current cluster, where it is installed in the right version."""

_SECRET_TYPE = "argocd.argoproj.io/secret-type"  # noqa: S105 (a label)
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_REFRESH = "argocd.argoproj.io/refresh"


class Id(NamedTuple):
    """Identifies an object of Argo CD."""

    kind: str
    namespace: str
    name: str


@dataclass(frozen=True)
class Export:
    """The output of `argocd admin export`: the text of each object. It has plaintext secrets, and stays in memory."""

    texts: Mapping[Id, bytes]
    contents: Mapping[Id, Mapping[str, Any]]
    """The parts of each object that are compared: without fields that the API server or a controller sets."""

    @property
    def kinds(self) -> dict[str, int]:
        """The number of objects of each kind."""
        return dict(sorted(Counter(id_.kind for id_ in self.texts).items()))

    def text(self, ids: Sequence[Id]) -> bytes:
        """These objects as input for `argocd admin import`."""
        return b"".join(b"---\n" + self.texts[id_] for id_ in ids)


@dataclass(frozen=True)
class Difference:
    """The difference between a cluster and a backup. `extra` and `kept` objects are not changed by a restore."""

    missing: Sequence[Id]
    different: Sequence[Id]
    extra: Sequence[Id]
    kept: Sequence[Id]

    @property
    def to_import(self) -> list[Id]:
        """The objects that a restore creates or changes."""
        return [*self.missing, *self.different]


def parse_export(text: bytes) -> Export:
    """Parse the output of `argocd admin export`.

    Raises:
        OperationError: if it does not contain the settings of Argo CD, and so is not an export.
    """
    texts, contents = {}, {}
    for document in re.split(rb"(?m)^---\n", text):
        # Scalars stay strings: YAML 1.1 would convert some to dates or numbers.
        parsed = yaml.load(document, Loader=yaml.CBaseLoader)  # noqa: S506 (returns only strings, lists and dicts)
        if isinstance(parsed, dict):
            metadata = parsed.get("metadata", {})
            id_ = Id(parsed.get("kind", ""), metadata.get("namespace", NAMESPACE), metadata.get("name", ""))
            texts[id_], contents[id_] = document, _content(parsed)
    if Id("ConfigMap", NAMESPACE, "argocd-cm") not in texts:
        raise OperationError("Argo CD: the export has no settings (argocd-cm); check that Argo CD runs in this cluster")
    return Export(texts, contents)


def _content(parsed: Mapping[str, Any]) -> dict[str, Any]:
    metadata = parsed["metadata"]
    annotations = {
        name: value for name, value in metadata.get("annotations", {}).items() if name not in {_LAST_APPLIED, _REFRESH}
    }
    labels, finalizers = metadata.get("labels", {}), metadata.get("finalizers", [])
    return {
        "metadata": {"annotations": annotations, "labels": labels, "finalizers": finalizers},
        **{name: parsed[name] for name in ("data", "spec", "type") if name in parsed},
    }


def compare(backup: Export, cluster: Export) -> Difference:
    """The difference that a restore of `backup` into `cluster` would remove.

    A Secret that registers a cluster in Argo CD is kept if it exists: Terraform writes it, and it differs for a
    recreated cluster.
    """
    both = backup.contents.keys() & cluster.contents.keys()
    different = sorted(id_ for id_ in both if backup.contents[id_] != cluster.contents[id_])
    return Difference(
        missing=sorted(backup.contents.keys() - both),
        different=[id_ for id_ in different if not _is_cluster_secret(cluster, id_)],
        extra=sorted(cluster.contents.keys() - both),
        kept=[id_ for id_ in different if _is_cluster_secret(cluster, id_)],
    )


def _is_cluster_secret(export: Export, id_: Id) -> bool:
    labels: Mapping[str, str] = export.contents[id_]["metadata"]["labels"]
    return labels.get(_SECRET_TYPE) == "cluster"


class ArgoCdAdmin:
    """`argocd admin`, run by a command such as `argocd` or `IN_THE_CLUSTER`."""

    def __init__(self, command: Sequence[str] = IN_THE_CLUSTER) -> None:
        self._command = tuple(command)

    def export(self) -> bytes:
        """All objects of Argo CD, with plaintext secrets.

        Raises:
            OperationError: if the command fails, with its error output.
        """
        return self._run("export", None)

    def import_(self, objects: bytes) -> None:
        """Create or change these objects.

        Raises:
            OperationError: if the command fails, with its error output. Objects before the failed one were imported.
        """
        self._run("import", objects, "-")

    def _run(self, verb: str, stdin: bytes | None, *arguments: str) -> bytes:
        command = [*self._command, "admin", verb, f"--namespace={NAMESPACE}", *arguments]
        done = process.run_binary(*command, stdin=stdin)
        if done.returncode:
            reason = done.stderr.decode(errors="replace").strip() or f"exited with status {done.returncode}"
            raise OperationError(f"argocd admin {verb}: {reason}")
        return done.stdout
