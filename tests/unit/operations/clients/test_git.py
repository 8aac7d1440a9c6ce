"""Git."""

from pathlib import Path

import pytest

from operations.clients import git
from operations.errors import OperationError
from tests.unit.operations.clients.conftest import Program


def test_runs_in_a_folder_whatever_the_status(tmp_path: Path) -> None:
    assert git.run(tmp_path, "rev-parse", "--git-dir").returncode != 0
    git.output(tmp_path, "init", "--quiet")
    assert git.output(tmp_path, "rev-parse", "--show-toplevel") == f"{tmp_path}\n"


def test_a_failure_is_reported_with_the_message_of_git_and_the_hint(tmp_path: Path) -> None:
    git.output(tmp_path, "init", "--quiet")
    with pytest.raises(OperationError, match=r"^git rev-parse: (?s:.*)unknown revision(?s:.*); fetch it first$"):
        git.output(tmp_path, "rev-parse", "v9", hint="fetch it first")


def test_git_never_prompts_for_a_password(program: Program, tmp_path: Path) -> None:
    program("git", 'echo "$GIT_TERMINAL_PROMPT"')
    assert git.output(tmp_path, "push") == "0\n"
    assert git.run(tmp_path, "push").stdout == "0\n"


def test_without_git_the_message_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OperationError, match=r"^git: not installed; install Git$"):
        git.output(tmp_path, "status")
