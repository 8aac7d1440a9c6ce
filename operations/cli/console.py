"""What every command shares: options, errors for people, and a report that decides how the command ends."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from operations.errors import OperationError

if TYPE_CHECKING:
    from operations.output.report import Report

Output = Annotated[Path, typer.Option(help="The folder that cdktf synth wrote.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")]
Stacks = Annotated[list[str] | None, typer.Argument(metavar="[STACK]...", help="Names or globs; all if none.")]


@contextmanager
def errors_for_people() -> Iterator[None]:
    """Turn what a person can mend into a message, without a traceback."""
    try:
        yield
    except Exception as error:
        # By name: importing botocore to ask it takes longer than all else here.
        if not isinstance(error, OperationError) and not type(error).__module__.startswith("botocore."):
            raise
        for line in str(error).splitlines():
            typer.secho(f"error: {line}", fg="red", err=True)
        raise typer.Exit(1) from None


@contextmanager
def reported(*, as_json: bool) -> "Iterator[Callable[[Report], None]]":
    """Show the report that the block makes, and end with its status."""
    from operations.output import report  # noqa: PLC0415

    made: list[Report] = []
    with errors_for_people():
        yield made.append
    for one in made:
        report.show(one, as_json=as_json)
        raise typer.Exit(one.status)


def say(text: str) -> None:
    """A line that stands out."""
    typer.secho(text, bold=True)
