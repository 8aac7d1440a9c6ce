"""The output of `cdktf synth`: the stacks, in order, and `platform.json`, which describes each of them.

The format of `platform.json` is typed in `stacks/platform.py`, which writes it. No stack name is parsed here.
"""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, TypeGuard, get_args, get_origin

from operations.clients import aws
from operations.errors import OperationError
from operations.terraform.json_files import read_json

if TYPE_CHECKING:
    import boto3

Kind = Literal["backend", "shared", "environment", "in-cluster"]

VERSION = 4
"""The format version of `platform.json` that this code reads."""

_MANIFEST = "manifest.json"
_PLATFORM = "platform.json"
_REMEDY = "synthesize again: make synth"
_KINDS_WITH = {"cluster": {"environment", "in-cluster"}, "backups": {"environment"}}


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
    """A cluster. Each resource that its controllers create has at least one of `controller_tags`.

    `further` is its name within its environment if it is a further cluster; empty for the first. `hub` is the
    environment whose Argo CD deploys to it; empty if it has its own.
    """

    name: str
    controller_tags: Mapping[str, str]
    further: str = ""
    hub: str = ""

    def owns(self, tags: Mapping[str, str]) -> bool:
        """Whether a resource with these tags was created by a controller of this cluster, or by AWS for it."""
        return any(tags.get(name) == value for name, value in self.controller_tags.items())


@dataclass(frozen=True)
class Backups:
    """Where the backups of Argo CD are stored, and the alias or ARN of the KMS key that encrypts them."""

    bucket: str
    key_id: str


@dataclass(frozen=True)
class ExistingKey:
    """A KMS key that no stack creates, and the statements that its key policy needs."""

    arn: str
    statements: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class ExistingRole:
    """A role that no stack creates, the AWS service that assumes it, and the managed policies that it needs."""

    arn: str
    service: str
    policies: Sequence[str]


@dataclass(frozen=True)
class Existing:
    """What a stack uses and no stack creates: a key, roles of a cluster and its nodes, and the ARNs of the rest."""

    key: ExistingKey | None = None
    repositories: Sequence[str] = field(default_factory=list)
    github_provider: str | None = None
    permissions_boundary: str | None = None
    roles: Sequence[ExistingRole] = field(default_factory=list)

    @property
    def arns(self) -> set[str]:
        """The ARNs of all of these."""
        key_arn = self.key.arn if self.key is not None else None
        roles = [role.arn for role in self.roles]
        others = (key_arn, self.github_provider, self.permissions_boundary)
        return {arn for arn in (*self.repositories, *roles, *others) if arn}


@dataclass(frozen=True)
class Subnet:
    """A subnet of an existing VPC: `private`, `public` or `database`, in a zone, by its ID or else by its tags."""

    kind: str
    zone: str
    id: str | None
    tags: Mapping[str, str]


@dataclass(frozen=True)
class ExistingVpc:
    """A VPC that the platform does not create, and what a stack needs in it, by the kind of subnet.

    `addresses` are those that it uses at most, and `tags` those by which controllers of its cluster find subnets.
    """

    id: str
    cidr: str
    subnets: Sequence[Subnet]
    addresses: Mapping[str, int]
    tags: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Region:
    """A region. `environments` are in the order of promotion; names of push roles start with `push_role_prefix`."""

    name: str
    shared_settings_file: str
    environments: Sequence[str]
    push_role_prefix: str


@dataclass(frozen=True)
class KubernetesVersion:
    """A Kubernetes version: when its standard support ends, and the versions of add-ons that are tested with it."""

    end_of_standard_support: str
    addons: Mapping[str, str]


@dataclass(frozen=True)
class Chart:
    """A version of a Helm chart, and the first and last Kubernetes version that it is tested with."""

    name: str
    version: str
    first: str
    last: str


