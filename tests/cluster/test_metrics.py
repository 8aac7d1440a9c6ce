"""The metrics in alerts, dashboards and analyses exist, with their labels, and Prometheus answers every expression.

Prometheus scrapes the programs that run here, while syncs, rollouts, notifications and webhooks succeed and fail.
`metrics.yaml` lists the metrics of the programs that do not run here.
"""

import json
import re
import time
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import bubblepool
import pytest
import yaml

from operations.errors import OperationError
from operations.local.cluster import programs
from operations.local.cluster.argo_cd import SERVER, ArgoCd
from operations.local.cluster.control_plane import ARGO_CD_NAMESPACE, ControlPlane
from tests.cluster.git_repository import GitRepository
from tests.cluster.manifests import Manifest, canary, config_map, restricted_namespace
from tests.gitops.tree import Renderer
from tests.metrics import Expression, expressions, needed, parsed
from tests.prometheus import Prometheus

pytestmark = pytest.mark.cluster

_NAMESPACE = "measured"
_SECONDS = 120

# What nothing here is or does, or only for a moment.
_WITHOUT_DATA = {
    "argo-cd-applications: Degraded or missing: 0",
    "argo-cd-applications: Progressing: 0",
    "argo-cd-components: Events of the cluster: 0",  # unless something changed just now
    "argo-rollouts: Aborted: 0",
    "argo-rollouts: Paused: 0",
    "argo-rollouts: Progressing: 0",
    "platform: Refusals, 15 min: 0",  # no webhook decides
    "platform: Waiting in queues: 0",  # of External Secrets
}

# The labels that Prometheus adds to every metric.
_OF_TARGETS = {"namespace", "job", "instance", "pod"}


def _listed() -> dict[str, set[str]]:
    """The metrics of programs that do not run here, with their labels."""
    sources = yaml.safe_load(Path(__file__).with_name("metrics.yaml").read_text())
    return {name: set(labels) for metrics in sources.values() for name, labels in metrics.items()}


def _job(name: str, namespace: str, port: int, **options: Any) -> dict[str, Any]:
    labels = {"namespace": namespace, "pod": f"{name}-0"}
    return {"job_name": name, "static_configs": [{"targets": [f"127.0.0.1:{port}"], "labels": labels}], **options}


def _api_server(control_plane: ControlPlane) -> dict[str, Any]:
    access = json.loads(control_plane.kubeconfig.read_text())
    port = int(access["clusters"][0]["cluster"]["server"].rpartition(":")[2])
    authorization = {"credentials": access["users"][0]["user"]["token"]}
    tls = {"insecure_skip_verify": True}
    return _job("apiserver", "default", port, scheme="https", authorization=authorization, tls_config=tls)


@pytest.fixture(scope="module")
def pool() -> Iterator[tuple[bubblepool.Pool, int]]:
    """The metrics of the example application, and their port."""
    pool = bubblepool.Pool()
    handler = bubblepool._handler({("GET", "/metrics"): pool.metrics}, lambda *_: None)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield pool, server.server_port
        server.shutdown()


@pytest.fixture(scope="module")
def found(go_programs: None) -> list[Expression]:  # noqa: ARG001  (programs that render)
    rendered = Renderer(programs.program("kustomize"), programs.program("helm")).everything()
    return expressions(rendered)


@pytest.fixture(scope="module")
def prometheus(
    found: list[Expression],
    control_plane: ControlPlane,
    argo_cd: ArgoCd,
    pool: tuple[bubblepool.Pool, int],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Prometheus]:
    """Prometheus, after everything happened that a metric of this repository counts."""
    namespaces = {"argo-rollouts-metrics": "argo-rollouts"}
    jobs = [_job(name, namespaces.get(name, ARGO_CD_NAMESPACE), port) for name, port in argo_cd.metrics_ports.items()]
    jobs.append(_api_server(control_plane))
    of_pod = [{"target_label": "rollouts_pod_template_hash", "replacement": "1"}]
    jobs.append(_job("bubblepool", "shop", pool[1], relabel_configs=of_pod))
    with Prometheus(tmp_path_factory.mktemp("prometheus"), jobs) as running:
        pool[0].count("GET", 200)
        control_plane.apply(restricted_namespace(_NAMESPACE))
        made = [*_applications(tmp_path_factory.mktemp("git")), *_rollouts(running.url)]
        control_plane.apply(*made)
        _log_in(argo_cd)
        _break_with_webhooks(control_plane)
        _wait_for_metrics(running, found)
        yield running
    for webhook in ("open", "closed"):
        control_plane.kubectl("delete", "validatingwebhookconfiguration", webhook, "--ignore-not-found")
    for manifest in made:
        name = f"{manifest['kind']}/{manifest['metadata']['name']}"
        where = f"--namespace={manifest['metadata']['namespace']}"
        control_plane.kubectl("delete", name, where, "--ignore-not-found", "--timeout=60s")
    control_plane.kubectl("delete", "namespace", _NAMESPACE, "--wait=false")


