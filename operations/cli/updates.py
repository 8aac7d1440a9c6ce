"""The commands for releases: taking one, showing what changed, and the notes of the next one."""

import signal
from pathlib import Path
from typing import Annotated

import typer

from operations.cli.console import AsJson, Output, errors_for_people, reported

app = typer.Typer(add_completion=False)


@app.command("update")
def update_(
    version: Annotated[str, typer.Argument(help="The tag of the release, such as v0.2.0.")],
    *,
    source: Annotated[
        str, typer.Option("--from", help="The repository with the release; the remote upstream if omitted.")
    ] = "",
    keep: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH", help="A file or folder that stays as it is."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Merge a release of the product into the current branch. Files of the owner stay as they are.

    Shows the migration notes, and what changes in the settings and in the Git tree. After any error, such as a
    conflict, nothing is changed.

    Example: make update VERSION=v0.2.0
    """
    from operations.repository import update  # noqa: PLC0415

    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)  # so that temporary files are removed, as by Ctrl-C
    with reported(as_json=as_json) as report:
        report(update.update(Path(), update.Wanted(version, source, tuple(keep or ()))))


@app.command("compare")
def compare_(
    base: Annotated[str, typer.Argument(help="The revision to compare with, such as HEAD^1 after an update.")],
    *,
    output: Output = Path("cdktf.out"),
    as_json: AsJson = False,
) -> None:
    """Show which resources of the synthesized stacks differ from those of a revision. Needs no access to AWS.

    Example: make compare BASE=HEAD^1
    """
    from operations.repository import stack_differences  # noqa: PLC0415

    with reported(as_json=as_json) as report:
        report(stack_differences.compare(output, base))


@app.command("release-notes")
def release_notes_(
    tag: Annotated[str, typer.Argument(help="The tag of the release, such as v0.1.0.")],
) -> None:
    """Print what the changelog says of a release, if its tag, the version of the product and the changelog agree.

    Example: python -m operations release-notes v0.1.0
    """
    from operations.repository import release  # noqa: PLC0415

    with errors_for_people():
        typer.echo(release.notes(Path(), tag))
