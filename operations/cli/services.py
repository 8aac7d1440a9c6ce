"""The commands for services in the Git tree."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from operations.cli.console import Output, errors_for_people, say
from operations.terraform.stacks import read_platform

if TYPE_CHECKING:
    pass

app = typer.Typer(add_completion=False)


@app.command()
def service(
    name: Annotated[str, typer.Argument(help="Its name: of its objects, namespaces, hosts and image repository.")],
    team: Annotated[str, typer.Option(help="The team that owns it; a new one gets its project and its rights.")],
    like: Annotated[str, typer.Option(help="The service whose shape it gets: bubblepool, or blue/green guestbook.")] = (
        "bubblepool"
    ),
    repository_id: Annotated[
        int | None, typer.Option(help="GitHub's number of the repository that pushes its images; or a placeholder.")
    ] = None,
    output: Output = Path("cdktf.out"),
) -> None:
    """Write a new service into the Git tree: its folder, its team's project and rights, its image repository.

    All of it is written or nothing. Example: make service NAME=shop TEAM=sales
    """
    from operations.services import scaffold  # noqa: PLC0415

    with errors_for_people():
        new = scaffold.NewService(name=name, team=team, like=like, repository_id=repository_id)
        scaffold.write_service(Path(), new, read_platform(output).regions, typer.echo)
    say("\nNext:")
    typer.echo("  make snapshots    # the image repository is new in the stacks\n  git diff")
    if repository_id is None:
        typer.echo(f"  gh api repos/OWNER/{name} --jq .id    # for pushed_by.id in stacks/*/shared.py: a placeholder")


@app.command("chart-readme")
def chart_readme_() -> None:
    """Write the table of values in the README of the Helm chart anew, from the comments in its values.yaml.

    Example: make chart-readme
    """
    from operations.services import chart_readme  # noqa: PLC0415

    chart_readme.write_readme()
