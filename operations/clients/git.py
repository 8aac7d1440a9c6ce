"""Git, which must be installed and never asks for a password."""

import os
from pathlib import Path

from operations.clients import process
from operations.clients.process import Result

_ENVIRONMENT = {"GIT_TERMINAL_PROMPT": "0"}


def run(directory: Path, *arguments: str) -> Result[str]:
    """Run a command of Git in a folder, whatever its exit status.

    Raises:
        OperationError: Git is not installed.
    """
    return process.run("git", *arguments, directory=directory, environment={**os.environ, **_ENVIRONMENT})


def output(directory: Path, *arguments: str, hint: str = "") -> str:
    """What a command of Git prints that must succeed.

    Raises:
        OperationError: Git is not installed, or the command failed; `hint` says what to do then.
    """
    return process.output("git", *arguments, directory=directory, environment={**os.environ, **_ENVIRONMENT}, hint=hint)
