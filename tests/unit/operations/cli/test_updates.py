"""The commands for releases."""

import json
from pathlib import Path
from unittest.mock import Mock

import pytest

from operations.output.report import Report, Status
from operations.repository import release, stack_differences, update
from operations.repository.update import Wanted
from tests import ROOT
from tests.unit.operations.cli.conftest import run


def test_an_update_has_its_source_and_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Mock(return_value=Report("merged", Status.FINE, {"kept": ["a"]}))
    monkeypatch.setattr(update, "update", made)
    run("update", "v0.2.0")
    result = run("update", "v0.2.0", "--from", "https://example.com/a.git", "--keep", "a", "--keep", "b", "--json")
    assert json.loads(result.stdout)["kept"] == ["a"]
    wanted = [call.args[1] for call in made.call_args_list]
    assert wanted == [Wanted("v0.2.0"), Wanted("v0.2.0", "https://example.com/a.git", ("a", "b"))]


def test_stacks_are_compared_with_a_revision(monkeypatch: pytest.MonkeyPatch, output: Path) -> None:
    made = Mock(return_value=Report("same", Status.FINE, {}))
    monkeypatch.setattr(stack_differences, "compare", made)
    run("compare", "HEAD^1", "--output", output)
    made.assert_called_once_with(output, "HEAD^1")


def test_the_version_is_printed() -> None:
    assert run("--version").stdout == f"{release.version(ROOT)}\n"


def test_release_notes_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    result = run("release-notes", f"v{release.version(ROOT)}")
    assert "### Migration" in result.stdout
    assert "tag: 'v99.0.0'" in run("release-notes", "v99.0.0", status=1).output
