"""The entry point of `python -m operations`."""

import sys
from typing import Any

import typer

from operations.cli.app import app


def main() -> int:
    """Run the command line and return its exit status.

    A usage error exits with status 1, because status 2 means that there are changes or findings, as with `terraform
    plan -detailed-exitcode`.
    """
    try:
        return app(prog_name="operations", standalone_mode=False) or 0
    except typer.TyperException as error:
        usage_error: Any = error  # its type hides `show`, which prints the usage and the error
        usage_error.show()
        return 1
    except typer.Abort:  # Ctrl-D at a prompt
        print("aborted", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
