"""Argo CD on the local control plane, with fake programs; `tests/cluster` runs the real ones."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from operations.errors import OperationError
from operations.local import ports
from operations.local.cluster.argo_cd import ArgoCd
from operations.local.cluster.control_plane import ControlPlane
from tests.unit.operations.local.cluster.fake_programs import FakePrograms

pytestmark = pytest.mark.slow

COMPONENTS = (
    "argocd-repo-server",
    "argocd-server",
    "argocd-application-controller",
    "argocd-applicationset-controller",
    "rollouts-controller",
)


@pytest.fixture
def cluster(tmp_path: Path, fakes: FakePrograms) -> Iterator[ControlPlane]:
    assert fakes.program("kubectl").exists()
    with ControlPlane(tmp_path / "home") as cluster:
        yield cluster


def _wait_for(argo_cd: ArgoCd, fakes: FakePrograms, *names: str) -> None:
    argo_cd.processes.wait_for("the components", lambda: {*names} <= {call.name for call in fakes.calls})


def test_every_component_is_started_and_stopped_with_the_block(cluster: ControlPlane, fakes: FakePrograms) -> None:
    with ArgoCd(cluster) as argo_cd:
        _wait_for(argo_cd, fakes, *COMPONENTS, "redis")
        assert ports.answers(argo_cd.port)
        assert fakes.calls_of("argocd-notifications") == []
    assert not ports.answers(argo_cd.port)


def test_notifications_are_only_started_if_requested(cluster: ControlPlane, fakes: FakePrograms) -> None:
    with ArgoCd(cluster, notifications=True) as argo_cd:
        _wait_for(argo_cd, fakes, "argocd-notifications")


def test_settings_are_added_to_the_config_map(cluster: ControlPlane, fakes: FakePrograms) -> None:
    with ArgoCd(cluster, settings={"accounts.ci": "apiKey"}):
        objects = {(manifest["kind"], manifest["metadata"]["name"]): manifest for manifest in fakes.applied()}
    data = objects["ConfigMap", "argocd-cm"]["data"]
    assert data["application.resourceTrackingMethod"] == "annotation"
    assert data["accounts.ci"] == "apiKey"
    assert objects["Namespace", "argocd"]["metadata"]["labels"] == {"pod-security.kubernetes.io/enforce": "restricted"}


def test_kinds_without_a_controller_on_this_machine_are_healthy(cluster: ControlPlane, fakes: FakePrograms) -> None:
    with ArgoCd(cluster):
        (data,) = (m["data"] for m in fakes.applied() if m["metadata"]["name"] == "argocd-cm")
    prefix = "resource.customizations.health."
    assert {key.removeprefix(prefix): value for key, value in data.items() if key.startswith(prefix)} == {
        "autoscaling_HorizontalPodAutoscaler": 'return {status = "Healthy"}',
        "policies.kyverno.io_ImageValidatingPolicy": 'return {status = "Healthy"}',
        "policies.kyverno.io_ValidatingPolicy": 'return {status = "Healthy"}',
    }


def test_settings_and_home_of_the_caller_are_not_used(
    cluster: ControlPlane, fakes: FakePrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ARGOCD_SERVER", "GIT_DIR", "HELM_REPOSITORY_CONFIG"):
        monkeypatch.setenv(name, "of the caller")
    with ArgoCd(cluster) as argo_cd:
        assert argo_cd.argocd("version", "--client") == "argocd version --client\n"
    (call,) = fakes.calls_of("argocd")
    assert "of the caller" not in call.environment.values()
    assert Path(call.environment["HOME"]).is_relative_to(cluster.home)
    assert call.environment["KUBECONFIG"] == str(cluster.kubeconfig)


def test_no_external_chart_can_be_fetched(cluster: ControlPlane, fakes: FakePrograms) -> None:
    with ArgoCd(cluster) as argo_cd:
        _wait_for(argo_cd, fakes, "argocd-repo-server")
    (call,) = fakes.calls_of("argocd-repo-server")
    assert call.environment["HTTPS_PROXY"] == "http://127.0.0.1:9"


@pytest.mark.usefixtures("fakes")
def test_the_password_is_read_from_the_cluster(cluster: ControlPlane) -> None:
    with ArgoCd(cluster) as argo_cd:
        assert argo_cd.password == "s3cret"  # noqa: S105


def test_a_component_that_does_not_start_is_reported_with_its_log(cluster: ControlPlane, fakes: FakePrograms) -> None:
    fakes.break_("argocd-server")
    with pytest.raises(OperationError, match=r"(?s)^argocd-server exited .*argocd-server is broken"), ArgoCd(cluster):
        pass
