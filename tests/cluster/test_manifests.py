"""Every manifest of the tree, judged by a real API server: each field, defaults and validations. Nothing is stored."""

from collections.abc import Iterator

import pytest

from operations.errors import OperationError
from operations.local.cluster import programs
from operations.local.cluster.argo_cd import ArgoCd
from operations.local.cluster.control_plane import ControlPlane
from tests import ROOT
from tests.cluster import custom_resources
from tests.cluster.manifests import config_map, restricted_namespace
from tests.gitops.tree import Json, Renderer, entries, overlays

pytestmark = pytest.mark.cluster

ENTRIES = sorted(
    {str(entry.relative_to(ROOT)) for entry in entries()}
    | {str(overlay.folder.relative_to(ROOT)) for overlay in overlays()}
    | {"management/bootstrap"}
)


@pytest.fixture(scope="module")
def rendered(go_programs: None) -> dict[str, list[Json]]:  # noqa: ARG001  (they render)
    return Renderer(programs.program("kustomize"), programs.program("helm")).everything()


@pytest.fixture(scope="module")
def ready(
    control_plane: ControlPlane,
    argo_cd: ArgoCd,  # noqa: ARG001  (it brings its kinds)
    rendered: dict[str, list[Json]],
) -> Iterator[ControlPlane]:
    """The API server with every kind and every namespace; an object of a namespace that is not there is not judged."""
    custom_resources.define(control_plane)
    needed = {manifest["metadata"].get("namespace") for manifests in rendered.values() for manifest in manifests}
    there = {item["metadata"]["name"] for item in control_plane.get("namespaces")["items"]}
    missing = sorted(needed - there - {None})
    control_plane.apply(*[restricted_namespace(name) for name in missing])
    yield control_plane
    control_plane.kubectl("delete", "namespace", *missing, "--timeout=120s")  # gone, before others make theirs


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_api_server_takes_every_manifest(ready: ControlPlane, rendered: dict[str, list[Json]], entry: str) -> None:
    if rendered[entry]:  # a component may be its chart alone
        ready.apply(*rendered[entry], dry_run=True)


def test_the_api_server_refuses_a_field_that_it_does_not_know(ready: ControlPlane) -> None:
    with pytest.raises(OperationError, match=r"unknown field|field not declared"):
        ready.apply({**config_map("default", "wrong"), "dta": {}}, dry_run=True)