def _object(kind: str, name: str, namespace: str = ARGO_CD_NAMESPACE, **fields: Any) -> Manifest:
    group = "v1" if kind == "ConfigMap" else "argoproj.io/v1alpha1"
    return {"apiVersion": group, "kind": kind, "metadata": {"name": name, "namespace": namespace}, **fields}


def _applications(folder: Path) -> Iterator[Manifest]:
    """Applications that sync, fail to sync and cannot be read, an ApplicationSet, and a notification that fails."""
    repository = GitRepository(folder / "repository")
    repository.write("good/map.json", config_map(_NAMESPACE, "good"))
    repository.write("bad/map.json", {**config_map(_NAMESPACE, "bad"), "data": {"a": {"b": "c"}}})
    repository.commit()
    yield _object(
        "AppProject", "measured", spec={"sourceRepos": ["*"], "destinations": [{"server": "*", "namespace": "*"}]}
    )
    yield _object(
        "ConfigMap",
        "argocd-notifications-cm",
        data={
            "service.webhook.nobody": "url: http://127.0.0.1:9",
            "template.made": "webhook: {nobody: {method: POST}}",
            "trigger.on-made": "[{when: 'true', send: [made]}]",
        },
    )
    source = {"repoURL": repository.url, "targetRevision": "main", "path": "good"}
    spec = {
        "project": "measured",
        "source": source,
        "destination": {"server": SERVER, "namespace": _NAMESPACE},
        "syncPolicy": {"automated": {}, "retry": {"limit": 0}},
    }
    good = _object("Application", "measured-good", spec=spec)
    good["metadata"]["annotations"] = {"notifications.argoproj.io/subscribe.on-made.nobody": ""}
    yield good
    for name, other in (
        ("bad", {"path": "bad"}),
        ("unlisted", {"repoURL": "http://127.0.0.1:9/nobody.git"}),
        ("unfetched", {"targetRevision": "0" * 39 + "1"}),
    ):
        yield _object("Application", f"measured-{name}", spec={**spec, "source": {**source, **other}})
    template = {"metadata": {"name": "measured-{{name}}"}, "spec": spec}
    yield _object(
        "ApplicationSet",
        "measured",
        spec={"generators": [{"list": {"elements": [{"name": "generated"}]}}], "template": template},
    )


def _rollouts(url: str) -> Iterator[Manifest]:
    yield canary(_NAMESPACE, "web", image="web:1")
    prometheus = {"prometheus": {"address": url, "query": "vector(1)"}}
    routed = canary(_NAMESPACE, "routed", image="web:1")
    routing = {"alb": {"ingress": "nobody", "servicePort": 80}}
    routed["spec"]["strategy"]["canary"] |= {
        "canaryService": "nobody",
        "stableService": "no-one",
        "trafficRouting": routing,
    }
    yield routed
    metric = {"name": "one", "interval": "1s", "count": 1000, "provider": prometheus}
    yield _object("AnalysisRun", "endless", _NAMESPACE, spec={"metrics": [metric]})


def _log_in(argo_cd: ArgoCd) -> None:
    server = (f"127.0.0.1:{argo_cd.port}", "--plaintext", "--username=admin")
    argo_cd.argocd("login", *server, f"--password={argo_cd.password}")
    with pytest.raises(OperationError, match="Invalid username or password"):
        argo_cd.argocd("login", *server, "--password=wrong")


def _break_with_webhooks(control_plane: ControlPlane) -> None:
    """Webhooks at which nobody answers: one fails open; one fails closed, so that Argo Rollouts cannot write."""
    where = f"--namespace={_NAMESPACE}"
    control_plane.kubectl("wait", where, "rollout/web", "--for=jsonpath={.status.phase}=Healthy", "--timeout=60s")
    control_plane.kubectl("wait", where, "analysisrun/endless", "--for=jsonpath={.status.phase}=Running")
    argo = {"apiGroups": ["argoproj.io"], "resources": ["rollouts/status", "analysisruns/status", "analysisruns"]}
    sets = {"apiGroups": ["apps"], "resources": ["replicasets"]}
    maps = {"apiGroups": [""], "resources": ["configmaps"]}
    control_plane.apply(_webhook("open", "Ignore", maps), _webhook("closed", "Fail", argo, sets))
    control_plane.apply(canary(_NAMESPACE, "web", image="web:2"))
    control_plane.apply(config_map(_NAMESPACE, "let-pass"))


