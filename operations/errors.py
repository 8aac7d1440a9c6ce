"""OperationError: an error that the user can fix. The command line shows it without a traceback."""

import traceback
from pathlib import Path


class OperationError(Exception):
    """An error that the user can fix. The message says what is wrong and how to fix it."""


def describe(error: Exception) -> str:
    """The message of an error that must not stop other work; an unexpected error also gets its type and location."""
    if isinstance(error, OperationError):
        return str(error)
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} (in {Path(where.filename).name}:{where.lineno})"
