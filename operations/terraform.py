"""Running Terraform in a folder, with what it prints shown as it comes."""

import os
import subprocess
from pathlib import Path

from operations.errors import OperationError


class Terraform:
    """Terraform in one working directory, in the caller's environment."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def run(self, *arguments: str) -> None:
        """Run a command that must succeed.

        Raises:
            OperationError: it did not; what it printed stands above the message.
        """
        self._run(arguments, stdout=None)

    def output(self, *arguments: str) -> str:
        """What a command prints that must succeed; its errors are shown as they come."""
        return self._run(arguments, stdout=subprocess.PIPE)

    def _run(self, arguments: tuple[str, ...], *, stdout: int | None) -> str:
        finished = subprocess.run(
            ["terraform", *arguments],
            cwd=self.directory,
            env={**os.environ, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "TF_INPUT": "0"},
            check=False,
            stdout=stdout,
            text=True,
        )
        if finished.returncode:
            message = f"terraform {arguments[0]} failed in {self.directory} (status {finished.returncode}); see above"
            raise OperationError(message)
        return finished.stdout or ""
