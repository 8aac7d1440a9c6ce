"""One Argo CD syncs the cluster that it runs in and another one, which then leaves its hub.

The Secret of the other cluster has a token in the place of an IAM role, which only EKS accepts.
"""

import base64
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from operations.local.cluster import programs
from operations.local.cluster.argo_cd import ArgoCd
from operations.local.cluster.control_plane import ARGO_CD_NAMESPACE, ControlPlane
from operations.local.cluster.handover import handover
from operations.local.cluster.processes import Processes
from operations.local.ports import free_ports
from tests.cluster import custom_resources
from tests.cluster.git_repository import GitRepository
from tests.cluster.waiting import until
from tests.e2e.clone import copy_into
from tests.template import Template

pytestmark = pytest.mark.cluster

_SECONDS = 300
_until = partial(until, seconds=_SECONDS)
_NAMESPACE = f"--namespace={ARGO_CD_NAMESPACE}"
_SECRET = "secret/cluster-staging"  # noqa: S105 (its name)
_SERVICES = ("bubblepool", "guestbook")


class _Clusters(NamedTuple):
    """The cluster of dev with Argo CD, that of staging, and the tree that both take."""

    hub: ControlPlane
    spoke: ControlPlane
    tree: Path
    rollouts: ExitStack
    """What ends Argo Rollouts in the spoke."""


