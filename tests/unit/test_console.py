"""Errors for people: what they can mend is a line each, and a fault of ours stays a traceback."""

import pytest
import typer
from botocore.exceptions import ClientError, NoCredentialsError

from operations.console import errors_for_people
from operations.errors import OperationError

_DENIED = ClientError({"Error": {"Code": "AccessDenied", "Message": "not you"}}, "GetObject")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OperationError("one\ntwo"), "error: one\nerror: two\n"),
        (_DENIED, "error: An error occurred (AccessDenied) when calling the GetObject operation: not you\n"),
        (NoCredentialsError(), "error: Unable to locate credentials\n"),
    ],
)
def test_what_a_person_can_mend_is_a_message(error: Exception, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, errors_for_people():
        raise error
    assert ended.value.exit_code == 1
    assert capsys.readouterr().err == said


def test_a_fault_of_the_program_is_not_hidden() -> None:
    with pytest.raises(KeyError), errors_for_people():
        raise KeyError("name")
