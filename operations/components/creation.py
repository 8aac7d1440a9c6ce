"""Creates a component with everything that the checks of the repository require of it.

The namespace and its network policies are copied from a component that every cluster has, so that a fix there also
reaches new components. What a chart contains is not known here: nothing is downloaded.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from operations.components.tree import (
    DESTINATION,
    DESTINATIONS,
    MANAGEMENT,
    MODEL,
    PROJECT,
    REPOSITORIES,
    Tree,
    block,
    scalar,
)
from operations.errors import OperationError
from operations.repository import all_or_nothing, names
from operations.repository.text import read_text

_LONGEST_RELEASE = 53
"""Source: `maxReleaseNameLen` in pkg/chartutil/validate_name.go of Helm 3.22."""

_CHART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,249}")
"""Source: `chartName` and `maxChartNameLength` in pkg/chartutil/create.go of Helm 3.22."""
_VERSION = re.compile(r"v?[0-9]+\.[0-9]+\.[0-9]+")
_REPOSITORY = re.compile(r"(https|oci)://[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]+)?(/[A-Za-z0-9._~-]+)*/?")

_COPIED_POLICIES = ("default-deny", "dns", "https")
"""The network policies that every controller needs. The others of the model are for its own ports and calls."""

_KUSTOMIZATION = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
_OUTGOING = "# The Kubernetes API, and what else the component calls. The addresses are not known in advance.\n"
_VALUES = """\
# The values of the chart. Say here what the component is for, and set, as other components do: requests and limits of
# every container, with ephemeral-storage; replicas, a disruption budget and a spread over the zones if others wait for
# it; that CRDs are kept.
"""


@dataclass(frozen=True, kw_only=True)
class NewComponent:
    """The component to create, with its chart. Without a namespace, it gets one of its own name."""

    name: str
    chart: str
    repository: str
    version: str
    namespace: str | None = None

    @property
    def is_oci(self) -> bool:
        """Whether the chart is in an OCI registry."""
        return self.repository.startswith("oci://")

    @property
    def source(self) -> str:
        """The repository as Argo CD expects it: an OCI registry without the scheme."""
        return self.repository.removeprefix("oci://").rstrip("/") if self.is_oci else self.repository

    @property
    def in_namespace(self) -> str:
        """The namespace of the chart's objects."""
        return self.name if self.namespace is None else self.namespace


def write_component(root: Path, new: NewComponent, say: Callable[[str], None]) -> None:
    """Write the folder of a component to `root`, and permit it in the AppProject: either all or nothing.

    Raises:
        OperationError: if any value is invalid or conflicts with an existing one; the message lists all problems.
            Also if a file cannot be read.
    """
    tree = Tree(root)
    problems = [*_name_problems(tree, new.name), *_namespace_problems(tree, new), *_chart_problems(new)]
    if problems:
        raise OperationError("\n".join(problems))
    files = {**_folder(tree, new), PROJECT: _permitted(tree.project, new)}
    all_or_nothing.write_files({root / path: text for path, text in files.items()})
    for path in sorted(files):
        say(str(path))


# Validation


def _name_problems(tree: Tree, name: str) -> Iterator[str]:
    if names.NAME.fullmatch(name) is None:
        yield f"name: {name!r}: {names.REMEDY}"
    elif len(name) > _LONGEST_RELEASE:
        yield f"name: {name!r}: {len(name)} characters; a Helm release has at most {_LONGEST_RELEASE}; shorten it"
    elif name in names.YAML_KEYWORDS:
        yield f"name: {name!r}: is a keyword in YAML; choose another"
    elif tree.has(MANAGEMENT / name):
        yield f"name: {name!r}: {MANAGEMENT / name} exists already; choose another"
    elif tree.has(Path("service", name)):
        yield f"name: {name!r}: its Applications would have the names of those of service/{name}; choose another"


def _namespace_problems(tree: Tree, new: NewComponent) -> Iterator[str]:
    namespace, is_name = new.in_namespace, new.namespace is None
    where = f"namespace: {namespace!r}"
    if names.NAME.fullmatch(namespace) is None or len(namespace) > names.LONGEST_LABEL:
        if not is_name:
            yield f"{where}: {names.REMEDY}, at most {names.LONGEST_LABEL} characters"
    elif namespace in names.YAML_KEYWORDS:
        if not is_name:
            yield f"{where}: is a keyword in YAML; choose another"
    elif tree.sharing(namespace) is None:
        # https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/
        if namespace == "default" or namespace.startswith("kube-"):
            yield f"{where}: belongs to Kubernetes; choose another"
        for environment in tree.environments:
            if namespace.endswith(f"-{environment}"):
                yield f"{where}: namespaces of services end with -{environment}; choose another"