def _webhook(name: str, policy: str, *what: Manifest) -> Manifest:
    rules = [{**one, "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"]} for one in what]
    webhook = {
        "name": f"{name}.example.com",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": policy,
        "timeoutSeconds": 1,
        "clientConfig": {"url": "https://127.0.0.1:9/"},
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": _NAMESPACE}},
        "rules": rules,
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name},
        "webhooks": [webhook],
    }


def _scraped(prometheus: Prometheus) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for series in prometheus.series('{__name__=~".+"}'):
        found.setdefault(series["__name__"], set()).update(series)
    return found


def _wait_for_metrics(prometheus: Prometheus, found: list[Expression]) -> None:
    """Wait until all metrics exist that exist at all; the test names those that do not."""
    wanted = {name for _, tree in parsed(prometheus.parse, found) for name in needed(tree)} - _listed().keys()
    deadline = time.monotonic() + _SECONDS
    while wanted - _scraped(prometheus).keys() and time.monotonic() < deadline:
        time.sleep(1)
    time.sleep(3)  # an increase needs two samples


def _problems(prometheus: Prometheus, found: list[Expression]) -> Iterator[str]:
    known = {**_listed(), **_scraped(prometheus)}
    for one, tree in parsed(prometheus.parse, found):
        for metric, labels in needed(tree).items():
            if metric not in known:
                yield f"{one}: no metric {metric}; correct it, or list it in tests/cluster/metrics.yaml"
            else:
                missing = sorted(labels - known[metric] - _OF_TARGETS)
                yield from (f"{one}: {metric} has no label {label}" for label in missing)


def test_every_metric_exists_with_its_labels(prometheus: Prometheus, found: list[Expression]) -> None:
    assert list(_problems(prometheus, found)) == []


def test_finds_unknown_metrics_and_labels(prometheus: Prometheus) -> None:
    wrong = Expression(
        "alert", "A", 'sum by (repository) (argocd_git_request_total{kind="a"}) > count(argocd_apps_info)'
    )
    assert list(_problems(prometheus, [wrong])) == [
        "alert A: argocd_git_request_total has no label kind",
        "alert A: argocd_git_request_total has no label repository",
        "alert A: no metric argocd_apps_info; correct it, or list it in tests/cluster/metrics.yaml",
    ]


def test_prometheus_answers_every_expression_and_panels_have_data(
    prometheus: Prometheus, found: list[Expression]
) -> None:
    """The legend of a graph names labels of its series."""
    deadline = time.monotonic() + 90
    without_data, legends = _answers(prometheus, found)
    while without_data - _WITHOUT_DATA and time.monotonic() < deadline:  # some need further samples on a busy machine
        time.sleep(5)
        without_data, legends = _answers(prometheus, found)
    assert without_data - _WITHOUT_DATA == set()
    assert legends == []


def _answers(prometheus: Prometheus, found: list[Expression]) -> tuple[set[str], list[str]]:
    """The panels without data, and what is wrong with legends."""
    without_data, legends = set(), []
    for one, tree in parsed(prometheus.parse, found):
        answer = prometheus.query(one.text)
        metrics = needed(tree)
        if one.kind != "alert" and not answer and not metrics.keys() & _listed().keys():
            without_data.add(one.name)
        known = {label for series in answer for label in series["metric"]}.union(*metrics.values())
        named = set(re.findall(r"{{(\w+)}}", one.legend))
        legends += [f"{one.name}: no label {label}" for label in named - known if answer]
    return without_data, legends


def test_the_analysis_counts_the_first_requests_of_a_version(
    prometheus: Prometheus, pool: tuple[bubblepool.Pool, int], found: list[Expression]
) -> None:
    """`rate` would see nothing: the series of these errors begins with their number."""
    (query,) = [one.text for one in found if one.name == "bubblepool-success-rate: success-rate"]
    for _ in range(3):
        pool[0].count("GET", 500)
    deadline = time.monotonic() + 10
    while not _value(prometheus, query) <= 0.25 and time.monotonic() < deadline:  # it may be NaN
        time.sleep(0.5)
    assert _value(prometheus, query) <= 0.25


def _value(prometheus: Prometheus, expression: str) -> float:
    (result,) = prometheus.query(expression)
    return float(result["value"][1])
