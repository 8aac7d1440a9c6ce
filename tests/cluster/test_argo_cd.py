"""Argo CD and Argo Rollouts in the test cluster work as in a real cluster."""

from collections.abc import Iterator

import pytest

from operations.errors import OperationError
from operations.local.cluster.argo_cd import SERVER, ArgoCd
from operations.local.cluster.control_plane import ARGO_CD_NAMESPACE, ControlPlane
from tests.cluster.git_repository import GitRepository
from tests.cluster.manifests import Manifest, canary, config_map, deployment, restricted_namespace

pytestmark = pytest.mark.cluster

_NAMESPACE = "followed"
_TIMEOUT = "--timeout=90s"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> GitRepository:
    repository = GitRepository(tmp_path_factory.mktemp("git") / "repository")
    repository.write("app/namespace.json", restricted_namespace(_NAMESPACE))
    repository.write("app/web.json", deployment(_NAMESPACE, "web", replicas=2))
    repository.write("app/extra.json", config_map(_NAMESPACE, "extra"))
    repository.commit()
    return repository


@pytest.fixture(scope="module")
def application(
    control_plane: ControlPlane,
    argo_cd: ArgoCd,  # noqa: ARG001  (it syncs)
    repository: GitRepository,
) -> Iterator[None]:
    """An Application that tracks the repository, Synced and Healthy."""
    control_plane.apply(_application(repository.url))
    _wait(control_plane, f"{ARGO_CD_NAMESPACE}/application/followed", "jsonpath={.status.sync.status}=Synced")
    _wait(control_plane, f"{ARGO_CD_NAMESPACE}/application/followed", "jsonpath={.status.health.status}=Healthy")
    yield
    control_plane.kubectl("delete", "application/followed", _TIMEOUT)
    control_plane.kubectl("delete", "namespace", _NAMESPACE, _TIMEOUT)


@pytest.mark.usefixtures("application")
def test_resources_in_git_run(control_plane: ControlPlane) -> None:
    assert control_plane.get("deployment", f"--namespace={_NAMESPACE}", "web")["status"]["readyReplicas"] == 2


@pytest.mark.usefixtures("application")
def test_a_manual_change_is_reverted(control_plane: ControlPlane) -> None:
    control_plane.kubectl("scale", f"--namespace={_NAMESPACE}", "deployment/web", "--replicas=5")

    _wait(control_plane, f"{_NAMESPACE}/deployment/web", "jsonpath={.spec.replicas}=2")


@pytest.mark.usefixtures("application")
def test_a_removed_file_is_pruned(control_plane: ControlPlane, repository: GitRepository) -> None:
    repository.remove("app/extra.json")
    repository.commit()

    _wait(control_plane, f"{_NAMESPACE}/configmap/extra", "delete")


@pytest.mark.usefixtures("argo_cd")
def test_a_canary_runs_every_step(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.apply(canary(namespace, "web", image="web:1"))
    _wait(control_plane, f"{namespace}/rollout/web", "jsonpath={.status.phase}=Healthy")
    control_plane.apply(canary(namespace, "web", image="web:2"))
    _wait(control_plane, f"{namespace}/rollout/web", "jsonpath={.status.currentStepIndex}=2")
    _wait(control_plane, f"{namespace}/rollout/web", "jsonpath={.status.phase}=Healthy")

    pods = control_plane.get("pods", f"--namespace={namespace}")["items"]
    running = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    assert {pod["spec"]["containers"][0]["image"] for pod in running} == {"web:2"}


def test_the_admin_password_is_accepted(argo_cd: ArgoCd) -> None:
    server = f"127.0.0.1:{argo_cd.port}"
    argo_cd.argocd("login", server, "--plaintext", "--username=admin", f"--password={argo_cd.password}")

    assert "logged in: true" in argo_cd.argocd("account", "get-user-info").lower()
    with pytest.raises(OperationError, match="Invalid username or password"):
        argo_cd.argocd("login", server, "--plaintext", "--username=admin", "--password=wrong")


def _application(url: str) -> Manifest:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "followed", "namespace": ARGO_CD_NAMESPACE},
        "spec": {
            "project": "default",
            "source": {"repoURL": url, "targetRevision": "main", "path": "app"},
            "destination": {"server": SERVER, "namespace": _NAMESPACE},
            "syncPolicy": {"automated": {"prune": True, "selfHeal": True}},
        },
    }


def _wait(control_plane: ControlPlane, what: str, condition: str) -> None:
    """Wait until `<namespace>/<kind>/<name>` meets the condition."""
    namespace, _, name = what.partition("/")
    control_plane.kubectl("wait", f"--namespace={namespace}", name, f"--for={condition}", _TIMEOUT)
