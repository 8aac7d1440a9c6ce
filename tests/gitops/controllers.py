"""The validation of the API server and of controllers, by programs that need neither cluster nor network."""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from operations.local.cluster import programs
from tests.gitops.embedded import embedded
from tests.gitops.rules import name_of
from tests.gitops.tree import Json

Entries = Mapping[str, Sequence[Json]]
Problems = dict[str, list[str]]


@dataclass(frozen=True)
class RenderedSets:
    """What Argo CD makes of ApplicationSets, and says to them, by entry."""

    problems: Problems
    applications: dict[str, list[Json]]
    newer: list[str]
    """Fields that the version in `operations/local/cluster/modules/argo-cd` does not know. Newer ones may."""


class Controllers:
    """The programs, which are built from their Go modules if necessary.

    Raises:
        OperationError: if Go is not installed, or a build fails.
    """

    def __init__(self) -> None:
        self._crds = programs.files("crds")
        self._kubernetes = programs.program("check-kubernetes")
        self._of_namespaces = [
            programs.program("check-argo-rollouts"),
            programs.program("check-external-secrets"),
        ]
        self._argo_cd = programs.program("check-argo-cd")

    def problems(self, entries: Entries) -> Problems:
        """What is said to the manifests of each entry, which are those of a namespace, except by Argo CD."""
        found: Problems = {}
        groups = list(entries.values())
        names = list(entries)
        for program in self._of_namespaces:
            for one in _run(program, groups):
                _add(found, names[one["group"]], groups[one["group"]][one["index"]], one["problem"])
        objects = [
            (entry, manifest, inner)
            for entry, manifests in entries.items()
            for manifest in manifests
            for inner in (None, *embedded(manifest))
        ]
        bare = [inner.manifest if inner else manifest for _, manifest, inner in objects]
        for one in _run(self._kubernetes, bare, self._crds):
            entry, manifest, inner = objects[one["index"]]
            _add(found, entry, manifest, inner.translate(one["problem"]) if inner else one["problem"])
        return found

    def refuses(self, manifests: Sequence[Json]) -> bool:
        """Whether the API server would refuse one of the manifests."""
        return bool(_run(self._kubernetes, manifests, self._crds))

    def rendered(self, entries: Entries, folder: Path, secret: Json) -> RenderedSets:
        """What Argo CD says to each entry if `folder` is the repository, and `secret` describes its cluster."""
        names, groups = list(entries), list(entries.values())
        answer = _run(self._argo_cd, {"folder": str(folder), "secret": secret, "groups": groups})
        found: Problems = {}
        for one in answer["problems"]:
            _add(found, names[one["group"]], groups[one["group"]][one["index"]], one["problem"])
        newer = [f"{name_of(groups[one['group']][one['index']])}: {one['problem']}" for one in answer["newer"]]
        kind = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application"}
        applications = {
            name: [{**kind, **{key: value for key, value in item.items() if key != "status"}} for item in items]
            for name, items in zip(names, answer["applications"], strict=True)
        }
        return RenderedSets(found, applications, sorted(set(newer)))


def _add(found: Problems, entry: str, manifest: Json, problem: str) -> None:
    """Add a problem once: the API server and a controller may say the same."""
    said = re.sub(r"rpc error: code = \w+ desc = ", "", " ".join(problem.split()))
    line = f"{name_of(manifest)}: {said}"
    lines = found.setdefault(entry, [])
    if line not in lines:
        lines.append(line)


def _run(program: Path, given: object, *arguments: Path) -> Any:
    done = subprocess.run([program, *arguments], input=json.dumps(given), check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def deployable(manifests: Sequence[Json]) -> Iterator[Json]:
    """The manifests, and the objects that they embed: what a real API server is to check in a dry run."""
    for manifest in manifests:
        yield manifest
        yield from (inner.manifest for inner in embedded(manifest))
