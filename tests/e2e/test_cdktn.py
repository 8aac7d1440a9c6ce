"""CDK Terrain, the successor of CDKTF: it plans nothing for a region that was deployed with CDKTF."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from operations.local import aws_provider
from operations.terraform import program
from tests.cdktn import check
from tests.cdktn.rename import rename
from tests.e2e.region import Region

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def renamed(clone: Path, deployed: Region, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: ARG001 (edits it)
    """The stacks of the region as CDK Terrain synthesizes them, for the same AWS provider."""
    if not check.PYTHON.is_file():
        give_up = pytest.fail if os.environ.get("INSIST_ON_CDKTN") == "1" else pytest.skip
        give_up(f"{check.PYTHON}: not installed; run: make cdktn-check")
    folder = tmp_path_factory.mktemp("renamed")
    copy = shutil.copytree(clone, folder / "copy", ignore=shutil.ignore_patterns(".*", "node_modules", "cdktf.out"))
    assert rename(copy)
    output = check.synthesized(folder / "output", copy, (check.PYTHON, "main.py"))
    aws_provider.use(output)
    return output


@pytest.mark.parametrize("environment", ["backend", "shared", "dev", "staging", "prod"])
def test_a_plan_with_the_existing_state_is_empty(
    region: Region, renamed: Path, tmp_path: Path, environment: str
) -> None:
    stack = region.stack(environment)
    shutil.copy2(renamed / "stacks" / stack.name / "cdk.tf.json", tmp_path)
    for command in (["init"], ["plan", "-lock=false", "-detailed-exitcode"]):
        done = subprocess.run(
            [program.name(), *command, "-input=false", "-no-color"],
            cwd=tmp_path, check=False, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
    assert "No changes." in done.stdout
