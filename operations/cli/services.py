"""The commands for services in this repository."""

from pathlib import Path
from typing import Annotated

import typer

from operations.cli.console import Output, errors_for_people, say
from operations.terraform.stacks import read_platform

app = typer.Typer(add_completion=False)


@app.command()
def service(
    name: Annotated[
        str, typer.Argument(help="The name of the service, its objects, namespaces, hosts and image repository.")
    ],
    team: Annotated[
        str, typer.Option(help="The team that owns the service; a new team gets an Argo CD project and permissions.")
    ],
    like: Annotated[
        str, typer.Option(help="The service to copy: bubblepool, or guestbook to switch all requests at once.")
    ] = ("bubblepool"),
    repository_id: Annotated[
        int | None,
        typer.Option(help="The GitHub id of the repository that pushes the images; a placeholder if omitted."),
    ] = None,
    output: Output = Path("cdktf.out"),
) -> None:
    """Create the files of a new service: its folder, its team's project and permissions, and its image repository.

    Writes either all files or, if there is any error, none.

    Example: make service NAME=shop TEAM=sales
    """
    from operations.services import scaffold  # noqa: PLC0415

    with errors_for_people():
        new = scaffold.NewService(name=name, team=team, like=like, repository_id=repository_id)
        scaffold.write_service(Path(), new, read_platform(output).regions, typer.echo)
    say("\nNext:")
    typer.echo("  make snapshots    # accepts the new image repository in the stacks\n  git diff")
    if repository_id is None:
        typer.echo(
            f"  gh api repos/OWNER/{name} --jq .id    # replaces the placeholder pushed_by.id in stacks/*/shared.py"
        )


@app.command("chart-readme")
def chart_readme_() -> None:
    """Update the table of values in the README of the Helm chart from the comments in its values.yaml.

    Example: make chart-readme
    """
    from operations.services import chart_readme  # noqa: PLC0415

    with errors_for_people():
        chart_readme.write_readme()
