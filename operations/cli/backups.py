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
    str | None, typer.Option(help="A local argocd program to use instead of the one in the cluster.")
]


@app.command("backup")
def backup_(
    environment: Annotated[
        str | None, typer.Argument(help="The environment; the one of the current cluster if omitted.")
    ] = None,
    *,
    output: Output = Path("cdktf.out"),
    argocd: ArgoCdCommand = None,
    as_json: AsJson = False,
) -> None:
    """Back up the Argo CD configuration, encrypted on this machine, to the environment's backup bucket.

    The current context of kubectl must be the environment's cluster.

    Example: python -m operations backup prod
    """
    from operations.backup import argo_cd_export, backup  # noqa: PLC0415

    with reported(as_json=as_json) as report:
        at = backup.find_location(read_stacks(output), environment)
        report(backup.backup(at, argo_cd_export.ArgoCdAdmin([argocd] if argocd else argo_cd_export.IN_THE_CLUSTER)))


@app.command("restore")
def restore_(
    environment: Annotated[str, typer.Argument(help="The environment.")],
    *,
    version: Annotated[
        str | None, typer.Option(help="The version to restore, from --list; the newest if omitted.")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the backups and restore nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Restore without confirmation.")] = False,
    output: Output = Path("cdktf.out"),
    argocd: ArgoCdCommand = None,
    as_json: AsJson = False,
) -> None:
    """Restore a backup of Argo CD: verify it, show its differences from the cluster, and import it after confirmation.

    Objects that are not in the backup are kept. Exits with status 2 if nothing was restored.

    Example: python -m operations restore prod --version 3sL4kqtJlcpXroDTDmJ
    """
    from operations.backup import argo_cd_export, backup  # noqa: PLC0415
    from operations.output import report  # noqa: PLC0415

    def confirm(differences: "Report") -> bool:
        if yes:
            return True
        if as_json or not sys.stdin.isatty():
            raise OperationError(
                "restore: needs confirmation before it changes a cluster, and there is no terminal; add --yes"
            )
        report.show(differences, as_json=False)
        return typer.confirm("Import the objects that are missing or different?")

    with reported(as_json=as_json) as shown:
        at = backup.find_location(read_stacks(output), environment)
        if list_:
            shown(backup.versions(at))
        else:
            argo_cd = argo_cd_export.ArgoCdAdmin([argocd] if argocd else argo_cd_export.IN_THE_CLUSTER)
            shown(backup.restore(at, argo_cd, version, confirm))
