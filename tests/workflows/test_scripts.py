"""The shell scripts: they run from any folder and call the commands with the same names."""

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
    """A repository in a folder with a space, with a fake make and a fake Python that print their arguments."""
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
def test_help_prints_the_usage_with_an_example(tmp_path: Path, name: str, option: str) -> None:
    run = _run(SCRIPTS / name, option, cwd=tmp_path)
    assert run.returncode == 0
    assert run.stdout.startswith(f"Usage: scripts/{name} ")
    assert f"\nExample: scripts/{name}" in run.stdout


@every_script
def test_arguments_and_exit_status_are_passed_on_from_any_folder(repository: Path, tmp_path: Path, name: str) -> None:
    path = f"{repository / 'bin'}{os.pathsep}{os.environ['PATH']}"
    run = _run(repository / "scripts" / name, "ap-*-dev", "--json", cwd=tmp_path, path=path)
    command = name.removesuffix(".sh")
    assert run.stdout.splitlines() == ["make synth", f"python -m operations {command} ap-*-dev --json"]
    assert run.returncode == 2


def test_destroy_without_arguments_prints_the_usage(repository: Path, tmp_path: Path) -> None:
    run = _run(repository / "scripts" / "destroy.sh", cwd=tmp_path)
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith("Usage: scripts/destroy.sh STACK...")
