"""`make local`: interrupted, continued, run with changed settings, and destroyed."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pytest

from operations.local import emulator_process, platform
from tests.e2e.clone import clone_into
from tests.e2e.tiny import client

pytestmark = pytest.mark.e2e

_SECONDS = 60
_BUCKET = "new-org-ap-northeast-2-dev-backups"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory, aws_provider: None) -> Iterator[Path]:  # noqa: ARG001
    """A platform of one environment without a database, which would take minutes to create."""
    copy = clone_into(tmp_path_factory.mktemp("local"))
    _edit(copy / "stacks/ap_northeast_2/__init__.py", r'\("dev", "staging", "prod"\)', '("dev",)')
    _edit(copy / "stacks/ap_northeast_2/dev.py", r"databases=\(\n.*?\n    \)", "databases=()")
    yield copy
    with chdir(copy):
        platform._stop()


def _edit(file: Path, old: str, new: str) -> None:
    text, count = re.subn(old, new, file.read_text(), flags=re.DOTALL)
    assert count == 1
    file.write_text(text)


def _processes(*words: str) -> list[str]:
    """The command lines of all processes that contain one of these words."""
    table = subprocess.run(["ps", "-A", "-ww", "-o", "args="], check=True, capture_output=True, text=True).stdout
    return [line for line in table.splitlines() if any(word in line for word in words)]


def test_an_interrupt_leaves_nothing_running(copy: Path) -> None:
    # A background job ignores SIGINT, and so would its child processes.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        [sys.executable, "-m", "operations", "local"],
        cwd=copy, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    ) as run:  # fmt: skip
        assert run.stdout is not None
        output = ""
        while "created after" not in output:  # during an apply
            line = run.stdout.readline()
            assert line, output
            output += line
        port = output.partition("127.0.0.1:")[2].partition(";")[0].strip()
        assert _processes(f"--port {port}")
        os.killpg(run.pid, signal.SIGINT)
        output += run.stdout.read()
        run.wait(timeout=_SECONDS)

    assert run.returncode == 1
    assert "Traceback" not in output
    assert "continue with: make local" in output
    assert not _processes(f"--port {port}", str(copy))
    assert not (copy / ".local/emulator.json").exists()


def test_changed_settings_are_applied_and_everything_is_destroyed_with_its_contents(copy: Path) -> None:
    _edit(
        copy / "stacks/owner.py", 'organisation="your-org"', 'organisation="new-org"'
    )  # this also renames the state bucket
    output = _operations(copy, "local")
    assert "ap-northeast-2-dev: applied" in output
    assert f"  backup_bucket  {_BUCKET}\n" in output
    port = json.loads((copy / ".local/emulator.json").read_text())["port"]

    _edit(copy / "stacks/ap_northeast_2/dev.py", r"file_system=FileSystemConfig\(\)", "file_system=None")
    output = _operations(copy, "local")  # the guard would refuse to destroy the file system
    assert "ap-northeast-2-shared: unchanged" in output
    assert re.search(r"ap-northeast-2-dev: applied: .* to destroy", output)

    s3 = client("s3", emulator_process.environment(port, account_id="123456789012", region="ap-northeast-2"))
    for backup in (b"first", b"second"):
        s3.put_object(Bucket=_BUCKET, Key="argo-cd", Body=backup)
    assert len(s3.list_object_versions(Bucket=_BUCKET)["Versions"]) == 2
    output = _operations(copy, "local-down")
    assert output.endswith("stopped\n")
    assert not _processes(f"--port {port}", str(copy))
    assert not (copy / ".local").exists()


def _operations(copy: Path, command: str) -> str:
    """Run a command that must succeed, and return its output."""
    run = subprocess.run(
        [sys.executable, "-m", "operations", command],
        cwd=copy, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout
    return run.stdout
