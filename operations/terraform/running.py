"""Starts Terraform so that it outlives this process: it finishes, saves its state and releases its lock.

Terraform dies without saving its state if it writes to a pipe whose reader is gone (SIGPIPE, seen with 1.11.4). So it
writes to a file, which this process follows, and runs in a session of its own. A lock on a file in its folder tells
the next command that it still runs there.
"""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from operations.clients import process
from operations.terraform import program

_LOCK = ".running"
_PROGRAM = ".terraform/program"
"""A file with the name of the program that ran last in a folder."""
_HELM = "terraform-provider-helm"
_POLL_SECONDS = 0.05
_WAIT_SECONDS = 1.0
_OLD_SECONDS = 60


class StoppedError(Exception):
    """Terraform was not started, because of an interrupt."""


class Running:
    """A Terraform that was started. Its process ID is also that of its group, to which its providers belong."""

    def __init__(self, program: "subprocess.Popen[bytes]", output: IO[str]) -> None:
        self.program = program
        self._output = output

    def lines(self) -> Iterator[str]:
        """The lines of its output, as they are written, until it has ended."""
        line = ""
        while True:
            has_ended = self.program.poll() is not None
            while part := self._output.readline():
                line += part
                if line.endswith("\n"):
                    yield line
                    line = ""
            if has_ended:
                break
            time.sleep(_POLL_SECONDS)
        if line:
            yield line


@contextmanager
def start(
    arguments: Sequence[str], directory: Path, environment: dict[str, str], stop: threading.Event
) -> Iterator[Running]:
    """Start Terraform in a folder, after one that still runs there. At the end, no process of it is left.

    It waits for that one until `stop` is set.

    Raises:
        OperationError: if Terraform is not installed, or cannot be run.
        StoppedError: if `stop` was set.
    """
    _remove_sockets()
    with _claimed(directory, stop) as claim, _followed() as (written, output):
        _forget_unusable_backend(directory)
        with process.starting(program.name(), directory):
            started = subprocess.Popen(
                [program.find(), *arguments],
                cwd=directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=subprocess.STDOUT,
                pass_fds=(claim,),  # the lock lasts as long as Terraform, if this process is killed
                start_new_session=True,  # Ctrl-C reaches Terraform only from here: on a second one it loses its state
            )
        os.ftruncate(claim, 0)
        os.pwrite(claim, str(started.pid).encode(), 0)
        try:
            yield Running(started, output)
        finally:
            started.wait()
            _end_providers(started.pid)
            if (directory / ".terraform").is_dir():
                (directory / _PROGRAM).write_text(program.name(), encoding="utf-8")


def wait_for_earlier(directory: Path, stop: threading.Event) -> None:
    """Wait for a Terraform of an earlier command that still runs in a folder.

    Raises:
        StoppedError: if `stop` was set.
    """
    with _claimed(directory, stop):
        pass


@contextmanager
def _followed() -> Iterator[tuple[int, IO[str]]]:
    """A file without a name, to write to and to read from."""
    written, name = tempfile.mkstemp(prefix="terraform-")
    try:
        with Path(name).open(encoding="utf-8", errors="replace") as output:
            Path(name).unlink()
            yield written, output
    finally:
        os.close(written)


def _forget_unusable_backend(directory: Path) -> None:
    """Remove Terraform's note of the backend if it cannot be read, as after an `init` that was killed, or is another's.

    Every later `init` would fail: "Failed to load state: invalid syntax: unexpected end of JSON input" (seen with
    1.11.4), or, if it is from OpenTofu, whose hash of the same backend is another one: "Backend configuration changed"
    (seen with OpenTofu 1.12.6). An `init` writes it again.
    """
    file = directory / ".terraform/terraform.tfstate"
    try:
        json.loads(file.read_bytes())
        former = (directory / _PROGRAM).read_text(encoding="utf-8") if (directory / _PROGRAM).exists() else "terraform"
        is_usable = former == program.name()
    except FileNotFoundError:
        return
    except ValueError:
        is_usable = False
    if not is_usable:
        file.unlink()


def _remove_sockets() -> None:
    """Remove the sockets of providers that were killed, in the temporary folder, where nobody listens any more.

    A provider creates one, named plugin and a number, and removes it when it ends by itself (seen with version 5.100.0
    of the AWS provider).
    """
    for file in Path(tempfile.gettempdir()).glob("plugin[0-9]*"):
        with suppress(FileNotFoundError, PermissionError), socket.socket(socket.AF_UNIX) as client:
            if not file.is_socket() or time.time() - file.stat().st_mtime < _OLD_SECONDS:
                continue
            try:
                client.connect(str(file))
            except ConnectionRefusedError:
                file.unlink()


@contextmanager
def _claimed(directory: Path, stop: threading.Event) -> Iterator[int]:
    """The file descriptor of the locked file of a folder."""
    with process.starting(program.name(), directory):
        claim = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        told = False
        while not stop.is_set() and not _is_locked(claim):
            pid = _owner(claim)
            if pid is not None and not process.is_alive(pid):
                _end_providers(pid)  # they keep the lock of a Terraform that was killed
            elif not told:
                told = True
                text = f"Terraform of an earlier command still runs in {directory} (process {pid}); waiting for its end"
                print(text, file=sys.stderr, flush=True)
            stop.wait(_WAIT_SECONDS)
        if stop.is_set():
            raise StoppedError
        yield claim
    finally:
        os.close(claim)


def _is_locked(claim: int) -> bool:
    try:
        fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _owner(claim: int) -> int | None:
    text = os.pread(claim, 20, 0).decode()
    return int(text) if text.isdecimal() else None


def end_helm(groups: Collection[int]) -> None:
    """Kill the providers for Helm in these process groups."""
    listed = process.output("ps", "-A", "-ww", "-o", "pid=,pgid=,args=") if groups else ""
    for line in listed.splitlines():
        pid, group, program = line.split()[:3]
        if int(group) in groups and Path(program).name.startswith(_HELM):
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


def _end_providers(group: int) -> None:
    """Kill what is left of the process group of a Terraform that has ended: providers of one that was killed."""
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
