"""Terraform, which a script replaces, when this process is killed, or Terraform itself."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from operations.terraform import runner
from operations.terraform.runner import Terraform

pytestmark = pytest.mark.slow

_COMMAND = """\
import sys
from pathlib import Path
from operations.terraform.runner import Terraform
Terraform(Path(sys.argv[1])).stream(Path(sys.argv[1]) / "log", lambda _: None, "apply")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the stack; `terraform` there is what a test writes."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path


def _write(folder: Path, script: str) -> None:
    (folder / "terraform").write_text(f"#!/bin/sh\ncd {folder}\n{script}\n")
    (folder / "terraform").chmod(0o755)


@pytest.fixture
def command(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A command that runs the script in another process, as soon as a test has written it."""
    _write(folder, "echo one; touch started; sleep 1; echo two; echo three; touch saved; sleep 0.3; touch ended")
    with subprocess.Popen([sys.executable, "-c", _COMMAND, str(folder)]) as started:
        _wait_for(folder / "started")
        yield started
        started.kill()


def _wait_for(file: Path) -> None:
    deadline = time.monotonic() + 30
    while not file.exists():
        assert time.monotonic() < deadline, file
        time.sleep(0.01)


def _terraform(folder: Path) -> int:
    """The process of Terraform, which starts before its number is written."""
    deadline = time.monotonic() + 30
    while not (text := (folder / ".running").read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return int(text)


def test_terraform_finishes_if_its_command_is_killed(folder: Path, command: "subprocess.Popen[bytes]") -> None:
    """It would die of SIGPIPE without saving its state, if it wrote to a pipe."""
    command.kill()
    command.wait()
    _wait_for(folder / "ended")
    assert (folder / "saved").exists()


def test_the_next_command_waits_for_it(
    folder: Path, command: "subprocess.Popen[bytes]", capfd: pytest.CaptureFixture[str]
) -> None:
    command.kill()
    command.wait()
    _write(folder, "test -e ended")
    Terraform(folder).run("plan")
    assert f"Terraform of an earlier command still runs in {folder} (process " in capfd.readouterr().err


def test_what_a_killed_terraform_started_is_ended(folder: Path) -> None:
    """Its providers would keep their memory, and the next command would wait for them."""
    _write(folder, "sleep 60 & echo $! > provider; touch started; wait")
    ended = threading.Thread(target=_run, args=(folder,))
    ended.start()
    _wait_for(folder / "started")
    terraform = _terraform(folder)
    os.kill(terraform, signal.SIGKILL)
    ended.join(timeout=10)
    assert not ended.is_alive()
    _wait_for_end(int((folder / "provider").read_text()))


def test_the_next_command_ends_what_is_left_of_a_killed_terraform(
    folder: Path, command: "subprocess.Popen[bytes]"
) -> None:
    command.kill()
    command.wait()
    _wait_for(folder / "ended")
    (folder / "started").unlink()
    _write(folder, "sleep 60 & echo $! > provider; touch started; wait")
    with subprocess.Popen([sys.executable, "-c", _COMMAND, str(folder)]) as second:
        _wait_for(folder / "started")
        second.kill()
    os.kill(_terraform(folder), signal.SIGKILL)
    _write(folder, "exit 0")
    Terraform(folder).run("plan")
    _wait_for_end(int((folder / "provider").read_text()))


@pytest.mark.parametrize("text", ["", '{"version": 3', "{}"])
def test_a_backend_file_that_a_killed_init_left_is_removed(folder: Path, text: str) -> None:
    file = folder / ".terraform/terraform.tfstate"
    file.parent.mkdir()
    file.write_text(text)
    _write(folder, "exit 0")
    Terraform(folder).run("init")
    assert file.exists() is (text == "{}")


def test_a_backend_file_of_another_program_is_removed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenTofu has another hash of the same backend than Terraform, so each `init` would find a changed backend."""
    file = folder / ".terraform/terraform.tfstate"
    file.parent.mkdir()
    file.write_text("{}")
    _write(folder, "test -f .terraform/terraform.tfstate; echo $? >> log; echo {} > .terraform/terraform.tfstate")
    (folder / "tofu").symlink_to("terraform")
    for name in ("terraform", "tofu", "tofu", "terraform"):
        monkeypatch.setenv("TERRAFORM_BINARY_NAME", name)
        Terraform(folder).run("init")
    assert (folder / "log").read_text().split() == ["0", "1", "0", "1"]


def test_sockets_of_killed_providers_are_removed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as name:  # the path of a socket has at most 107 bytes
        monkeypatch.setattr(tempfile, "tempdir", name)
        files = {
            kind: Path(name) / f"plugin{number}" for number, kind in enumerate(("old", "new", "used", "no socket"))
        }
        files["no socket"].touch()
        with (
            socket.socket(socket.AF_UNIX) as used,
            socket.socket(socket.AF_UNIX) as old,
            socket.socket(socket.AF_UNIX) as new,
        ):
            for kind, one in (("old", old), ("new", new), ("used", used)):
                one.bind(str(files[kind]))
            used.listen()
            for kind in ("old", "used", "no socket"):
                os.utime(files[kind], (0, 0))
            _write(folder, "exit 0")
            Terraform(folder).run("plan")
        assert [kind for kind, file in files.items() if file.exists()] == ["new", "used", "no socket"]


def _run(folder: Path) -> None:
    with pytest.raises(Exception, match="terraform"):
        Terraform(folder).run("apply")


def _wait_for_end(pid: int) -> None:
    """A zombie, whose parent has not read its end, has ended."""
    deadline, status = time.monotonic() + 5, Path(f"/proc/{pid}/stat")
    while status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline, "it still runs"
        time.sleep(0.01)


def test_an_interrupt_does_not_wait_for_helm(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = folder / "terraform-provider-helm_v3.1.1"
    provider.symlink_to(shutil.which("sleep") or "sleep")
    _write(folder, f"trap '' INT\n{provider} 300 &\ntouch started\nwait\ntouch saved")
    monkeypatch.setattr(runner, "_HELM_SECONDS", 0.1)

    def stop() -> None:
        _wait_for(folder / "started")
        runner.interrupt()

    stopping = threading.Thread(target=stop)
    stopping.start()
    try:
        Terraform(folder).stream(folder / "log", lambda _: None, "apply")
    finally:
        stopping.join()
        runner._interrupted.clear()
    assert (folder / "saved").exists()
