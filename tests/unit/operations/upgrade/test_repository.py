"""The checks of the repository: versions, charts, APIs, and the order of promotion."""

import json
from pathlib import Path

import pytest

from operations.delivery import manifests
from operations.delivery.manifests import Source
from operations.errors import OperationError
from operations.terraform.stacks import Chart, KubernetesVersion, Platform
from operations.upgrade import repository
from operations.upgrade.cluster import Change
from tests.stacks import make_stack

UP = Change("staging", "1.35", "1.36")
PLATFORM = Platform(
    [], [], [], {"1.36": KubernetesVersion("2027-08-02", {})},
    [Chart("argo-cd", "2.0.0", "1.33", "1.36"), Chart("argo-cd", "1.0.0", "1.32", "1.35")],
)  # fmt: skip


@pytest.mark.parametrize(("version", "outcome"), [("1.36", "passed"), ("1.99", "failed")])
def test_a_version_needs_a_row(version: str, outcome: str) -> None:
    (line,) = repository.known_version(PLATFORM, version)
    assert line.outcome == outcome


@pytest.mark.parametrize(
    ("chart", "version", "outcome"),
    [
        ("argo-cd", "2.0.0", "passed"),
        ("argo-cd", "1.0.0", "failed"),
        ("argo-cd", "9.9.9", "warning"),
        ("other", "2.0.0", "warning"),
    ],
)
def test_charts_of_terraform_have_a_tested_range(tmp_path: Path, chart: str, version: str, outcome: str) -> None:
    release = {"chart": chart, "version": version}
    resource = {"helm_release": {"a": release}, "kubernetes_namespace": {"a": {}}}
    configuration = {"terraform": {"backend": {"s3": {}}}, "resource": resource}
    (tmp_path / "cdk.tf.json").write_text(json.dumps(configuration))
    (line,) = repository.releases(PLATFORM, make_stack(directory=tmp_path, kind="in-cluster"), "1.36")
    assert (line.subject, line.outcome) == (f"chart {chart}", outcome)


def test_an_api_that_the_version_removes_is_named_with_its_file(tmp_path: Path) -> None:
    assert [line.outcome for line in repository.removed(tmp_path, "1.36")] == ["passed"]
    (tmp_path / "service/shop").mkdir(parents=True)
    (tmp_path / "service/shop/job.yaml").write_text("apiVersion: batch/v1beta1\nkind: CronJob\n")
    (line,) = repository.removed(tmp_path, "1.36")
    assert (line.subject, line.outcome) == ("API in service/shop/job.yaml", "failed")
    assert "batch/v1beta1 CronJob is not served by Kubernetes 1.36" in line.message


@pytest.mark.parametrize(
    ("rendered", "outcome", "message"),
    [
        ("apiVersion: v1\nkind: Pod\n", "passed", "accept Kubernetes 1.36"),
        ("apiVersion: batch/v1beta1\nkind: CronJob\n", "failed", "installs batch/v1beta1 CronJob, which"),
        (OperationError("helm template: chart requires kubeVersion: <1.36"), "failed", "choose a version of the chart"),
        (OperationError("helm: not installed"), "warning", "not checked: helm: not installed"),
    ],
)
def test_charts_of_components_are_rendered(
    monkeypatch: pytest.MonkeyPatch, rendered: str | OperationError, outcome: str, message: str
) -> None:
    def render() -> str:
        if isinstance(rendered, OperationError):
            raise rendered
        return rendered

    charts = [Source(name, "dev", render, ()) for name in ("cache", "queue")]
    monkeypatch.setattr(manifests, "charts", lambda *_: charts)
    (line,) = repository.charts(Path(), "1.36")
    assert (line.subject, line.outcome) == ("charts of cache, queue", outcome)
    assert message in line.message


@pytest.mark.parametrize(
    ("change", "versions", "messages"),
    [
        (UP, ("1.36", "1.35", "1.35"), []),
        (UP, ("1.35", "1.35", "1.35"), ["environment dev: has 1.35, and is promoted first; upgrade it before"]),
        (UP, ("1.36", "1.35", "1.34"),
         ["environment prod: has 1.34, more than one minor version behind; upgrade it before"]),
        (Change("staging", "1.36", "1.35"), ("1.36", "1.36", "1.36"),
         ["environment prod: has 1.36, and is promoted after staging; take it back before"]),
        (Change("staging", "1.36", "1.35"), ("1.36", "1.36", "1.35"), []),
    ],
)  # fmt: skip
def test_environments_change_in_the_order_of_promotion(
    change: Change, versions: tuple[str, ...], messages: list[str]
) -> None:
    names = ["dev", "staging", "prod"]
    lines = list(repository.order(change, names, "staging", dict(zip(names, versions, strict=True))))
    assert [f"{line.subject}: {line.message}" for line in lines] == messages
    assert {line.outcome for line in lines} <= {"failed"}
