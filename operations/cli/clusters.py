"""The commands for clusters: the one on this machine, and what Terraform leaves in others."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from operations.cli.console import Output, errors_for_people, say

if TYPE_CHECKING:
    pass

app = typer.Typer(add_completion=False)


@app.command()
def tools() -> None:
    """Build what `cluster` and the tests run, Kubernetes and Argo CD among it. Needs Go, and minutes the first time.

    Example: make tools
    """
    from operations.local.cluster import programs  # noqa: PLC0415

    with errors_for_people():
        programs.build_all(say)


@app.command()
def cluster(output: Output = Path("cdktf.out")) -> None:
    """Run Kubernetes and Argo CD on this machine until Ctrl-C, without Docker and without an account. Needs Go.

    Argo CD follows what is committed here, as that of dev does. Example: make cluster
    """
    from operations.local.cluster import interactive  # noqa: PLC0415

    with errors_for_people():
        interactive.run_cluster(output, say, typer.echo)


@app.command()
def remove_crds() -> None:
    """Remove the custom resource definitions that a destroyed in-cluster stack leaves in the current cluster.

    Refuses while any instance exists. Example: KUBECONFIG=FILE make remove-crds
    """
    from operations.destroy import crds  # noqa: PLC0415

    with errors_for_people():
        crds.remove(say)
