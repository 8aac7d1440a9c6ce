"""The commands for environments and regions of this repository. They change files, and nothing in AWS."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from operations.cli.console import Output, errors_for_people, say
from operations.terraform.stacks import Region, read_platform

app = typer.Typer(add_completion=False)

Remove = Annotated[bool, typer.Option("--remove", help="Remove its files, after its stacks were destroyed.")]


@app.command()
def environment(
    name: Annotated[str, typer.Argument(help="The name of the environment, of its stacks, overlays and deploy jobs.")],
    like: Annotated[str, typer.Option(help="The environment to copy; the new one follows it in the promotion.")] = "",
    region: Annotated[str, typer.Option(help="The region; needed if there are several.")] = "",
    output: Output = Path("cdktf.out"),
    *,
    remove: Remove = False,
) -> None:
    """Add an environment: its settings, and its files for services, permissions and deploys. Or remove one.

    Changes either all files or, if there is any error, none.

    Example: make environment NAME=qa LIKE=staging
    """
    from operations.repository import environments, regions  # noqa: PLC0415

    with errors_for_people():
        known = regions.read_regions(Path()) if remove else read_platform(output).regions
        if remove:
            files = environments.without_environment(Path(), name, region, known)
        else:
            new = environments.NewEnvironment(name=name, like=like, region=region)
            files = environments.with_environment(Path(), new, known)
        _change(files)
    place = region or known[0].name
    if remove:
        left = [f"the GitHub environment {one}" for one in _only_in(place, known) if one == name]
        _say_removed(f"{place}-{name}", *left, "its entries in the variables AWS_ROLES and AWS_BACKUPS of GitHub")
        return
    say("\nNext:")
    typer.echo("  make format synth snapshots    # synth reports what the settings need besides, such as a larger VPC")
    typer.echo("  git diff                       # the sizes, hosts, permissions and the order of promotion are copies")
    typer.echo(f"Then, in this order: create and protect the GitHub environment {name} (docs/delivery.md), let an")
    typer.echo(
        f"administrator deploy {place}-shared, which has the new roles, and set AWS_ROLES and AWS_BACKUPS again."
    )


@app.command()
def region(
    name: Annotated[str, typer.Argument(help="The region of AWS.")],
    like: Annotated[str, typer.Option(help="The region whose settings are copied.")] = "",
    cidr: Annotated[str, typer.Option(help="The network of its VPC, as large as that of the copied region.")] = "",
    output: Output = Path("cdktf.out"),
    *,
    remove: Remove = False,
) -> None:
    """Add a region with the environments of another one: its settings, networks and zones. Or remove one.

    Changes either all files or, if there is any error, none.

    Example: make region NAME=us-west-2 LIKE=ap-northeast-2 CIDR=10.1.0.0/16
    """
    from operations.repository import regions  # noqa: PLC0415

    with errors_for_people():
        known = regions.read_regions(Path()) if remove else read_platform(output).regions
        if remove:
            files = regions.without_region(Path(), name, known)
        else:
            files = regions.with_region(Path(), regions.NewRegion(name=name, like=like, cidr=cidr), known)
        _change(files)
    if remove:
        left = [f"the GitHub environment {one}" for one in _only_in(name, known)]
        _say_removed(name, *left, "the entries of the region in the variables of GitHub")
        return
    say("\nNext:")
    typer.echo(
        "  make format synth snapshots    # synth reports what the region does not offer, such as instance types"
    )
    typer.echo("  git diff                       # ARNs of the settings, such as a web ACL, are of the copied region")
    typer.echo(
        "Then, in this order: let an administrator run make bootstrap and deploy the shared stack from this branch,"
    )
    typer.echo("delegate the region's subdomain to its hosted zone, set the variables AWS_ROLES, AWS_BACKUPS and")
    typer.echo("PRIVATE_RUNNERS of GitHub again, with all regions (docs/delivery.md), and merge.")


def _change(files: Mapping[Path, str | None]) -> None:
    from operations.repository import all_or_nothing  # noqa: PLC0415

    all_or_nothing.write_files(files)
    for path, text in sorted(files.items()):
        typer.echo(f"removed {path}" if text is None else path)


def _only_in(region: str, known: Sequence[Region]) -> list[str]:
    """The environments that no other region has."""
    others = {environment for other in known if other.name != region for environment in other.environments}
    return [environment for one in known for environment in one.environments if environment not in others]


def _say_removed(stacks: str, *elsewhere: str) -> None:
    say("\nBefore you merge this:")
    typer.echo(
        f"  The stacks {stacks}* must be destroyed: with their settings, make destroy (docs/in-cluster.md). If they"
    )
    typer.echo("  still exist, undo this first: git stash --include-untracked")
    say("Next:")
    typer.echo("  make synth snapshots    # warns about what is left")
    typer.echo("  git diff                # remove what is left elsewhere:")
    for left in (*elsewhere, "entries of these stacks in guard-overrides.toml and drift-ignored.toml"):
        typer.echo(f"                          # - {left}")
