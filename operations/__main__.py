"""`python -m operations`: the command line."""

import typer

from operations.cli.app import app

# Of every usage error: 2 says that there is something to look at, as of `terraform plan -detailed-exitcode`.
typer.BadParameter.__base__.exit_code = 1  # type: ignore[union-attr]
app(prog_name="operations")
