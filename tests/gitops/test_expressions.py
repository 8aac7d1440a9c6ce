"""Rules for the PromQL expressions of the tree, parsed by Prometheus. tests/cluster checks that the metrics exist."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests import ROOT
from tests.gitops.problems import fail_with
from tests.gitops.rules import of_kind
from tests.gitops.tree import Json, Renderer
from tests.metrics import (
    Expression,
    alert_files,
    expressions,
    functions,
    needed,
    of_dashboard,
    parsed,
    syntax_errors,
    unreadable,
)
from tests.prometheus import Prometheus

pytestmark = pytest.mark.slow

# Counters of how often something happened that always happens: that their first value is not counted is of no matter.
_STEADY = {
    "argocd_app_k8s_request_total",
    "argocd_cluster_events_total",
    "argocd_git_request_total",
    "argocd_redis_request_total",
    "container_cpu_usage_seconds_total",
    "externalsecret_provider_api_calls_count",
    "grpc_server_handled_total",
}

# Without labels, these are 0 from the start.
_ZERO_AT_START = {"external_dns_registry_errors_total", "external_dns_source_errors_total"}


@pytest.fixture(scope="module")
def parser(promtool: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:  # noqa: ARG001  (is built)
    with Prometheus(tmp_path_factory.mktemp("prometheus")) as running:
        yield running


def _miss_the_first(parser: Prometheus, found: Sequence[Expression]) -> Iterator[str]:
    """A counter with labels first appears with a value: `rate` and `increase` do not count it."""
    for expression, tree in parsed(parser.parse, found):
        called = list(functions(tree))
        counted = {metric for function, metric in called if function == "min_over_time"}
        for function, metric in called:
            excepted = metric.endswith("_bucket") or metric in _STEADY | _ZERO_AT_START
            # A panel adds the first value, which is the least.
            if function in {"increase", "irate", "rate"} and not excepted and metric not in counted:
                yield f"{expression}: {function} does not count the first value of {metric}"


def test_prometheus_parses_every_expression(parser: Prometheus, rendered: dict[str, list[Json]]) -> None:
    problems = [*unreadable(rendered), *syntax_errors(parser.parse, expressions(rendered))]
    assert not problems, "\n".join(problems)


def test_no_expression_misses_the_first_value_of_a_counter(parser: Prometheus, rendered: dict[str, list[Json]]) -> None:
    assert list(_miss_the_first(parser, expressions(rendered))) == []


@pytest.mark.parametrize("text", ["sum(increase(a_total[5m])) > 0", "rate(a_total{b='c'}[5m])"])
def test_finds_a_missed_first_value(parser: Prometheus, text: str) -> None:
    (problem,) = _miss_the_first(parser, [Expression("alert", "A", text)])
    assert problem.endswith("does not count the first value of a_total")


def test_finds_metrics_and_their_labels(parser: Prometheus) -> None:
    tree = parser.parse(
        'sum by (a) (m{b="1"} - last_over_time(n{c!="2"}[1d] offset 5m) >= 0 or m{d=~"3"}) or absent(o)'
    )
    assert needed(tree) == {"m": {"a", "b", "d"}, "n": {"a", "c"}, "o": set()}


def test_every_rule_is_found(rendered: dict[str, list[Json]]) -> None:
    """Rules may also be in another folder, or in the output of the chart."""
    rules = {one["metadata"]["name"] for manifests in rendered.values() for one in of_kind(manifests, "PrometheusRule")}
    fail_with(
        f"PrometheusRule {name}: not in management/monitoring/manifests/alerts/{name}.yaml, so that promtool does not "
        "test it; move it there"
        for name in sorted(rules - set(alert_files()))
    )
    assert rules == set(alert_files())
    found = expressions(rendered)
    assert {expression.kind for expression in found} == {"alert", "analysis", "panel", "variable"}
    assert len(found) > 80


def _of_the_chart(renderer: Renderer, query: str, folder: Path) -> dict[str, list[Json]]:
    """The manifests of a service that uses the chart, with an analysis in its values."""
    values = folder / "values.yaml"
    values.write_text(json.dumps({"name": "shop", "workload": {"analysis": {"query": query}}}))
    known = ("--values", str(values), "--set", "image.registry=registry.example,ingress.host=shop.example.com")
    return {"service/shop/overlays/dev": renderer.helm(ROOT / "helm" / "my-app", "shop", "shop-dev", *known)}


def _analyses(rendered: dict[str, list[Json]]) -> list[Expression]:
    return [one for one in expressions(rendered) if one.kind == "analysis"]


def test_the_analysis_of_a_service_with_the_chart_is_found(
    parser: Prometheus, renderer: Renderer, tmp_path: Path
) -> None:
    query = 'sum(http_server_requests_seconds_count{rollouts_pod_template_hash="{{args.canary}}"})'
    (found,) = _analyses(_of_the_chart(renderer, query, tmp_path))
    assert needed(parser.parse(found.text)) == {"http_server_requests_seconds_count": {"rollouts_pod_template_hash"}}
    assert str(found) == "service/shop/overlays/dev: analysis shop-success-rate: success-rate"


def test_an_analysis_names_its_file(rendered: dict[str, list[Json]]) -> None:
    assert [one.file for one in _analyses(rendered) if not (ROOT / one.file).exists()] == []


def test_an_analysis_may_have_arguments_of_its_own() -> None:
    text = 'rate(a{b="{{args.namespace}}", c="{{ args.path }}"}[{{args.window}}]) > {{args.minimum}}'
    arguments = [{"name": "namespace"}, {"name": "path", "value": "/"}, {"name": "window"}, {"name": "minimum"}]
    metrics = [{"name": "b", "provider": {"prometheus": {"query": text}}}, {"name": "c", "provider": {"web": {}}}]
    template = {"kind": "AnalysisTemplate", "metadata": {"name": "a"}, "spec": {"args": arguments, "metrics": metrics}}
    (found,) = _analyses({"service/shop/overlays/dev": [template]})
    assert found.text == 'rate(a{b="shop", c="/"}[1m]) > 1m'


def test_names_the_file_and_the_object_of_a_syntax_error(
    parser: Prometheus, renderer: Renderer, tmp_path: Path
) -> None:
    """All at once: of an alert, of a panel, and of an analysis."""
    (alert,) = [one for one in expressions({}) if one.name == "ArgoCdSyncUnknown"]
    file = tmp_path / "broken.json"
    file.write_text(json.dumps({"panels": [{"title": "Requests", "targets": [{"expr": "sum(a[5m]"}]}]}))
    (panel,) = [one for one in of_dashboard(file) if isinstance(one, Expression)]
    (analysis,) = _analyses(_of_the_chart(renderer, "sum(a", tmp_path))
    broken = [replace(alert, text="a > > 0"), panel, analysis]
    assert list(syntax_errors(parser.parse, broken)) == [
        f"{alert.file}: alert ArgoCdSyncUnknown: a > > 0: 1:5: parse error: unexpected <op:>>; correct it",
        "broken.json: panel broken: Requests: 0: sum(a[5m]: 1:10: parse error: unclosed left parenthesis; correct it",
        f"{analysis}: sum(a: 1:6: parse error: unclosed left parenthesis; correct it",
    ]


def test_finds_a_dashboard_that_is_not_json(tmp_path: Path) -> None:
    file = tmp_path / "broken.json"
    file.write_text('{"panels": [}')
    assert list(of_dashboard(file)) == [
        "broken.json: not JSON: Expecting value: line 1 column 13 (char 12); correct it"
    ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("label_values(a, b)", ["group by (b) (a)"]),
        ({"query": "label_values(a{c=~'$all'},b)"}, ["group by (b) (a{c=~'.*'})"]),
        ("label_values(b)", []),
        ("query_result(sum(a[$__range]))", ["sum(a[1m])"]),
        ("values(a)", ["broken.json: variable broken: all: values(a): unknown; write label_values(METRIC, LABEL)"]),
    ],
)
def test_reads_the_variables_of_a_dashboard(query: object, expected: list[str], tmp_path: Path) -> None:
    file = tmp_path / "broken.json"
    file.write_text(json.dumps({"templating": {"list": [{"name": "all", "type": "query", "query": query}]}}))
    assert [one if isinstance(one, str) else one.text for one in of_dashboard(file)] == expected


def test_fills_in_the_variables_of_a_panel(tmp_path: Path) -> None:
    file = tmp_path / "panels.json"
    expr = 'rate(a{b="$team", c="${team:regex}"}[$window]) + rate(a[${__interval}])'
    variables = [{"name": "team", "type": "custom"}, {"name": "window", "type": "interval"}]
    rows = [{"type": "row", "panels": [{"type": "stat", "targets": [{"expr": expr}, {"refId": "B"}]}]}]
    file.write_text(json.dumps({"templating": {"list": variables}, "panels": rows}))
    (found,) = [one for one in of_dashboard(file) if isinstance(one, Expression)]
    assert (found.name, found.text) == ("panels: stat: 0", 'rate(a{b=".*", c=".*"}[1m]) + rate(a[1m])')
