"""Reads text files of the repository."""

from pathlib import Path

from operations.errors import OperationError


def read_text(file: Path) -> str:
    """The content of a file in the repository.

    Raises:
        OperationError: if it cannot be read or is not UTF-8.
    """
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        message = f"{file}: cannot be read: {error.strerror}; run this in the root of the repository"
        raise OperationError(message) from error
    except UnicodeDecodeError as error:
        raise OperationError(f"{file}: {error}; correct it") from error
