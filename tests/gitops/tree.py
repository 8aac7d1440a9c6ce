"""The tree that Argo CD deploys: components, overlays of services, and their rendered manifests."""

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from yaml.nodes import ScalarNode

from stacks.loading import load
from stacks.regions import REGIONS
from stacks.settings import EnvironmentSettings
from tests import ROOT

Json = dict[str, Any]

FOLDERS = ("management", "service", "helm")


class _Loader(yaml.CSafeLoader):
    """A loader that reads a plain `=`, which occurs in CRDs as an operator, as a string; PyYAML has no type for it."""


def _text(loader: yaml.CSafeLoader, node: ScalarNode) -> str:
    return str(loader.construct_scalar(node))


_Loader.add_constructor("tag:yaml.org,2002:value", _text)


def documents(text: str) -> list[Json]:
    """The non-empty documents of a YAML text."""
    return [document for document in yaml.load_all(text, Loader=_Loader) if document]


def read(path: Path) -> Json:
    """The only document of a file; empty if the file has only comments, as values of a chart may."""
    (document,) = documents(path.read_text()) or [{}]
    return document


class Environment(NamedTuple):
    """An environment of the settings: the in-cluster stack with its Argo CD, and whether it is for production.

    `cluster` is the name by which Argo CD knows its cluster.
    """

    stack: str
    production: bool
    cluster: str = "in-cluster"

    @property
    def has_hub(self) -> bool:
        """Whether its Argo CD is that of another environment."""
        return self.cluster != "in-cluster"


@cache
def environments() -> dict[str, Environment]:
    """The environments of this repository. Of those of one name, that of the first region: Git is the same."""
    _, regions = load(REGIONS)
    return {
        environment.name: Environment(
            f"{region.name}-{environment.hub or environment.name}-gitops",
            environment.settings.production,
            environment.name if environment.hub is not None else "in-cluster",
        )
        for region in reversed(regions)
        for environment in region.environments
    }


class Cluster(NamedTuple):
    """A cluster of the settings: its environment, and the number of zones of its network."""

    environment: str
    settings: EnvironmentSettings
    zones: int


@cache
def clusters() -> list[Cluster]:
    """All clusters of the settings, also the further ones."""
    _, regions = load(REGIONS)
    return [
        Cluster(environment.name, settings, len(region.shared.vpc.zones))
        for region in regions
        for environment in region.environments
        for own in [environment.settings]
        for settings in (own, *(own.with_cluster(further) for further in own.further_clusters))
    ]


def labels_of_node_groups() -> set[str]:
    """The keys of the labels that the settings give to the nodes of managed node groups."""
    return {key for cluster in clusters() for group in cluster.settings.node_groups for key in group.labels}


def places_of_nodes() -> dict[str, set[str]]:
    """The values of the labels for the place of a node: all regions, and the zones of their networks."""
    _, regions = load(REGIONS)
    return {
        "topology.kubernetes.io/region": {region.name for region in regions},
        "topology.kubernetes.io/zone": {zone.name for region in regions for zone in region.shared.vpc.zones},
    }


