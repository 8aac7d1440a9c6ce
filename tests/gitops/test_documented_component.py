"""The component that docs/gitops.md documents passes all checks, as printed."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from operations.cli.app import app
from tests import GO_MODULES, ROOT
from tests.gitops.copies import copy_repository, run_tests
from tests.gitops.rules import is_built_in
from tests.gitops.tree import Json

PAGE = (ROOT / "docs" / "gitops.md").read_text()
COMMANDS = re.findall(r"^make component (.*)$", PAGE, re.MULTILINE)
FILES = dict(re.findall(r"^```yaml\n# (management/\S+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
HEALTH = GO_MODULES / "github.com/argoproj/argo-cd/v3@v3.6.1"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the repository with the documented component."""
    monkeypatch.chdir(copy_repository(tmp_path))
    values = dict(argument.split("=") for argument in shlex.split(COMMANDS[0]))
    options = [f"--{name.lower()}={value}" for name, value in values.items() if name != "NAME"]
    done = CliRunner().invoke(app, ["component", values["NAME"], *options])
    assert done.exit_code == 0, done.stderr
    return tmp_path


def _passes(repository: Path, *names: str) -> None:
    status, printed = run_tests(repository, *(f"tests/gitops/test_{name}.py" for name in names), "-m", "not slow")
    assert status == 0, printed
    assert re.search(r"\d\d passed", printed)


def _write_documented_files(repository: Path) -> None:
    assert {"component.yaml", "values.yaml", "kustomization.yaml"} <= {Path(file).name for file in FILES}
    for file, text in FILES.items():
        (repository / file).write_text(text)


@pytest.mark.slow
@pytest.mark.usefixtures("kustomize", "helm")
def test_a_new_component_passes_the_checks(repository: Path) -> None:
    _passes(repository, "chart_values", "contract", "files", "rules")


@pytest.mark.slow
@pytest.mark.usefixtures("kustomize", "helm")
def test_the_documented_component_passes_the_checks(repository: Path) -> None:
    _write_documented_files(repository)
    _passes(repository, "chart_values", "contract", "files", "rules")


@pytest.mark.slow
@pytest.mark.usefixtures("controllers")
def test_the_api_server_and_argo_cd_accept_the_documented_component(repository: Path) -> None:
    _write_documented_files(repository)
    _passes(repository, "manifests")


def test_a_new_component_can_be_removed_as_documented(repository: Path) -> None:
    arguments = dict(argument.split("=") for argument in shlex.split(COMMANDS[1]))
    assert arguments.pop("REMOVE") == "1"
    done = CliRunner().invoke(app, ["remove-component", arguments["NAME"]])
    assert done.exit_code == 0, done.stderr
    file = "management/bootstrap/projects/management.yaml"
    assert (repository / file).read_text() == (ROOT / file).read_text()
    assert not (repository / "management" / arguments["NAME"]).exists()


def test_kinds_without_a_health_check_are_documented(rendered: dict[str, list[Json]]) -> None:
    known = {path.parent.name for path in HEALTH.glob("resource_customizations/*/*/health.lua")}
    if not known:
        pytest.skip(f"{HEALTH}: not in the cache of Go modules; its health checks are not compared")
    used = {one["kind"] for manifests in rendered.values() for one in manifests if not is_built_in(one)}
    (sentence,) = re.findall(r"these have no check: (.*?)\. If", PAGE, re.DOTALL)
    assert set(re.findall(r"`(\w+)`", sentence)) == used - known
