"""The commands for clusters: the local cluster, and cleaning up others."""

import signal
from pathlib import Path

import typer

from operations.cli.console import Output, errors_for_people, say

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
def remove_crds() -> None:
    """Delete the custom resource definitions that a destroyed in-cluster stack left in the current cluster.

    Fails if any custom resource still exists.

    Example: KUBECONFIG=FILE make remove-crds
    """
    from operations.destroy import crds  # noqa: PLC0415

    with errors_for_people():
        crds.remove(say)
