"""Validates the dashboards with the schema that Grafana publishes (grafana-foundation-sdk, in modules/grafana)."""

import json
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.gitops.tree import Json
from tests.metrics import dashboards, panels

pytestmark = pytest.mark.slow


def _problems(grafana: Path, file: Path) -> list[str]:
    done = subprocess.run([grafana, file], check=False, capture_output=True, text=True)
    assert done.returncode == bool(done.stdout), done.stderr
    return [line.removeprefix(f"{file}: ") for line in done.stdout.splitlines()]


@pytest.mark.parametrize("file", dashboards(), ids=lambda file: file.stem)
def test_dashboard_matches_the_schema_of_grafana(file: Path, grafana: Path) -> None:
    assert _problems(grafana, file) == []


def _example() -> Json:
    """The first dashboard that can be read."""
    for file in dashboards():
        with suppress(json.JSONDecodeError):  # which test_prometheus_parses_every_expression reports
            found: Json = json.loads(file.read_text())
            return found
    pytest.fail("no dashboard can be read")


def _stat(dashboard: Json) -> Json:
    return next(panel for panel in panels(dashboard) if panel["type"] == "stat")


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda one: one.update(titel="a"), "Dashboard: unexpected field 'titel'"),
        (lambda one: one.update(schemaVersion="41"), "schemaVersion: json: cannot unmarshal string"),
        (lambda one: one["time"].update(until="now"), "time.DashboardDashboardTime: unexpected field 'until'"),
        (lambda one: _stat(one)["gridPos"].update(w=30), "panels[0].Panel.gridPos.w: must be <= 24"),
        (lambda one: _stat(one)["options"].update(hue="red"), "panels[0].options.Options: unexpected field 'hue'"),
        (lambda one: _stat(one)["targets"][0].update(query="up"), "panels[0].targets[0].Dataquery: unexpected field"),
        (lambda one: _stat(one).update(type="stats"), "panels[0].type: unknown panel 'stats'"),
    ],
)
def test_finds_a_broken_dashboard(
    break_it: Callable[[Json], None], message: str, grafana: Path, tmp_path: Path
) -> None:
    broken = _example()
    break_it(broken)
    file = tmp_path / "broken.json"
    file.write_text(json.dumps(broken))
    (problem,) = _problems(grafana, file)
    assert problem.startswith(message)
