"""Whether a type of a field accepts a value."""

from typing import Any

from pydantic import TypeAdapter, ValidationError


def accepts(kind: Any, value: object) -> bool:
    """Whether `value` is valid for a field of the type `kind`."""
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return False
    return True
