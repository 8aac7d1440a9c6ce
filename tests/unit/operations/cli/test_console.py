"""The command line for people: errors that they can mend are a line each, and every command says how by an example."""

import subprocess
import sys

import pytest
import typer
from botocore.exceptions import ClientError, NoCredentialsError
from typer.main import get_command

from operations.cli.app import app
from operations.cli.console import errors_for_people
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


@pytest.mark.parametrize("arguments", [["drift", "-x"], ["plan", "--parallelism", "0"], ["destroy"], ["nothing"]])
def test_what_is_typed_wrong_is_an_error_and_nothing_to_look_at(arguments: list[str]) -> None:
    """Pipelines take 2 for a plan with changes, or drift."""
    done = subprocess.run([sys.executable, "-m", "operations", *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Usage: operations" in done.stderr


def test_every_command_shows_an_example() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    assert {name for name, command in commands.items() if "Example: " not in command.help} == set()
