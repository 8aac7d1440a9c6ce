"""The commands for backups of Argo CD."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from operations.cli.console import AsJson, Output, reported
from operations.errors import OperationError
from operations.terraform.stacks import read_stacks

if TYPE_CHECKING:
    from operations.output.report import Report

app = typer.Typer(add_completion=False)

ArgoCdCommand = Annotated[
    str | None, typer.Option(help="An argocd of this machine, in place of the one in the cluster.")
]


@app.command("backup")
def backup_(
    environment: Annotated[str | None, typer.Argument(help="Its name; if none, that of the current cluster.")] = None,
    *,
    output: Output = Path("cdktf.out"),
    argocd: ArgoCdCommand = None,
    as_json: AsJson = False,
) -> None:
    """Back up what Argo CD knows, encrypted before it leaves this process, into the environment's bucket.

    Kubectl must speak with the environment's cluster. Example: python -m operations backup prod
    """
    from operations.backup import argo_cd_export, backup  # noqa: PLC0415

    with reported(as_json=as_json) as report:
        at = backup.find_location(read_stacks(output), environment)
        report(backup.backup(at, argo_cd_export.ArgoCdAdmin([argocd] if argocd else argo_cd_export.IN_THE_CLUSTER)))


@app.command("restore")
def restore_(
    environment: Annotated[str, typer.Argument(help="Its name.")],
    *,
    version: Annotated[str | None, typer.Option(help="A version of --list; if none, the newest.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the backups there are, and restore nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Restore without asking.")] = False,
    output: Output = Path("cdktf.out"),
    argocd: ArgoCdCommand = None,
    as_json: AsJson = False,
) -> None:
    """Restore what Argo CD knew: verify the backup, show the difference to the cluster, import once that is agreed to.

    What the cluster has besides stays. Ends with 2 where nothing was restored. Example: python -m operations restore
    prod --version 3sL4kqtJlcpXroDTDmJ
    """
    from operations.backup import argo_cd_export, backup  # noqa: PLC0415
    from operations.output import report  # noqa: PLC0415

    def agreed(asked: "Report") -> bool:
        if yes:
            return True
        if as_json or not sys.stdin.isatty():
            raise OperationError("restore: asks before it changes a cluster, and nobody is there; add --yes")
        report.show(asked, as_json=False)
        return typer.confirm("Import the missing and the different ones?")

    with reported(as_json=as_json) as shown:
        at = backup.find_location(read_stacks(output), environment)
        if list_:
            shown(backup.versions(at))
        else:
            argo_cd = argo_cd_export.ArgoCdAdmin([argocd] if argocd else argo_cd_export.IN_THE_CLUSTER)
            shown(backup.restore(at, argo_cd, version, agreed))
