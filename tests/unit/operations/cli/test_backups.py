"""The commands for backups: confirmation before a restore, and which `argocd` runs."""

import json
from pathlib import Path
from unittest.mock import Mock

import pytest

from operations.backup import backup
from operations.backup.argo_cd_export import IN_THE_CLUSTER
from operations.backup.backup import BackupLocation
from operations.output.report import Report, Status
from tests.unit.operations.cli.conftest import Terminal, run

SETTINGS = "kind: ConfigMap\nmetadata: {name: argocd-cm}\n"
APPLICATION = "kind: Application\nmetadata: {name: shop}\nspec: {project: default}\n"
BACKUP = f"{SETTINGS}---\n{APPLICATION}"


@pytest.fixture
def find_location(monkeypatch: pytest.MonkeyPatch) -> Mock:
    found = BackupLocation(Mock(), "the-bucket", "alias/dev", "gitops-cluster-dev")
    find_location = Mock(return_value=found)
    monkeypatch.setattr(backup, "find_location", find_location)
    monkeypatch.setattr(backup, "fetch", Mock(return_value=BACKUP.encode()))
    return find_location


@pytest.fixture
def argocd(tmp_path: Path) -> Path:
    """A local `argocd` whose cluster has the settings only. It imports into the file `imported`."""
    (tmp_path / "objects").write_text(SETTINGS)
    program = tmp_path / "argocd"
    program.write_text(
        f"#!/bin/sh\ncd {tmp_path}\n"
        '[ "$2" = export ] && exec cat objects\n'
        "cat > imported; echo --- >> objects; cat imported >> objects\n"
    )
    program.chmod(0o755)
    return program


def _imported(argocd: Path) -> str:
    file = argocd.with_name("imported")
    return file.read_text() if file.exists() else ""


def test_backup_uses_the_current_cluster_by_default(
    find_location: Mock, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = Mock(return_value=Report("saved", Status.FINE, {"version": "v1"}))
    monkeypatch.setattr(backup, "backup", saved)
    assert json.loads(run("backup", "--output", output, "--json").stdout)["version"] == "v1"
    assert find_location.call_args.args[1] is None
    assert saved.call_args.args[1]._command == IN_THE_CLUSTER


@pytest.mark.usefixtures("find_location")
def test_restore_lists_the_versions_and_restores_nothing(output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup, "versions", Mock(return_value=Report("2 backups", Status.FINE, {})))
    monkeypatch.setattr(backup, "restore", Mock(side_effect=AssertionError))
    assert "2 backups" in run("restore", "dev", "--list", "--output", output).stdout


@pytest.mark.usefixtures("find_location")
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_restore_without_a_terminal_needs_yes(output: Path, argocd: Path, options: list[str]) -> None:
    errors = run("restore", "dev", "--output", output, "--argocd", argocd, *options, status=1).stderr
    assert "needs confirmation before it changes a cluster, and there is no terminal; add --yes" in errors
    assert _imported(argocd) == ""


@pytest.mark.usefixtures("find_location")
def test_restore_with_yes_imports_the_missing_objects(output: Path, argocd: Path) -> None:
    result = run("restore", "dev", "--output", output, "--argocd", argocd, "--yes", "--version", "v1")
    assert "gitops-cluster-dev: 1 object restored" in result.stdout
    assert _imported(argocd) == f"---\n{APPLICATION}"
    assert backup.fetch.call_args.args[1] == "v1"  # type: ignore[attr-defined]


@pytest.mark.usefixtures("find_location")
@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("n\n", 2)])
def test_restore_shows_the_difference_and_asks_at_a_terminal(
    output: Path,
    argocd: Path,
    terminal: Terminal,
    *,
    answer: str,
    status: int,
) -> None:
    terminal.type(answer)
    assert terminal.run("restore", "dev", "--output", output, "--argocd", argocd) == status
    printed = terminal.printed()
    assert printed.index("shop") < printed.index("Import the objects that are missing or different?")
    assert bool(_imported(argocd)) is (answer == "y\n")
