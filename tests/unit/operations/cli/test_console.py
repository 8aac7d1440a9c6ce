"""The command line: errors are printed as messages, and the help of every command has an example."""

import subprocess
import sys

import pytest
import typer
from botocore.exceptions import ClientError, NoCredentialsError
from typer.main import get_command

from operations.cli.app import app
from operations.cli.console import errors_for_people
from operations.errors import OperationError

_DENIED = ClientError({"Error": {"Code": "AccessDenied", "Message": "not allowed"}}, "GetObject")
_CHECK = "; check your credentials and permissions: aws sts get-caller-identity\n"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OperationError("one\ntwo"), "error: one\nerror: two\n"),
        (
            _DENIED,
            f"error: AWS: {_DENIED}{_CHECK}",
        ),
        (NoCredentialsError(), f"error: AWS: Unable to locate credentials{_CHECK}"),
    ],
)
def test_errors_that_the_user_can_fix_are_printed_as_messages(
    error: Exception, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as exited, errors_for_people():
        raise error
    assert exited.value.exit_code == 1
    assert capsys.readouterr().err == message


def test_programming_errors_are_not_hidden() -> None:
    with pytest.raises(KeyError), errors_for_people():
        raise KeyError("name")


@pytest.mark.parametrize("arguments", [["drift", "-x"], ["plan", "--parallelism", "0"], ["destroy"], ["nothing"]])
def test_usage_errors_exit_with_status_1(arguments: list[str]) -> None:
    """Status 2 means that there are changes or findings."""
    done = subprocess.run([sys.executable, "-m", "operations", *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Usage: operations" in done.stderr


def test_every_command_shows_an_example() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    assert {name for name, command in commands.items() if "Example: " not in command.help} == set()
