"""What Argo CD knows: exporting and importing it by `argocd admin`, and comparing two exports."""

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
"""The `argocd` of the current cluster itself: it is there, and of the right version."""

_SECRET_TYPE = "argocd.argoproj.io/secret-type"  # noqa: S105 (a label)
_OF_WHOEVER_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_OF_A_REFRESH = "argocd.argoproj.io/refresh"


class Id(NamedTuple):
    """Which object it is."""

    kind: str
    namespace: str
    name: str


@dataclass(frozen=True)
class Export:
    """What `argocd admin export` printed: the text of each object, secrets in clear. It stays in memory."""

    texts: Mapping[Id, bytes]
    contents: Mapping[Id, Mapping[str, Any]]
    """What is compared of each object: what somebody wrote, and nothing that the API server or a controller adds."""

    @property
    def kinds(self) -> dict[str, int]:
        """How many objects there are of each kind."""
        return dict(sorted(Counter(id_.kind for id_ in self.texts).items()))

    def text(self, ids: Sequence[Id]) -> bytes:
        """These objects, as `argocd admin import` takes them."""
        return b"".join(b"---\n" + self.texts[id_] for id_ in ids)


@dataclass(frozen=True)
class Difference:
    """What a cluster lacks of a backup, has otherwise, and has besides; `kept` is what a restore leaves as it is."""

    missing: Sequence[Id]
    different: Sequence[Id]
    extra: Sequence[Id]
    kept: Sequence[Id]

    @property
    def to_import(self) -> list[Id]:
        """What a restore makes or changes."""
        return [*self.missing, *self.different]


def parse_export(text: bytes) -> Export:
    """Read what `argocd admin export` printed.

    Raises:
        OperationError: it is no export: not even Argo CD's settings are in it.
    """
    texts, contents = {}, {}
    for document in re.split(rb"(?m)^---\n", text):
        # Values stay as they are written: YAML 1.1 would make a date or a number of some.
        parsed = yaml.load(document, Loader=yaml.CBaseLoader)  # noqa: S506 (it makes strings, lists and dicts alone)
        if isinstance(parsed, dict):
            metadata = parsed.get("metadata", {})
            id_ = Id(parsed.get("kind", ""), metadata.get("namespace", NAMESPACE), metadata.get("name", ""))
            texts[id_], contents[id_] = document, _content(parsed)
    if Id("ConfigMap", NAMESPACE, "argocd-cm") not in texts:
        raise OperationError("Argo CD: the export holds no settings (argocd-cm); is it installed in this cluster?")
    return Export(texts, contents)


def _content(parsed: Mapping[str, Any]) -> dict[str, Any]:
    metadata = parsed["metadata"]
    annotations = {
        name: value
        for name, value in metadata.get("annotations", {}).items()
        if name not in {_OF_WHOEVER_APPLIED, _OF_A_REFRESH}
    }
    labels, finalizers = metadata.get("labels", {}), metadata.get("finalizers", [])
    return {
        "metadata": {"annotations": annotations, "labels": labels, "finalizers": finalizers},
        **{name: parsed[name] for name in ("data", "spec", "type") if name in parsed},
    }


def compare(backup: Export, cluster: Export) -> Difference:
    """What a restore of `backup` would do to `cluster`.

    The Secret by which Argo CD knows a cluster stays where there is one: Terraform writes it, and that of a cluster
    which was made anew says other things.
    """
    both = backup.contents.keys() & cluster.contents.keys()
    different = sorted(id_ for id_ in both if backup.contents[id_] != cluster.contents[id_])
    return Difference(
        missing=sorted(backup.contents.keys() - both),
        different=[id_ for id_ in different if not _tells_of_a_cluster(cluster, id_)],
        extra=sorted(cluster.contents.keys() - both),
        kept=[id_ for id_ in different if _tells_of_a_cluster(cluster, id_)],
    )


def _tells_of_a_cluster(export: Export, id_: Id) -> bool:
    labels: Mapping[str, str] = export.contents[id_]["metadata"]["labels"]
    return labels.get(_SECRET_TYPE) == "cluster"


class ArgoCdAdmin:
    """`argocd admin`, run by a command such as `argocd` or `IN_THE_CLUSTER`."""

    def __init__(self, command: Sequence[str] = IN_THE_CLUSTER) -> None:
        self._command = tuple(command)

    def export(self) -> bytes:
        """Everything that Argo CD knows, secrets in clear.

        Raises:
            OperationError: it failed, with what it says about it.
        """
        return self._run("export", None)

    def import_(self, objects: bytes) -> None:
        """Make or change these objects.

        Raises:
            OperationError: it failed, with what it says about it; objects before that one are there.
        """
        self._run("import", objects, "-")

    def _run(self, verb: str, stdin: bytes | None, *arguments: str) -> bytes:
        command = [*self._command, "admin", verb, f"--namespace={NAMESPACE}", *arguments]
        done = process.run_binary(*command, stdin=stdin)
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip() or f"status {done.returncode}"
            raise OperationError(f"argocd admin {verb}: {said}")
        return done.stdout
