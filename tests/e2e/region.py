"""The region on the emulated AWS, deployed once for all tests."""

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from operations.terraform.stacks import Stack

STATE_BUCKET = "your-org-terraform-state-ap-northeast-2"


class Calls:
    """The calls to AWS, as IAM actions."""

    def __init__(self, record: Path) -> None:
        self._record = record
        self._read = 0

    def new(self) -> set[str]:
        """The actions since the last call of a method."""
        return set(self.in_order())

    def in_order(self) -> list[str]:
        """The same in the order of the calls, with repetitions."""
        lines = self._record.read_text(encoding="utf-8").splitlines()
        new, self._read = lines[self._read :], len(lines)
        return [json.loads(line)["action"] for line in new]


class Region(NamedTuple):
    """The deployed stacks, and the IAM actions of their deploys by environment."""

    stacks: list[Stack]
    actions: dict[str, set[str]]

    def stack(self, environment: str) -> Stack:
        return next(stack for stack in self.stacks if stack.name == f"ap-northeast-2-{environment}")


def operations(*arguments: str) -> str:
    """Run a command that must succeed, and return its output."""
    finished = subprocess.run(
        [sys.executable, "-m", "operations", *arguments], check=False, capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout
