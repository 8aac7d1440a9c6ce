"""Stacks as `operations` reads them, for tests."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from eks_gitops.controller_tags import controller_tags
from operations.terraform.stacks import VERSION, Backups, Cluster, Kind, Region, Stack, State

REGION = "ap-northeast-2"
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}},
        ],
    }
)
"""The trust policy of a role whose trust does not matter."""

ACCOUNT = "123456789012"

STACKS: tuple[tuple[str, Kind, str, tuple[str, ...]], ...] = (
    ("backend", "backend", "shared", ()),
    ("shared", "shared", "shared", ()),
    ("dev", "environment", "dev", ("shared",)),
    ("dev-gitops", "in-cluster", "dev", ("dev",)),
    ("prod", "environment", "prod", ("shared",)),
)
"""The stacks of a small region: name, kind, environment, and the stacks that each reads."""


def make_stack(  # noqa: PLR0913 (each argument is varied by a test)
    environment: str = "dev",
    directory: Path = Path(),
    *,
    kind: Kind = "environment",
    name: str = "",
    reads: Iterable[str] = (),
    region: str = REGION,
    account_id: str = ACCOUNT,
    **more: Any,
) -> Stack:
    """A stack of an environment: by default with its AWS resources, and its state in the bucket `state`."""
    name = name or f"{region}-{environment}{'-gitops' if kind == 'in-cluster' else ''}"
    cluster = f"gitops-cluster-{environment}"
    tags = {"Environment": environment, "Project": "gitops-platform", "Region": region}
    in_or_beside = kind in {"environment", "in-cluster"}
    values: dict[str, Any] = {
        "settings_file": f"stacks/{region.replace('-', '_')}/{environment}.py",
        "state": State("state", f"{name}.tfstate", region, None, f"{region}-backend"),
        "tags": tags,
        "iam_path": f"/{region}/{environment}/",
        "cluster": Cluster(cluster, controller_tags(cluster)) if in_or_beside else None,
        "backups": Backups(f"your-org-{region}-{environment}-backups", f"alias/{region}/{environment}")
        if kind == "environment"
        else None,
        **more,
    }
    return Stack(
        name=name,
        directory=directory,
        dependencies=tuple(reads),
        kind=kind,
        region=region,
        environment=environment,
        account_id=account_id,
        **values,
    )


def make_further_stack(directory: Path = Path(), *, kind: Kind = "environment", **more: Any) -> Stack:
    """A stack of the further cluster `blue` of dev."""
    name = "gitops-cluster-dev-blue"
    tags = {"Environment": "dev", "Project": "gitops-platform", "Region": REGION, "Cluster": "blue"}
    return make_stack(
        "dev",
        directory,
        kind=kind,
        name=f"{REGION}-dev-blue{'-gitops' if kind == 'in-cluster' else ''}",
        cluster=Cluster(name, controller_tags(name), "blue"),
        tags=tags,
        **more,
    )


def write_output(output: Path, stacks: Iterable[Stack], regions: Iterable[Region] = ()) -> None:
    """Write `manifest.json` and `platform.json` for these stacks, whose folders are in `output`."""
    manifest, described = {}, {}
    for stack in stacks:
        directory = str(stack.directory.relative_to(output))
        manifest[stack.name] = {"dependencies": [*stack.dependencies], "workingDirectory": directory}
        described[stack.name] = {
            name: value for name, value in asdict(stack).items() if name not in {"name", "directory", "dependencies"}
        }
    platform = {
        "version": VERSION,
        "regions": [asdict(region) for region in regions],
        "stacks": described,
        "placeholders": [],
        "kubernetes": {},
        "charts": [],
    }
    (output / "manifest.json").write_text(json.dumps({"stacks": manifest}))
    (output / "platform.json").write_text(json.dumps(platform))
