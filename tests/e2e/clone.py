"""A copy of the working tree, in which tests can change settings and write files."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from operations.local import aws_provider
from operations.terraform import synthesis
from tests import ROOT


def copy_into(folder: Path) -> None:
    """Copy every file of the repository."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    for file in subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines():
        if (ROOT / file).is_file():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, folder / file)


def clone_into(folder: Path) -> Path:
    """Copy every file of the repository, and link the installed packages."""
    copy_into(folder)
    for installed in (".venv", ".checkov", "node_modules"):
        if (ROOT / installed).exists():
            (folder / installed).symlink_to(ROOT / installed)
    return folder


def point_at(patch: pytest.MonkeyPatch, folder: Path, environment: Mapping[str, str]) -> None:
    """Use a copy as working directory, and an emulated AWS, in this process and its child processes."""
    for name, value in environment.items():
        patch.setenv(name, value)
    patch.chdir(folder)


def synthesize(output: Path) -> None:
    """Synthesize, for the emulated AWS."""
    synthesis.synthesize(output)
    aws_provider.use(output)
