"""The commands for Terraform state: the state bucket, and older versions of a state."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from operations.cli.console import AsJson, Output, errors_for_people, reported, say
from operations.clients.aws import OtherAccountError
from operations.errors import OperationError
from operations.terraform.stacks import Stack, backend_stacks, read_stacks, select_stacks

app = typer.Typer(add_completion=False)

_HOME = Path(".bootstrap")
_VERSIONS = 20


@app.command("bootstrap")
def bootstrap_(output: Output = Path("cdktf.out")) -> None:
    """Create the state bucket of every region, and move its own state into it. Safe to run again.

    With several accounts, it acts on the account of the credentials, and says which others are left.

    Example: make bootstrap
    """
    from operations.state import bootstrap  # noqa: PLC0415

    _for_every_backend(output, bootstrap.bootstrap)


@app.command("unbootstrap")
def unbootstrap_(output: Output = Path("cdktf.out")) -> None:
    """Destroy the state bucket of every region, after all other stacks are destroyed. Safe to run again.

    With several accounts, it acts on the account of the credentials, and says which others are left.

    Example: make unbootstrap
    """
    from operations.state import bootstrap  # noqa: PLC0415

    _for_every_backend(output, bootstrap.unbootstrap)


@app.command("restore-state")
def restore_state_(
    stack: Annotated[str, typer.Argument(help="The name of the stack.")],
    *,
    version: Annotated[
        str | None, typer.Option(help="The version to restore; the versions are listed if omitted.")
    ] = None,
    lineage: Annotated[
        str | None, typer.Option(help="The lineage of the version, if it differs from the newest version's.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="List all versions, not only the newest 20.")] = False,
    output: Output = Path("cdktf.out"),
    as_json: AsJson = False,
) -> None:
    """List the versions of a stack's state, or restore one as the newest version. The current one is kept.

    Example: python -m operations restore-state ap-northeast-2-dev --version 3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY
    """
    from operations.state import restore as restore_state  # noqa: PLC0415
    from operations.terraform.runner import new_log  # noqa: PLC0415

    with reported(as_json=as_json) as report:
        (chosen, *others) = select_stacks(read_stacks(output), [stack])
        if others:
            raise OperationError(f"{stack}: matches {len(others) + 1} stacks; name one")
        session = chosen.aws_session()
        if version is None:
            report(restore_state.show_versions(session, chosen, None if everything else _VERSIONS))
        else:
            log = new_log(output / "logs", chosen.name)
            report(restore_state.restore(session, chosen, version, log, lineage))


def _for_every_backend(output: Path, act: Callable[..., None]) -> None:
    """Act on the backends of the account of the credentials, and say which accounts are left.

    Raises:
        OperationError: if there is no backend, or the credentials belong to none of the accounts.
    """
    with errors_for_people():
        left: list[tuple[Stack, OtherAccountError]] = []
        stacks = backend_stacks(read_stacks(output))
        if not stacks:
            raise OperationError(f"{output}: has no backend stack; synthesize again: make synth")
        for stack in stacks:
            try:
                act(stack, _HOME, say)
            except OtherAccountError as error:
                left.append((stack, error))
        if len(left) == len(stacks):
            raise OperationError("\n".join(str(error) for _, error in left))
        for stack, _ in left:
            say(f"{stack.name}: left as it is: run this again with credentials of account {stack.account_id}")
