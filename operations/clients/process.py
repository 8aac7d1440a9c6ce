"""Runs other programs. Missing programs, failures and timeouts become error messages for the user."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from operations.errors import OperationError

Result = subprocess.CompletedProcess
"""The exit status (`returncode`) and the output (`stdout`, `stderr`) of a program."""

_REMEDIES = {
    "aws": "install version 2 of the AWS CLI",
    "cosign": "install Cosign",
    "gh": "install the GitHub CLI and run: gh auth login",
    "git": "install Git",
    "go": "install Go 1.26 or newer; it builds Kubernetes and Argo CD on this machine",
    "helm": "install Helm",
    "kubectl": "install kubectl",
    "kustomize": "install Kustomize",
    "make": "install Make",
    "node": "install Node 22",
    "session-manager-plugin": "install the Session Manager plugin of the AWS CLI",
    "skopeo": "install Skopeo",
    "terraform": "install Terraform 1.11 or newer (below 2)",
    "tofu": "install OpenTofu 1.12 or newer (below 2)",
}
"""What to do if a program is missing or cannot be run; the versions are those of the README."""


def find(program: str | Path) -> str:
    """The path of a program.

    Raises:
        OperationError: if it is not installed; the message ends with its remedy.
    """
    found = shutil.which(program)
    if found is None:
        raise OperationError(f"{program}: not installed; {_remedy(program)}")
    return found


@contextmanager
def starting(program: str | Path, directory: Path | None = None) -> Iterator[None]:
    """For the block that starts a program in a folder.

    Raises:
        OperationError: if the program cannot be run, or the folder does not exist.
    """
    try:
        yield
    except OSError as error:
        reason, what_to_do = error.strerror or error, _remedy(program)
        if directory is not None and not directory.is_dir():
            reason, what_to_do = f"{directory}: no such folder", "create it, or check the path"
        raise OperationError(f"{program}: cannot be run: {reason}; {what_to_do}") from error


def _remedy(program: str | Path) -> str:
    return _REMEDIES.get(Path(program).name, "install it")


def run(
    program: str | Path,
    *arguments: str | Path,
    directory: Path | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: str | None = None,
    timeout_seconds: float | None = None,
) -> Result[str]:
    """Run a program and wait for it, whatever its exit status.

    Without `stdin` it inherits the standard input of this process. `environment` replaces that of this process.

    Raises:
        OperationError: if it is not installed, cannot be run, or did not finish in time.
    """
    result = run_binary(
        program,
        *arguments,
        directory=directory,
        environment=environment,
        stdin=None if stdin is None else stdin.encode(),
        timeout_seconds=timeout_seconds,
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
) -> Result[bytes]:
    """Like `run`, for a program that reads or prints bytes.

    Raises:
        OperationError: if it is not installed, cannot be run, or did not finish in time.
    """
    find(program)
    command = [str(program), *map(str, arguments)]
    try:
        with starting(program, directory):
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
) -> str:
    """The output of a program that must succeed. `hint` says what to do if it fails.

    Raises:
        OperationError: if it is not installed, cannot be run or failed; the message contains its output.
    """
    result = run(program, *arguments, directory=directory, environment=environment, stdin=stdin)
    if result.returncode:
        printed = (result.stderr or result.stdout).strip() or f"failed with status {result.returncode}"
        command = " ".join([Path(program).name, *map(str, arguments[:1])])
        raise OperationError(f"{command}: {printed}{f'; {hint}' if hint else ''}")
    return result.stdout


def run_shown(program: str | Path, *arguments: str | Path, environment: Mapping[str, str] | None = None) -> int:
    """Run a program whose output the user sees, and return its exit status.

    Raises:
        OperationError: if it is not installed or cannot be run.
    """
    find(program)
    with starting(program):
        return subprocess.run([str(program), *map(str, arguments)], env=environment, check=False).returncode


def is_alive(pid: int) -> bool:
    """Whether a process exists; also one that has ended, and whose parent did not read its status yet."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
