"""Git, which must be installed. It never prompts for a password."""

import os
from pathlib import Path

from operations.clients import process
from operations.clients.process import Result

_ENVIRONMENT = {"GIT_TERMINAL_PROMPT": "0"}


def run(directory: Path, *arguments: str) -> Result[str]:
    """Run a Git command in a folder, whatever its exit status.

    Raises:
        OperationError: if Git is not installed.
    """
    return process.run("git", *arguments, directory=directory, environment={**os.environ, **_ENVIRONMENT})


def output(directory: Path, *arguments: str, hint: str = "") -> str:
    """The output of a Git command that must succeed.

    Raises:
        OperationError: if Git is not installed or the command failed; the message ends with `hint`.
    """
    return process.output("git", *arguments, directory=directory, environment={**os.environ, **_ENVIRONMENT}, hint=hint)
