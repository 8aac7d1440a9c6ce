"""A real API server validates every manifest of the tree in a dry run: fields, defaults and validations."""

import copy
from collections.abc import Iterator

import pytest

from operations.errors import OperationError
from operations.local.cluster import programs
from operations.local.cluster.argo_cd import ArgoCd
from operations.local.cluster.control_plane import ControlPlane
from tests import ROOT
from tests.cluster import custom_resources
from tests.cluster.manifests import config_map, restricted_namespace
from tests.gitops import broken_fields
from tests.gitops.controllers import Controllers, deployable
from tests.gitops.rules import of_kind
from tests.gitops.tree import Json, Renderer, entries, overlays

pytestmark = pytest.mark.cluster

CASES = broken_fields.cases()
ENTRIES = sorted(
    {str(entry.relative_to(ROOT)) for entry in entries()}
    | {str(overlay.folder.relative_to(ROOT)) for overlay in overlays()}
    | {"management/bootstrap"}
)


@pytest.fixture(scope="module")
def controllers(go_programs: None) -> Controllers:  # noqa: ARG001  (must be built first)
    return Controllers()


@pytest.fixture(scope="module")
def rendered(go_programs: None) -> dict[str, list[Json]]:  # noqa: ARG001  (programs that render)
    return Renderer(programs.program("kustomize"), programs.program("helm")).everything()


@pytest.fixture(scope="module")
def ready(
    control_plane: ControlPlane,
    argo_cd: ArgoCd,  # noqa: ARG001  (installs its CRDs)
    rendered: dict[str, list[Json]],
) -> Iterator[ControlPlane]:
    """The API server with every kind and every namespace, because objects in missing namespaces are not validated."""
    custom_resources.define(control_plane)
    needed = {manifest["metadata"].get("namespace") for manifests in rendered.values() for manifest in manifests}
    existing = {item["metadata"]["name"] for item in control_plane.get("namespaces")["items"]}
    missing = sorted(needed - existing - {None})
    control_plane.apply(*[restricted_namespace(name) for name in missing])
    yield control_plane
    control_plane.kubectl("delete", "namespace", *missing, "--timeout=120s")  # before other tests create them


@pytest.mark.parametrize("entry", ENTRIES)
def test_the_api_server_accepts_every_manifest(
    ready: ControlPlane, rendered: dict[str, list[Json]], entry: str
) -> None:
    if rendered[entry]:  # a component may consist of its chart only
        ready.apply(*deployable(rendered[entry]), dry_run=True)


def test_the_api_server_rejects_a_pod_template_in_a_custom_resource(
    ready: ControlPlane, rendered: dict[str, list[Json]]
) -> None:
    """It accepts the Rollout: only a Deployment with its Pods shows what is wrong."""
    (rollout,) = copy.deepcopy(of_kind(rendered["service/bubblepool/overlays/dev"], "Rollout"))
    del rollout["spec"]["template"]["spec"]["containers"][0]["image"]
    ready.apply(rollout, dry_run=True)
    with pytest.raises(OperationError, match=r"containers\[0\].image: Required value"):
        ready.apply(*deployable([rollout]), dry_run=True)


@pytest.mark.parametrize("number", [10 * n for n in range(len(CASES) // 10)])
def test_the_api_server_rejects_what_its_validation_refuses(
    ready: ControlPlane, rendered: dict[str, list[Json]], controllers: Controllers, number: int
) -> None:
    """A sample of the broken manifests: what is refused without a server is refused by a server, too."""
    manifests = list(deployable(broken_fields.manifests(CASES[number], rendered)))
    if not manifests:
        pytest.skip(f"the example was changed: {CASES[number]['entry']} has no {CASES[number]['object']}")
    by_the_api_server = controllers.refuses(manifests)
    if by_the_api_server:
        with pytest.raises(OperationError):
            ready.apply(*manifests, dry_run=True)
    else:
        ready.apply(*manifests, dry_run=True)


def test_the_api_server_rejects_an_unknown_field(ready: ControlPlane) -> None:
    with pytest.raises(OperationError, match=r"unknown field|field not declared"):
        ready.apply({**config_map("default", "wrong"), "dta": {}}, dry_run=True)
