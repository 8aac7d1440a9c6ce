"""The program that plans and applies stacks: Terraform, or OpenTofu instead of it."""

import os
import re
from pathlib import Path
from typing import NamedTuple

from operations.clients import process
from operations.errors import OperationError

VARIABLE = "TERRAFORM_BINARY_NAME"
"""The environment variable that names the program, or its path. The command line of CDKTF reads it, too."""

_ENCRYPTION = "TF_ENCRYPTION"
_SECONDS = 30


class Version(NamedTuple):
    """What a program says that it is. Both programs have the same output, but for their names."""

    product: str
    number: str


def name() -> str:
    """The name of the program, or its absolute path."""
    chosen = os.environ.get(VARIABLE) or "terraform"
    return str(Path(chosen).absolute()) if os.sep in chosen else chosen


def find() -> str:
    """The path of the program.

    Raises:
        OperationError: if it is not installed, or would write states that only it can read.
    """
    if os.environ.get(_ENCRYPTION):
        reason = "commands must read the states, which the state bucket encrypts with its own key"
        raise OperationError(f"{_ENCRYPTION}: state encryption of OpenTofu is not supported: {reason}; unset it")
    try:
        return process.find(name())
    except OperationError as error:
        if not os.environ.get(VARIABLE):
            raise
        raise OperationError(f"{VARIABLE}: {error}, or unset {VARIABLE} to use Terraform") from error


def command(directory: Path, *arguments: str) -> str:
    """A command line that an operator can run for a stack."""
    return " ".join([name(), f"-chdir={directory}", *arguments])


def version() -> Version:
    """The product and the version of the program.

    Its text is read: `version -json` of both has the same keys.

    Raises:
        OperationError: if it is not installed or failed, or is neither of the two.
    """
    done = process.run(find(), "version", timeout_seconds=_SECONDS)
    if done.returncode:
        raise OperationError(f"{name()} version failed: {done.stderr.strip()}")
    found = re.match(r"(Terraform|OpenTofu) v(\S+)", done.stdout)
    if found is None:
        said = done.stdout.strip().partition("\n")[0]
        raise OperationError(f"{name()}: {said!r}: neither Terraform nor OpenTofu; set {VARIABLE} to one of them")
    return Version(found[1], found[2])