@pytest.fixture(scope="module")
def clusters(
    control_plane: ControlPlane,
    argo_cd: ArgoCd,  # noqa: ARG001  (it syncs)
    with_hub: dict[str, Template],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[_Clusters]:
    copy_into(tree := tmp_path_factory.mktemp("tree"))
    GitRepository(tree).commit()
    with ControlPlane(tmp_path_factory.mktemp("spoke")) as spoke, ExitStack() as rollouts:
        _start_rollouts(spoke, rollouts.enter_context(Processes(spoke.logs)))
        for cluster in (control_plane, spoke):
            custom_resources.define(cluster)
        own, other, *rest = handover(
            with_hub["ap-northeast-2-dev-gitops"].raw, tree, "main", clusters=("in-cluster", "staging")
        )
        control_plane.apply(own, _reaching(other, spoke), *rest)
        yield _Clusters(control_plane, spoke, tree, rollouts)
        control_plane.kubectl("delete", "application/root", "--ignore-not-found", f"--timeout={_SECONDS}s", _NAMESPACE)
        control_plane.kubectl("delete", "appproject/platform", _SECRET, "--ignore-not-found", _NAMESPACE)


def _start_rollouts(cluster: ControlPlane, processes: Processes) -> None:
    """Argo Rollouts without Argo CD. In a real cluster, a component of the tree installs it."""
    cluster.kubectl("apply", "--server-side", f"--filename={programs.files('argo-rollouts')}")
    metrics, health = free_ports(2)
    processes.start(
        "rollouts-controller",
        programs.program("rollouts-controller"),
        "--namespace=",
        "--leader-elect=false",
        f"--metricsPort={metrics}",
        f"--healthzPort={health}",
        environment={**os.environ, "KUBECONFIG": str(cluster.kubeconfig)},
    )


def _reaching(secret: dict[str, Any], cluster: ControlPlane, token: str | None = None) -> dict[str, Any]:
    """The Secret with the address and a token of a local cluster, in the place of `awsAuthConfig`."""
    kubeconfig = json.loads(cluster.kubeconfig.read_text())
    server = kubeconfig["clusters"][0]["cluster"]
    known = json.loads(secret["stringData"]["config"])
    assert known.pop("awsAuthConfig") == {"clusterName": "gitops-cluster-staging"}
    known["tlsClientConfig"]["caData"] = base64.b64encode(Path(server["certificate-authority"]).read_bytes()).decode()
    config = {**known, "bearerToken": token or kubeconfig["users"][0]["user"]["token"]}
    values = {**secret["stringData"], "server": server["server"], "config": json.dumps(config)}
    return {**secret, "stringData": values}


def _applications(cluster: ControlPlane) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"]: one for one in cluster.get("applications", _NAMESPACE)["items"]}


def _unhealthy(argo_cd: ControlPlane, *played: ControlPlane, names: set[str]) -> dict[str, str]:
    """Those of the Applications that are not Synced and Healthy."""
    for cluster in played:
        custom_resources.play_the_controllers(cluster)
    found = {
        name: " ".join(one.get("status", {}).get(part, {}).get("status", "") for part in ("sync", "health"))
        for name, one in _applications(argo_cd).items()
    }
    return {name: found.get(name, "") for name in names if found.get(name) != "Synced Healthy"}


def _of(environment: str) -> set[str]:
    """The Applications of an environment without third-party charts, but for Argo CD's own component."""
    services = {f"{service}-{environment}" for service in _SERVICES}
    components = {f"{name}-{environment}" for name in ("database-users", "policies")}
    return services | {f"{service}-namespace" for service in services} | components


def _namespaces(cluster: ControlPlane) -> set[str]:
    return {one["metadata"]["name"] for one in cluster.get("namespaces")["items"]}


@pytest.mark.timeout(1800)
def test_one_argo_cd_syncs_both_clusters(clusters: _Clusters) -> None:
    hub, spoke = clusters.hub, clusters.spoke
    names = {"root", "argo-cd-dev", *_of("dev"), *_of("staging")}
    _until(lambda: not _unhealthy(hub, hub, spoke, names=names))
    assert _unhealthy(hub, hub, spoke, names=names) == {}
    servers = {name: one["spec"]["destination"]["server"] for name, one in _applications(hub).items()}
    address = json.loads(spoke.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    for name, server in servers.items():
        in_staging = name.removesuffix("-namespace").endswith("-staging")
        assert server == (address if in_staging else "https://kubernetes.default.svc"), name


@pytest.mark.timeout(1800)
def test_each_cluster_gets_its_own_objects_and_values(clusters: _Clusters) -> None:
    for cluster, environment, other in ((clusters.hub, "dev", "staging"), (clusters.spoke, "staging", "dev")):
        namespaces = _namespaces(cluster)
        assert {f"{service}-{environment}" for service in _SERVICES} <= namespaces
        assert not {name for name in namespaces if name.endswith(f"-{other}")}
        (rule,) = cluster.get("ingress", f"--namespace=bubblepool-{environment}", "bubblepool")["spec"]["rules"]
        assert rule["host"] == f"bubblepool.{environment}.platform.your-domain.com"
        (source,) = cluster.get("externalsecret", f"--namespace=bubblepool-{environment}", "database")["spec"][
            "dataFrom"
        ]
        assert source["extract"]["key"] == f"ap-northeast-2/{environment}/bubblepool/database"


def test_the_spoke_has_nothing_of_argo_cd(clusters: _Clusters) -> None:
    assert ARGO_CD_NAMESPACE not in _namespaces(clusters.spoke)
    assert "argo-cd-staging" not in _applications(clusters.hub)
    definitions = clusters.spoke.get("customresourcedefinitions")["items"]
    assert "applications.argoproj.io" not in {one["metadata"]["name"] for one in definitions}


def test_a_team_may_use_the_namespaces_of_an_environment_in_its_own_cluster_alone(clusters: _Clusters) -> None:
    found = clusters.hub.get("appproject", _NAMESPACE, "bubble")["spec"]["destinations"]
    cluster_of = {one["namespace"]: one.get("name", one.get("server")) for one in found}
    assert cluster_of["bubblepool-dev"] == "https://kubernetes.default.svc"
    assert cluster_of["bubblepool-staging"] == "staging"
    assert len(found) == len(cluster_of)


@pytest.mark.timeout(1800)
def test_a_change_by_hand_in_the_spoke_is_reverted(clusters: _Clusters) -> None:
    namespace = "--namespace=bubblepool-staging"
    clusters.spoke.kubectl("delete", "networkpolicy", namespace, "default-deny")
    wanted = ("networkpolicy", namespace, "default-deny", "--ignore-not-found", "--output=name")
    assert _until(lambda: bool(clusters.spoke.kubectl("get", *wanted).strip()))


@pytest.mark.timeout(1800)
def test_the_spoke_leaves_its_hub_without_losing_an_object(
    clusters: _Clusters, with_hub: dict[str, Template], platform: dict[str, Template]
) -> None:
    """In the order of docs/hub.md: its access ends, the hub forgets it, and its own Argo CD takes over."""
    hub, spoke, tree, rollouts = clusters

    def identities() -> dict[str, str]:
        kinds = ("rollouts", "services", "ingresses", "networkpolicies")
        found = [one for kind in kinds for one in spoke.get(kind, "--all-namespaces")["items"]]
        found += spoke.get("namespaces")["items"]
        ours = [one for one in found if "staging" in one["metadata"].get("namespace", one["metadata"]["name"])]
        return {
            f"{one['kind']} {one['metadata'].get('namespace', '')} {one['metadata']['name']}": one["metadata"]["uid"]
            for one in ours
        }

    before = identities()
    assert len(before) > len(_SERVICES)
    with_spoke, alone = with_hub["ap-northeast-2-dev-gitops"].raw, platform["ap-northeast-2-dev-gitops"].raw
    (other,) = [one for one in handover(with_spoke, tree, "main", clusters=("staging",)) if one["kind"] == "Secret"]
    hub.apply(_reaching(other, spoke, token="ended"))  # noqa: S106
    hub.apply(*handover(alone, tree, "main"))
    hub.kubectl("delete", _SECRET, _NAMESPACE)
    assert _until(lambda: not [name for name in _applications(hub) if "-staging" in name]), _applications(hub).keys()
    own = {"root", "argo-cd-dev", *_of("dev")}
    _until(lambda: not _unhealthy(hub, hub, names=own))
    assert _unhealthy(hub, hub, names=own) == {}
    assert identities() == before

    rollouts.close()
    with ArgoCd(spoke):
        spoke.apply(*handover(platform["ap-northeast-2-staging-gitops"].raw, tree, "main"))
        names = {"root", "argo-cd-staging", *_of("staging")}
        _until(lambda: not _unhealthy(spoke, spoke, names=names))
        assert _unhealthy(spoke, spoke, names=names) == {}
        assert identities() == before
