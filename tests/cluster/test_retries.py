"""Applications whose sync fails, with the retries of management/bootstrap/sets/services.yaml, only without pauses."""

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import yaml

from operations.local.cluster.argo_cd import SERVER, ArgoCd
from operations.local.cluster.control_plane import ARGO_CD_NAMESPACE, ControlPlane
from tests import ROOT
from tests.cluster.git_repository import GitRepository
from tests.cluster.manifests import Manifest, config_map, restricted_namespace
from tests.cluster.waiting import until

pytestmark = pytest.mark.cluster

_NAME = "retried"
_SECONDS = 90
_TIMEOUT = f"--timeout={_SECONDS}s"
_until = partial(until, seconds=_SECONDS)
_SET = yaml.safe_load((ROOT / "management/bootstrap/sets/services.yaml").read_text())["spec"]
_NO_PAUSES = {"backoff": {"duration": "1s", "factor": 1, "maxDuration": "1s"}}
_RETRY = {**_SET["template"]["spec"]["syncPolicy"]["retry"], **_NO_PAUSES}
_FOUNDATION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "foundations.retries.example"},
    "spec": {
        "group": "retries.example",
        "names": {"kind": "Foundation", "plural": "foundations"},
        "scope": "Namespaced",
        "versions": [
            {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}},
        ],
    },
}


_PROJECT = {
    "apiVersion": "argoproj.io/v1alpha1",
    "kind": "AppProject",
    "metadata": {"name": _NAME, "namespace": ARGO_CD_NAMESPACE},
    "spec": {
        "sourceRepos": ["*"],
        "destinations": [{"server": SERVER, "namespace": _NAME}],
        "clusterResourceWhitelist": [{"group": "", "kind": "Namespace"}],
    },
}
"""The project `default` of the Git tree is closed."""


@pytest.fixture
def repository(tmp_path_factory: pytest.TempPathFactory) -> GitRepository:
    """A repository with an object of a kind that does not exist."""
    repository = GitRepository(tmp_path_factory.mktemp("git") / "repository")
    repository.write("app/namespace.json", restricted_namespace(_NAME))
    repository.write("app/web.json", config_map(_NAME, "web"))
    custom = {"apiVersion": "retries.example/v1", "kind": "Foundation", "metadata": {"name": "web", "namespace": _NAME}}
    repository.write("app/custom.json", custom)
    repository.commit()
    return repository


@pytest.fixture
def cluster(control_plane: ControlPlane, argo_cd: ArgoCd) -> Iterator[ControlPlane]:  # noqa: ARG001  (it syncs)
    control_plane.apply(_PROJECT)
    yield control_plane
    for one in (
        f"applicationset/{_NAME}",
        f"application/{_NAME}",
        f"appproject/{_NAME}",
        f"namespace/{_NAME}",
        "crd/foundations.retries.example",
    ):
        control_plane.kubectl("delete", one, "--ignore-not-found", _TIMEOUT)


def _spec(url: str, retry: Manifest) -> Manifest:
    return {
        "project": _NAME,
        "source": {"repoURL": url, "targetRevision": "main", "path": "app"},
        "destination": {"server": SERVER, "namespace": _NAME},
        "syncPolicy": {"automated": {"prune": True, "selfHeal": True}, "retry": retry},
    }


def _metadata() -> Manifest:
    finalizers = ["resources-finalizer.argocd.argoproj.io"]
    return {"name": _NAME, "namespace": ARGO_CD_NAMESPACE, "finalizers": finalizers}


def _application(url: str, retry: Manifest) -> Manifest:
    head = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application"}
    return {**head, "metadata": _metadata(), "spec": _spec(url, retry)}


def _operation(cluster: ControlPlane) -> dict[str, Any]:
    found = cluster.get("applications", f"--namespace={ARGO_CD_NAMESPACE}")["items"]
    operations = [one.get("status", {}).get("operationState", {}) for one in found if one["metadata"]["name"] == _NAME]
    return operations[0] if operations else {}


def test_it_goes_on_when_its_foundation_appears_after_the_last_retry_without_a_commit(
    cluster: ControlPlane, repository: GitRepository
) -> None:
    """The name of the source changes every hour; here with the seconds, whenever the ApplicationSet reads Git again."""
    (name,) = [line.strip() for line in _SET["templatePatch"].splitlines() if line.strip().startswith("name: {{ now")]
    patch = {"spec": {"source": {"repoURL": repository.url, "targetRevision": "main", "path": "app"}}}
    patch_text = yaml.safe_dump(patch) + f"    {name}\n"
    git = {"repoURL": repository.url, "revision": "main", "directories": [{"path": "app"}], "requeueAfterSeconds": 5}
    applications = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "ApplicationSet",
        "metadata": {"name": _NAME, "namespace": ARGO_CD_NAMESPACE},
        "spec": {
            "goTemplate": True,
            "generators": [{"git": git}],
            "template": {"metadata": {"name": _NAME}, "spec": _spec(repository.url, _RETRY)},
            "templatePatch": patch_text,
        },
    }
    cluster.apply(applications)
    assert _until(lambda: _operation(cluster).get("phase") == "Failed")
    assert _operation(cluster)["retryCount"] == _RETRY["limit"]
    cluster.apply(_FOUNDATION)
    time.sleep(10)
    assert _operation(cluster)["phase"] == "Failed"
    applications["spec"]["templatePatch"] = patch_text.replace("T15", "T15:04:05")  # type: ignore[index]
    cluster.apply(applications)
    assert _until(lambda: _operation(cluster).get("phase") == "Succeeded")
    assert cluster.get("foundations.retries.example", f"--namespace={_NAME}", "web")


def test_a_retry_takes_a_corrected_commit(cluster: ControlPlane, repository: GitRepository) -> None:
    cluster.apply(_application(repository.url, {**_RETRY, "limit": 1000}))
    assert _until(lambda: _operation(cluster).get("retryCount", 0) > 1)
    repository.remove("app/custom.json")
    repository.commit()
    assert _until(lambda: _operation(cluster).get("phase") == "Succeeded")


def test_a_deletion_waits_for_the_last_retry(cluster: ControlPlane, repository: GitRepository) -> None:
    """Argo CD 3.6.1 deletes nothing during an operation: without a limit, this would wait for ever."""
    cluster.apply(_application(repository.url, _RETRY))
    assert _until(lambda: _operation(cluster).get("retryCount", 0) > 1)
    cluster.kubectl("delete", f"application/{_NAME}", _TIMEOUT)
