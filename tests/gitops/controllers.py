"""The validation of the API server and of controllers, by programs that need neither cluster nor network."""

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from operations.local.cluster import programs
from tests.gitops.decoding import with_fields, without_vague_lines
from tests.gitops.embedded import Embedded, embedded
from tests.gitops.remedies import with_remedy
from tests.gitops.rules import name_of
from tests.gitops.tree import Json, documents
from tests.gitops.unknown_fields import with_known_field

Entries = Mapping[str, Sequence[Json]]
Problems = dict[str, list[str]]


@dataclass(frozen=True)
class RenderedSets:
    """What Argo CD makes of ApplicationSets and Applications, and says to them, by entry."""

    problems: Problems
    applications: dict[str, list[Json]]
    manifests: dict[str, dict[str, list[Json]]]
    """What each Application deploys: its sources in the repository, with their patches, images and values."""
    elsewhere: dict[str, dict[str, int]]
    """The number of sources in other repositories, which are not rendered, of each Application that has any."""
    matches: dict[str, dict[str, bool]]
    """Whether each part of a sync window, and each target of a patch, matches anything, by what is said otherwise."""
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
            programs.program("check-karpenter"),
        ]
        self._argo_cd = programs.program("check-argo-cd")
        self._renderers = [programs.program(name).parent for name in ("kustomize", "helm")]

    @cached_property
    def _schemas(self) -> dict[str, Json]:
        """The schemas of the custom resources of Argo CD, by kind."""
        found = [one for file in self._crds.glob("app*-crd.yaml") for one in documents(file.read_text())]
        return {one["spec"]["names"]["kind"]: one["spec"]["versions"][0]["schema"]["openAPIV3Schema"] for one in found}

    def problems(self, entries: Entries) -> Problems:
        """What is said to the manifests of each entry, which are those of a namespace, except by Argo CD."""
        found: Problems = {}
        groups = list(entries.values())
        names = list(entries)
        for program in self._of_namespaces:
            for one in _run(program, groups):
                self._add(found, names[one["group"]], groups[one["group"]][one["index"]], one["problem"])
        objects = [
            (entry, manifest, inner)
            for entry, manifests in entries.items()
            for manifest in manifests
            for inner in (None, *embedded(manifest))
        ]
        bare = [_as_stored(inner.manifest if inner else manifest) for _, manifest, inner in objects]
        for one in _run(self._kubernetes, bare, self._crds):
            entry, manifest, inner = objects[one["index"]]
            self._add(found, entry, manifest, one["problem"], inner)
        return {entry: without_vague_lines(lines) for entry, lines in found.items()}

    def refuses(self, manifests: Sequence[Json]) -> bool:
        """Whether the API server would refuse one of the manifests."""
        return bool(_run(self._kubernetes, manifests, self._crds))

    def rendered(self, entries: Entries, folder: Path, secret: Json) -> RenderedSets:
        """What Argo CD says to each entry if `folder` is the repository, and `secret` describes its cluster."""
        names, groups = list(entries), list(entries.values())
        given = {"folder": str(folder), "secret": secret, "groups": groups}
        answer = _run(self._argo_cd, given, path=self._renderers)
        found: Problems = {}
        for one in answer["problems"]:
            manifest = groups[one["group"]][one["index"]]
            for line in with_fields(manifest, one["problem"], self._schemas.get(manifest["kind"])):
                self._add(found, names[one["group"]], manifest, line)
        newer: Problems = {}
        for one in answer["newer"]:
            self._add(newer, "", groups[one["group"]][one["index"]], one["problem"])
        kind = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application"}
        applications = {
            name: [{**kind, **{key: value for key, value in item.items() if key != "status"}} for item in items]
            for name, items in zip(names, answer["applications"], strict=True)
        }
        renderings = dict(zip(names, answer["rendered"], strict=True))
        return RenderedSets(
            found,
            applications,
            {name: {one["application"]: one["manifests"] for one in each} for name, each in renderings.items()},
            {
                name: {one["application"]: one["elsewhere"] for one in each if one["elsewhere"]}
                for name, each in renderings.items()
            },
            dict(zip(names, answer["matches"], strict=True)),
            sorted(newer.get("", [])),
        )

    def _add(self, found: Problems, entry: str, manifest: Json, problem: str, inner: Embedded | None = None) -> None:
        """Add a problem once, with what to correct: the API server and a controller may say the same."""
        lines, said_to = found.setdefault(entry, []), inner.manifest if inner else manifest
        shortened = re.sub(r"rpc error: code = \w+ desc = ", "", " ".join(problem.split()))
        for said in with_fields(said_to, shortened):
            clear = with_known_field(said_to, with_remedy(said_to, said), self._crds)
            if (line := f"{name_of(manifest)}: {inner.translate(clear) if inner else clear}") not in lines:
                lines.append(line)


def _as_stored(manifest: Json) -> Json:
    """The API server itself sets `clusterIPs` of a Service without addresses, before it checks the Service."""
    spec = manifest.get("spec") or {}
    if manifest.get("kind") != "Service" or spec.get("clusterIP") != "None" or "clusterIPs" in spec:
        return manifest
    return {**manifest, "spec": {**spec, "clusterIPs": ["None"]}}


def _run(program: Path, given: object, *arguments: Path, path: Sequence[Path] = ()) -> Any:
    """What a program answers; `path` are folders with programs that it runs."""
    environment = {**os.environ, "PATH": os.pathsep.join([*map(str, path), os.environ["PATH"]])}
    done = subprocess.run(
        [program, *arguments], input=json.dumps(given), env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def deployable(manifests: Sequence[Json]) -> Iterator[Json]:
    """The manifests, and the objects that they embed: what a real API server is to check in a dry run."""
    for manifest in manifests:
        yield manifest
        yield from (inner.manifest for inner in embedded(manifest))
