"""The chart my-app: snapshots of its output, and validation of its values."""

import subprocess
from pathlib import Path

import pytest
import yaml
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from tests import ROOT

CHART = ROOT / "helm" / "my-app"
RELEASES = sorted(ROOT.glob("service/*/overlays/*/values.yaml"))
KNOWN = "image.registry=registry.example,ingress.host=shop-dev.example.com"

ALL_VALUES = {
    "Rollout": f"""{KNOWN},name=shop,team=sales,config.GREETING=hello,metrics.port=9090
        workload.analysis.query=sum(up{{pod="{{{{args.canary}}}}"}}),workload.dynamicStableScale=true
        workload.pingPong.pingService=shop-a,workload.pingPong.pongService=shop-b
        database.secretKey=ap-northeast-2/dev/shop/database""",
    "Deployment": f"""{KNOWN},name=shop,team=sales,config.GREETING=hello,metrics.port=9090
        workload.kind=Deployment,database.secretKey=ap-northeast-2/dev/shop/database""",
}
MINIMAL_VALUES = {"Rollout": "name=shop", "Deployment": "name=shop,workload.kind=Deployment"}


class Yaml(SingleFileSnapshotExtension):
    file_extension = "yaml"
    _write_mode = WriteMode.TEXT


def _helm(helm: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([helm, *arguments], cwd=ROOT, check=False, capture_output=True, text=True)


def _rendered(helm: Path, values: str) -> str:
    settings = [argument for value in ",".join(values.split()).split(",") for argument in ("--set", value)]
    done = _helm(helm, "template", "shop", str(CHART), *settings)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _objects(helm: Path, values: str) -> str:
    """The rendered objects, without comments and the empty lines that only some versions of Helm print."""
    return yaml.safe_dump_all(yaml.safe_load_all(_rendered(helm, values)))


@pytest.mark.parametrize("kind", ALL_VALUES)
def test_all_values_match_the_snapshot(kind: str, helm: Path, snapshot: SnapshotAssertion) -> None:
    assert _objects(helm, ALL_VALUES[kind]) == snapshot(name=kind, extension_class=Yaml)


@pytest.mark.parametrize("kind", MINIMAL_VALUES)
def test_minimal_values_match_the_snapshot(kind: str, helm: Path, snapshot: SnapshotAssertion) -> None:
    assert _objects(helm, MINIMAL_VALUES[kind]) == snapshot(name=kind, extension_class=Yaml)


def test_chart_passes_helm_lint(helm: Path) -> None:
    done = _helm(helm, "lint", "--strict", str(CHART))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("values", RELEASES, ids=lambda path: str(path.relative_to(ROOT).parent))
def test_values_of_every_service_pass_helm_lint(values: Path, helm: Path) -> None:
    done = _helm(helm, "lint", "--strict", str(CHART), "--values", str(values), "--set", KNOWN)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("replcas.minimum=2", "additional properties 'replcas' not allowed"),
        ("image.tga=1.0.0", "at '/image': additional properties 'tga' not allowed"),
        ("probes.liveness.port=1", "at '/probes/liveness': additional properties 'port' not allowed"),
        ("workload.steps[0].weight=1", "at '/workload/steps/0': additional properties 'weight' not allowed"),
        ("workload.steps[0].setCanaryScale.replicas=1", "additional properties 'replicas' not allowed"),
        ("workload.steps[0].setCanaryScale.weight=101", "/0/setCanaryScale/weight': maximum: got 101, want 100"),
        ("workload.steps[0].setWeight=400", "at '/workload/steps/0/setWeight': maximum: got 400, want 100"),
        ("workload.steps[0].setWeight=-1", "at '/workload/steps/0/setWeight': minimum: got -1, want 0"),
        ("workload.steps[0].setWeight=half", "at '/workload/steps/0/setWeight': got string, want integer"),
        ("workload.steps=20", "at '/workload/steps': got number, want array"),
        ("workload.steps[0]=20", "at '/workload/steps/0': got number, want object"),
        ("workload.steps[0].pause=5m", "at '/workload/steps/0/pause': got string, want object"),
        ("workload.steps[0].pause.duration=5 parsecs", "'5 parsecs' does not match pattern '^[1-9][0-9]*[smh]$'"),
        ("workload.steps[0].pause.duration=0s", "'0s' does not match pattern"),
        ("workload.steps[0].pause.duration=300", "/0/pause/duration': got number, want string"),
        (
            "workload.steps[0].pause.until=noon",
            "at '/workload/steps/0/pause': additional properties 'until' not allowed",
        ),
        (
            "workload.steps[0].setWeight=5,workload.steps[0].pause.duration=5m",
            "at '/workload/steps/0': maxProperties: got 2, want 1",
        ),
        (
            "workload.steps[0].setCanaryScale.weight=100",
            "workload.steps[0]: setCanaryScale: needs a load balancer; set ingress.host, or remove the step",
        ),
        (
            "workload.analysis.query=up,workload.steps[0].setWeight=5",
            "workload.analysis.query: the analysis starts with the second of workload.steps; add a pause",
        ),
        ("workload.pingPong.ping=a", "at '/workload/pingPong': additional properties 'ping' not allowed"),
        ("workload.pingPong.pingService=1", "at '/workload/pingPong/pingService': got number, want string"),
        ("workload.pingPong.pingService=Ping", "at '/workload/pingPong/pingService': 'Ping' does not match pattern"),
        ("workload.pingPong.pongService=null", "at '/workload/pingPong': missing property 'pongService'"),
        (
            f"{KNOWN},workload.pingPong.pingService=my-app-pong",
            "workload.pingPong: my-app, my-app-pong, my-app-pong: not three names with that of the service; give each",
        ),
        (
            f"{KNOWN},workload.pingPong.pongService=my-app",
            "workload.pingPong: my-app, my-app-ping, my-app: not three names with that of the service; give each",
        ),
        ("config.greeting=hello", "invalid propertyName 'greeting'"),
        ("port=http", "at '/port': got string, want integer"),
        ("config.ANSWER=42", "at '/config/ANSWER': got number, want string"),
        ("workload.dynamicStableScale=maybe", "got string, want boolean"),
        ("workload.kind=StatefulSet", "at '/workload/kind': value must be one of 'Rollout', 'Deployment'"),
        ("image.tag=latest", "at '/image/tag': 'not' failed"),
        ("image.tag=", "at '/image/tag': '' does not match pattern"),
        ("image.digest=null", "at '/image': missing property 'digest'"),
        ("image.digest=sha256:beef", "at '/image/digest': 'sha256:beef' does not match pattern"),
        ("runAsUser=0", "at '/runAsUser': minimum: got 0, want 1"),
        ("resources.limits.cpu=null", "at '/resources/limits': missing property 'cpu'"),
        ("name=Shop", "at '/name': 'Shop' does not match pattern"),
        ("metrics.port=8080", "metrics.port: 8080: also the value of port; write another, or 0 for none"),
        ("replicas.maximum=1", "replicas.maximum: 1: below replicas.minimum (2); raise it"),
    ],
)
def test_rejects_an_invalid_value(value: str, message: str, helm: Path) -> None:
    done = _helm(helm, "template", "shop", str(CHART), "--set", value)
    assert done.returncode != 0
    assert message in done.stderr


def test_large_numbers_are_not_rendered_in_scientific_notation(helm: Path) -> None:
    """Helm parses numbers as floats, and renders large ones as 1e+06."""
    assert "runAsUser: 1000000\n" in _rendered(helm, "runAsUser=1000000")


def test_steps_can_switch_all_requests_at_once(helm: Path) -> None:
    steps = "workload.steps[0].setCanaryScale.weight=100,workload.steps[1].setWeight=100"
    assert "      steps:\n        - setCanaryScale:\n            weight: 100\n        - setWeight: 100\n" in _rendered(
        helm, f"{KNOWN},{steps}"
    )
