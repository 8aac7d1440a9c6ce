"""`make local`, interrupted: what a person does who sees that a setting is wrong."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.clone import clone_into

pytestmark = pytest.mark.e2e

_SECONDS = 60


def _processes(*words: str) -> list[str]:
    """The command lines of all processes that hold one of these words."""
    table = subprocess.run(["ps", "-A", "-ww", "-o", "args="], check=True, capture_output=True, text=True).stdout
    return [line for line in table.splitlines() if any(word in line for word in words)]


@pytest.mark.usefixtures("aws_provider")
def test_an_interrupt_leaves_nothing_running(tmp_path: Path) -> None:
    clone = clone_into(tmp_path)
    # A job in the background ignores interrupts, and so would all that it starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        [sys.executable, "-m", "operations", "local"],
        cwd=clone, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    ) as local:  # fmt: skip
        assert local.stdout is not None
        answers = next(line for line in local.stdout if "the emulated AWS answers at" in line)
        port = answers.partition("127.0.0.1:")[2].partition(";")[0].strip()
        deadline = time.monotonic() + _SECONDS
        while "Creating..." not in (clone / ".local/deploy.log").read_text() and time.monotonic() < deadline:
            time.sleep(0.2)
        assert _processes(f"--port {port}")
        os.killpg(local.pid, signal.SIGINT)
        said = local.stdout.read()
        local.wait(timeout=_SECONDS)

    assert local.returncode != 0
    assert "Traceback" not in said
    assert not _processes(f"--port {port}", str(clone))
    assert not (clone / ".local/emulator.json").exists()
