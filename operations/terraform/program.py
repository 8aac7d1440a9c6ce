"""The program that plans and applies stacks: Terraform, or OpenTofu instead of it.

`python -m operations.terraform.program` fails unless its version is supported: make targets that need it begin so.
"""

import os
import re
import sys
from pathlib import Path
from typing import NamedTuple

from operations.clients import process
from operations.errors import OperationError

VARIABLE = "TERRAFORM_BINARY_NAME"
"""The environment variable that names the program, or its path. The command line of CDKTF reads it, too."""

SUPPORTED = {"Terraform": ">= 1.11, < 2", "OpenTofu": ">= 1.12, < 2"}
"""The versions of Terraform, as the stacks require it, and of OpenTofu, from the oldest that was seen working.

OpenTofu compares its own version with what a stack requires of Terraform, although its versions have other features.
"""

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
        said = done.stderr.strip() or f"status {done.returncode}"
        raise OperationError(f"{name()} version failed: {said}; install it again, or name another one in {VARIABLE}")
    found = re.match(r"(Terraform|OpenTofu) v(\S+)", done.stdout)
    if found is None:
        said = done.stdout.strip().partition("\n")[0]
        raise OperationError(f"{name()}: {said!r}: neither Terraform nor OpenTofu; set {VARIABLE} to one of them")
    return Version(found[1], found[2])


def satisfies(number: str, constraint: str) -> bool:
    """Whether a version satisfies a constraint. Only `>=` and `<` are supported; the stacks use no others."""
    for part in constraint.split(","):
        operator, bound = part.split()
        length = len(numbers(bound))
        at_least = numbers(number)[:length] >= numbers(bound)
        if at_least != (operator == ">="):
            return False
    return True


def numbers(version: str) -> list[int]:
    """`v1.11.4-beta1` as 1, 11, 4."""
    found = re.match(r"v?(\d+(?:\.\d+)*)", version)
    return [int(number) for number in found[1].split(".")] if found else [0]


def check() -> None:
    """Require a supported version.

    Raises:
        OperationError: without one, or as `version` does.
    """
    product, number = version()
    wanted = SUPPORTED[product]
    if not satisfies(number, wanted):
        message = f"{product} {number}: not supported ({wanted}); install a supported one, or name it in {VARIABLE}"
        raise OperationError(f"{name()}: {message}")


if __name__ == "__main__":
    try:
        check()
    except OperationError as error:
        sys.exit(f"error: {error}")
