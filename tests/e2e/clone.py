"""A clone of the working tree: its settings may be changed, and what it writes stays in it."""

import shutil
import subprocess
from pathlib import Path

from tests import ROOT


def copy_into(folder: Path) -> None:
    """Copy every file that belongs to the repository."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    for file in subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines():
        if (ROOT / file).is_file():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, folder / file)


def clone_into(folder: Path) -> Path:
    """Copy every file that belongs to the repository, and share what is installed."""
    copy_into(folder)
    for installed in (".venv", "node_modules"):
        (folder / installed).symlink_to(ROOT / installed)
    return folder
