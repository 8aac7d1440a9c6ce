"""`platform.json`: a description of the stacks, for programs that read the synthesized output and not the settings.

`operations` reads it (`operations/terraform/stacks.py`) instead of parsing names. Paths are relative to the root of the
repository. Increase `VERSION` for an incompatible change of the format.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, TypedDict

from eks_gitops.versions import (
    ADDON_SETS,
    ARGO_CD_CHARTS,
    ARGOCD_APPS_CHART,
    EKS_VERSIONS,
    LOAD_BALANCER_CONTROLLER_CHART,
)

FILE = "platform.json"
VERSION = 4

Kind = Literal["backend", "shared", "environment", "in-cluster"]


class State(TypedDict):
    """Where a stack's state is stored and locked, and the `backend` stack that owns the bucket."""

    bucket: str
    key: str
    region: str
    lock_table: str | None
    backend: str


class Cluster(TypedDict):
    """A cluster's name, and its controller tags: a resource that was created for the cluster has at least one.

    `further` is the name of a further cluster within its environment, and empty for the first. `hub` is the environment
    whose Argo CD deploys to the cluster, and empty if it has its own.
    """

    name: str
    controller_tags: dict[str, str]
    further: str
    hub: str


class Backups(TypedDict):
    """The bucket of the Argo CD backups, and the alias of the key that encrypts them, or the ARN of an existing key."""

    bucket: str
    key_id: str


class ExistingKey(TypedDict):
    """A KMS key that no stack creates, and the statements that its key policy needs, in the grammar of IAM."""

    arn: str
    statements: list[dict[str, object]]


class ExistingRole(TypedDict):
    """A role that no stack creates, the AWS service that assumes it, and the managed policies that it needs."""

    arn: str
    service: str
    policies: list[str]


class Existing(TypedDict):
    """What a stack uses and no stack creates: a key, roles of a cluster and its nodes, and the ARNs of the rest."""

    key: ExistingKey | None
    repositories: list[str]
    github_provider: str | None
    permissions_boundary: str | None
    roles: list[ExistingRole]


class Subnet(TypedDict):
    """A subnet of an existing VPC: `private`, `public` or `database`, in a zone, by its ID or else by its tags."""

    kind: str
    zone: str
    id: str | None
    tags: dict[str, str]


class ExistingVpc(TypedDict):
    """A VPC that the platform does not create, and what a stack needs in it, by the kind of subnet.

    `addresses` are those that it uses at most, and `tags` those by which controllers of its cluster find subnets.
    """

    id: str
    cidr: str
    subnets: list[Subnet]
    addresses: dict[str, int]
    tags: dict[str, dict[str, str]]


class Stack(TypedDict):
    """One stack. `cluster` is set for environment and in-cluster stacks, `backups` for environment stacks.

    `account` is the name of a further account of the region, and empty for the account of the region.
    `existing_vpc` is set for the shared stack and environment stacks of a region with such a VPC. `usage` is what the
    calculation of the cost assumes, by the names of the settings.
    """

    kind: Kind
    region: str
    environment: str
    part: str
    settings_file: str
    account_id: str
    account: str
    state: State
    tags: dict[str, str]
    iam_path: str
    cluster: Cluster | None
    backups: Backups | None
    existing_vpc: ExistingVpc | None
    existing: Existing
    usage: dict[str, int]


class Region(TypedDict):
    """One region. `environments` are in order of promotion; `push_role_prefix` is the name prefix of push roles."""

    name: str
    shared_settings_file: str
    environments: list[str]
    push_role_prefix: str


class KubernetesVersion(TypedDict):
    """A Kubernetes version: when its standard support ends, and the versions of add-ons that are tested with it."""

    end_of_standard_support: str
    addons: dict[str, str]


class Chart(TypedDict):
    """A version of a Helm chart, and the first and last Kubernetes version that it is tested with."""

    name: str
    version: str
    first: str
    last: str


class Platform(TypedDict):
    """The content of the file. `placeholders` are the values that have not been replaced yet, each with its file.

    `kubernetes` are the supported versions, oldest first.
    """

    version: int
    regions: list[Region]
    stacks: dict[str, Stack]
    placeholders: list[str]
    kubernetes: dict[str, KubernetesVersion]
    charts: list[Chart]


def write_platform(
    folder: Path, regions: Iterable[Region], stacks: dict[str, Stack], placeholders: Sequence[str]
) -> None:
    """Write the file to `folder`. The content is deterministic."""
    platform: Platform = {
        "version": VERSION,
        "regions": list(regions),
        "stacks": stacks,
        "placeholders": list(placeholders),
        "kubernetes": {
            version: {
                "end_of_standard_support": support.end_of_standard_support.isoformat(),
                "addons": dict(ADDON_SETS[version].versions) if version in ADDON_SETS else {},
            }
            for version, support in EKS_VERSIONS.items()
        },
        "charts": [
            {"name": chart.name, "version": chart.version, "first": chart.kubernetes[0], "last": chart.kubernetes[1]}
            for chart in (*ARGO_CD_CHARTS.values(), LOAD_BALANCER_CONTROLLER_CHART, ARGOCD_APPS_CHART)
        ],
    }
    (folder / FILE).write_text(json.dumps(platform, indent=2, sort_keys=True) + "\n", encoding="utf-8")
