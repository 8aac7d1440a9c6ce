"""The commands that show the platform: as pictures, and on one page."""

from pathlib import Path
from typing import Annotated

import typer

from operations.cli.console import Output, errors_for_people, folder_path

app = typer.Typer(add_completion=False)


@app.command("map")
def draw(
    output: Output = Path("cdktf.out"),
    folder: Annotated[Path, typer.Option(parser=folder_path, help="Where to write the pages and pictures.")] = Path(
        "map"
    ),
) -> None:
    """Draw the synthesized platform: the network with clusters and data, delivery, and who may do what.

    Writes SVG files, and a page with all of them, in English and in Korean.

    Example: make map
    """
    from operations.map import pages  # noqa: PLC0415
    from operations.terraform.stacks import read_platform  # noqa: PLC0415

    with errors_for_people():
        for page in pages.write(read_platform(output), folder):
            typer.echo(page)


@app.command("portal")
def portal_(
    output: Output = Path("cdktf.out"),
    folder: Annotated[Path, typer.Option(parser=folder_path, help="Where to write index.html, the page.")] = Path(
        ".portal"
    ),
    reports: Annotated[
        Path,
        typer.Option(
            parser=folder_path, help="A folder with reports that plan, drift, preflight and cost printed with --json."
        ),
    ] = Path(".portal/reports"),
    join: Annotated[
        list[Path] | None,
        typer.Option(help="A page of another account or region, of which what is known is taken. AWS is not asked."),
    ] = None,
) -> None:
    """Write one HTML page about every region and environment: what runs, what waits, what ends, and what it costs.

    Reads the synthesized stacks, reports and Git and, where credentials are there, AWS and Argo CD. The page says what
    is not known, and which command makes it known. Changes nothing.

    Example: python -m operations portal
    """
    from operations.portal import portal  # noqa: PLC0415
    from operations.terraform.stacks import read_platform  # noqa: PLC0415

    with errors_for_people():
        inputs = portal.Inputs(Path(), reports, join or [])
        page, missing = portal.write(read_platform(output), inputs, folder)
        for one in missing:
            typer.echo(f"not known: {one}")
        typer.echo(page)
