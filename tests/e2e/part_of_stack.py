"""A part of a stack that is applied alone: what the example settings do not have, without the region around it."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from operations.local import aws_provider
from operations.local.emulator_process import Emulator
from operations.terraform import program
from tests.template import Json


class PartOfStack:
    """Terraform with some resources of a stack, in a folder of its own, on an emulated AWS."""

    def __init__(self, folder: Path, emulator: Emulator) -> None:
        folder.mkdir(exist_ok=True)
        self._folder, self._environment = folder, {**os.environ, **emulator.environment}

    def __call__(self, *arguments: str) -> str:
        """Run a command that must succeed, and return its output."""
        finished = subprocess.run(
            [program.name(), *arguments],
            cwd=self._folder,
            env=self._environment,
            check=False,
            capture_output=True,
            text=True,
        )
        assert finished.returncode == 0, finished.stdout + finished.stderr
        return finished.stdout

    def configure(self, providers: Sequence[Json], resource: Json, **others: Json) -> None:
        """Write the resources, with the provider that is used with the emulated AWS, and initialize the folder."""
        required = {"aws": {"source": "hashicorp/aws", "version": aws_provider.version()}}
        document = {"terraform": {"required_providers": required}, "provider": {"aws": providers}, "resource": resource}
        (self._folder / "cdk.tf.json").write_text(json.dumps(document | others, indent=1))
        self("init", "-input=false")

    def apply(self) -> None:
        """Apply the configuration."""
        self("apply", "-auto-approve", "-input=false")

    def changes(self) -> dict[str, dict[str, Any]]:
        """What the plan, which is in the file `plan` then, says to each resource, by address."""
        self("plan", "-input=false", "-out=plan")
        changes = json.loads(self("show", "-json", "plan"))["resource_changes"]
        return {one["address"]: one["change"] for one in changes}

    def planned(self) -> dict[str, set[str]]:
        """The resources that a plan changes, and the arguments for which it replaces them."""
        return {
            address: {path[0] for path in change.get("replace_paths", ())}
            for address, change in self.changes().items()
            if change["actions"] not in (["no-op"], ["read"])
        }
