"""The shell doors: from any folder, with their usage, onto the same commands."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
every_script = pytest.mark.parametrize("name", ["deploy.sh", "destroy.sh", "validate.sh"])


def _run(script: Path, *arguments: str, cwd: Path, path: str | None = None) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PATH": path or os.environ["PATH"]}
    return subprocess.run(
        [script, *arguments], cwd=cwd, check=False, capture_output=True, text=True, env=environment, timeout=30
    )


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository in a folder with a space, whose make and Python only say how they were called."""
    root = tmp_path / "a repository"
    shutil.copytree(SCRIPTS, root / "scripts")
    for name, text in {
        "bin/make": '#!/bin/sh\necho "make $*"\n',
        ".venv/bin/python": '#!/bin/sh\necho "python $*"\nexit 2\n',
    }.items():
        file = root / name
        file.parent.mkdir(parents=True)
        file.write_text(text)
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return root


@every_script
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_usage_says_how_with_an_example(tmp_path: Path, name: str, option: str) -> None:
    run = _run(SCRIPTS / name, option, cwd=tmp_path)
    assert run.returncode == 0
    assert run.stdout.startswith(f"Usage: scripts/{name} ")
    assert f"\nExample: scripts/{name}" in run.stdout


@every_script
def test_from_any_folder_the_command_gets_its_arguments_and_gives_its_status(
    repository: Path, tmp_path: Path, name: str
) -> None:
    path = f"{repository / 'bin'}{os.pathsep}{os.environ['PATH']}"
    run = _run(repository / "scripts" / name, "ap-*-dev", "--json", cwd=tmp_path, path=path)
    command = name.removesuffix(".sh")
    assert run.stdout.splitlines() == ["make synth", f"python -m operations {command} ap-*-dev --json"]
    assert run.returncode == 2


def test_nothing_is_destroyed_because_nothing_was_named(repository: Path, tmp_path: Path) -> None:
    run = _run(repository / "scripts" / "destroy.sh", cwd=tmp_path)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith("Usage: scripts/destroy.sh STACK...")
