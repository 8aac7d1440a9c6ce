"""A copy of the repository whose tree a test changes, and the tests that run in it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests import ROOT
from tests.gitops.tree import FOLDERS

_LINKED = (
    ".github", "constructs", "examples", "main.py", "operations", "package.json", "pyproject.toml", "renovate.json",
    "stacks",
)  # fmt: skip


def copy_repository(folder: Path) -> Path:
    """Copy the tree and its tests to a folder, and link what they need besides."""
    for name in (*FOLDERS, "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in _LINKED:
        (folder / name).symlink_to(ROOT / name)
    return folder


def run_tests(repository: Path, *arguments: str) -> tuple[int, str]:
    """Run tests in a copy, and return the exit status and what pytest prints."""
    command = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments)
    # Not that this process is itself one of pytest-xdist.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment = {**inherited, "CI": "true"}
    done = subprocess.run(command, cwd=repository, env=environment, check=False, capture_output=True, text=True)
    return done.returncode, done.stdout
