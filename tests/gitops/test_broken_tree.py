"""A tree that cannot be read or rendered: one test says why, and the others are skipped."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.gitops.tree import FOLDERS

pytestmark = pytest.mark.slow

_LINKED = ("constructs", "examples", "main.py", "operations", "pyproject.toml", "stacks")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A copy of the tree and of its tests."""
    for folder in (*FOLDERS, "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in _LINKED:
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def _run(repository: Path, *arguments: str) -> tuple[int, str]:
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments)
    # Not that this process is itself one of pytest-xdist.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment = {**inherited, "CI": "true"}
    done = subprocess.run(command, cwd=repository, env=environment, check=False, capture_output=True, text=True)
    return done.returncode, done.stdout


@pytest.mark.parametrize("processes", [(), ("--numprocesses", "2", "--dist", "load")])
def test_a_file_that_is_no_yaml_is_said_once(repository: Path, processes: tuple[str, ...]) -> None:
    file = repository / "management" / "karpenter" / "component.yaml"
    file.write_text(file.read_text().replace("foundation: false", "foundation: false: true"))
    status, printed = _run(repository, "tests/gitops/test_files.py", "tests/gitops/test_chart_values.py", *processes)
    said = re.findall(r"^ERROR .* - (Failed: .*)$", printed, re.MULTILINE)
    (line,) = said
    assert line.startswith("Failed: management/karpenter/component.yaml:3: mapping values are not allowed")
    assert status == 1
    assert re.search(r"^\d\d skipped, 1 error", printed, re.MULTILINE)


@pytest.mark.usefixtures("kustomize", "helm")
def test_a_tree_that_kustomize_cannot_render_is_said_once(repository: Path) -> None:
    (repository / "management" / "karpenter" / "manifests" / "node-pool.yaml").unlink()
    status, printed = _run(
        repository, "tests/gitops/test_rules.py", "-k", "test_manifests_of_ or test_finds_an_overlay"
    )
    (said,) = re.findall(r"^ERROR .* - (Failed: .*)$", printed, re.MULTILINE)
    assert said.startswith("Failed: management/karpenter/manifests: kustomize: Error: ")
    assert status == 1
    assert re.search(r"^1 passed, \d+ skipped, .*1 error", printed, re.MULTILINE)
