"""The working tree, synced by a real Argo CD into a real Kubernetes API. The tests depend on their order."""

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from operations.errors import OperationError
from operations.local.cluster.argo_cd import SERVER, ArgoCd
from operations.local.cluster.control_plane import ARGO_CD_NAMESPACE, ControlPlane
from operations.local.cluster.handover import handover
from tests import ROOT
from tests.cluster import custom_resources
from tests.cluster.git_repository import GitRepository
from tests.cluster.manifests import pod
from tests.cluster.waiting import until
from tests.e2e.clone import copy_into
from tests.gitops.tree import Component, components, environments, overlays
from tests.template import Template

pytestmark = pytest.mark.cluster

_SECONDS = 150
_until = partial(until, seconds=_SECONDS)
_TIMEOUT = f"--timeout={_SECONDS}s"
_SERVICE = "bubblepool"


class Tree:
    """A repository with the working tree, and the objects that Terraform creates in a cluster."""

    def __init__(self, folder: Path, stacks: dict[str, Template]) -> None:
        copy_into(folder)
        self.repository = GitRepository(folder)
        self.repository.commit()
        self._stacks = stacks

    def handover(self, environment: str) -> list[dict[str, Any]]:
        stack, _, cluster = environments()[environment]
        secret, *others = handover(self._stacks[stack].raw, self.repository.folder, "main", clusters=(cluster,))
        secret["stringData"] = {"name": cluster, "server": SERVER}  # also of an environment with a hub
        return [secret, *others]

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace text in a file, and commit."""
        path = self.repository.folder / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        self.repository.commit()


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory, own_platform: dict[str, Template]) -> Tree:
    return Tree(tmp_path_factory.mktemp("tree"), own_platform)


@pytest.fixture(scope="module")
def dev(control_plane: ControlPlane, argo_cd: ArgoCd, tree: Tree) -> Iterator[ControlPlane]:  # noqa: ARG001  (it syncs)
    """The cluster of dev, with the objects that Terraform creates for Argo CD."""
    custom_resources.define(control_plane)
    control_plane.apply(*tree.handover("dev"))
    yield control_plane
    control_plane.kubectl("delete", "application/root", "--ignore-not-found", _TIMEOUT)
    control_plane.kubectl("delete", "appproject/platform", "--ignore-not-found", _TIMEOUT)


def _runs_in(environment: str, component: Component) -> bool:
    """Whether a component runs in an environment without Karpenter and logs of containers."""
    clusters = component.settings["clusters"]
    needs_argo_cd = "argo-cd" in clusters and environments()[environment].has_hub
    return not {"karpenter", "container-logs"} & {*clusters} and not needs_argo_cd


def _expected(environment: str) -> set[str]:
    """The Applications without a third-party chart, which the test cluster could not run."""
    of_components = {
        f"{component.name}-{environment}"
        for component in components(ROOT)
        if not component.chart and _runs_in(environment, component)
    }
    of_services = {
        f"{overlay.service}-{environment}" for overlay in overlays(ROOT) if overlay.folder.name == environment
    }
    return of_components | of_services | {f"{service}-namespace" for service in of_services}


def _applications(control_plane: ControlPlane) -> dict[str, tuple[str, str]]:
    """The sync and health status of each Application."""
    found = control_plane.get("applications", f"--namespace={ARGO_CD_NAMESPACE}")["items"]
    return {
        application["metadata"]["name"]: (
            application.get("status", {}).get("sync", {}).get("status", ""),
            application.get("status", {}).get("health", {}).get("status", ""),
        )
        for application in found
    }


def _wrong(control_plane: ControlPlane, names: set[str]) -> dict[str, tuple[str, str]]:
    """Those of `names` that are not Synced and Healthy, after simulating the controllers that do not run here."""
    custom_resources.play_the_controllers(control_plane)
    found = _applications(control_plane)
    return {name: found.get(name, ("", "")) for name in names if found.get(name, ("", "")) != ("Synced", "Healthy")}


def _exists(control_plane: ControlPlane, *arguments: str) -> bool:
    return bool(control_plane.kubectl("get", *arguments, "--ignore-not-found", "--output=name").strip())


def test_applications_without_third_party_charts_are_synced_and_healthy(dev: ControlPlane) -> None:
    names = {"root", *_expected("dev")}
    _until(lambda: not _wrong(dev, names))
    assert _wrong(dev, names) == {}


def test_only_applications_of_this_environment_exist(dev: ControlPlane) -> None:
    charts = {
        f"{component.name}-dev" for component in components(ROOT) if component.chart and _runs_in("dev", component)
    }
    assert set(_applications(dev)) == {"root", *_expected("dev"), *charts}


def test_the_values_of_terraform_are_filled_in(dev: ControlPlane) -> None:
    namespace = f"--namespace={_SERVICE}-dev"
    (container,) = dev.get("rollout", namespace, _SERVICE)["spec"]["template"]["spec"]["containers"]
    registry = "123456789012.dkr.ecr.ap-northeast-2.amazonaws.com"
    assert container["image"].startswith(f"{registry}/{_SERVICE}:")
    assert "@sha256:" in container["image"]
    (rule,) = dev.get("ingress", namespace, _SERVICE)["spec"]["rules"]
    assert rule["host"] == f"{_SERVICE}.dev.platform.your-domain.com"
    (source,) = dev.get("externalsecret", namespace, "database")["spec"]["dataFrom"]
    assert source["extract"]["key"] == f"ap-northeast-2/dev/{_SERVICE}/database"
    store = dev.get("clustersecretstore", "aws-secrets-manager") if _exists(dev, "clustersecretstore") else None
    assert store is None or store["spec"]["provider"]["aws"]["region"] == "ap-northeast-2"


def test_the_database_user_is_created_before_the_service(dev: ControlPlane) -> None:
    job = dev.get("job", "--namespace=database-users", f"{_SERVICE}-dev")
    assert job["status"]["succeeded"] == 1
    prepare, _ = job["spec"]["template"]["spec"]["initContainers"]
    known = {variable["name"]: variable.get("value") for variable in prepare["env"]}
    assert known["DATABASE"] == _SERVICE
    assert known["USER_SECRET"] == f"ap-northeast-2/dev/{_SERVICE}/database"
    assert "placeholder" not in known.values()


def test_a_privileged_pod_is_refused_in_the_namespace_of_a_service(dev: ControlPlane) -> None:
    with pytest.raises(OperationError, match="violates PodSecurity"):
        dev.apply(pod(f"{_SERVICE}-dev", "intruder", privileged=True, allowPrivilegeEscalation=True))


# Role, action, resource, object, and whether it is allowed.
_RIGHTS = [
    ("bubble-developers", "get", "applications", "bubble/bubblepool-prod", True),
    ("bubble-developers", "sync", "applications", "bubble/bubblepool-dev", True),
    ("bubble-developers", "sync", "applications", "bubble/bubblepool-staging", True),
    ("bubble-developers", "sync", "applications", "bubble/bubblepool-prod", False),
    ("bubble-developers", "action/argoproj.io/Rollout/abort", "applications", "bubble/bubblepool-dev", True),
    ("bubble-developers", "action/argoproj.io/Rollout/abort", "applications", "bubble/bubblepool-prod", False),
    ("bubble-developers", "delete", "applications", "bubble/bubblepool-dev", False),
    ("bubble-developers", "get", "applications", "guest/guestbook-dev", False),
    ("bubble-developers", "sync", "applications", "guest/guestbook-dev", False),
    ("bubble-developers", "get", "logs", "bubble/bubblepool-dev", True),
    ("bubble-developers", "get", "logs", "bubble/bubblepool-prod", False),
    ("bubble-developers", "create", "exec", "bubble/bubblepool-dev", True),
    ("bubble-developers", "create", "exec", "bubble/bubblepool-staging", False),
    ("release-managers", "sync", "applications", "bubble/bubblepool-prod", True),
    ("release-managers", "sync", "applications", "guest/guestbook-prod", True),
    ("release-managers", "delete", "applications", "bubble/bubblepool-prod", False),
    ("release-managers", "create", "exec", "bubble/bubblepool-prod", False),
    ("platform-readonly", "get", "applications", "management/monitoring-prod", True),
    ("platform-readonly", "get", "logs", "management/monitoring-prod", False),
    ("platform-readonly", "sync", "applications", "management/monitoring-prod", False),
    ("platform-admins", "delete", "applications", "management/monitoring-prod", True),
    ("strangers", "get", "applications", "bubble/bubblepool-dev", False),
]


@pytest.mark.parametrize("right", _RIGHTS, ids=lambda right: " ".join(right[:4]))
def test_groups_have_the_rights_in_git(
    dev: ControlPlane, argo_cd: ArgoCd, right: tuple[str, str, str, str, bool]
) -> None:
    *request, is_allowed = right
    arguments = ("admin", "settings", "rbac", "can", *map(str, request))
    options = (f"--namespace={ARGO_CD_NAMESPACE}", "--strict=false")
    environment = {**os.environ, "KUBECONFIG": str(dev.kubeconfig)}
    command = [str(argo_cd.tools / "argocd"), *arguments, *options]
    output = subprocess.run(command, env=environment, check=False, capture_output=True, text=True).stdout
    assert output.strip() == ("Yes" if is_allowed else "No")


@pytest.mark.parametrize(
    ("template", "holds"),
    [
        ("app-deployed", f"{_SERVICE}-dev"),
        ("app-health-degraded", f"{_SERVICE}-dev"),
        ("app-sync-failed", f"{_SERVICE}-dev"),
        ("app-sync-status-unknown", f"{_SERVICE}-dev"),
        ("rollout-finished", f"{_SERVICE}-dev"),
    ],
)
@pytest.mark.usefixtures("dev")
def test_notification_templates_can_be_rendered(argo_cd: ArgoCd, template: str, holds: str) -> None:
    arguments = ("admin", "notifications", "template", "notify", template, f"{_SERVICE}-dev", "--secret=:empty")
    message = argo_cd.argocd(*arguments, f"--namespace={ARGO_CD_NAMESPACE}")
    assert holds in message
    assert "https://argocd.dev.platform.your-domain.com" in message
    assert "<no value>" not in message


def test_a_manual_change_is_reverted(dev: ControlPlane) -> None:
    namespace = f"--namespace={_SERVICE}-dev"
    dev.kubectl("delete", "networkpolicy", namespace, "default-deny")
    assert _until(lambda: _exists(dev, "networkpolicy", namespace, "default-deny"))
    dev.kubectl("label", "service", namespace, _SERVICE, "app.kubernetes.io/part-of=others", "--overwrite")
    assert _until(
        lambda: dev.get("service", namespace, _SERVICE)["metadata"]["labels"]["app.kubernetes.io/part-of"] == "bubble"
    )


def test_a_resource_that_is_removed_in_git_is_pruned(dev: ControlPlane, tree: Tree) -> None:
    arguments = ("poddisruptionbudget", f"--namespace={_SERVICE}-dev", _SERVICE)
    assert _exists(dev, *arguments)
    tree.edit(f"service/{_SERVICE}/base/kustomization.yaml", "- disruption-budget.yaml\n", "")
    assert _until(lambda: not _exists(dev, *arguments))


def test_a_broken_commit_is_reported_and_the_last_good_state_keeps_running(dev: ControlPlane, tree: Tree) -> None:
    file = f"service/{_SERVICE}/overlays/dev/kustomization.yaml"
    tree.edit(file, "kind: Kustomization\n", "kind: Kustomization\nresource: []\n")
    name = f"{_SERVICE}-dev"

    def error() -> str:
        application = dev.get("application", f"--namespace={ARGO_CD_NAMESPACE}", name)
        conditions = application["status"].get("conditions", [])
        return next((entry["message"] for entry in conditions if entry["type"] == "ComparisonError"), "")

    try:
        assert _until(lambda: bool(error()))
        assert 'unknown field "resource"' in error()
        assert dev.get("rollout", f"--namespace={name}", _SERVICE)["status"]["availableReplicas"] >= 1
    finally:
        tree.edit(file, "resource: []\n", "")
    assert _until(lambda: not _wrong(dev, {name}))


def test_the_default_project_permits_nothing(dev: ControlPlane) -> None:
    permitted = dev.get("appproject", f"--namespace={ARGO_CD_NAMESPACE}", "default")["spec"]
    for field in ("clusterResourceWhitelist", "destinations", "sourceRepos"):
        assert not permitted.get(field), field


def _spec(dev: ControlPlane, application: str) -> dict[str, Any]:
    spec: dict[str, Any] = dev.get("application", f"--namespace={ARGO_CD_NAMESPACE}", application)["spec"]
    return spec


@pytest.mark.parametrize("project", ["default", "management", "platform"])
def test_a_service_cannot_be_in_a_project_of_the_platform(dev: ControlPlane, tree: Tree, project: str) -> None:
    """Its Application stays in the project of its team, and the ApplicationSet reports why."""
    file = f"service/{_SERVICE}/overlays/dev/application.yaml"

    def errors() -> str:
        status = dev.get("applicationset", f"--namespace={ARGO_CD_NAMESPACE}", "services")["status"]
        return " ".join(one["message"] for one in status["conditions"] if one["status"] == "True")

    tree.edit(file, "team: bubble\n", f"team: {project}\n")
    message = f"application references project refused-{project} which does not exist"
    try:
        assert _until(lambda: message in errors())
        assert _spec(dev, f"{_SERVICE}-dev")["project"] == "bubble"
    finally:
        tree.edit(file, f"team: {project}\n", "team: bubble\n")
    assert _until(lambda: "refused" not in errors())


def test_a_line_break_in_a_host_sets_no_other_field(dev: ControlPlane, tree: Tree) -> None:
    file, name = f"service/{_SERVICE}/overlays/dev/application.yaml", f"{_SERVICE}-dev"
    tree.edit(file, f"host: {_SERVICE}\n", 'host: "a\\n  project: management\\n  #"\n')
    try:
        assert _until(lambda: "project: management" in str(_spec(dev, name)["source"]))
        assert _spec(dev, name)["project"] == "bubble"
    finally:
        tree.edit(file, 'host: "a\\n  project: management\\n  #"\n', f"host: {_SERVICE}\n")
    assert _until(lambda: not _wrong(dev, {name}))


def test_a_new_service_is_deployed_without_further_edits(
    dev: ControlPlane, tree: Tree, own_platform_folder: Path
) -> None:
    command = [sys.executable, "-m", "operations", "service", "orders", "--team", "sales", "--output"]
    subprocess.run([*command, str(own_platform_folder)], cwd=tree.repository.folder, check=True, capture_output=True)
    tree.repository.commit()
    names = {"orders-dev", "orders-dev-namespace"}
    _until(lambda: not _wrong(dev, names))
    assert _wrong(dev, names) == {}


def test_deleting_the_root_application_deletes_everything(dev: ControlPlane) -> None:
    _delete_root(dev)
    left = {item["metadata"]["name"] for item in dev.get("appprojects", f"--namespace={ARGO_CD_NAMESPACE}")["items"]}
    assert left == {"default", "platform"}
    assert not _exists(dev, "applicationsets", f"--namespace={ARGO_CD_NAMESPACE}")
    namespaces = {item["metadata"]["name"] for item in dev.get("namespaces")["items"]}
    assert not {name for name in namespaces if name.rpartition("-")[2] in environments()}
    assert not {"database-users", "monitoring"} & namespaces


def _delete_root(control_plane: ControlPlane) -> None:
    control_plane.kubectl("delete", "application/root", _TIMEOUT)
    assert _applications(control_plane) == {}


@pytest.mark.parametrize("environment", [name for name in environments() if name != "dev"])
def test_another_environment_is_synced(dev: ControlPlane, tree: Tree, environment: str) -> None:
    """The same Argo CD, with the objects that Terraform creates in the cluster of another environment."""
    dev.apply(*tree.handover(environment))
    names = {"root", *_expected(environment)}
    if environments()[environment].production:  # services wait for a sync window of their project
        of_components = {f"{name}-{environment}" for name in _components()}
        names = {name for name in names if not name.endswith(f"-{environment}") or name in of_components}
    _until(lambda: not _wrong(dev, names))
    assert _wrong(dev, names) == {}
    found = set(_applications(dev))
    assert _expected(environment) <= found
    assert not {name for name in found if name.endswith(("-dev", "-dev-namespace"))}
    _delete_root(dev)


def _components() -> set[str]:
    return {component.name for component in components(ROOT)}
