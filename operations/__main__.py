"""The entry point of `python -m operations`."""

import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from typing import Any

import typer

from operations.cli.app import app


def main() -> int:
    """Run the command line and return its exit status.

    A usage error exits with status 1, because status 2 means that there are changes or findings, as with `terraform
    plan -detailed-exitcode`. So does output that cannot be written, such as to a full disk.
    """
    _open_closed_streams()
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as of the standard error: a path may not be UTF-8
    try:
        status = _run()
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError as error:  # commands report those of files themselves
        with suppress(OSError):
            print(
                f"error: the output cannot be written: {error.strerror}; free space, or check the pipe", file=sys.stderr
            )
            sys.stderr.flush()
        for stream in (sys.stdout, sys.stderr):  # Python would fail to write the rest when it exits
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return 1
    return status


def _run() -> int:
    try:
        return app(prog_name="operations", standalone_mode=False) or 0
    except typer.TyperException as error:
        usage_error: Any = error  # its type hides `show`, which prints the usage and the error
        usage_error.show()
        return 1
    except typer.Abort:  # Ctrl-D at a prompt
        print("aborted", file=sys.stderr)
        return 1


def _open_closed_streams() -> None:
    """Open a closed standard stream; otherwise Python has None for it, and prints nothing without an error.

    What is printed on a closed standard output cannot be written, as with other programs (POSIX: write, EBADF): it is
    the null device, opened only to be read. A closed standard input is empty, and messages may be closed. The lowest
    free number is that of the stream, so that no file gets it instead.
    """
    for name, mode, flags in (("stdin", "r", os.O_RDONLY), ("stdout", "w", os.O_RDONLY), ("stderr", "w", os.O_WRONLY)):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.open(os.devnull, flags), mode, encoding="utf-8"))  # noqa: PTH123, SIM115 (open until the end)


if __name__ == "__main__":
    sys.exit(main())
