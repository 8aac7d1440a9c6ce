"""The programs that render and judge the tree, and what they made of it."""

import os
from pathlib import Path

import pytest

from operations.errors import OperationError
from operations.local.cluster import programs
from tests.gitops.tree import Json, Renderer


def _program(name: str) -> Path:
    """A program of `tests/cluster`, built from its Go module where it is not yet."""
    try:
        return programs.program(name)
    except OperationError as missing:
        give_up = pytest.fail if os.environ.get("INSIST_ON_CLUSTER") == "1" else pytest.skip
        give_up(str(missing))


@pytest.fixture(scope="session")
def kustomize() -> Path:
    return _program("kustomize")


@pytest.fixture(scope="session")
def helm() -> Path:
    return _program("helm")


@pytest.fixture(scope="session")
def kubeconform() -> Path:
    return _program("kubeconform")


@pytest.fixture(scope="session")
def kyverno() -> Path:
    return _program("kyverno")


@pytest.fixture(scope="session")
def renderer(kustomize: Path, helm: Path) -> Renderer:
    return Renderer(kustomize, helm)


@pytest.fixture(scope="session")
def rendered(renderer: Renderer) -> dict[str, list[Json]]:
    """What every entry of the tree renders to, by its path."""
    return renderer.everything()
