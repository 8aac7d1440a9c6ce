"""Reads text files of the repository."""

from pathlib import Path
from typing import Any

import yaml

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


def read_yaml(file: Path) -> Any:
    """The only document of a YAML file in the repository.

    Raises:
        OperationError: if it cannot be read or is not YAML.
    """
    try:
        return yaml.safe_load(read_text(file))
    except (yaml.YAMLError, RecursionError, ValueError) as error:  # also a number with too many digits
        raise OperationError(f"{file}: not YAML: {' '.join(str(error).split())}; correct it") from error