@dataclass(frozen=True)
class Stack:
    """A synthesized stack. Terraform runs in `directory`; `dependencies` are the stacks whose outputs it reads.

    `settings_file` is relative to the root of the repository. Stacks of kind `environment` and `in-cluster` have a
    `cluster`, those of kind `environment` also have `backups`. `existing_vpc` is that of a region with such a VPC, for
    stacks of kind `shared` and `environment`. `account` is the name of a further account of the region, and empty for
    the account of the region. `usage` is what the calculation of the cost assumes, by the names of the settings.
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
    existing_vpc: ExistingVpc | None = None
    existing: Existing = field(default_factory=Existing)
    account: str = ""
    usage: Mapping[str, int] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """The name of the stack's account of its region in the variables of GitHub."""
        return f"{self.region}-{self.account}" if self.account else self.region

    @cached_property
    def configuration(self) -> dict[str, Any]:
        """The stack's Terraform JSON.

        Raises:
            OperationError: if the file is missing or was written incompletely.
        """
        return _configuration(self.directory, has_backend=True)

    @property
    def further(self) -> str:
        """The name of the further cluster that the stack belongs to; empty for what the environment has once."""
        return self.cluster.further if self.cluster is not None else ""

    @property
    def hub(self) -> str:
        """The environment of the region whose Argo CD deploys to the cluster of the stack; empty if it has its own."""
        return self.cluster.hub if self.cluster is not None else ""

    @property
    def short_name(self) -> str:
        """`<environment>[-<further cluster>]`, which commands accept in place of the stack's name."""
        return "-".join(filter(None, (self.environment, self.further)))

    @property
    def is_in_cluster(self) -> bool:
        """Whether the stack consists of Kubernetes objects and Helm releases, not AWS resources."""
        return self.kind == "in-cluster"

    @property
    def kubeconfig(self) -> str | None:
        """The kubeconfig that an in-cluster stack uses; None if it connects to EKS.

        Raises:
            OperationError: as `configuration`, or if the stack has no provider for Kubernetes.
        """
        try:
            path: str | None = self.configuration["provider"]["kubernetes"][0].get("config_path")
        except (LookupError, TypeError, AttributeError) as error:
            file = self.directory / "cdk.tf.json"
            raise OperationError(f"{file}: provider.kubernetes: not found; {_REMEDY}") from error
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

    def resources_of(self, kind: str) -> dict[str, dict[str, Any]]:
        """The arguments of the resources of a type, by name."""
        found: dict[str, dict[str, Any]] = self.configuration.get("resource", {}).get(kind, {})
        return found

    def region_of(self, kind: str, name: str) -> str:
        """The region of a resource, which differs from that of the stack if another provider creates it."""
        provider = self.configuration["resource"][kind][name].get("provider", "")
        regions = {f"aws.{entry.get('alias')}": entry["region"] for entry in self.configuration["provider"]["aws"]}
        return str(regions.get(provider, self.region))

    def is_elsewhere(self, kind: str, name: str) -> bool:
        """Whether a role of another account creates a resource, such as the record that delegates the domain."""
        provider = self.configuration["resource"][kind][name].get("provider", "")
        providers = self.configuration["provider"]["aws"]
        return provider in {f"aws.{entry['alias']}" for entry in providers if "assume_role" in entry}


@dataclass(frozen=True)
class Platform:
    """All synthesized stacks, dependencies first, and their regions.

    `placeholders` are the placeholder values in the settings that were not replaced yet, each with its file.
    `kubernetes` are the supported versions, and `charts` those that Terraform may install.
    """

    regions: Sequence[Region]
    stacks: Sequence[Stack]
    placeholders: Sequence[str]
    kubernetes: Mapping[str, KubernetesVersion] = field(default_factory=dict)
    charts: Sequence[Chart] = ()

    def first(self, kind: Kind) -> Stack:
        """The stack of this kind of the environment from which images are promoted first, in-cluster with an Argo CD.

        Raises:
            OperationError: if no environment has one.
        """
        order = [(region.name, name) for region in self.regions for name in region.environments]
        stacks = {(one.region, one.environment): one for one in self.stacks if one.kind == kind and not one.further}
        stacks = {place: one for place, one in stacks.items() if not (one.is_in_cluster and one.hub)}
        found = next((stacks[place] for place in order if place in stacks), None)
        if found is None:
            raise OperationError(f"{kind}: no stack of this kind; {_REMEDY}")
        return found


@dataclass(frozen=True)
class _Entry:
    """A stack in `manifest.json`, with the field names of CDKTF."""

    workingDirectory: str  # noqa: N815
    dependencies: list[str]


@dataclass(frozen=True)
class _Manifest:
    stacks: dict[str, _Entry]


@dataclass(frozen=True)
class _Versioned:
    version: int


