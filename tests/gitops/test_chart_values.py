"""Compares the values of each component with the published values of its chart: keys and types."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import GO_MODULES, ROOT
from tests.chart_values import SHARED, open_maps, published, unlike
from tests.gitops.problems import fail_with
from tests.gitops.tree import Component, Json, components, read

PUBLISHED = SHARED / "data" / "chart-values"

# Paths below which any key is valid, in addition to empty maps in the chart's values, with the reason.
FREE: dict[str, dict[str, str]] = {
    "kyverno": dict.fromkeys(
        ("admissionController.container.resources", "reportsController.resources"),
        "copied to the field of the container",
    ),
    "metrics-server": {"resources": "copied to the field of the container"},
    "monitoring": {"alertmanager.config": "copied to the configuration of Alertmanager"},
}

# Dependencies of charts, whose values are not in the values file of the chart.
DEPENDENCIES = {"monitoring": {"grafana", "kube-state-metrics", "prometheus-node-exporter"}}

WITH_CHART = [component for component in components() if (component.folder / "values.yaml").is_file()]


# The Go modules that contain a chart, which the fixture `crds` fetches, and its folder there.
IN_MODULES = {
    "external-dns": ("sigs.k8s.io/external-dns", "charts/external-dns"),
    "karpenter": ("github.com/aws/karpenter-provider-aws", "charts/karpenter"),
    "kyverno": ("github.com/kyverno/kyverno", "charts/kyverno"),
}
_REQUIRED = (ROOT / "operations/local/cluster/modules/crds/go.mod").read_text()

Published = Callable[[Component], Json]


@pytest.fixture
def values_of(request: pytest.FixtureRequest) -> Published:
    """The published values of the chart of a component."""

    def find(component: Component) -> Json:
        name, version = component.chart["name"], component.chart["version"]
        if name in IN_MODULES:
            request.getfixturevalue("crds")
            return published(_in_module(name)[1] / "values.yaml")
        return published(PUBLISHED / f"{name}-{version}.yaml")

    return find


def _in_module(chart: str) -> tuple[str, Path]:
    """The version of the module of a chart, and the folder of the chart."""
    module, folder = IN_MODULES[chart]
    (version,) = re.findall(rf"^\t{re.escape(module)} v(\S+)$", _REQUIRED, re.MULTILINE)
    return version, GO_MODULES / f"{module}@v{version}" / folder


@pytest.mark.parametrize("component", [one for one in WITH_CHART if one.name in IN_MODULES], ids=lambda one: one.name)
def test_a_module_contains_the_chart_in_its_version(
    component: Component,
    crds: Path,  # noqa: ARG001 (fetches the modules)
) -> None:
    name, version = component.chart["name"], component.chart["version"]
    module, folder = _in_module(name)
    # Karpenter gives its chart the version of the module when it publishes it.
    assert version == (module if name == "karpenter" else read(folder / "Chart.yaml")["version"])


@pytest.mark.parametrize("component", WITH_CHART, ids=lambda component: component.name)
def test_chart_has_every_key_with_the_same_type(component: Component, values_of: Published) -> None:
    theirs = values_of(component)
    free = {**open_maps(theirs), **FREE.get(component.name, {})}
    fail_with(
        f"management/{component.name}/{file.name}: {error}"
        for file in sorted(component.folder.glob("values*.yaml"))
        for error in unlike(read(file), theirs, free)
        if error.partition(".")[0] not in DEPENDENCIES.get(component.name, set())
    )


@pytest.mark.parametrize("component", WITH_CHART, ids=lambda component: component.name)
def test_chart_has_every_parameter(component: Component, values_of: Published) -> None:
    theirs = {"values": values_of(component)}
    ours = read(component.folder / "values.yaml")
    fail_with(
        f"management/{component.name}/component.yaml: parameters: {parameter['name']}: not of the chart; correct it"
        for parameter in component.settings["parameters"]
        if not _knows(theirs["values"], parameter["name"]) and not _knows(ours, parameter["name"])
    )


def _knows(values: object, parameter: str) -> bool:
    """Whether values have the path of a parameter in the syntax of Helm, such as `a.b\\.c[0].d`."""
    for part in re.findall(r"(?:\\.|[^.\[\]])+|\[\d+\]", parameter):
        if isinstance(values, list) and part.startswith("["):
            index = int(part[1:-1])
            if index > len(values):
                return False
            values = values[index] if index < len(values) else {}
        elif isinstance(values, dict):
            if values == {}:
                return True  # any key is valid in an empty map
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
def test_finds_parameters_in_values(parameter: str, *, known: bool) -> None:
    assert _knows({"a": {"b": "", "annotations": {}, "list": ["x"]}}, parameter) is known


def test_alerts_are_tested_with_the_prometheus_of_the_chart(values_of: Published) -> None:
    """The Go module of version 3.14.0 is v0.314.0."""
    (monitoring,) = [component for component in WITH_CHART if component.name == "monitoring"]
    tag = values_of(monitoring)["prometheus"]["prometheusSpec"]["image"]["tag"]
    major, minor, patch = tag.partition("-")[0].removeprefix("v").split(".")
    module = (ROOT / "operations/local/cluster/modules/prometheus/go.mod").read_text()
    assert f"github.com/prometheus/prometheus v0.{major}{minor:0>2}.{patch} " in module


def test_values_files_are_named_after_labels() -> None:
    """A file such as `values-audit.yaml` is used only if its name contains the value of a label of the cluster."""
    for component in WITH_CHART:
        names = {file.stem.partition("-")[2] for file in component.folder.glob("values-*.yaml")}
        assert names <= {"production", "development", "enforce", "audit"}
