"""`python main.py`, which `cdktf synth` runs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests import ROOT


def test_invalid_settings_are_reported_and_nothing_is_written(tmp_path: Path) -> None:
    shutil.copy(ROOT / "main.py", tmp_path)
    shutil.copytree(ROOT / "stacks", tmp_path / "stacks", ignore=shutil.ignore_patterns("__pycache__"))
    kept = tmp_path / "cdktf.out" / "kept"
    kept.parent.mkdir()
    kept.write_text("from an earlier synth")
    for file, old, new in (
        ("dev.py", 'version="1.36"', 'version="1.28"'),
        ("prod.py", "production=True", "production=False"),
    ):
        path = tmp_path / "stacks" / "ap_northeast_2" / file
        path.write_text(path.read_text().replace(old, new))

    finished = subprocess.run(
        [sys.executable, "main.py"],
        cwd=tmp_path,
        env={**os.environ, "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20"},
        check=False,
        capture_output=True,
        text=True,
    )

    assert finished.returncode == 1
    assert finished.stdout == ""
    assert finished.stderr.splitlines() == [
        "stacks/ap_northeast_2/dev.py:20: cluster.version: '1.28': not supported; choose one of 1.34, 1.35, 1.36",
        "stacks/ap_northeast_2/prod.py:16: production: False: prod must meet production requirements; set it to True",
    ]
    assert [path.name for path in kept.parent.iterdir()] == ["kept"]
    assert kept.read_text() == "from an earlier synth"
