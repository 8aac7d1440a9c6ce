"""A copy of the tree, and what it has."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from operations.components import creation
from operations.components.creation import NewComponent
from tests import ROOT

# The names in these tests are unlikely, so that they do not conflict with components that an owner created.


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the files that the commands read and write."""
    for folder in ("helm", "management", "service", "stacks"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def files(tree: Path) -> dict[str, bytes]:
    """All files and folders of the tree; a folder has no content."""
    return {str(path.relative_to(tree)): path.read_bytes() if path.is_file() else b"" for path in tree.rglob("*")}


def new(
    name: str = "xylophone",
    *,
    chart: str = "xylo",
    repository: str = "https://charts.example.com",
    version: str = "1.20.2",
    namespace: str | None = None,
) -> NewComponent:
    """A valid component with some other values."""
    return NewComponent(name=name, chart=chart, repository=repository, version=version, namespace=namespace)


def write(tree: Path, component: NewComponent | None = None, say: Callable[[str], None] = lambda _: None) -> None:
    """Write a component."""
    creation.write_component(tree, component or new(), say)