@dataclass(frozen=True)
class _Document:
    """The content of `platform.json`."""

    regions: list[Region]
    stacks: dict[str, dict[str, Any]]
    placeholders: list[str]
    kubernetes: dict[str, KubernetesVersion]
    charts: list[Chart]


def read_platform(output: Path) -> Platform:
    """The synthesized stacks and regions in `output`.

    Raises:
        OperationError: if nothing was synthesized, a file was written incompletely, or its format version differs.
    """
    entries, manifest, file = _manifest(output), output / _MANIFEST, output / _PLATFORM
    if not entries:
        raise OperationError(f"{manifest}: no stacks; {_REMEDY}")
    if not file.is_file():
        raise OperationError(f"{file}: not found; {_REMEDY}")
    content = read_json(file, _REMEDY)
    version: int = _checked(_Versioned, content, file).version
    if version != VERSION:
        raise OperationError(f"{file}: format version {version}, expected {VERSION}; {_REMEDY}")
    document: _Document = _checked(_Document, content, file)
    order = _in_order(entries, manifest)
    if missing := [name for name in order if name not in document.stacks]:
        raise OperationError(f"{file}: stacks.{missing[0]}: not found; {_REMEDY}")
    described = {
        name: {
            **document.stacks[name],
            "name": name,
            "directory": output / entries[name].workingDirectory,
            "dependencies": entries[name].dependencies,
        }
        for name in order
    }
    stacks: dict[str, Stack] = _checked(dict[str, Stack], described, file, "stacks")
    for name, stack in stacks.items():
        for member, kinds in _KINDS_WITH.items():
            if stack.kind in kinds and getattr(stack, member) is None:
                raise OperationError(f"{file}: stacks.{name}.{member}: required for the kind {stack.kind}; {_REMEDY}")
    return Platform(
        document.regions, list(stacks.values()), document.placeholders, document.kubernetes, document.charts
    )


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
    return {name: _configuration(output / entry.workingDirectory) for name, entry in _manifest(output).items()}


def _manifest(output: Path) -> dict[str, _Entry]:
    """The stacks in the manifest of CDKTF."""
    file = output / _MANIFEST
    if not file.is_file():
        raise OperationError(f"{file}: not found; synthesize first: make synth")
    manifest: _Manifest = _checked(_Manifest, read_json(file, _REMEDY), file)
    return manifest.stacks


def _in_order(entries: Mapping[str, _Entry], file: Path) -> list[str]:
    """The names of the stacks, dependencies first."""
    for name, entry in entries.items():
        if unknown := [other for other in entry.dependencies if other not in entries]:
            raise OperationError(f"{file}: stacks.{name}.dependencies: {unknown[0]}: no such stack; {_REMEDY}")
    try:
        sorter = TopologicalSorter({name: sorted(entry.dependencies) for name, entry in sorted(entries.items())})
        return list(sorter.static_order())
    except CycleError as error:
        raise OperationError(f"{file}: {' reads '.join(error.args[1])}: a cycle; {_REMEDY}") from error


def _configuration(directory: Path, *, has_backend: bool = False) -> dict[str, Any]:
    """The Terraform JSON in `directory`. Without a backend, Terraform would use an empty local state."""
    file = directory / "cdk.tf.json"
    configuration = read_json(file, _REMEDY)
    blocks = [configuration.get(block, {}) for block in ("resource", "data")] if _is_object(configuration) else [None]
    complete = all(
        _is_object(block)
        and all(_is_object(named) and all(_is_object(one) for one in named.values()) for named in block.values())
        for block in blocks
    )
    if complete and has_backend:
        terraform = configuration.get("terraform")
        backend = terraform.get("backend") if _is_object(terraform) else None
        complete = _is_object(backend) and bool(backend) and all(_is_object(values) for values in backend.values())
    if not complete:
        raise OperationError(f"{file}: written incompletely; {_REMEDY}")
    return dict(configuration)


