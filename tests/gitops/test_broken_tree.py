"""A tree that cannot be read or rendered: one test says why, and the others are skipped."""

import re
from pathlib import Path

import pytest

from tests.gitops.copies import copy_repository, run_tests

pytestmark = pytest.mark.slow


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return copy_repository(tmp_path)


@pytest.mark.parametrize("processes", [(), ("--numprocesses", "2", "--dist", "load")])
def test_a_file_that_is_no_yaml_is_said_once(repository: Path, processes: tuple[str, ...]) -> None:
    file = repository / "management" / "karpenter" / "component.yaml"
    file.write_text(file.read_text().replace("foundation: false", "foundation: false: true"))
    status, printed = run_tests(
        repository, "tests/gitops/test_files.py", "tests/gitops/test_chart_values.py", *processes
    )
    said = re.findall(r"^ERROR .* - (Failed: .*)$", printed, re.MULTILINE)
    (line,) = said
    assert line.startswith("Failed: management/karpenter/component.yaml:3: mapping values are not allowed")
    assert status == 1
    assert re.search(r"^\d\d skipped, 1 error", printed, re.MULTILINE)


@pytest.mark.usefixtures("kustomize", "helm")
def test_a_tree_that_kustomize_cannot_render_is_said_once(repository: Path) -> None:
    (repository / "management" / "karpenter" / "manifests" / "node-pool.yaml").unlink()
    status, printed = run_tests(
        repository, "tests/gitops/test_rules.py", "-k", "test_manifests_of_ or test_finds_an_overlay"
    )
    (said,) = re.findall(r"^ERROR .* - (Failed: .*)$", printed, re.MULTILINE)
    assert said.startswith("Failed: management/karpenter/manifests: kustomize: Error: ")
    assert status == 1
    assert re.search(r"^1 passed, \d+ skipped, .*1 error", printed, re.MULTILINE)