@dataclass(frozen=True)
class Component:
    """A folder of `management/` for which the ApplicationSet `components` creates an Application."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @cached_property
    def settings(self) -> dict[str, Any]:
        return read(self.folder / "component.yaml")

    @property
    def chart(self) -> Json:
        chart: Json = self.settings["chart"]
        return chart

    @property
    def entries(self) -> list[Path]:
        """The folders that Kustomize renders: one, or one for each value of the label of the cluster."""
        if not self.settings["overlays"]:
            return [self.folder / "manifests"]
        return sorted(path for path in (self.folder / "overlays").glob("*") if path.is_dir())


@dataclass(frozen=True)
class Overlay:
    """A service in an environment. `marker` is the file that its ApplicationSet selects."""

    marker: Path

    @property
    def folder(self) -> Path:
        return self.marker.parent

    @property
    def service(self) -> str:
        return self.folder.parents[1].name

    @property
    def namespace(self) -> str:
        return f"{self.service}-{self.folder.name}"

    @property
    def is_kustomized(self) -> bool:
        return self.marker.name == "application.yaml"

    @cached_property
    def settings(self) -> dict[str, Any]:
        return read(self.marker)


def components(root: Path = ROOT) -> list[Component]:
    return [Component(file.parent) for file in sorted(root.glob("management/*/component.yaml"))]


def overlays(root: Path = ROOT) -> list[Overlay]:
    markers = [*root.glob("service/*/overlays/*/application.yaml"), *root.glob("service/*/overlays/*/release.yaml")]
    return [Overlay(marker) for marker in sorted(markers)]


def sets(root: Path = ROOT) -> list[Json]:
    """All ApplicationSets. That of the components is rendered twice, for both values of `foundation`."""
    bootstrap = root / "management" / "bootstrap"
    return [read(file) for file in sorted([*bootstrap.glob("sets/*.yaml"), *bootstrap.glob("components.yaml")])]


def projects(root: Path = ROOT) -> list[Json]:
    return [read(file) for file in sorted(root.glob("management/bootstrap/projects/*.yaml"))]


def files(root: Path = ROOT) -> Iterator[Path]:
    """All files of the tree."""
    for folder in FOLDERS:
        yield from sorted(path for path in (root / folder).rglob("*") if path.is_file())


def entries(root: Path = ROOT) -> list[Path]:
    """All folders that Applications render with Kustomize."""
    return [
        *[entry for component in components(root) for entry in component.entries],
        *[
            folder
            for name in ("base", "with-database", "with-mysql")
            if (folder := root / f"management/service-namespace/{name}").is_dir()
        ],
        *[overlay.folder for overlay in overlays(root) if overlay.is_kustomized],
    ]


def with_namespaces(rendered: Mapping[str, Sequence[Json]], root: Path = ROOT) -> dict[str, list[Json]]:
    """The rendered manifests of every entry, each with the namespace to which Argo CD deploys it."""
    namespaces = {
        str(entry.relative_to(root)): component.settings["namespace"]
        for component in components(root)
        for entry in component.entries
    }
    namespaces |= {str(overlay.folder.relative_to(root)): overlay.namespace for overlay in overlays(root)}
    return {
        entry: [_in_namespace(manifest, namespaces.get(entry, "argocd")) for manifest in manifests]
        for entry, manifests in rendered.items()
    }


def everything(deployed: Mapping[str, Sequence[Json]], root: Path = ROOT) -> list[Json]:
    """All objects: those of the entries, those of the namespaces of services, and those that others create."""
    found = [*documents((Path(__file__).parent / "created_elsewhere.yaml").read_text())]
    found += [manifest for manifests in deployed.values() for manifest in manifests]
    namespace = deployed.get("management/service-namespace/base", [])
    return found + [of_service(manifest, overlay) for overlay in overlays(root) for manifest in namespace]


def of_service(manifest: Json, overlay: Overlay) -> Json:
    """Replace the placeholders for namespace and team, as the ApplicationSet `service-namespaces` does."""
    metadata = manifest["metadata"]
    if manifest["kind"] == "Namespace":
        labels = {**(metadata.get("labels") or {}), "platform/team": overlay.settings["team"]}
        metadata = {**metadata, "name": overlay.namespace, "labels": labels}
    elif metadata.get("namespace") == "service":
        metadata = {**metadata, "namespace": overlay.namespace}
    return {**manifest, "metadata": metadata}


def _in_namespace(manifest: Json, namespace: str) -> Json:
    return {**manifest, "metadata": {"namespace": namespace, **manifest["metadata"]}}


class RenderError(Exception):
    """What Kustomize or Helm says to files that it cannot render."""


class Renderer:
    """Renders manifests with Kustomize and Helm, and caches the results."""

    def __init__(self, kustomize: Path, helm: Path) -> None:
        self._kustomize = kustomize
        self._helm = helm
        self._rendered: dict[tuple[str, ...], str] = {}

    def kustomize(self, folder: Path) -> list[Json]:
        return documents(self._run(str(self._kustomize), "build", str(folder)))

    def helm(self, chart: Path, release: str, namespace: str, *arguments: str) -> list[Json]:
        command = (str(self._helm), "template", release, str(chart), "--namespace", namespace, *arguments)
        return documents(self._run(*command))

    def overlay(self, overlay: Overlay) -> list[Json]:
        """The manifests of a service, with placeholders for the values that only the cluster knows."""
        if overlay.is_kustomized:
            return self.kustomize(overlay.folder)
        values = ("--values", str(overlay.folder / "values.yaml"))
        host = f"{overlay.settings['host']}.{overlay.folder.name}.example.com"
        known = ("--set", f"image.registry=registry.example,ingress.host={host}")
        secret = ("--set", "database.secretKey=placeholder") if overlay.settings["database"] else ()
        chart = overlay.folder.parents[3] / "helm" / "my-app"
        return self.helm(chart, overlay.service, overlay.namespace, *values, *known, *secret)

    def everything(self, root: Path = ROOT) -> dict[str, list[Json]]:
        """The manifests of all entries by path, including services that use the Helm chart.

        Raises:
            RenderError: if one of them cannot be rendered.
        """
        return {entry: render() for entry, render in self._entries(root).items()}

    def problems(self, root: Path = ROOT) -> Iterator[str]:
        """What Kustomize and Helm say to the entries that they cannot render."""
        for entry, render in self._entries(root).items():
            try:
                render()
            except RenderError as error:
                yield f"{entry}: {error}"

    def _entries(self, root: Path) -> dict[str, Callable[[], list[Json]]]:
        bootstrap = root / "management" / "bootstrap"
        renders: dict[str, Callable[[], list[Json]]] = {
            **{str(entry.relative_to(root)): partial(self.kustomize, entry) for entry in entries(root)},
            **{str(one.folder.relative_to(root)): partial(self.overlay, one) for one in overlays(root)},
        }
        if (bootstrap / "Chart.yaml").is_file():
            names = sorted({overlay.folder.name for overlay in overlays(root)})
            known = environments()
            given = [{"name": name, "production": name in known and known[name].production} for name in names]
            repository = "repositoryURL=https://git.example/platform.git"
            values = ("--set", repository, "--set-json", f"environments={json.dumps(given)}")
            renders["management/bootstrap"] = partial(self.helm, bootstrap, "bootstrap", "argocd", *values)
        return renders

    def _run(self, *command: str) -> str:
        if command not in self._rendered:
            done = subprocess.run(command, check=False, capture_output=True, text=True)
            if done.returncode or "deprecated" in done.stderr:
                raise RenderError(f"{Path(command[0]).name}: {' '.join(done.stderr.split())}")
            self._rendered[command] = done.stdout
        return self._rendered[command]
