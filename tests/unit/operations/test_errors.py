"""Errors that must not stop other work."""

import re

from operations.errors import OperationError, describe


def test_an_operation_error_is_described_by_its_message() -> None:
    assert describe(OperationError("dev: the state is locked; wait")) == "dev: the state is locked; wait"


def test_an_unexpected_error_is_described_with_its_type_and_location() -> None:
    try:
        int("many")
    except ValueError as error:
        description = describe(error)
    assert re.fullmatch(r"ValueError: invalid literal .*'many' \(in test_errors\.py:\d+\)", description)
