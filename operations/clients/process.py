"""Runs other programs. Missing programs, failures and timeouts become error messages for the user."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from operations.errors import OperationError

Result = subprocess.CompletedProcess
"""The exit status (`returncode`) and the output (`stdout`, `stderr`) of a program."""


def find(program: str | Path, remedy: str = "install it") -> str:
    """The path of a program.

    Raises:
        OperationError: if it is not installed; the message ends with `remedy`.
    """
    found = shutil.which(program)
    if found is None:
        raise OperationError(f"{program}: not installed; {remedy}")
    return found


def run(
    program: str | Path,
    *arguments: str | Path,
    directory: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: str | None = None,
    timeout_seconds: float | None = None,
    remedy: str = "install it",
) -> Result[str]:
    """Run a program and wait for it, whatever its exit status.

    Without `stdin` it inherits the standard input of this process. `environment` replaces that of this process.
    `remedy` says what to do if the program is not installed.

    Raises:
        OperationError: if it is not installed, or did not finish in time.
    """
    result = run_binary(
        program,
        *arguments,
        directory=directory,
        environment=environment,
        stdin=None if stdin is None else stdin.encode(),
        timeout_seconds=timeout_seconds,
        remedy=remedy,
    )
    printed, errors = (stream.decode(errors="replace") for stream in (result.stdout, result.stderr))
    return Result(result.args, result.returncode, printed, errors)


def run_binary(
    program: str | Path,
    *arguments: str | Path,
    directory: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    timeout_seconds: float | None = None,
    remedy: str = "install it",
) -> Result[bytes]:
    """Like `run`, for a program that reads or prints bytes.

    Raises:
        OperationError: if it is not installed, or did not finish in time.
    """
    find(program, remedy)
    command = [str(program), *map(str, arguments)]
    try:
        return subprocess.run(
            command,
            cwd=directory,
            env=environment,
            input=stdin,
            timeout=timeout_seconds,
            check=False,
            capture_output=True,
        )
    except subprocess.TimeoutExpired as error:
        message = f"{' '.join(command)}: not finished after {timeout_seconds:g} seconds; run it manually"
        raise OperationError(message) from error


def output(
    program: str | Path,
    *arguments: str | Path,
    directory: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: str | None = None,
    hint: str = "",
    remedy: str = "install it",
) -> str:
    """The output of a program that must succeed. `hint` says what to do if it fails.

    Raises:
        OperationError: if it is not installed or failed; the message contains its output.
    """
    result = run(program, *arguments, directory=directory, environment=environment, stdin=stdin, remedy=remedy)
    if result.returncode:
        printed = (result.stderr or result.stdout).strip() or f"failed with status {result.returncode}"
        command = " ".join([Path(program).name, *map(str, arguments[:1])])
        raise OperationError(f"{command}: {printed}{f'; {hint}' if hint else ''}")
    return result.stdout


def run_shown(program: str | Path, *arguments: str | Path, environment: Mapping[str, str] | None = None) -> int:
    """Run a program whose output the user sees, and return its exit status.

    Raises:
        OperationError: if it is not installed.
    """
    find(program)
    return subprocess.run([str(program), *map(str, arguments)], env=environment, check=False).returncode
