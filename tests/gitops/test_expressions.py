"""Rules for the PromQL expressions of the tree, parsed by Prometheus. tests/cluster checks that the metrics exist."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.gitops.rules import of_kind, within
from tests.gitops.tree import Json
from tests.metrics import Expression, alerts, expressions, functions, needed
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
    for expression in found:
        called = list(functions(parser.parse(expression.text)))
        counted = {metric for function, metric in called if function == "min_over_time"}
        for function, metric in called:
            excepted = metric.endswith("_bucket") or metric in _STEADY | _ZERO_AT_START
            # A panel adds the first value, which is the least.
            if function in {"increase", "irate", "rate"} and not excepted and metric not in counted:
                yield f"{expression.kind} {expression.name}: {function} does not count the first value of {metric}"


def test_no_expression_misses_the_first_value_of_a_counter(parser: Prometheus) -> None:
    assert list(_miss_the_first(parser, expressions())) == []


@pytest.mark.parametrize("text", ["sum(increase(a_total[5m])) > 0", "rate(a_total{b='c'}[5m])"])
def test_finds_a_missed_first_value(parser: Prometheus, text: str) -> None:
    (problem,) = _miss_the_first(parser, [Expression("alert", "A", text)])
    assert problem.endswith("does not count the first value of a_total")


def test_finds_metrics_and_their_labels(parser: Prometheus) -> None:
    tree = parser.parse(
        'sum by (a) (m{b="1"} - last_over_time(n{c!="2"}[1d] offset 5m) >= 0 or m{d=~"3"}) or absent(o)'
    )
    assert needed(tree) == {"m": {"a", "b", "d"}, "n": {"a", "c"}, "o": set()}


def test_every_expression_is_found(rendered: dict[str, list[Json]]) -> None:
    """Rules and analyses may also be in another folder, or in the output of the chart."""
    found = expressions()
    manifests = [manifest for entry in rendered.values() for manifest in entry]
    queries = [
        holder["query"] for one in of_kind(manifests, "AnalysisTemplate") for holder in within(one) if "query" in holder
    ]
    assert len(set(queries)) == len([expression for expression in found if expression.kind == "analysis"])
    rules = {manifest["metadata"]["name"] for manifest in of_kind(manifests, "PrometheusRule")}
    assert rules == set(alerts())
    assert {expression.kind for expression in found} == {"alert", "analysis", "panel", "variable"}
    assert len(found) > 80


def test_rejects_an_expression_that_prometheus_cannot_parse(parser: Prometheus) -> None:
    with pytest.raises(ValueError, match="unclosed left parenthesis"):
        parser.parse("sum(a")
