"""The commands for components; `components/` covers their files."""

from pathlib import Path

import pytest

from tests.unit.operations.cli.conftest import run
from tests.unit.operations.components.conftest import files, tree

__all__ = ["tree"]

CHART = ("--chart", "xylo", "--version", "1.20.2")


@pytest.mark.parametrize(
    ("repository", "place"),
    [
        ("https://charts.example.com", "xylo --repo https://charts.example.com --version 1.20.2"),
        ("oci://registry.example.com/charts/", "oci://registry.example.com/charts/xylo --version 1.20.2"),
    ],
)
def test_component_prints_the_files_and_the_next_steps(
    tree: Path, monkeypatch: pytest.MonkeyPatch, repository: str, place: str
) -> None:
    monkeypatch.chdir(tree)
    before = files(tree)
    printed = run("component", "xylophone", *CHART, "--repository", repository).stdout
    assert "management/xylophone/component.yaml\n" in printed
    assert f"  helm show values {place} " in printed
    assert f"  helm template xylophone {place} --namespace xylophone --include-crds" in printed
    assert "  make validate\n" in printed
    printed = run("remove-component", "xylophone").stdout
    assert "removed management/xylophone/component.yaml\n" in printed
    assert "Namespace xylophone is deleted with all that it contains" in printed
    assert "git add management/xylophone && git commit" in printed
    assert files(tree) == before


def test_removal_says_where_to_look_for_the_rest(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    run("component", "xylophone", *CHART, "--repository", "https://a.example.com", "--namespace", "kube-system")
    printed = run("remove-component", "xylophone").stdout
    assert "git grep -nw xylophone" in printed
    assert "is deleted with all that it contains" not in printed


def test_all_errors_are_reported(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    printed = run("component", "kyverno", *CHART, "--repository", "http://a", status=1).stderr.splitlines()
    assert printed[0] == "error: name: 'kyverno': management/kyverno exists already; choose another"
    assert printed[1].startswith("error: repository: 'http://a': use an address such as ")
    printed = run("remove-component", "kyverno", status=1).stderr.splitlines()
    assert printed == ["error: name: 'kyverno': the platform requires it: it evaluates the policies; keep it"]
