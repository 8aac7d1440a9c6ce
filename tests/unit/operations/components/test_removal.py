from pathlib import Path

import pytest

from operations.components import removal
from operations.components.creation import NewComponent
from operations.errors import OperationError
from tests import ROOT
from tests.gitops.tree import components
from tests.unit.operations.components.conftest import files, new, write

pytestmark = pytest.mark.slow

PROJECT = "management/bootstrap/projects/management.yaml"
HELM = "https://argoproj.github.io/argo-helm"


def _remove(tree: Path, name: str = "xylophone") -> list[str]:
    return removal.remove_component(tree, name, lambda _: None)


@pytest.mark.parametrize(
    ("component", "namespaces"),
    [
        (new(), ["xylophone"]),
        (new(namespace="platform-music"), ["platform-music"]),
        (new(namespace="kube-system"), []),
        (new(repository="oci://registry.example.com/charts"), ["xylophone"]),
        (new(chart="1.0", repository="oci://10:20"), ["xylophone"]),
        (new(repository=HELM), ["xylophone"]),
    ],
)
def test_the_tree_is_as_before_the_component_was_created(
    tree: Path, component: NewComponent, namespaces: list[str]
) -> None:
    before = files(tree)
    write(tree, component)
    assert files(tree) != before
    assert _remove(tree) == namespaces
    assert files(tree) == before


def test_removed_files_are_said(tree: Path) -> None:
    write(tree)
    said: list[str] = []
    removal.remove_component(tree, "xylophone", said.append)
    assert said[0] == PROJECT
    assert "removed management/xylophone/component.yaml" in said


def test_what_another_component_needs_stays_permitted(tree: Path) -> None:
    write(tree)
    write(tree, new("marimba"))
    _remove(tree)
    assert "    - https://charts.example.com\n" in (tree / PROJECT).read_text()


@pytest.mark.parametrize("name", ["marimba", "../xylophone", "", "bootstrap", "service-namespace"])
def test_what_is_no_component_is_not_removed(tree: Path, name: str) -> None:
    with pytest.raises(OperationError) as error:
        _remove(tree, name)
    others = sorted({component.name for component in components()} - removal.REQUIRED.keys())
    if not others:
        assert str(error.value) == f"name: {name!r}: not a component in management; there is none that can be removed"
    write(tree)
    with pytest.raises(OperationError, match=r"not a component in management; use one of .*\bxylophone\b"):
        _remove(tree, name)


@pytest.mark.parametrize("name", removal.REQUIRED)
def test_what_the_platform_requires_is_not_removed(tree: Path, name: str) -> None:
    assert (ROOT / "management" / name / "component.yaml").is_file()
    before = files(tree)
    with pytest.raises(OperationError) as error:
        _remove(tree, name)
    assert str(error.value) == f"name: {name!r}: the platform requires it: {removal.REQUIRED[name]}; keep it"
    assert files(tree) == before


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("namespaceSelector:\n  matchNames: [argocd, platform-music]\n", 2),
        ("matchLabels:\n\n  kubernetes.io/metadata.name: platform-music\n", 3),
        ("namespace: platform-music # its webhook\n", 1),
        ("url: http://sounds.platform-music.svc:80\n", 1),
        ("apiVersion: xylophone.io/v1\n", 1),
        ("apiVersion: tunes.xylo.io/v1\n", 1),
        ("annotations:\n  xylophone.io/tune: c\n", 2),
    ],
)
def test_what_other_files_need_is_not_removed(tree: Path, text: str, line: int) -> None:
    write(tree, new(namespace="platform-music"))
    (tree / "service/hello/own.yaml").write_text(text)
    before = files(tree)
    with pytest.raises(OperationError) as error:
        _remove(tree)
    shown = text.splitlines()[line - 1].partition(" #")[0].strip()
    assert str(error.value).startswith(f"service/hello/own.yaml: line {line}: {shown}")
    assert str(error.value).endswith(": needs the component xylophone; change this first")
    assert files(tree) == before


@pytest.mark.parametrize("text", ["# namespace: xylophone\n", "namespace: xylophone-2\n", "team: xylophone\n", "\xff"])
def test_other_mentions_do_not_matter(tree: Path, text: str) -> None:
    write(tree)
    (tree / "service/hello/own.yaml").write_text(text, encoding="latin-1")
    _remove(tree)


def test_all_places_that_need_it_are_reported(tree: Path) -> None:
    write(tree)
    write(tree, new("marimba", namespace="xylophone"))
    (tree / "helm/own.yaml").write_text("host: a.xylophone.svc\n")
    with pytest.raises(OperationError) as error:
        _remove(tree)
    needed = ": needs the component xylophone; change this first"
    assert str(error.value).splitlines() == [
        f"helm/own.yaml: line 1: host: a.xylophone.svc{needed}",
        f"management/marimba/component.yaml: line 1: namespace: xylophone{needed}",
    ]


def test_an_interrupt_leaves_all_files(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tree)
    before, unlink = files(tree), Path.unlink

    def fail(self: Path, *, missing_ok: bool = False) -> None:
        if self.name == "values.yaml":
            raise KeyboardInterrupt
        unlink(self, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", fail)
    with pytest.raises(KeyboardInterrupt):
        _remove(tree)
    monkeypatch.undo()
    assert files(tree) == before
