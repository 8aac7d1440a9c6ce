"""Building the programs of the local cluster."""

import os
import stat
import subprocess
import sys
from pathlib import Path

from tests import ROOT


def _tools(folder: Path) -> str:
    """The error output of `operations tools` if only the programs in the folder are on PATH."""
    done = subprocess.run(
        [sys.executable, "-m", "operations", "tools"],
        cwd=ROOT,
        env={**os.environ, "PATH": str(folder), "XDG_CACHE_HOME": str(folder / "cache")},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    return done.stderr


def test_rejects_a_machine_without_go(tmp_path: Path) -> None:
    assert _tools(tmp_path).startswith("error: go: not installed; install Go 1.26 or newer")


def test_a_failed_build_reports_the_error_of_go_and_leaves_no_files(tmp_path: Path) -> None:
    go = tmp_path / "go"
    go.write_text(f'#!{sys.executable}\nimport sys\nif "build" in sys.argv: sys.exit("no such host")\n')
    go.chmod(go.stat().st_mode | stat.S_IXUSR)
    errors = _tools(tmp_path)

    assert "error: go build failed in operations/local/cluster/modules/actionlint (status 1)" in errors
    assert "error: no such host" in errors
    assert [file.name for file in tmp_path.glob("cache/*/bin/*")] == [".actionlint.lock"]
