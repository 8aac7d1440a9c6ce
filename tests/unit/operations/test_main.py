"""The standard streams of the command line."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT

_COMMAND = f"{sys.executable} -m operations"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "status", "message"),
    [
        ("--help > /dev/full", 1, "error: the output cannot be written: No space left on device; free space, or"),
        ("--help > /dev/full 2>&1", 1, ""),
        ("--help >&-", 1, "error: the output cannot be written: Bad file descriptor; free space, or check the pipe"),
        ("stacks --output nowhere 2> /dev/full", 1, ""),
        ("stacks --output nowhere <&-", 1, "error: nowhere/manifest.json: not found; synthesize first: make synth"),
        ("stacks --output nowhere <&- >&- 2>&-", 1, ""),
        (f"guard {'x' * 5000}", 1, f"error: {'x' * 400}…: File name too long; give it what"),
    ],
)
def test_a_stream_that_cannot_be_used_causes_no_traceback(line: str, status: int, message: str, tmp_path: Path) -> None:
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'constructs'}"}
    run = subprocess.run(
        ["bash", "-c", f"{_COMMAND} {line}"], cwd=tmp_path, env=environment, check=False, capture_output=True, text=True
    )
    assert (run.returncode, run.stdout) == (status, "")
    assert run.stderr.startswith(message)
    assert "Traceback" not in run.stderr
    assert "ignored" not in run.stderr
