"""The PromQL expressions of the tree: alerts, dashboards and analyses of rollouts. And what an expression needs."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests import ROOT
from tests.gitops.rules import within
from tests.gitops.tree import Json, documents, read

_MONITORING = ROOT / "management" / "monitoring" / "manifests"

# What Grafana and Argo Rollouts replace.
_VARIABLES = {
    "$__rate_interval": "1m",
    "$namespace": ".*",
    "$project": ".*",
    "{{args.namespace}}": "shop",
    "{{args.canary}}": "1",
    "{{args.version}}": "1",
}


def dashboards() -> list[Path]:
    return sorted(_MONITORING.glob("dashboards/*.json"))


def panels(holder: Json) -> Iterator[Json]:
    """All panels of a dashboard, including those in rows."""
    for panel in holder.get("panels", []):
        yield panel
        yield from panels(panel)


def alerts() -> dict[str, Json]:
    """The PrometheusRules of the platform, by name."""
    files = [file for file in sorted(_MONITORING.glob("alerts/*.yaml")) if file.stem != "kustomization"]
    return {file.stem: read(file) for file in files}


@dataclass(frozen=True)
class Expression:
    """An expression, with the kind and the name of what uses it. `legend` is the format of a graph's legend."""

    kind: str
    name: str
    text: str
    legend: str = ""


def expressions() -> list[Expression]:
    return [*_of_alerts(), *_of_dashboards(), *_of_analyses()]


def _of_alerts() -> Iterator[Expression]:
    for rule in alerts().values():
        for group in rule["spec"]["groups"]:
            for alert in group["rules"]:
                yield Expression("alert", alert["alert"], alert["expr"])


def _of_dashboards() -> Iterator[Expression]:
    for file in dashboards():
        dashboard = json.loads(file.read_text())
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":  # in a function of Grafana
                call = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
                assert call, variable
                yield Expression("variable", f"{file.stem}: {variable['name']}", f"group by ({call[2]}) ({call[1]})")
        for panel in panels(dashboard):
            for index, target in enumerate(panel.get("targets", [])):
                name = f"{file.stem}: {panel['title']}: {index}"
                yield Expression("panel", name, _filled_in(target["expr"]), target["legendFormat"])


def _of_analyses() -> Iterator[Expression]:
    for file in sorted(ROOT.glob("service/*/base/analysis.yaml")):
        for template in documents(file.read_text()):
            for metric in template["spec"]["metrics"]:
                if "prometheus" in metric["provider"]:
                    name = f"{template['metadata']['name']}: {metric['name']}"
                    yield Expression("analysis", name, _filled_in(metric["provider"]["prometheus"]["query"]))


def _filled_in(text: str) -> str:
    for variable, value in _VARIABLES.items():
        text = text.replace(variable, value)
    assert not re.search(r"\$|{{", text), f"{text}: a variable without a value in _VARIABLES"
    return text


def needed(tree: Json) -> dict[str, set[str]]:
    """The metrics in the syntax tree of an expression, each with the labels that it must have."""
    found: dict[str, set[str]] = {}
    for node in within(tree):
        if node.get("type") in {"vectorSelector", "matrixSelector"}:
            matched = {matcher["name"] for matcher in node["matchers"]} - {"__name__"}
            found.setdefault(node["name"], set()).update(matched)
        if node.get("type") == "aggregation" and not node["without"]:
            for name in needed(node["expr"]):
                found.setdefault(name, set()).update(node["grouping"])
    return found


def functions(tree: Json) -> Iterator[tuple[str, str]]:
    """The functions that an expression calls on a range, each with the metric."""
    for node in within(tree):
        if node.get("type") == "call":
            for argument in node["args"]:
                if argument["type"] == "matrixSelector":
                    yield node["func"]["name"], argument["name"]