def _is_object(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def _checked(kind: Any, value: Any, file: Path, where: str = "") -> Any:
    """A value of `file` as a `kind`, which is the type of a field; other fields of an object are ignored."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any or (origin is UnionType and value is None):
        return value
    if origin is UnionType:
        return _checked(arguments[0], value, file, where)
    expected, is_valid = _expected(kind, value)
    prefix = f"{where}." if where else ""
    if not is_valid:
        got = "an object" if isinstance(value, dict) else "a list" if isinstance(value, list) else json.dumps(value)
        raise OperationError(f"{file}: {where}{': ' if where else ''}got {got}, expected {expected}; {_REMEDY}")
    if is_dataclass(kind):
        if missing := [field.name for field in fields(kind) if field.name not in value]:
            raise OperationError(f"{file}: {prefix}{missing[0]}: not found; {_REMEDY}")
        values = {f.name: _checked(f.type, value[f.name], file, f"{prefix}{f.name}") for f in fields(kind)}
        return kind(**values)  # type: ignore[operator]
    if expected == "an object":
        return {name: _checked(arguments[1], member, file, f"{prefix}{name}") for name, member in value.items()}
    if expected == "a list":
        items = [_checked(arguments[0], item, file, f"{prefix}{index}") for index, item in enumerate(value)]
        return tuple(items) if origin is tuple else items
    return value


def _expected(kind: Any, value: Any) -> tuple[str, bool]:
    """What a JSON value of this type is called, and whether `value` is one."""
    origin = get_origin(kind)
    if origin is Literal:
        return f"one of {', '.join(get_args(kind))}", value in get_args(kind)
    if is_dataclass(kind) or origin in {dict, Mapping}:
        return "an object", isinstance(value, dict)
    if origin in {list, tuple, Sequence}:
        return "a list", isinstance(value, list)
    names = {str: "a string", int: "a number"}
    return names.get(kind, "a path"), isinstance(value, kind) and not isinstance(value, bool)


def backend_stacks(stacks: Sequence[Stack]) -> list[Stack]:
    """The backend stack of each account of each region, which owns the state bucket."""
    return [stack for stack in stacks if stack.kind == "backend"]


def environment_stacks(found: Sequence[Stack], environment: str | None) -> list[Stack]:
    """The stack of `environment` (such as `dev`, or the name of its stack), or of all environments if it is None.

    That of a further cluster has the name of the cluster, too, such as `dev-blue`.

    Raises:
        OperationError: if the environment does not exist, or exists in several regions.
    """
    known = [stack for stack in found if stack.kind == "environment"]
    chosen = [stack for stack in known if environment in {None, stack.name, stack.short_name}]
    if not chosen:
        names = ", ".join(stack.name for stack in known)
        raise OperationError(f"{environment}: no such environment; choose one of {names}")
    if environment is not None and len(chosen) > 1:
        names = ", ".join(stack.name for stack in chosen)
        raise OperationError(f"{environment}: exists in several regions; choose one of {names}")
    return chosen


def by_place(stacks: Sequence[Stack]) -> dict[str, list[Stack]]:
    """The stacks by region and account."""
    places: dict[str, list[Stack]] = {}
    for stack in stacks:
        places.setdefault(stack.place, []).append(stack)
    return places


def matrix(stacks: Sequence[Stack]) -> list[dict[str, str]]:
    """The matrix of a job of a workflow: the region and the stacks of each place, which has credentials of its own."""
    return [
        {"place": place, "region": of_place[0].region, "stacks": " ".join(stack.name for stack in of_place)}
        for place, of_place in sorted(by_place(stacks).items())
    ]


def select_stacks(found: Sequence[Stack], patterns: Sequence[str]) -> list[Stack]:
    """The stacks that match these names or globs, in the order of `found`; all stacks without patterns.

    Raises:
        OperationError: if patterns match no stack; the message lists each one with similar names. Also if the
            configuration of a stack was written incompletely.
    """
    problems = []
    for pattern in patterns:
        names = [stack.name for stack in found]
        if not any(fnmatchcase(name, pattern) for name in names):
            close = difflib.get_close_matches(pattern, names, cutoff=0.5) or names
            problems.append(f"{pattern}: no such stack; choose from {', '.join(close)}")
    if problems:
        raise OperationError("\n".join(problems))
    chosen = [s for s in found if not patterns or any(fnmatchcase(s.name, pattern) for pattern in patterns)]
    for stack in chosen:
        _ = stack.configuration
    return chosen


def all_producers(found: Sequence[Stack]) -> dict[str, set[str]]:
    """By stack name, its direct and indirect dependencies. `found` must list dependencies first."""
    every: dict[str, set[str]] = {}
    for stack in found:
        every[stack.name] = set(stack.dependencies).union(*[every[name] for name in stack.dependencies])
    return every
