"""The command line: every command says what it does by `--help`.

It ends with 0 (fine), 1 (an error) or 2 (there is something to look at).
"""

import typer

from operations.cli import backups, clusters, images, local, pull_requests, services, stacks, state

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
for commands in (stacks, state, local, clusters, services, backups, images, pull_requests):
    app.add_typer(commands.app)
