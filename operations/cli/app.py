"""The command line application. `--help` describes every command.

Commands exit with status 0 (success), 1 (error) or 2 (there are changes or findings to look at).
"""

from pathlib import Path
from typing import Annotated

import typer

from operations.cli import (
    backups,
    clusters,
    components,
    costs,
    images,
    local,
    pictures,
    places,
    pull_requests,
    services,
    stacks,
    state,
    updates,
)

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
for commands in (
    stacks,
    costs,
    state,
    local,
    clusters,
    services,
    components,
    places,
    pictures,
    backups,
    images,
    pull_requests,
    updates,
):
    app.add_typer(commands.app)


def _print_version(is_wanted: bool) -> None:  # noqa: FBT001 (called by typer)
    if is_wanted:
        from operations.repository import release  # noqa: PLC0415

        typer.echo(release.version(Path(__file__).parents[2]))
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version, and exit.")
    ] = False,
) -> None:
    """Deploy, check and change the platform."""
