"""Reads JSON files of users. A file that is not valid JSON gets a message with its position."""

import json
from pathlib import Path
from typing import Any

from operations.errors import OperationError


def read_json(file: Path, remedy: str) -> Any:
    """The content of a JSON file. Error messages end with `remedy`.

    Raises:
        OperationError: if the file cannot be read, is not UTF-8 or valid JSON, or is nested too deeply to be read.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise OperationError(f"{file}: {error.strerror}; {remedy}") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise OperationError(f"{file}: not valid JSON ({place}); {remedy}") from error
    except RecursionError as error:
        raise OperationError(f"{file}: JSON nested too deeply; {remedy}") from error
    except ValueError as error:
        raise OperationError(f"{file}: not valid JSON in UTF-8; {remedy}") from error
