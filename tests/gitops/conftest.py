"""Fixtures for the programs that render and validate the tree, and for the rendered manifests."""

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeVar

import pytest

from operations.errors import OperationError
from operations.local.cluster import programs
from tests import HELM, ROOT
from tests.gitops.controllers import Controllers
from tests.gitops.problems import fail_with
from tests.gitops.rules_of_files import unreadable_files
from tests.gitops.tree import Json, Renderer

T = TypeVar("T")


def _built(build: Callable[[], T]) -> T:
    """What needs programs, which are built from their Go modules if necessary."""
    try:
        return build()
    except OperationError as missing:
        give_up = pytest.fail if os.environ.get("INSIST_ON_CLUSTER") == "1" else pytest.skip
        give_up(str(missing))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """If the tree cannot be read or rendered, the first test says so, and the others are skipped.

    Each of them would fail for the same reason. This is no fixture, because those of the session are made first.
    """
    problems = _unreadable()
    if not problems and "kustomize" in getattr(item, "fixturenames", ()):
        problems = _not_rendered()
    if problems:
        factory: pytest.TempPathFactory = item.config._tmp_path_factory  # type: ignore[attr-defined]
        folder = factory.getbasetemp()
        # The processes of a run share the folder above those of their own.
        said = (folder.parent if hasattr(item.config, "workerinput") else folder) / "tree-is-broken"
        try:
            said.touch(exist_ok=False)
        except FileExistsError:
            pytest.skip(f"the tree is broken: {problems[0].partition(': ')[0]}")
        fail_with(problems)


@cache
def _unreadable() -> list[str]:
    return list(unreadable_files(ROOT))


@cache
def _not_rendered() -> list[str]:
    try:
        renderer = Renderer(programs.program("kustomize"), programs.program("helm"))
    except OperationError:
        return []  # the fixtures say so
    return list(renderer.problems())


def _program(name: str) -> Path:
    return _built(lambda: programs.program(name))


@pytest.fixture(scope="session")
def kustomize() -> Path:
    return _program("kustomize")


@pytest.fixture(scope="session")
def helm() -> Path:
    return Path(os.environ[HELM]) if os.environ.get(HELM) else _program("helm")


@pytest.fixture(scope="session")
def controllers() -> Controllers:
    """The validation of the API server and of the controllers."""
    return _built(Controllers)


@pytest.fixture(scope="session")
def crds() -> Path:
    """The CRDs of all charts, which need no build."""
    return _built(lambda: programs.files("crds"))


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
