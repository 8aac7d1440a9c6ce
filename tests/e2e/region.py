"""The whole region on the emulated AWS, deployed once for all the tests that look at it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from operations.terraform.stacks import Stack

STATE_BUCKET = "your-org-terraform-state-ap-northeast-2"


class Calls:
    """What AWS was asked for, as IAM names it."""

    def __init__(self, record: Path) -> None:
        self._record = record
        self._read = 0

    def new(self) -> set[str]:
        """The actions since this was asked last."""
        lines = self._record.read_text(encoding="utf-8").splitlines()
        new, self._read = lines[self._read :], len(lines)
        return {json.loads(line)["action"] for line in new}


class Region(NamedTuple):
    """The deployed stacks, and what deploying them asked of AWS."""

    stacks: list[Stack]
    asked: dict[str, set[str]]

    def stack(self, environment: str) -> Stack:
        return next(stack for stack in self.stacks if stack.name == f"ap-northeast-2-{environment}")


def operations(*arguments: str) -> str:
    """Run a command that must succeed, and return what it printed."""
    finished = subprocess.run(
        [sys.executable, "-m", "operations", *arguments], check=False, capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout
