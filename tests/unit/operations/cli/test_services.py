"""The commands for services; `services/test_scaffold.py` covers the files of a new service."""

from pathlib import Path
from unittest.mock import Mock

import pytest

from operations.services import scaffold
from tests.unit.operations.cli.conftest import run


def test_service_with_a_repository_id_needs_no_placeholder_replaced(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = Mock()
    monkeypatch.setattr(scaffold, "write_service", written)
    printed = run("service", "shop", "--team", "sales", "--repository-id", "42", "--output", output).stdout
    assert written.call_args.args[1] == scaffold.NewService(name="shop", team="sales", repository_id=42)
    assert "make snapshots" in printed
    assert "placeholder" not in printed


def test_chart_readme_updates_the_readme_of_the_chart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chart = tmp_path / "helm/my-app"
    chart.mkdir(parents=True)
    (chart / "values.yaml").write_text("# A name.\nname: app\n")
    (chart / "README.md").write_text("# app\n\n## Values\n")
    monkeypatch.chdir(tmp_path)
    run("chart-readme")
    assert "| `name` | `app` | A name. |" in (chart / "README.md").read_text()


def test_chart_readme_outside_of_the_repository_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "helm/my-app" in run("chart-readme", status=1).stderr
