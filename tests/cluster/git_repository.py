"""A Git repository that a test writes and Argo CD reads."""

import json
import subprocess
from pathlib import Path

from tests.cluster.manifests import Manifest


class GitRepository:
    """A repository in a folder. Changes take effect when they are committed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"file://{folder}"
        folder.mkdir(parents=True, exist_ok=True)
        self._git("init", "--quiet", "--initial-branch=main")

    def write(self, file: str, manifest: Manifest) -> None:
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(manifest))

    def remove(self, file: str) -> None:
        (self.folder / file).unlink()

    def commit(self) -> None:
        self._git("add", "--all")
        self._git("-c", "user.name=test", "-c", "user.email=test", "commit", "--quiet", "--message=test")

    def _git(self, *arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=self.folder, check=True)
