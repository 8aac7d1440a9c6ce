"""Fixtures: Kubernetes and Argo CD, each started once per session."""

import os
import shutil
from collections.abc import Iterator

import pytest

from operations.local.cluster import programs
from operations.local.cluster.argo_cd import ArgoCd
from operations.local.cluster.control_plane import ControlPlane
from tests.cluster.manifests import restricted_namespace


@pytest.fixture(scope="session")
def go_programs() -> None:
    """Build all programs that are written in Go. Without Go, tests are skipped with the reason.

    With INSIST_ON_CLUSTER=1 they fail instead.
    """
    if shutil.which("go") is None:
        give_up = pytest.fail if os.environ.get("INSIST_ON_CLUSTER") == "1" else pytest.skip
        give_up("Go is not installed; it is needed to build Kubernetes and Argo CD")
    programs.build_all()


@pytest.fixture(scope="session")
def control_plane(
    go_programs: None,  # noqa: ARG001  (must be built first)
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ControlPlane]:
    with ControlPlane(tmp_path_factory.mktemp("control-plane")) as running:
        yield running


@pytest.fixture(scope="session")
def argo_cd(control_plane: ControlPlane) -> Iterator[ArgoCd]:
    with ArgoCd(control_plane, notifications=True) as running:
        yield running


@pytest.fixture
def namespace(control_plane: ControlPlane, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace for one test, with the Pod Security level of production."""
    name = request.node.name.removeprefix("test_").replace("_", "-")[:63].rstrip("-")
    control_plane.apply(restricted_namespace(name))
    yield name
    control_plane.kubectl("delete", "namespace", name, "--wait=false")
