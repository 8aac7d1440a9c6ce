"""What `cdktf synth` writes: the stacks of `manifest.json`, their configuration and where their state lies."""

import difflib
import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from operations.clients import aws
from operations.errors import OperationError

if TYPE_CHECKING:
    import boto3

BACKEND_SUFFIX = "-backend"


@dataclass(frozen=True)
class StateObject:
    """Where a stack's state lies in S3."""

    bucket: str
    key: str
    region: str


@dataclass(frozen=True)
class Stack:
    """A synthesized stack: `directory` is where Terraform runs, `dependencies` are the stacks that it reads from."""

    name: str
    directory: Path
    dependencies: tuple[str, ...]

    @cached_property
    def configuration(self) -> dict[str, Any]:
        """The stack's Terraform JSON.

        Raises:
            OperationError: it was written half, or somebody removed it.
        """
        file = self.directory / "cdk.tf.json"
        try:
            configuration: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise OperationError(f"{file}: {error}; synthesize again: make synth") from error
        return configuration

    @property
    def state(self) -> StateObject:
        """Where the stack's state lies."""
        s3 = self.configuration["terraform"]["backend"]["s3"]
        return StateObject(bucket=s3["bucket"], key=s3["key"], region=s3["region"])

    @property
    def lock_table(self) -> str | None:
        """The table in which the stack's state is locked, too, or alone; None where a lock object is all."""
        table: str | None = self.configuration["terraform"]["backend"]["s3"].get("dynamodb_table")
        return table

    @property
    def account_ids(self) -> list[str]:
        """The accounts that the stack may be applied to."""
        ids: list[str] = self.configuration["provider"]["aws"][0]["allowed_account_ids"]
        return ids

    @property
    def is_in_cluster(self) -> bool:
        """Whether the stack lives in a cluster, and not in AWS."""
        return "kubernetes" in self.configuration["provider"]

    @property
    def kubeconfig(self) -> str | None:
        """The kubeconfig by which an in-cluster stack reaches its cluster; None where it asks EKS."""
        path: str | None = self.configuration["provider"]["kubernetes"][0].get("config_path")
        return path

    def aws_session(self) -> "boto3.Session":
        """A session in the region of the stack's state.

        Raises:
            OperationError: there are no credentials, they do not work, or the stack refuses their account.
        """
        return aws.session(self.name, region=self.state.region, account_ids=self.account_ids)

    def resources(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Each resource as type, name and arguments."""
        for kind, resources in self.configuration.get("resource", {}).items():
            for name, arguments in resources.items():
                yield kind, name, arguments


def synthesize(output: Path) -> list[Stack]:
    """Synthesize every stack into `output`.

    Raises:
        OperationError: the settings are wrong; what is wrong was printed.
    """
    command = ["npx", "--no-install", "cdktf", "synth", "--output", str(output)]
    # Without CI it draws a screen of its own.
    quiet = {"CHECKPOINT_DISABLE": "1", "CI": "1", "DISABLE_VERSION_CHECK": "1"}
    if subprocess.run(command, env={**os.environ, **quiet}, check=False).returncode:
        raise OperationError("cdktf synth failed; see above")
    return read_stacks(output)


def read_stacks(output: Path) -> list[Stack]:
    """The stacks below `output`, producers before consumers.

    Raises:
        OperationError: nothing was synthesized there, or it was written half.
    """
    manifest = output / "manifest.json"
    if not manifest.is_file():
        message = f"{manifest}: nothing was synthesized there; run: make synth"
        raise OperationError(message)
    try:
        entries = json.loads(manifest.read_text(encoding="utf-8"))["stacks"]
        order = TopologicalSorter({name: sorted(entry["dependencies"]) for name, entry in sorted(entries.items())})
        return [
            Stack(
                name=name,
                directory=output / entries[name]["workingDirectory"],
                dependencies=tuple(entries[name]["dependencies"]),
            )
            for name in order.static_order()
        ]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise OperationError(f"{manifest}: {error!r}; synthesize again: make synth") from error


def backend_stacks(output: Path) -> list[Stack]:
    """The stack of each region that makes the state bucket."""
    return [stack for stack in read_stacks(output) if stack.name.endswith(BACKEND_SUFFIX)]


def select_stacks(found: Sequence[Stack], patterns: Sequence[str]) -> list[Stack]:
    """The stacks of these names or globs, in the order of `found`; all of them where none is given.

    Raises:
        OperationError: with every pattern that no stack is called by, and the names that come close.
    """
    problems = []
    for pattern in patterns:
        names = [stack.name for stack in found]
        if not any(fnmatchcase(name, pattern) for name in names):
            close = difflib.get_close_matches(pattern, names, cutoff=0.5) or names
            problems.append(f"{pattern}: no stack is called that; choose from {', '.join(close)}")
    if problems:
        raise OperationError("\n".join(problems))
    return [s for s in found if not patterns or any(fnmatchcase(s.name, pattern) for pattern in patterns)]


def all_producers(found: Sequence[Stack]) -> dict[str, set[str]]:
    """By name, all the stacks that a stack reads from, directly or through others. `found` is in order."""
    every: dict[str, set[str]] = {}
    for stack in found:
        every[stack.name] = set(stack.dependencies).union(*[every[name] for name in stack.dependencies])
    return every
