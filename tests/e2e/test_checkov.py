"""`scan`: no check of checkov fails on the plans of the committed settings without a reason in the reviewed file."""

import os
import sys
from pathlib import Path

import pytest

from operations.scanner import scanner
from tests import ROOT
from tests.e2e.clone import clone_into, synthesize
from tests.e2e.region import Region, reported

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module", autouse=True)
def _checkov() -> None:
    if not (ROOT / scanner.PROGRAM).is_file():
        give_up = pytest.fail if os.environ.get("INSIST_ON_CHECKOV") == "1" else pytest.skip
        give_up(f"{scanner.PROGRAM}: not installed; run: make checkov")


def test_no_check_fails_without_a_reason(region: Region, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plans are those of the committed settings; the region may be deployed with an older version."""
    monkeypatch.chdir(clone_into(tmp_path))
    synthesize(tmp_path / "cdktf.out")
    status, report = reported("scan")
    sys.stdout.write(f"{report['title']}\n{report['stacks']}\n")
    assert (status, report["problems"], report["not_scanned"]) == (0, [], [])
    assert report["stacks"].keys() == {stack.name for stack in region.stacks}

    file = tmp_path / scanner.EXCEPTIONS
    file.write_text(file.read_text(encoding="utf-8").replace("CKV_AWS_339", "CKV_AWS_340"), encoding="utf-8")
    status, report = reported("scan")
    assert status == 1
    assert any("aws_eks_cluster" in problem and "CKV_AWS_339" in problem for problem in report["problems"])
    assert any(
        "CKV_AWS_340" in problem and problem.endswith("no check fails; remove it") for problem in report["problems"]
    )
