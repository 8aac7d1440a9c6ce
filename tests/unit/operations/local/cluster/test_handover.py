"""The objects that the local Argo CD gets from a synthesized in-cluster stack."""

import json
from pathlib import Path
from typing import Any

import pytest

from operations.local.cluster.handover import handover
from operations.terraform.stacks import read_stacks
from tests.template import Template


@pytest.fixture(scope="module")
def manifests(platform: object, platform_folder: Path) -> list[dict[str, Any]]:
    del platform  # synthesizes into the folder
    stack = next(stack for stack in read_stacks(platform_folder) if stack.is_in_cluster and stack.environment == "dev")
    return handover(stack.configuration, Path("/srv/repository"), "HEAD")


def test_the_cluster_secret_has_the_url_and_revision_of_the_local_repository(manifests: list[dict[str, Any]]) -> None:
    secret = manifests[0]
    assert secret["metadata"]["labels"]["argocd.argoproj.io/secret-type"] == "cluster"
    annotations = secret["metadata"]["annotations"]
    assert annotations["platform/repository-url"] == "file:///srv/repository"
    assert annotations["platform/repository-revision"] == "HEAD"
    assert secret["stringData"]["server"] == "https://kubernetes.default.svc"


def test_the_root_application_deploys_the_revision_of_the_local_repository(manifests: list[dict[str, Any]]) -> None:
    (application,) = [manifest for manifest in manifests if manifest["kind"] == "Application"]
    source = application["spec"]["source"]
    assert (source["repoURL"], source["targetRevision"]) == ("file:///srv/repository", "HEAD")
    (project,) = [manifest for manifest in manifests if manifest["kind"] == "AppProject"]
    assert application["spec"]["project"] == project["metadata"]["name"]


def test_objects_are_in_the_namespace_of_argo_cd_without_values_of_terraform(manifests: list[dict[str, Any]]) -> None:
    assert {manifest["metadata"]["namespace"] for manifest in manifests} == {"argocd"}
    assert "${" not in json.dumps(manifests)
    assert "unknown" in manifests[0]["metadata"]["annotations"].values()


def test_the_secret_of_a_spoke_can_come_first(with_hub: dict[str, Template]) -> None:
    stack = with_hub["ap-northeast-2-dev-gitops"]
    first, second, *_ = handover(stack.raw, Path("/srv/repository"), "HEAD", clusters=("staging", "in-cluster"))
    for secret, environment in ((first, "staging"), (second, "dev")):
        assert secret["metadata"]["labels"]["platform/environment"] == environment
        assert secret["metadata"]["annotations"]["platform/repository-url"] == "file:///srv/repository"
        assert secret["metadata"]["annotations"]["platform/repository-revision"] == "HEAD"
