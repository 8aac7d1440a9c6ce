"""Shared by all commands: options, error messages, and reports that determine the exit status."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from operations.errors import OperationError

if TYPE_CHECKING:
    from operations.output.report import Report

Output = Annotated[Path, typer.Option(help="The output folder of cdktf synth.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON only.")]
Stacks = Annotated[
    list[str] | None, typer.Argument(metavar="[STACK]...", help="Names or glob patterns; all stacks if omitted.")
]


def folder_path(text: str) -> Path:
    """The value of an option that names a folder; empty is refused, because to Python it is the current folder."""
    if not str(text).strip():
        raise typer.BadParameter("'': names no folder; write one, such as . for the current one")
    return Path(text)


_LONG_WORD = re.compile(r"([^\s:;]{400})[^\s:;]+")  # is cut in a message: a path or name that no remedy needs in full


@contextmanager
def errors_for_people() -> Iterator[None]:
    """Print errors that the user can fix as messages without a traceback, and exit with status 1."""
    try:
        yield
    except Exception as error:
        message = _message(error)
        if message is None:
            raise
        for line in _LONG_WORD.sub(r"\1…", message).splitlines():
            typer.secho(f"error: {line}", fg="red", err=True)
        raise typer.Exit(1) from None


def _message(error: Exception) -> str | None:
    """What the user can do about an error; None if it is an error of this program."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}; check the path, its permissions and the free space"
    # Compared by name, because importing botocore is slow.
    if type(error).__module__.startswith("botocore."):
        return f"AWS: {error}; check your credentials and permissions: aws sts get-caller-identity"
    return str(error) if isinstance(error, OperationError) else None


@contextmanager
def reported(*, as_json: bool) -> "Iterator[Callable[[Report], None]]":
    """Show the report that the block passes on, and exit with its status."""
    from operations.output import report  # noqa: PLC0415

    reports: list[Report] = []
    with errors_for_people():
        yield reports.append
    for one in reports:
        report.show(one, as_json=as_json)
        raise typer.Exit(one.status)


def say(text: str) -> None:
    """Print a line in bold."""
    typer.secho(text, bold=True)
