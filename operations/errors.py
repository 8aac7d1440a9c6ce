"""OperationError: what a person can act on; the command line shows it without a traceback."""

import traceback
from pathlib import Path


class OperationError(Exception):
    """Something is wrong that the person at the terminal can mend: the message says what, and how."""


def describe(error: Exception) -> str:
    """What an error says where it must not take down what goes on beside it; a fault of ours with its place."""
    if isinstance(error, OperationError):
        return str(error)
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} (in {Path(where.filename).name}:{where.lineno})"
