"""The command line: every command says what it does by `--help`, and ends with 0 (fine) or 1 (an error)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from operations.errors import OperationError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

Output = Annotated[Path, typer.Option(help="The folder that cdktf synth wrote.")]
_HOME = Path(".bootstrap")


@contextmanager
def _errors_for_people() -> Iterator[None]:
    """Turn what a person can mend into a message, without a traceback."""
    try:
        yield
    except OperationError as error:
        for line in str(error).splitlines():
            typer.secho(f"error: {line}", fg="red", err=True)
        raise typer.Exit(1) from None


def _say(text: str) -> None:
    typer.secho(text, bold=True)


@app.command("bootstrap")
def bootstrap_(output: Output = Path("cdktf.out")) -> None:
    """Make the state bucket of every region, and move its own state into it. Safe to run again."""
    _for_every_backend(output, "bootstrap")


@app.command("unbootstrap")
def unbootstrap_(output: Output = Path("cdktf.out")) -> None:
    """Destroy the state bucket of every region, after every other stack is destroyed. Safe to run again."""
    _for_every_backend(output, "unbootstrap")


def _for_every_backend(output: Path, name: str) -> None:
    from operations import bootstrap, synthesized  # noqa: PLC0415

    act: Callable[..., None] = getattr(bootstrap, name)
    with _errors_for_people():
        for stack in synthesized.backend_stacks(output):
            act(stack, _HOME, _say)
