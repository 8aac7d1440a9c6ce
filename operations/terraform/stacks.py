"""What `cdktf synth` writes: the stacks, in order, and `platform.json`, which says what each of them is.

The form of `platform.json` is typed in `stacks/platform.py`, which writes it. Nothing here takes a name apart.
"""

import difflib
import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from functools import cached_property
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from operations.clients import aws, process
from operations.errors import OperationError

if TYPE_CHECKING:
    import boto3

Kind = Literal["backend", "shared", "environment", "in-cluster"]
Described = TypeVar("Described")

VERSION = 1
"""The form of `platform.json` that is read here."""

_MANIFEST = "manifest.json"
_PLATFORM = "platform.json"
_REMEDY = "synthesize again: make synth"


@dataclass(frozen=True)
class State:
    """Where a stack's state is stored in S3.

    `lock_table` is the DynamoDB table in which it is locked, None where a lock object is all; `backend` is the stack
    that owns the bucket.
    """

    bucket: str
    key: str
    region: str
    lock_table: str | None
    backend: str


@dataclass(frozen=True)
class Cluster:
    """A cluster's name, and the tags of which a resource that was made for it carries at least one."""

    name: str
    controller_tags: Mapping[str, str]

    def owns(self, tags: Mapping[str, str]) -> bool:
        """Whether a controller of this cluster, or AWS for it, made the resource with these tags."""
        return any(tags.get(name) == value for name, value in self.controller_tags.items())


@dataclass(frozen=True)
class Backups:
    """Where the backups of Argo CD are stored, and the alias of the KMS key that encrypts them."""

    bucket: str
    key_alias: str


@dataclass(frozen=True)
class Region:
    """A region. `environments` are in the order of promotion; `push_role_prefix` begins the names of push roles."""

    name: str
    shared_settings_file: str
    environments: Sequence[str]
    push_role_prefix: str


@dataclass(frozen=True)
class Stack:
    """A synthesized stack: `directory` is where Terraform runs, `dependencies` are the stacks that it reads from.

    `settings_file` is seen from the root of the repository. `cluster` is that of an environment or of an in-cluster
    stack, `backups` that of an environment.
    """

    name: str
    directory: Path
    dependencies: tuple[str, ...]
    kind: Kind
    region: str
    environment: str
    settings_file: str
    account_id: str
    state: State
    tags: Mapping[str, str]
    iam_path: str
    cluster: Cluster | None = None
    backups: Backups | None = None

    @cached_property
    def configuration(self) -> dict[str, Any]:
        """The stack's Terraform JSON.

        Raises:
            OperationError: it was written half, or somebody removed it.
        """
        return _configuration(self.directory)

    @property
    def is_in_cluster(self) -> bool:
        """Whether the stack lives in a cluster, and not in AWS."""
        return self.kind == "in-cluster"

    @property
    def kubeconfig(self) -> str | None:
        """The kubeconfig by which an in-cluster stack reaches its cluster; None where it asks EKS."""
        path: str | None = self.configuration["provider"]["kubernetes"][0].get("config_path")
        return path

    def aws_session(self) -> "boto3.Session":
        """A session in the stack's region.

        Raises:
            OperationError: there are no credentials, they do not work, or the stack refuses their account.
        """
        return aws.session(self.name, region=self.region, account_id=self.account_id)

    def resources(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Each resource as type, name and arguments."""
        for kind, resources in self.configuration.get("resource", {}).items():
            for name, arguments in resources.items():
                yield kind, name, arguments


@dataclass(frozen=True)
class Platform:
    """Everything that was synthesized. `stacks` are producers before consumers.

    `placeholders` are the values that the owner has not replaced yet, each with its file.
    """

    regions: Sequence[Region]
    stacks: Sequence[Stack]
    placeholders: Sequence[str]


def synthesize(output: Path) -> list[Stack]:
    """Synthesize every stack into `output`.

    Raises:
        OperationError: the settings are wrong; what is wrong was printed.
    """
    command = [process.find("npx", "install Node"), "--no-install", "cdktf", "synth", "--output", str(output)]
    # Without CI it draws a screen of its own.
    quiet = {"CHECKPOINT_DISABLE": "1", "CI": "1", "DISABLE_VERSION_CHECK": "1"}
    if subprocess.run(command, env={**os.environ, **quiet}, check=False).returncode:
        raise OperationError("cdktf synth failed; see above")
    return read_stacks(output)


def read_platform(output: Path) -> Platform:
    """What was synthesized into `output`.

    Raises:
        OperationError: nothing was synthesized there, it was written half, or by a version with another form.
    """
    entries, file = _manifest(output), output / _PLATFORM
    if not file.is_file():
        raise OperationError(f"{file}: not there; {_REMEDY}")
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        version = document["version"]
        if version != VERSION:
            raise OperationError(f"{file}: form {version}, and this version reads form {VERSION}; {_REMEDY}")
        order = TopologicalSorter({name: sorted(entry["dependencies"]) for name, entry in sorted(entries.items())})
        return Platform(
            regions=[_described(Region, region) for region in document["regions"]],
            stacks=[_stack(output, name, entries[name], document["stacks"][name]) for name in order.static_order()],
            placeholders=document["placeholders"],
        )
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        raise OperationError(f"{file}: {error!r}; {_REMEDY}") from error


def read_stacks(output: Path) -> list[Stack]:
    """The stacks below `output`, producers before consumers.

    Raises:
        OperationError: as of `read_platform`.
    """
    return list(read_platform(output).stacks)


def read_configurations(output: Path) -> dict[str, dict[str, Any]]:
    """The Terraform JSON of every stack below `output`, by name, whatever version of this project wrote them.

    Raises:
        OperationError: nothing was synthesized there, or it was written half.
    """
    return {name: _configuration(output / entry["workingDirectory"]) for name, entry in _manifest(output).items()}


def _manifest(output: Path) -> dict[str, dict[str, Any]]:
    """The stacks as CDKTF lists them."""
    file = output / _MANIFEST
    if not file.is_file():
        raise OperationError(f"{file}: nothing was synthesized there; run: make synth")
    try:
        entries: dict[str, dict[str, Any]] = dict(json.loads(file.read_text(encoding="utf-8"))["stacks"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise OperationError(f"{file}: {error!r}; {_REMEDY}") from error
    return entries


def _configuration(directory: Path) -> dict[str, Any]:
    file = directory / "cdk.tf.json"
    try:
        configuration: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OperationError(f"{file}: {error}; {_REMEDY}") from error
    return configuration


def _stack(output: Path, name: str, entry: Mapping[str, Any], description: Mapping[str, Any]) -> Stack:
    cluster, backups = description["cluster"], description["backups"]
    known = {
        **description,
        "name": name,
        "directory": output / entry["workingDirectory"],
        "dependencies": tuple(entry["dependencies"]),
        "state": _described(State, description["state"]),
        "cluster": _described(Cluster, cluster) if cluster else None,
        "backups": _described(Backups, backups) if backups else None,
    }
    return _described(Stack, known)


def _described(kind: type[Described], values: Mapping[str, Any]) -> Described:
    """A dataclass of the values of its fields; what it has no field for is left out."""
    return kind(**{field.name: values[field.name] for field in fields(kind)})  # type: ignore[arg-type]


def backend_stacks(stacks: Sequence[Stack]) -> list[Stack]:
    """The stack of each region that owns the state bucket."""
    return [stack for stack in stacks if stack.kind == "backend"]


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
