"""The commands for the local platform."""

import os
import shlex
from collections.abc import Mapping

import typer

from operations.cli.console import errors_for_people, say
from operations.terraform.stacks import read_platform

app = typer.Typer(add_completion=False)


@app.command()
def local() -> None:
    """Deploy every AWS stack to an emulated AWS on this machine. Neither needs nor uses an AWS account.

    If KUBECONFIG is set, the in-cluster stack of dev is also deployed, to the cluster of its current context. Later
    runs use the same cluster.

    Example: make local
    """
    from operations.local import platform  # noqa: PLC0415

    with errors_for_people():
        outputs = platform.up(say)
        example = read_platform(platform.OUTPUT).first("environment").name
    _show(outputs)
    say("\nNext:")
    typer.echo(
        f"  source {platform.ENVIRONMENT_FILE}    # points the AWS command line and Terraform at the emulated AWS"
    )
    typer.echo("  aws eks list-clusters")
    typer.echo(f"  .venv/bin/python -m operations plan --all {example} --output {platform.OUTPUT}")
    if kubeconfig := os.environ.get("LOCAL_KUBECONFIG"):
        typer.echo(f"  export KUBECONFIG={shlex.quote(kubeconfig)}")
        typer.echo("  kubectl --namespace argocd get applications")
        typer.echo(
            "  kubectl --namespace argocd port-forward service/argocd-server 8080:80    # then http://localhost:8080"
        )
        typer.echo(
            "  # Without a load balancer controller, services with an Ingress stay Progressing: it gets no address."
        )
    else:
        typer.echo("  KUBECONFIG=FILE make local    # also deploys to your own cluster, such as one of kind or k3d")
    typer.echo("  make local         # deploys again, after a change of settings")
    typer.echo("  make local-down    # destroys everything and stops the emulated AWS")


@app.command()
def local_down() -> None:
    """Destroy the stacks that `local` deployed, and stop the emulated AWS.

    Example: make local-down
    """
    from operations.local import platform  # noqa: PLC0415

    with errors_for_people():
        platform.down(say)


def _show(outputs: Mapping[str, Mapping[str, object]]) -> None:
    """Print the outputs of every stack, one value per line."""
    for stack, values in sorted(outputs.items()):
        say(f"\n{stack}")
        for name, value in sorted(values.items()):
            if name.startswith("cross-stack-output"):
                continue
            for part, text in value.items() if isinstance(value, dict) else [("", value)]:
                typer.echo(f"  {name}{f'.{part}' if part else ''}  {text}")
