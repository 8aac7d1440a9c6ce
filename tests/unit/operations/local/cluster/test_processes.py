"""A group of processes: started with logs, and stopped with the block or with the process that started them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from operations.errors import OperationError
from operations.local.cluster.processes import Processes
from tests import ROOT

SECONDS = 20


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _wait_until_stopped(pid: int) -> None:
    deadline = time.monotonic() + SECONDS
    while _is_running(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _pid(file: Path) -> int:
    deadline = time.monotonic() + SECONDS
    while not file.exists() or not file.read_text().endswith("\n"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return int(file.read_text())


def test_processes_are_stopped_with_the_block_even_if_they_ignore_sigterm(tmp_path: Path) -> None:
    with Processes(tmp_path / "logs") as processes:
        processes.start("stubborn", "sh", "-c", f"trap '' TERM; echo $$ > {tmp_path}/pid; sleep 60 & wait")
        pid = _pid(tmp_path / "pid")
        processes.check()
    assert not _is_running(pid)


def test_processes_are_stopped_when_their_parent_is_killed(tmp_path: Path) -> None:
    program = f"""
import time
from pathlib import Path
from operations.local.cluster.processes import Processes
with Processes(Path({str(tmp_path)!r})) as processes:
    processes.start("child", "sh", "-c", "echo $$ > {tmp_path}/pid; exec sleep 60")
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT) as parent:
        pid = _pid(tmp_path / "pid")
        assert _is_running(pid)
        parent.send_signal(signal.SIGKILL)
    _wait_until_stopped(pid)


def test_output_is_logged_and_the_environment_can_be_replaced(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        script = "echo $GREETING; echo error >&2; exec sleep 60"
        processes.start("greeter", "/bin/sh", "-c", script, environment={"GREETING": "hello", "PATH": "/usr/bin:/bin"})
        log = tmp_path / "greeter.log"
        processes.wait_for("the greeting", lambda: log.read_text() == "hello\nerror\n")


def test_a_process_that_exits_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        processes.start("broken", "sh", "-c", "echo port in use; exit 3")
        with pytest.raises(OperationError, match=r"^broken exited unexpectedly \(status 3\); .*:\nport in use\n$"):
            processes.wait_for("the server", lambda: False)


def test_a_server_that_does_not_become_ready_is_reported_with_the_logs(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        processes.start("slow", "sleep", "60")
        with pytest.raises(OperationError, match=rf"^the server: not ready after 0 s; see the logs in {tmp_path}$"):
            processes.wait_for("the server", lambda: False, seconds=0.2)
