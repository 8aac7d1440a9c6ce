"""Programs of the cluster that cannot be built say why, and what to do."""

import os
import stat
import subprocess
import sys
from pathlib import Path

from tests import ROOT


def _tools(folder: Path) -> str:
    """What `operations tools` says that knows no other programs than those in the folder."""
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


def test_without_go_it_says_what_to_install(tmp_path: Path) -> None:
    assert _tools(tmp_path).startswith("error: go: not installed; install Go 1.26 or newer")


def test_a_failed_build_ends_with_what_go_says_and_leaves_nothing(tmp_path: Path) -> None:
    go = tmp_path / "go"
    go.write_text(f'#!{sys.executable}\nimport sys\nif "build" in sys.argv: sys.exit("no such host")\n')
    go.chmod(go.stat().st_mode | stat.S_IXUSR)
    said = _tools(tmp_path)

    assert "error: go build failed in operations/local/cluster/modules/actionlint (status 1)" in said
    assert "error: no such host" in said
    assert [file.name for file in tmp_path.glob("cache/*/bin/*")] == [".actionlint.lock"]