def _chart_problems(new: NewComponent) -> Iterator[str]:
    if _CHART.fullmatch(new.chart) is None:
        yield f"chart: {new.chart!r}: no name of a chart; use at most 250 letters, digits, dots, hyphens or underscores"
    if _REPOSITORY.fullmatch(new.repository) is None:
        remedy = "use an address such as https://charts.example.com or oci://registry.example.com/charts"
        yield f"repository: {new.repository!r}: {remedy}"
    if _VERSION.fullmatch(new.version) is None:
        yield f"version: {new.version!r}: not one exact version; use one such as 1.20.2"


# Generation


def _folder(tree: Tree, new: NewComponent) -> dict[Path, str]:
    """The files of the component."""
    folder = MANAGEMENT / new.name
    manifests = folder / "manifests"
    files = {folder / "component.yaml": _component(new), folder / "values.yaml": _VALUES}
    reason = tree.sharing(new.in_namespace)
    if reason is not None:
        note = f"# No manifests in addition to the chart. {new.in_namespace} has no Namespace file here: {reason}.\n"
        return {**files, manifests / "kustomization.yaml": f"{note}{_KUSTOMIZATION}resources: []\n"}
    copied = {"namespace.yaml": _namespace(tree.root, new), "network-policies.yaml": _network_policies(tree.root, new)}
    resources = "".join(f"  - {file}\n" for file in copied)
    return {
        **files,
        manifests / "kustomization.yaml": f"{_KUSTOMIZATION}resources:\n{resources}",
        **{manifests / file: text for file, text in copied.items()},
    }


def _component(new: NewComponent) -> str:
    note, marker = "", f"datasource=helm depName={new.chart} registryUrl={new.source}"
    if new.is_oci:
        note = "  # An OCI registry: Argo CD expects it without the scheme.\n"
        marker = f"datasource=docker depName={new.source}/{new.chart}"
    return f"""\
namespace: {new.in_namespace}
overlays: ""
foundation: false
clusters: {{}}
chart:
{note}  repository: {scalar(new.source)}
  name: {scalar(new.chart)}
  # renovate: {marker}
  version: {new.version}
parameters: []
patches: []
"""


def _namespace(root: Path, new: NewComponent) -> str:
    file = MANAGEMENT / MODEL / "manifests/namespace.yaml"
    text = _with_value(file, read_text(root / file), "  name", new.in_namespace)
    return _with_value(file, text, "    platform/component", new.name)


def _network_policies(root: Path, new: NewComponent) -> str:
    file = MANAGEMENT / MODEL / "manifests/network-policies.yaml"
    documents = re.split(r"^---\n", read_text(root / file), flags=re.MULTILINE)
    found = []
    for name in _COPIED_POLICIES:
        text = "".join(one for one in documents if f"\n  name: {name}\n" in one)
        copied = _with_value(file, re.sub(r"^#.*\n", "", text, flags=re.MULTILINE), "  namespace", new.in_namespace)
        found.append(_OUTGOING + copied if name == "https" else copied)
    return "---\n".join(found)


def _with_value(file: Path, text: str, field: str, value: str) -> str:
    """The text with another value in a field that has the name of the model."""
    old = f"\n{field}: {MODEL}\n"
    if old not in text:
        raise OperationError(f"{file}: {field.strip()}: {MODEL}: not found, to be copied; restore the file")
    return text.replace(old, f"\n{field}: {value}\n")


def _permitted(project: str, new: NewComponent) -> str:
    """The AppProject with the repository and the namespace, each in sorted order."""
    repositories = block(REPOSITORIES, project)
    if not _permits(re.findall(r"^    - (\S+)", repositories, re.MULTILINE), new.source):
        entry = f"    - {scalar(new.source)}\n"
        project = project.replace(repositories, _with_entry(repositories, r"    - (\S+)\n", new.source, entry))
    destinations = block(DESTINATIONS, project)
    if not _permits(re.findall(r"^      namespace: (\S+)$", destinations, re.MULTILINE), new.in_namespace):
        form, entry = DESTINATION.format(r"([a-z0-9-]+)"), DESTINATION.format(new.in_namespace)
        project = project.replace(destinations, _with_entry(destinations, form, new.in_namespace, entry))
    return project


def _with_entry(entries: str, form: str, key: str, entry: str) -> str:
    """The entries with one more, behind the last one whose key is smaller."""
    place = max([other.end() for other in re.finditer(form, entries) if other[1] < key], default=0)
    return f"{entries[:place]}{entry}{entries[place:]}"


def _permits(patterns: Iterable[str], value: str) -> bool:
    """Whether the AppProject permits a value already, perhaps by a pattern such as `platform-*`."""
    return any(fnmatchcase(value, pattern.strip("'\"")) for pattern in patterns)
