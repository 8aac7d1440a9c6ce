"""The output of `cdktf synth`: the stacks, in order, and `platform.json`, which describes each of them.

The format of `platform.json` is typed in `stacks/platform.py`, which writes it. No stack name is parsed here.
"""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from functools import cached_property
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from operations.clients import aws
from operations.errors import OperationError

if TYPE_CHECKING:
    import boto3

Kind = Literal["backend", "shared", "environment", "in-cluster"]
Described = TypeVar("Described")

VERSION = 1
"""The format version of `platform.json` that this code reads."""

_MANIFEST = "manifest.json"
_PLATFORM = "platform.json"
_REMEDY = "synthesize again: make synth"


@dataclass(frozen=True)
class State:
    """Where a stack's state is stored in S3.

    `lock_table` is the DynamoDB table for its locks, None if it is locked by a lock object only. `backend` is the stack
    that owns the bucket.
    """

    bucket: str
    key: str
    region: str
    lock_table: str | None
    backend: str


@dataclass(frozen=True)
class Cluster:
    """A cluster. Each resource that its controllers create has at least one of `controller_tags`."""

    name: str
    controller_tags: Mapping[str, str]

    def owns(self, tags: Mapping[str, str]) -> bool:
        """Whether a resource with these tags was created by a controller of this cluster, or by AWS for it."""
        return any(tags.get(name) == value for name, value in self.controller_tags.items())


@dataclass(frozen=True)
class Backups:
    """Where the backups of Argo CD are stored, and the alias of the KMS key that encrypts them."""

    bucket: str
    key_alias: str


@dataclass(frozen=True)
class Region:
    """A region. `environments` are in the order of promotion; names of push roles start with `push_role_prefix`."""

    name: str
    shared_settings_file: str
    environments: Sequence[str]
    push_role_prefix: str


@dataclass(frozen=True)
class Stack:
    """A synthesized stack. Terraform runs in `directory`; `dependencies` are the stacks whose outputs it reads.

    `settings_file` is relative to the root of the repository. Stacks of kind `environment` and `in-cluster` have a
    `cluster`, those of kind `environment` also have `backups`.
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
            OperationError: if the file is missing or was written incompletely.
        """
        return _configuration(self.directory)

    @property
    def is_in_cluster(self) -> bool:
        """Whether the stack consists of Kubernetes objects and Helm releases, not AWS resources."""
        return self.kind == "in-cluster"

    @property
    def kubeconfig(self) -> str | None:
        """The kubeconfig that an in-cluster stack uses; None if it connects to EKS."""
        path: str | None = self.configuration["provider"]["kubernetes"][0].get("config_path")
        return path

    def aws_session(self) -> "boto3.Session":
        """A session in the stack's region.

        Raises:
            OperationError: if there are no credentials, they are invalid, or they belong to another account.
        """
        return aws.session(self.name, region=self.region, account_id=self.account_id)

    def resources(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Each resource as type, name and arguments."""
        for kind, resources in self.configuration.get("resource", {}).items():
            for name, arguments in resources.items():
                yield kind, name, arguments


@dataclass(frozen=True)
class Platform:
    """All synthesized stacks, dependencies first, and their regions.

    `placeholders` are the placeholder values in the settings that were not replaced yet, each with its file.
    """

    regions: Sequence[Region]
    stacks: Sequence[Stack]
    placeholders: Sequence[str]


def read_platform(output: Path) -> Platform:
    """The synthesized stacks and regions in `output`.

    Raises:
        OperationError: if nothing was synthesized, a file was written incompletely, or its format version differs.
    """
    entries, file = _manifest(output), output / _PLATFORM
    if not file.is_file():
        raise OperationError(f"{file}: not found; {_REMEDY}")
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        version = document["version"]
        if version != VERSION:
            raise OperationError(f"{file}: format version {version}, expected {VERSION}; {_REMEDY}")
        order = TopologicalSorter({name: sorted(entry["dependencies"]) for name, entry in sorted(entries.items())})
        return Platform(
            regions=[_described(Region, region) for region in document["regions"]],
            stacks=[_stack(output, name, entries[name], document["stacks"][name]) for name in order.static_order()],
            placeholders=document["placeholders"],
        )
    except (AttributeError, KeyError, OSError, TypeError, ValueError) as error:
        raise OperationError(f"{file}: {error!r}; {_REMEDY}") from error


def read_stacks(output: Path) -> list[Stack]:
    """The stacks below `output`, dependencies first.

    Raises:
        OperationError: as `read_platform`.
    """
    return list(read_platform(output).stacks)


def read_configurations(output: Path) -> dict[str, dict[str, Any]]:
    """The Terraform JSON of every stack below `output`, by name, also if another version of this project wrote it.

    Raises:
        OperationError: if nothing was synthesized, or a file was written incompletely.
    """
    return {name: _configuration(output / entry["workingDirectory"]) for name, entry in _manifest(output).items()}


def _manifest(output: Path) -> dict[str, dict[str, Any]]:
    """The stacks in the manifest of CDKTF."""
    file = output / _MANIFEST
    if not file.is_file():
        raise OperationError(f"{file}: not found; synthesize first: make synth")
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
    """An instance of a dataclass, with the values of its fields; other values are ignored."""
    return kind(**{field.name: values[field.name] for field in fields(kind)})  # type: ignore[arg-type]


def backend_stacks(stacks: Sequence[Stack]) -> list[Stack]:
    """The backend stack of each region, which owns the state bucket."""
    return [stack for stack in stacks if stack.kind == "backend"]


def select_stacks(found: Sequence[Stack], patterns: Sequence[str]) -> list[Stack]:
    """The stacks that match these names or globs, in the order of `found`; all stacks without patterns.

    Raises:
        OperationError: if patterns match no stack; the message lists each one with similar names.
    """
    problems = []
    for pattern in patterns:
        names = [stack.name for stack in found]
        if not any(fnmatchcase(name, pattern) for name in names):
            close = difflib.get_close_matches(pattern, names, cutoff=0.5) or names
            problems.append(f"{pattern}: no such stack; choose from {', '.join(close)}")
    if problems:
        raise OperationError("\n".join(problems))
    return [s for s in found if not patterns or any(fnmatchcase(s.name, pattern) for pattern in patterns)]


def all_producers(found: Sequence[Stack]) -> dict[str, set[str]]:
    """By stack name, its direct and indirect dependencies. `found` must list dependencies first."""
    every: dict[str, set[str]] = {}
    for stack in found:
        every[stack.name] = set(stack.dependencies).union(*[every[name] for name in stack.dependencies])
    return every
