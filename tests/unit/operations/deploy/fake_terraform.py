"""A fake `terraform`, which plans and applies the resources of small stacks; see `terraform_program.py`."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from operations.terraform.stacks import Stack
from tests.stacks import make_stack

_PROGRAM = Path(__file__).with_name("terraform_program.py")

Resources = dict[str, dict[str, Any]]


class FakeTerraform:
    """Puts the fake on the PATH of a test, and creates stacks for it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._stacks = folder / "stacks"
        self._stacks.mkdir()
        program = folder / "fake-bin/terraform"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -IS "{_PROGRAM}" "$@"\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    def stack(self, name: str, resources: Resources, *, reads: tuple[str, ...] = (), **more: Any) -> Stack:
        """Write or overwrite the configuration of a stack."""
        folder = self._stacks / name
        folder.mkdir(exist_ok=True)
        (folder / "configuration.json").write_text(json.dumps(resources))
        return make_stack(name, folder, name=name, reads=reads, **more)

    def state(self, name: str) -> Resources:
        return self._read(name, "state.json")

    def actual(self, name: str) -> Resources:
        return self._read(name, "actual.json")

    def change(self, name: str, address: str, **arguments: Any) -> None:
        """Change a resource outside of Terraform."""
        changed = self.actual(name)
        changed[address] |= arguments
        (self._stacks / name / "actual.json").write_text(json.dumps(changed))

    def lock(self, name: str, who: str) -> None:
        """Lock the state of a stack."""
        (self._stacks / name / "lock").write_text(who)

    @property
    def calls(self) -> list[str]:
        """The commands that ran: the stack, and the arguments."""
        return (self._stacks / "calls").read_text().splitlines()

    def _read(self, name: str, file: str) -> Resources:
        resources: Resources = json.loads((self._stacks / name / file).read_text())
        return resources
