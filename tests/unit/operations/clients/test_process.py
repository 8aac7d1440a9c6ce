"""Running other programs."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from operations.clients import process
from operations.errors import OperationError
from tests import ROOT
from tests.unit.operations.clients.conftest import Program


def test_finds_an_installed_program(program: Program) -> None:
    file = program("frobnicate", "")
    assert process.find("frobnicate") == process.find(str(file)) == str(file)


@pytest.mark.parametrize("run", [process.find, process.run, process.run_binary, process.output])
def test_a_program_that_is_not_installed_is_reported_with_the_remedy(
    run: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OperationError, match=r"^frobnicate: not installed; install it$"):
        run("frobnicate")
    monkeypatch.setitem(process._REMEDIES, "frobnicate", "run: apt install frobnicate")
    with pytest.raises(OperationError, match=r"^frobnicate: not installed; run: apt install frobnicate$"):
        run("frobnicate")


def test_result_has_the_status_and_both_outputs(program: Program) -> None:
    program("frobnicate", 'echo "printed $*"; echo warned >&2; exit 3')
    result = process.run("frobnicate", "a b", Path("c"))
    assert (result.returncode, result.stdout, result.stderr) == (3, "printed a b c\n", "warned\n")
    assert result.args == ["frobnicate", "a b", "c"]


def test_runs_in_a_directory_with_an_environment_and_input(program: Program, tmp_path: Path) -> None:
    program("frobnicate", 'echo "$PWD $NAME $(cat)"')
    environment = {"PATH": os.environ["PATH"], "NAME": "minji"}
    printed = process.output("frobnicate", directory=tmp_path, environment=environment, stdin="input")
    assert printed == f"{tmp_path} minji input\n"


def test_the_given_environment_replaces_the_own_one(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    program("frobnicate", 'echo "[$SECRET]"')
    assert process.output("frobnicate") == "[hunter2]\n"
    assert process.output("frobnicate", environment={"PATH": os.environ["PATH"]}) == "[]\n"


def test_binary_input_and_output_are_unchanged(program: Program) -> None:
    program("frobnicate", "cat; cat /dev/null >&2")
    content = bytes(range(256))
    result = process.run_binary("frobnicate", stdin=content)
    assert (result.returncode, result.stdout, result.stderr) == (0, content, b"")


def test_text_output_that_is_not_utf_8_is_replaced(program: Program) -> None:
    program("frobnicate", r"printf 'a\377b'; printf '\377' >&2")
    result = process.run("frobnicate")
    assert (result.stdout, result.stderr) == ("a\ufffdb", "\ufffd")


def test_a_failure_is_reported_with_the_output_and_the_hint(program: Program) -> None:
    program("frobnicate", "echo printed; echo 'no such thing' >&2; exit 1")
    with pytest.raises(OperationError, match=r"^frobnicate push: no such thing; log in first$"):
        process.output("frobnicate", "push", "--password=hunter2", hint="log in first")
    with pytest.raises(OperationError, match=r"^frobnicate: no such thing$"):
        process.output("frobnicate")


@pytest.mark.parametrize(
    ("script", "message"),
    [("echo printed; exit 1", "frobnicate: printed"), ("exit 7", "frobnicate: failed with status 7")],
)
def test_a_failure_without_an_error_message_is_reported_with_what_there_is(
    program: Program, script: str, message: str
) -> None:
    file = program("frobnicate", script)
    with pytest.raises(OperationError, match=f"^{message}$"):
        process.output(file)  # the message names the program without its folder


@pytest.mark.parametrize("run", [process.run, process.run_binary])
def test_a_program_that_does_not_finish_is_stopped_and_reported(run: Callable[..., object]) -> None:
    message = r"-c import time; time.sleep\(60\): not finished after 0.1 seconds; run it manually$"
    with pytest.raises(OperationError, match=message):
        run(sys.executable, "-c", "import time; time.sleep(60)", timeout_seconds=0.1)


@pytest.mark.parametrize("run", [process.find, process.run, process.run_binary, process.output, process.run_shown])
def test_a_known_program_has_a_remedy_of_its_own(
    run: Callable[..., object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OperationError, match=r"^node: not installed; install Node 22$"):
        run("node")


def test_the_remedies_have_the_versions_of_the_readme() -> None:
    readme = " ".join((ROOT / "README.md").read_text().split())
    for program in ("terraform", "tofu", "node", "git", "make", "go"):
        assert process._remedy(program).removeprefix("install ").partition(";")[0] in readme


@pytest.mark.parametrize("run", [process.run, process.run_binary, process.output, process.run_shown])
def test_a_program_that_cannot_be_run_is_reported_with_the_remedy(run: Callable[..., object], program: Program) -> None:
    program("helm", "").write_bytes(b"\0")
    with pytest.raises(OperationError, match=r"^helm: cannot be run: Exec format error; install Helm$"):
        run("helm")


def test_a_missing_folder_is_reported(tmp_path: Path, program: Program) -> None:
    program("helm", "")
    with pytest.raises(OperationError, match=r"^helm: cannot be run: .*/missing: no such folder; create it, or check"):
        process.run("helm", directory=tmp_path / "missing")
