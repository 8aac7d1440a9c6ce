"""The PromQL expressions of the tree: alerts, dashboards and analyses of rollouts. And what an expression needs."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests import ROOT
from tests.gitops.rules import of_kind, within
from tests.gitops.tree import Json, documents, read

Rendered = Mapping[str, Sequence[Json]]

_MONITORING = ROOT / "management" / "monitoring" / "manifests"

# What Argo Rollouts replaces; other arguments of an analysis have their default.
_ARGUMENTS = {"namespace": "shop", "canary": "1", "version": "1"}

_ANY_TIME = "1m"
"""It is also a number, and a text in a matcher."""


def dashboards() -> list[Path]:
    return sorted(_MONITORING.glob("dashboards/*.json"))


def panels(holder: Json) -> Iterator[Json]:
    """All panels of a dashboard, including those in rows."""
    for panel in holder.get("panels", []):
        yield panel
        yield from panels(panel)


def alert_files() -> dict[str, Path]:
    """The files of the PrometheusRules of the platform, by name."""
    return {file.stem: file for file in sorted(_MONITORING.glob("alerts/*.yaml")) if file.stem != "kustomization"}


@dataclass(frozen=True)
class Expression:
    """An expression, with the kind and the name of what uses it. `legend` is the format of a graph's legend."""

    kind: str
    name: str
    text: str
    legend: str = ""
    file: str = ""

    def __str__(self) -> str:
        return f"{self.file}: {self.kind} {self.name}".removeprefix(": ")


def expressions(rendered: Rendered) -> list[Expression]:
    """Those in files of the platform, and in the analyses of the rendered manifests of each entry."""
    return [one for one in _found(rendered) if isinstance(one, Expression)]


def unreadable(rendered: Rendered) -> list[str]:
    """What is no expression, although it should be one."""
    return [one for one in _found(rendered) if isinstance(one, str)]


def parsed(parse: Callable[[str], Json], found: Sequence[Expression]) -> Iterator[tuple[Expression, Json]]:
    """The syntax trees of those expressions that have one; `syntax_errors` yields the others."""
    for one in found:
        try:
            yield one, parse(one.text)
        except ValueError:
            continue


def syntax_errors(parse: Callable[[str], Json], found: Sequence[Expression]) -> Iterator[str]:
    for one in found:
        try:
            parse(one.text)
        except ValueError as error:
            problem = str(error).removeprefix('invalid parameter "query": ')
            yield f"{one}: {' '.join(one.text.split())}: {problem}; correct it"


def _found(rendered: Rendered) -> Iterator[Expression | str]:
    for file in alert_files().values():
        yield from _of_alerts(file)
    for file in dashboards():
        yield from of_dashboard(file)
    yield from _of_analyses(rendered)


def _of_alerts(file: Path) -> Iterator[Expression]:
    for group in read(file)["spec"]["groups"]:
        for rule in group["rules"]:
            name = rule.get("alert") or rule["record"]
            yield Expression("alert", name, str(rule.get("expr", "")), file=str(file.relative_to(ROOT)))


def of_dashboard(file: Path) -> Iterator[Expression | str]:
    where = str(file.relative_to(ROOT)) if file.is_relative_to(ROOT) else file.name
    try:
        dashboard = json.loads(file.read_text())
    except json.JSONDecodeError as error:
        yield f"{where}: not JSON: {error}; correct it"
        return
    variables = dashboard.get("templating", {}).get("list", [])
    values = {one["name"]: _ANY_TIME if one["type"] == "interval" else ".*" for one in variables}
    for variable in variables:
        if variable["type"] == "query":
            name = f"{file.stem}: {variable['name']}"
            text = _of_variable(variable["query"])
            if text is None:
                yield f"{where}: variable {name}: {variable['query']}: unknown; write label_values(METRIC, LABEL)"
            elif text:
                yield Expression("variable", name, _of_grafana(text, values), file=where)
    for panel in panels(dashboard):
        for index, target in enumerate(panel.get("targets", [])):
            if "expr" in target:
                name = f"{file.stem}: {panel.get('title') or panel.get('type')}: {index}"
                text = _of_grafana(target["expr"], values)
                yield Expression("panel", name, text, target.get("legendFormat", ""), where)


def _of_variable(query: object) -> str | None:
    """The expression of a variable: in a function of Grafana, which may have none; None if it is unknown."""
    text = str(query.get("query")) if isinstance(query, dict) else str(query)
    if call := re.fullmatch(r"label_values\(\s*(?:(.+),\s*)?(\w+)\s*\)", text):
        return f"group by ({call[2]}) ({call[1]})" if call[1] else ""
    call = re.fullmatch(r"query_result\((.+)\)", text)
    return call[1] if call else None


def _of_grafana(text: str, values: Mapping[str, str]) -> str:
    """With a value for each variable: of the dashboard, or one of Grafana's own, such as `$__rate_interval`."""

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        return values.get(name, _ANY_TIME if name.startswith("__") else found[0])

    return re.sub(r"\$(?:(\w+)|\{(\w+)(?::\w+)?\})", value, text)


def _of_analyses(rendered: Rendered) -> Iterator[Expression]:
    """Those of a chart are in the values of a service. The overlays of a service may have the same, or others."""
    seen = set()
    for entry, manifests in rendered.items():
        for template in of_kind(manifests, "AnalysisRun", "AnalysisTemplate", "ClusterAnalysisTemplate"):
            arguments = {one["name"]: one.get("value") for one in template["spec"].get("args") or []}
            for metric in template["spec"]["metrics"]:
                query = metric["provider"].get("prometheus", {}).get("query")
                name = f"{template['metadata']['name']}: {metric['name']}"
                if query is not None and (name, query) not in seen:
                    seen.add((name, query))
                    text = _of_rollouts(query, arguments)
                    yield Expression("analysis", name, text, file=_file_of(entry, query))


def _of_rollouts(text: str, arguments: Mapping[str, object]) -> str:
    def value(found: re.Match[str]) -> str:
        return str(_ARGUMENTS.get(found[1]) or arguments.get(found[1]) or _ANY_TIME)

    return re.sub(r"\{\{\s*args\.([\w.-]+)\s*\}\}", value, text)


def _file_of(entry: str, query: str) -> str:
    """The file of a service or a component that contains a query; its entry, if a patch or a chart makes the query."""
    for file in sorted(ROOT.joinpath(*Path(entry).parts[:2]).rglob("*.yaml")):
        holders = within(documents(file.read_text()))
        if any(value == query for holder in holders for value in holder.values()):
            return str(file.relative_to(ROOT))
    return entry


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
