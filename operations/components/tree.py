"""What the repository has of components: their folders, the namespaces that they create, and their AppProject."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from operations.errors import OperationError
from operations.repository import settings_files
from operations.repository.text import read_text, read_yaml

MANAGEMENT = Path("management")
PROJECT = Path("management/bootstrap/projects/management.yaml")
MODEL = "external-secrets"
"""The component from which others copy what every namespace needs. No cluster is without it."""

REPOSITORIES = re.compile(r"^  sourceRepos:\n((?:    - .*\n)+)", re.MULTILINE)
DESTINATIONS = re.compile(r"^  destinations:\n((?:    .*\n)+)", re.MULTILINE)
DESTINATION = "    - server: https://kubernetes.default.svc\n      namespace: {}\n"

_OF_OTHERS: Mapping[str, str] = {
    "argocd": "Terraform creates it",
    "kube-system": "it belongs to the cluster, and would be deleted with the component",
}
"""Namespaces in which components are, and which none of them creates."""


@dataclass(frozen=True)
class Component:
    """What the file `component.yaml` says."""

    namespace: str
    chart: Mapping[str, Any]


class Tree:
    """The files of the repository. All paths are relative to its root.

    Raises:
        OperationError: if a file is missing, cannot be read or has another form.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        files = sorted(root.glob("management/*/component.yaml"))
        self.components = {file.parent.name: _described(file) for file in files}
        if MODEL not in self.components:
            message = "a new component copies its namespace; run this in the root of the repository"
            raise OperationError(f"{root.absolute()}: has no {MANAGEMENT / MODEL}, from which {message}")
        self.environments = settings_files.environments(root)
        self.project = read_text(root / PROJECT)
        for field, found in (("sourceRepos", REPOSITORIES), ("destinations", DESTINATIONS)):
            if found.search(self.project) is None:
                raise OperationError(f"{PROJECT}: {field}: must have one entry per line; reformat them")

    def has(self, path: Path) -> bool:
        """Whether a file or a folder exists."""
        return (self.root / path).exists()

    def files(self, folder: Path) -> list[Path]:
        """All files below a folder, sorted."""
        return sorted(path.relative_to(self.root) for path in (self.root / folder).rglob("*") if path.is_file())

    def creators(self) -> dict[str, str]:
        """The namespaces of components, each with the component that has its Namespace file."""
        return {
            namespace: name
            for name in self.components
            for file in self.files(MANAGEMENT / name)
            if file.suffix == ".yaml"
            for namespace in _namespaces(read_text(self.root / file))
        }

    def sharing(self, namespace: str) -> str | None:
        """Why a further component must not create a namespace; None if the namespace does not exist yet."""
        creator = self.creators().get(namespace)
        return f"the component {creator} has it" if creator else _OF_OTHERS.get(namespace)


def _described(file: Path) -> Component:
    content = read_yaml(file)
    if not isinstance(content, dict):
        raise OperationError(f"{file}: not a mapping; correct it")
    chart = content.get("chart")
    return Component(str(content.get("namespace")), chart if isinstance(chart, dict) else {})


def _namespaces(text: str) -> list[str]:
    return re.findall(r"^kind: Namespace\nmetadata:\n  name: (\S+)$", text, re.MULTILINE)


def block(pattern: re.Pattern[str], project: str) -> str:
    """The entries of a list of the AppProject, as text."""
    return str(pattern.findall(project)[0])


def scalar(text: str) -> str:
    """A text in YAML, in quotes if it would be something else without them."""
    return text if yaml.safe_load(text) == text else f'"{text}"'
