"""`platform.json`: what is known of the stacks, for those that read what was synthesized and not the settings.

`operations` reads it (`operations/terraform/stacks.py`) instead of taking names apart. Its paths are seen from the root
of the repository. A change of its form that older readers would misread raises `VERSION`.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, TypedDict

FILE = "platform.json"
VERSION = 1

Kind = Literal["backend", "shared", "environment", "in-cluster"]


class State(TypedDict):
    """Where a stack's state is stored and locked, and the stack that owns the bucket."""

    bucket: str
    key: str
    region: str
    lock_table: str | None
    backend: str


class Cluster(TypedDict):
    """A cluster's name, and the tags of which a resource that was made for it carries at least one."""

    name: str
    controller_tags: dict[str, str]


class Backups(TypedDict):
    """Where the backups of Argo CD are stored, and the alias of the KMS key that encrypts them."""

    bucket: str
    key_alias: str


class Stack(TypedDict):
    """One stack. `cluster` is that of an environment or of an in-cluster stack, `backups` that of an environment."""

    kind: Kind
    region: str
    environment: str
    part: str
    settings_file: str
    account_id: str
    state: State
    tags: dict[str, str]
    iam_path: str
    cluster: Cluster | None
    backups: Backups | None


class Region(TypedDict):
    """One region. `environments` are in the order of promotion; `push_role_prefix` begins the names of push roles."""

    name: str
    shared_settings_file: str
    environments: list[str]
    push_role_prefix: str


class Platform(TypedDict):
    """The whole file. `placeholders` are the values that the owner has not replaced yet, each with its file."""

    version: int
    regions: list[Region]
    stacks: dict[str, Stack]
    placeholders: list[str]


def write_platform(
    folder: Path, regions: Iterable[Region], stacks: dict[str, Stack], placeholders: Sequence[str]
) -> None:
    """Write the file into `folder`, the same for the same settings."""
    platform: Platform = {
        "version": VERSION,
        "regions": list(regions),
        "stacks": stacks,
        "placeholders": list(placeholders),
    }
    (folder / FILE).write_text(json.dumps(platform, indent=2, sort_keys=True) + "\n", encoding="utf-8")
