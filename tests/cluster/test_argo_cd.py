"""Argo CD and Argo Rollouts of the tests do what theirs in a cluster do."""

from pathlib import Path

import pytest

from operations.cluster.argo_cd import SERVER, ArgoCd
from operations.cluster.control_plane import ARGO_CD_NAMESPACE, ControlPlane
from operations.errors import OperationError
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
def application(control_plane: ControlPlane, argo_cd: ArgoCd, repository: GitRepository) -> None:  # noqa: ARG001  (it syncs)
    """An Application that follows the repository, Synced and Healthy."""
    control_plane.apply(_application(repository.url))
    _wait(control_plane, f"{ARGO_CD_NAMESPACE}/application/followed", "jsonpath={.status.sync.status}=Synced")
    _wait(control_plane, f"{ARGO_CD_NAMESPACE}/application/followed", "jsonpath={.status.health.status}=Healthy")


@pytest.mark.usefixtures("application")
def test_what_git_holds_runs(control_plane: ControlPlane) -> None:
    assert control_plane.get("deployment", f"--namespace={_NAMESPACE}", "web")["status"]["readyReplicas"] == 2


@pytest.mark.usefixtures("application")
def test_a_manual_change_is_healed(control_plane: ControlPlane) -> None:
    control_plane.kubectl("scale", f"--namespace={_NAMESPACE}", "deployment/web", "--replicas=5")

    _wait(control_plane, f"{_NAMESPACE}/deployment/web", "jsonpath={.spec.replicas}=2")


@pytest.mark.usefixtures("application")
def test_a_removed_file_is_pruned(control_plane: ControlPlane, repository: GitRepository) -> None:
    repository.remove("app/extra.json")
    repository.commit()

    _wait(control_plane, f"{_NAMESPACE}/configmap/extra", "delete")


def test_a_new_folder_becomes_an_application_of_the_registered_cluster(
    control_plane: ControlPlane, argo_cd: ArgoCd, tmp_path: Path
) -> None:
    repository = GitRepository(tmp_path / "repository")
    repository.write("services/first/config.json", config_map("default", "first"))
    repository.commit()
    argo_cd.register({"platform/environment": "dev"}, {"platform/domain": "example.com"})
    control_plane.apply(_application_set(repository.url))
    _wait(control_plane, f"{ARGO_CD_NAMESPACE}/application/first-example.com", "create")
    repository.write("services/second/config.json", config_map("default", "second"))
    repository.commit()
    _wait(control_plane, f"{ARGO_CD_NAMESPACE}/application/second-example.com", "create")

    control_plane.kubectl("delete", "applicationset/services", _TIMEOUT)


@pytest.mark.usefixtures("argo_cd")
def test_a_canary_takes_every_step(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.apply(canary(namespace, "web", image="web:1"))
    _wait(control_plane, f"{namespace}/rollout/web", "jsonpath={.status.phase}=Healthy")
    control_plane.apply(canary(namespace, "web", image="web:2"))
    _wait(control_plane, f"{namespace}/rollout/web", "jsonpath={.status.currentStepIndex}=2")
    _wait(control_plane, f"{namespace}/rollout/web", "jsonpath={.status.phase}=Healthy")

    pods = control_plane.get("pods", f"--namespace={namespace}")["items"]
    running = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    assert {pod["spec"]["containers"][0]["image"] for pod in running} == {"web:2"}


def test_the_root_application_makes_what_git_holds_and_takes_it_along(
    control_plane: ControlPlane, argo_cd: ArgoCd, tmp_path: Path
) -> None:
    repository = GitRepository(tmp_path / "repository")
    repository.write("management/bootstrap/team.json", _project("team"))
    repository.commit()
    argo_cd.follow(repository.folder, "main")
    _wait(control_plane, f"{ARGO_CD_NAMESPACE}/application/root", "jsonpath={.status.sync.status}=Synced")
    assert "team" in control_plane.kubectl("get", "appprojects", "--output=name")

    control_plane.kubectl("delete", "application/root", _TIMEOUT)
    control_plane.kubectl("delete", "appproject/platform", _TIMEOUT)
    assert "team" not in control_plane.kubectl("get", "appprojects", "--output=name")


def test_the_password_opens_the_api(argo_cd: ArgoCd) -> None:
    server = f"127.0.0.1:{argo_cd.port}"
    argo_cd.argocd("login", server, "--plaintext", "--username=admin", f"--password={argo_cd.password}")

    assert "logged in: true" in argo_cd.argocd("account", "get-user-info").lower()
    with pytest.raises(OperationError, match="Invalid username or password"):
        argo_cd.argocd("login", server, "--plaintext", "--username=admin", "--password=wrong")


def _project(name: str) -> Manifest:
    metadata = {"name": name, "namespace": ARGO_CD_NAMESPACE}
    return {"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "metadata": metadata, "spec": {}}


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


def _application_set(url: str) -> Manifest:
    """One Application for every folder of services, and for every cluster of dev."""
    clusters = {"clusters": {"selector": {"matchLabels": {"platform/environment": "dev"}}}}
    folders = {"git": {"repoURL": url, "revision": "main", "directories": [{"path": "services/*"}]}}
    name = '{{ .path.basename }}-{{ index .metadata.annotations "platform/domain" }}'
    source = {"repoURL": url, "targetRevision": "main", "path": "{{ .path.path }}"}
    destination = {"server": "{{ .server }}", "namespace": "default"}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": {"name": "services", "namespace": ARGO_CD_NAMESPACE},
        "spec": {
            "goTemplate": True,
            "goTemplateOptions": ["missingkey=error"],
            "generators": [{"matrix": {"generators": [clusters, folders]}}],
            "template": {
                "metadata": {"name": name},
                "spec": {"project": "default", "source": source, "destination": destination},
            },
        },
    }


def _wait(control_plane: ControlPlane, what: str, condition: str) -> None:
    """Wait until `<namespace>/<kind>/<name>` is so."""
    namespace, _, name = what.partition("/")
    control_plane.kubectl("wait", f"--namespace={namespace}", name, f"--for={condition}", _TIMEOUT)
