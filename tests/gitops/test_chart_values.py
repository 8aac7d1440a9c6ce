"""The values of each component against what its chart publishes: every key exists, with the same type."""

import re

import pytest

from tests.chart_values import SHARED, open_maps, published, unlike
from tests.gitops.tree import Component, Json, components, read

PUBLISHED = SHARED / "data" / "chart-values"

# Below these every key is right besides what the chart leaves empty.
FREE: dict[str, dict[str, str]] = {
    "metrics-server": {"resources": "goes to the container's own field as it is"},
    "monitoring": {"alertmanager.config": "becomes Alertmanager's own configuration as it is"},
}

# Their files do not repeat the values of the charts that they depend on.
DEPENDENCIES = {"monitoring": {"grafana", "kube-state-metrics", "prometheus-node-exporter"}}

WITH_CHART = [component for component in components() if component.chart]


def _published(component: Component) -> Json:
    return published(PUBLISHED / f"{component.chart['name']}-{component.chart['version']}.yaml")


@pytest.mark.parametrize("component", WITH_CHART, ids=lambda component: component.name)
def test_chart_has_every_key_and_of_the_same_type(component: Component) -> None:
    theirs = _published(component)
    free = {**open_maps(theirs), **FREE.get(component.name, {})}
    found = {
        file.name: [
            told
            for told in unlike(read(file), theirs, free)
            if told.partition(".")[0] not in DEPENDENCIES.get(component.name, set())
        ]
        for file in sorted(component.folder.glob("values*.yaml"))
    }
    assert found
    assert {name: told for name, told in found.items() if told} == {}


@pytest.mark.parametrize("component", WITH_CHART, ids=lambda component: component.name)
def test_chart_has_every_value_that_comes_from_the_cluster(component: Component) -> None:
    theirs = {"values": _published(component)}
    ours = read(component.folder / "values.yaml")
    missing = [
        parameter["name"]
        for parameter in component.settings["parameters"]
        if not _knows(theirs["values"], parameter["name"]) and not _knows(ours, parameter["name"])
    ]
    assert missing == []


def _knows(values: object, parameter: str) -> bool:
    """Whether values have the place of a parameter as Helm writes it: `a.b\\.c[0].d`."""
    for part in re.findall(r"(?:\\.|[^.\[\]])+|\[\d+\]", parameter):
        if isinstance(values, list) and part.startswith("["):
            index = int(part[1:-1])
            if index > len(values):
                return False
            values = values[index] if index < len(values) else {}
        elif isinstance(values, dict):
            if values == {}:
                return True  # an empty map takes any key
            key = part.replace("\\", "")
            if key not in values:
                return False
            values = values[key]
        else:
            return False
    return True


@pytest.mark.parametrize(
    ("parameter", "known"),
    [
        ("a.b", True),
        ("a.c", False),
        (r"a.annotations.eks\.amazonaws\.com/role-arn", True),
        ("a.list[0]", True),
        ("a.list[1]", True),
        ("a.list[2]", False),
        ("a.b[0]", False),
    ],
)
def test_places_of_parameters_are_found(parameter: str, *, known: bool) -> None:
    assert _knows({"a": {"b": "", "annotations": {}, "list": ["x"]}}, parameter) is known


def test_environments_only_change_what_their_component_sets() -> None:
    """`values-dev.yaml` and the like are named after an environment, or nobody ever reads them."""
    for component in WITH_CHART:
        names = {file.stem.partition("-")[2] for file in component.folder.glob("values-*.yaml")}
        assert names <= {"dev", "staging", "prod"}
