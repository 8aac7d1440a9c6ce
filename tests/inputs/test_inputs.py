"""A sample of the bad input of `make test-inputs`, and the checks of its results."""

import subprocess
import sys

import pytest

from tests import ROOT
from tests.inputs.cases import Case, commands, every_case
from tests.inputs.run import problems
from tests.inputs.sandbox import Result

_EVERY = 61
"""Prime, so that the sample has other inputs for each command."""


def test_every_command_gets_bad_input_to_every_parameter() -> None:
    tried = {case.name.split(": ")[0] for case in every_case()}
    assert tried == set(commands())
    names = {tuple(case.name.split(": ")[:2]) for case in every_case()}
    for command, described in commands().items():
        for parameter in described.params:
            if parameter.name != "help" and not getattr(parameter, "is_flag", False):
                assert (command, parameter.name) in names


@pytest.mark.parametrize(
    ("result", "is_changed", "expected"),
    [
        (Result(1, "", "error: x: wrong; correct it"), False, []),
        (Result(1, "", "error: x: wrong; correct it"), True, ["files were changed"]),
        (Result(1, "", ""), False, ["no message"]),
        (Result(0, "", ""), False, ["exit status 0"]),
        (Result(-14, "", ""), False, ["exit status -14"]),
        (Result(1, "", "error: wrong"), False, ["a message without a subject: error: wrong"]),
        (Result(70, "", "Traceback (most recent call last):\nKeyError: 'a'"), False, ["a traceback: KeyError: 'a'"]),
    ],
)
def test_problems_are_found(result: Result, expected: list[str], *, is_changed: bool) -> None:
    assert list(problems(Case("stacks: x", "stacks", ("stacks",)), result, is_changed=is_changed)) == expected


@pytest.mark.slow
def test_a_sample_of_bad_input_has_clear_messages() -> None:
    """In a process of its own, because a fork has only one thread of this one."""
    command = [sys.executable, "-m", "tests.inputs.run", "--every", str(_EVERY)]
    run = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
