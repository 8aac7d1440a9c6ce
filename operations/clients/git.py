"""Git, which must be installed. It never prompts for a password."""

import os
from collections.abc import Sequence
from pathlib import Path

from operations.clients import process
from operations.clients.process import Result
from operations.errors import OperationError


def _environment(index: Path | None = None) -> dict[str, str]:
    return {**os.environ, "GIT_TERMINAL_PROMPT": "0", **({"GIT_INDEX_FILE": str(index)} if index else {})}


def run(directory: Path, *arguments: str) -> Result[str]:
    """Run a Git command in a folder, whatever its exit status.

    Raises:
        OperationError: if Git is not installed.
    """
    return process.run("git", *arguments, directory=directory, environment=_environment())


def output(directory: Path, *arguments: str, hint: str = "") -> str:
    """The output of a Git command that must succeed.

    Raises:
        OperationError: if Git is not installed or the command failed; the message ends with `hint`.
    """
    return process.output("git", *arguments, directory=directory, environment=_environment(), hint=hint)


def records(
    directory: Path, *arguments: str, stdin: str = "", index: Path | None = None, fine: Sequence[int] = (0,)
) -> list[str]:
    """The output of a Git command that ends its records with NUL, as most do with `-z`; paths may have any name.

    `index` is used in place of the index of the clone; an exit status in `fine` is no error.

    Raises:
        OperationError: if Git is not installed or the command failed.
    """
    result = process.run_binary(
        "git", *arguments, directory=directory, environment=_environment(index), stdin=os.fsencode(stdin)
    )
    if result.returncode not in fine:
        message = result.stderr.decode(errors="backslashreplace").strip()
        raise OperationError(f"git {arguments[0]}: {message or f'failed with status {result.returncode}'}")
    return [record for record in os.fsdecode(result.stdout).split("\0") if record]
