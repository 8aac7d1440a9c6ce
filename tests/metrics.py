"""The PromQL expressions of the tree: alerts, dashboards, and analyses of rollouts."""

from collections.abc import Iterator
from pathlib import Path

from tests import ROOT
from tests.gitops.tree import Json, read

_MONITORING = ROOT / "management" / "monitoring" / "manifests"


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
