"""Two clusters of one environment, each with its own Argo CD, take the same tree with weights of their own."""

import json
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import pytest

from operations.local.cluster.argo_cd import ArgoCd
from operations.local.cluster.control_plane import ARGO_CD_NAMESPACE, ControlPlane
from operations.local.cluster.handover import handover
from tests.cluster import custom_resources
from tests.cluster.git_repository import GitRepository
from tests.cluster.waiting import until
from tests.e2e.clone import copy_into
from tests.template import Template

pytestmark = pytest.mark.cluster

_SECONDS = 300
_until = partial(until, seconds=_SECONDS)
_STACKS = ("ap-northeast-2-dev-gitops", "ap-northeast-2-dev-blue-gitops")
_NAMESPACE = f"--namespace={ARGO_CD_NAMESPACE}"
_PREFIX = "external-dns.alpha.kubernetes.io"


class _Clusters(NamedTuple):
    """The first cluster of dev, and the further one."""

    first: ControlPlane
    blue: ControlPlane


@pytest.fixture(scope="module")
def clusters(
    control_plane: ControlPlane,
    argo_cd: ArgoCd,  # noqa: ARG001  (it syncs)
    with_further_cluster: dict[str, Template],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[_Clusters]:
    copy_into(folder := tmp_path_factory.mktemp("tree"))
    repository = GitRepository(folder)
    repository.commit()
    with ControlPlane(tmp_path_factory.mktemp("blue")) as blue, ArgoCd(blue):
        for cluster, stack in zip((control_plane, blue), _STACKS, strict=True):
            custom_resources.define(cluster)
            cluster.apply(*handover(with_further_cluster[stack].raw, folder, "main"))
        yield _Clusters(control_plane, blue)
        control_plane.kubectl("delete", "application/root", "--ignore-not-found", f"--timeout={_SECONDS}s", _NAMESPACE)
        control_plane.kubectl("delete", "appproject/platform", "--ignore-not-found", _NAMESPACE)


def _state(cluster: ControlPlane) -> dict[str, tuple[str, str]]:
    """The sync and health status of each Application."""
    custom_resources.play_the_controllers(cluster)
    return {
        one["metadata"]["name"]: (
            one.get("status", {}).get("sync", {}).get("status", ""),
            one.get("status", {}).get("health", {}).get("status", ""),
        )
        for one in cluster.get("applications", _NAMESPACE)["items"]
    }


def _is_healthy(cluster: ControlPlane) -> bool:
    return _state(cluster).get("bubblepool-dev") == ("Synced", "Healthy")


def _record(cluster: ControlPlane) -> tuple[str, str, str]:
    """The host, weight and identifier of the record of a service."""
    ingress = cluster.get("ingress", "--namespace=bubblepool-dev", "bubblepool")
    annotations = ingress["metadata"]["annotations"]
    return (
        ingress["spec"]["rules"][0]["host"],
        annotations.get(f"{_PREFIX}/aws-weight", ""),
        annotations.get(f"{_PREFIX}/set-identifier", ""),
    )


_HOST = "bubblepool.dev.platform.your-domain.com"


@pytest.mark.timeout(1800)
def test_both_clusters_take_the_same_tree_with_their_own_weights(clusters: _Clusters) -> None:
    for cluster in clusters:
        assert _until(partial(_is_healthy, cluster)), _state(cluster)
    first, blue = (_state(cluster).keys() for cluster in clusters)
    assert blue - first == {"karpenter-dev"}  # which is in the settings of blue alone
    assert not first - blue
    assert _record(clusters.first) == (_HOST, "100", "gitops-cluster-dev")
    assert _record(clusters.blue) == (_HOST, "0", "gitops-cluster-dev-blue")


@pytest.mark.timeout(1800)
def test_a_new_weight_reaches_the_records_without_a_commit(clusters: _Clusters) -> None:
    """Terraform changes only the cluster Secret, and no Pod is restarted."""
    for cluster, weight in zip(clusters, ("0", "100"), strict=True):
        patch = json.dumps({"metadata": {"annotations": {"platform/dns-weight": weight}}})
        cluster.kubectl("patch", "secret/in-cluster", _NAMESPACE, "--type=merge", f"--patch={patch}")
    assert _until(lambda: _record(clusters.first) == (_HOST, "0", "gitops-cluster-dev"))
    assert _until(lambda: _record(clusters.blue) == (_HOST, "100", "gitops-cluster-dev-blue"))
