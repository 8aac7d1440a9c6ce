"""The commands for clusters: the local cluster, and cleaning up others."""

import signal
from pathlib import Path
from typing import Annotated

import typer

from operations.cli.console import Output, errors_for_people, say
from operations.terraform.stacks import read_stacks

app = typer.Typer(add_completion=False)


@app.command()
def tools() -> None:
    """Build the programs of the local cluster, such as Kubernetes and Argo CD. Needs Go; takes minutes the first time.

    Example: make tools
    """
    from operations.local.cluster import programs  # noqa: PLC0415

    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)  # so that an unfinished build is removed, as by Ctrl-C
    with errors_for_people():
        programs.build_all(say)


@app.command()
def cluster(output: Output = Path("cdktf.out")) -> None:
    """Run Kubernetes and Argo CD on this machine until Ctrl-C, without Docker or an AWS account. Needs Go.

    Argo CD deploys the committed state of this repository, like the Argo CD of the dev environment.

    Example: make cluster
    """
    from operations.local.cluster import interactive  # noqa: PLC0415

    with errors_for_people():
        interactive.run_cluster(output, say, typer.echo)


@app.command()
def tunnel(
    environment: Annotated[str, typer.Argument(help="The environment, or the name of its stack.")],
    *,
    port: Annotated[
        int, typer.Option(min=1, max=65534, help="The local port of the API; a proxy uses the next one.")
    ] = 8443,
    role: Annotated[
        str | None, typer.Option(help="The IAM role with which kubectl logs in; your own credentials if omitted.")
    ] = None,
    output: Output = Path("cdktf.out"),
) -> None:
    """Open a tunnel to the private API of a cluster until Ctrl-C, through the access host and Session Manager.

    Writes a kubeconfig of its own, and starts a proxy through which deploys of in-cluster stacks reach the cluster.

    Example: make tunnel ENVIRONMENT=dev
    """
    from operations import tunnel as tunnels  # noqa: PLC0415

    with errors_for_people():
        tunnels.run(tunnels.find_target(read_stacks(output), environment), port, role, say)


@app.command()
def remove_crds() -> None:
    """Delete the custom resource definitions that a destroyed in-cluster stack left in the current cluster.

    Fails if any custom resource still exists.

    Example: KUBECONFIG=FILE make remove-crds
    """
    from operations.destroy import crds  # noqa: PLC0415

    with errors_for_people():
        crds.remove(say)
