"""Fixtures for the programs that render and validate the tree, and for the rendered manifests."""

import os
from pathlib import Path

import pytest

from operations.errors import OperationError
from operations.local.cluster import programs
from tests.gitops.tree import Json, Renderer


def _program(name: str) -> Path:
    """A program for the tests, which is built from its Go module if necessary."""
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
def promtool() -> Path:
    return _program("promtool")


@pytest.fixture(scope="session")
def grafana() -> Path:
    """Validates dashboards with the schema that Grafana publishes."""
    return _program("grafana")


@pytest.fixture(scope="session")
def renderer(kustomize: Path, helm: Path) -> Renderer:
    return Renderer(kustomize, helm)


@pytest.fixture(scope="session")
def rendered(renderer: Renderer) -> dict[str, list[Json]]:
    """The rendered manifests of every entry of the tree, by path."""
    return renderer.everything()
