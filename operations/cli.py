"""The command line: every command says what it does by `--help`, and ends with 0 (fine) or 1 (an error)."""

import os
from collections.abc import Callable, Iterator, Mapping
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


@app.command()
def stacks(output: Output = Path("cdktf.out")) -> None:
    """List what was synthesized: one stack a row, each after the stacks that it reads from."""
    from operations import synthesized  # noqa: PLC0415

    with _errors_for_people():
        found = synthesized.stacks(output)
    width = max(len(stack.name) for stack in found)
    for stack in found:
        reads = f"  reads {', '.join(stack.dependencies)}" if stack.dependencies else ""
        typer.echo(f"{stack.name:{width}}  {sum(1 for _ in stack.resources()):3} resources{reads}")


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


@app.command()
def local() -> None:
    """Deploy every AWS stack to an emulated AWS on this machine. No account is needed, and none is touched.

    With KUBECONFIG set, goes on to the in-cluster stack of dev, in the cluster of that file's current context.
    """
    from operations import local as platform  # noqa: PLC0415

    with _errors_for_people():
        outputs = platform.up(_say)
    _show(outputs)
    _say("\nNext:")
    typer.echo(f"  source {platform.ENVIRONMENT_FILE}    # points the AWS command line and Terraform at it")
    typer.echo("  aws eks list-clusters")
    typer.echo(f"  npx cdktf diff ap-northeast-2-dev --output {platform.OUTPUT}")
    if "KUBECONFIG" in os.environ:
        typer.echo("  kubectl --namespace argocd get applications")
        typer.echo(
            "  kubectl --namespace argocd port-forward service/argocd-server 8080:80    # then http://localhost:8080"
        )
    else:
        typer.echo("  KUBECONFIG=FILE make local    # goes on into a cluster of yours, such as one of kind or k3d")
    typer.echo("  make local         # again, after a change of settings")
    typer.echo("  make local-down    # destroys everything and stops the emulated AWS")


@app.command()
def local_down() -> None:
    """Destroy what `local` deployed, and stop the emulated AWS."""
    from operations import local as platform  # noqa: PLC0415

    with _errors_for_people():
        platform.down(_say)


@app.command()
def remove_crds() -> None:
    """Remove the custom resource definitions that a destroyed in-cluster stack leaves in the current cluster.

    Refuses while any instance exists. Example: KUBECONFIG=FILE make remove-crds
    """
    from operations import crds  # noqa: PLC0415

    with _errors_for_people():
        crds.remove(_say)


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
) -> None:
    """Write a new service into the Git tree: its folder, its team's project and rights, its image repository.

    All of it is written or nothing. Example: make service NAME=shop TEAM=sales
    """
    from operations import scaffold  # noqa: PLC0415

    with _errors_for_people():
        new = scaffold.NewService(name=name, team=team, like=like, repository_id=repository_id)
        scaffold.write(Path(), new, typer.echo)
    _say("\nNext:")
    typer.echo("  make snapshots    # the image repository is new in the stacks\n  git diff")
    if repository_id is None:
        typer.echo(f"  gh api repos/OWNER/{name} --jq .id    # for pushed_by.id in stacks/*/shared.py: a placeholder")


@app.command("chart-readme")
def chart_readme_() -> None:
    """Write the table of values in the README of the Helm chart anew, from the comments in its values.yaml."""
    from operations import chart_readme  # noqa: PLC0415

    chart_readme.write()


@app.command()
def tools() -> None:
    """Build what `cluster` and the tests run, Kubernetes and Argo CD among it. Needs Go, and minutes the first time."""
    from operations.cluster import programs  # noqa: PLC0415

    with _errors_for_people():
        programs.build_all(_say)


@app.command()
def cluster() -> None:
    """Run Kubernetes and Argo CD on this machine until Ctrl-C, without Docker and without an account. Needs Go."""
    from operations.cluster import interactive  # noqa: PLC0415

    with _errors_for_people():
        interactive.run(_say, typer.echo)


def _show(outputs: Mapping[str, Mapping[str, object]]) -> None:
    """What was made: the outputs of every stack, a value a line."""
    for stack, values in sorted(outputs.items()):
        _say(f"\n{stack}")
        for name, value in sorted(values.items()):
            if name.startswith("cross-stack-output"):
                continue
            for part, text in value.items() if isinstance(value, dict) else [("", value)]:
                typer.echo(f"  {name}{f'.{part}' if part else ''}  {text}")
