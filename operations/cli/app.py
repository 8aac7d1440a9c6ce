"""The command line application. `--help` describes every command.

Commands exit with status 0 (success), 1 (error) or 2 (there are changes or findings to look at).
"""

import typer

from operations.cli import (
    backups,
    clusters,
    components,
    images,
    local,
    places,
    pull_requests,
    services,
    stacks,
    state,
)

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
for commands in (stacks, state, local, clusters, services, components, places, backups, images, pull_requests):
    app.add_typer(commands.app)
