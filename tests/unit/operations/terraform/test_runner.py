"""Running Terraform, which a script replaces."""

import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from operations.errors import OperationError
from operations.terraform import runner as terraform
from operations.terraform.runner import Terraform, TerraformError


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file of the script that replaces Terraform."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    yield tmp_path / "bin/terraform"
    terraform._interrupted.clear()


def _write(program: Path, script: str) -> None:
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def _event(message: str, **fields: Any) -> str:
    return f"echo '{json.dumps({'@message': message, **fields})}'"


_ERROR = {"severity": "error", "summary": "AccessDenied", "detail": "by a policy of the organisation"}


def test_stream_passes_on_every_event_and_logs_its_message(program: Path, tmp_path: Path) -> None:
    _write(program, f'echo "$@" > {tmp_path}/arguments\necho warning: text\n{_event("created", type="apply_complete")}')
    events: list[Mapping[str, Any]] = []
    Terraform(tmp_path).stream(tmp_path / "log", events.append, "apply", "-input=false")
    assert (tmp_path / "arguments").read_text() == "apply -json -input=false\n"
    assert [event["type"] for event in events] == ["text", "apply_complete"]
    assert (tmp_path / "log").read_text() == "warning: text\ncreated\n"


def test_terraform_finishes_although_the_event_handler_fails(program: Path, tmp_path: Path) -> None:
    """If the pipe closed in the middle of an apply, Terraform would not save its state."""
    _write(program, f"{_event('one')}\nsleep 0.1\n{_event('two')}\ntouch {tmp_path}/saved")

    def on_event(_: Mapping[str, Any]) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        Terraform(tmp_path).stream(tmp_path / "log", on_event, "apply")
    assert (tmp_path / "saved").exists()
    assert (tmp_path / "log").read_text() == "one\ntwo\n"


def test_without_terraform_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OperationError, match="terraform: not installed; install"):
        Terraform(tmp_path).stream(tmp_path / "log", lambda _: None, "plan")
    with pytest.raises(OperationError, match="terraform: not installed; install"):
        Terraform(tmp_path).output("show")


def test_failure_contains_each_error_of_terraform_once(program: Path, tmp_path: Path) -> None:
    error = _event("Error", diagnostic=_ERROR)
    warning = _event("Warning", diagnostic={"severity": "warning", "summary": "deprecated"})
    _write(program, f"{error}\n{warning}\n{error}\nexit 1")
    with pytest.raises(TerraformError) as raised:
        Terraform(tmp_path).stream(tmp_path / "log", lambda _: None, "apply")
    assert str(raised.value) == f"{tmp_path.name}: AccessDenied\nby a policy of the organisation"
    assert raised.value.details == ["AccessDenied\nby a policy of the organisation"]


def test_failure_without_diagnostics_names_the_log(program: Path, tmp_path: Path) -> None:
    _write(program, "echo killed; exit 1")
    with pytest.raises(TerraformError, match=rf"terraform failed; see {tmp_path}/log"):
        Terraform(tmp_path).stream(tmp_path / "log", lambda _: None, "apply")


def test_interrupt_is_sent_once_and_no_terraform_starts_after_it(program: Path, tmp_path: Path) -> None:
    count = f"trap 'echo signal >> {tmp_path}/signals' INT"
    _write(program, f"{count}\ntouch {tmp_path}/started\nsleep 1 & wait $!; wait\nexit 1")
    failures: list[str] = []

    def run() -> None:
        with pytest.raises(TerraformError) as raised:
            Terraform(tmp_path).stream(tmp_path / "log", lambda _: None, "apply")
        failures.append(str(raised.value))

    thread = threading.Thread(target=run)
    thread.start()
    while not (tmp_path / "started").exists():
        time.sleep(0.01)
    terraform.interrupt()
    terraform.interrupt()
    thread.join()
    run()
    assert (tmp_path / "signals").read_text() == "signal\n"
    assert failures[1] == f"{tmp_path.name}: interrupted before it started"
