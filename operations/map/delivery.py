"""The picture of delivery: how a service and a change of the settings reach the clusters of a region."""

import json
import re
from collections.abc import Sequence
from typing import Any

from operations.map.drawing import Arrow, Box
from operations.map.identities import principals
from operations.map.words import Word
from operations.terraform.stacks import Region, Stack

_GAP = 110


def picture(region: Region, stacks: Sequence[Stack], word: Word) -> tuple[Box, list[Arrow]]:
    """Two rows: services, from the images to each cluster, and stacks, from the plan to each deploy."""
    shared = [stack for stack in stacks if stack.kind == "shared"]
    clusters = [
        stack for name in region.environments for stack in stacks if stack.environment == name and stack.is_in_cluster
    ]
    services, of_services = _services(shared, clusters, word)
    changes, of_changes = _changes(region, shared, stacks, word)
    return Box(f"{word('Delivery')}: {region.name}", children=(services, changes)), of_services + of_changes


def _roles(shared: Sequence[Stack], prefix: str) -> list[dict[str, Any]]:
    """The roles of `shared` whose names in the stack start with the prefix."""
    return [
        role for stack in shared for key, role in stack.resources_of("aws_iam_role").items() if key.startswith(prefix)
    ]


def _services(shared: Sequence[Stack], clusters: Sequence[Stack], word: Word) -> tuple[Box, list[Arrow]]:
    pushed_by = [
        who for role in _roles(shared, "push-") for who in principals(json.loads(role["assume_role_policy"]), word)
    ]
    images = [one["name"] for stack in shared for one in stack.resources_of("aws_ecr_repository").values()]
    repositories = sorted({re.sub(r"^GitHub |:.*", "", who) for who in pushed_by})
    columns = [
        Box(word("application repository"), tuple(repositories), kind="outside", key="applications"),
        Box(f"ECR: {word('images')}", tuple(sorted(images)), kind="data", key="images"),
        Box(word("pull request"), (f"service/: {word('digest')}", word("review")), kind="network", key="digest"),
    ]
    arrows = [
        Arrow("applications", "images", "build-service"),
        Arrow("images", "digest", word("digest")),
    ]
    before, label = "digest", word("merge")
    for stack in clusters:
        key = f"sync-{stack.short_name}"
        lines = (stack.cluster.name if stack.cluster is not None else "",)
        title = f"{word('environment')} {stack.short_name}" if stack.hub else f"Argo CD {stack.short_name}"
        columns.append(Box(title, lines, kind="compute", key=key))
        arrows.append(Arrow(before, key, label))
        before, label = key, word("promote")
    return Box(word("services"), children=tuple(columns), across=True, gap=_GAP), arrows


def _changes(region: Region, shared: Sequence[Stack], stacks: Sequence[Stack], word: Word) -> tuple[Box, list[Arrow]]:
    plans = [role["name"] for role in _roles(shared, "plan_")]
    columns = [
        Box(word("this repository"), ("stacks/, constructs/",), kind="outside", key="change"),
        Box(word("plan"), tuple(plans), kind="identity", key="plan"),
        Box(word("guard"), (word("review"),), kind="network", key="guard"),
    ]
    arrows = [Arrow("change", "plan", word("pull request")), Arrow("plan", "guard", "")]
    before, label = "guard", word("merge")
    for name in ("shared", *region.environments):
        own = tuple(stack.name for stack in stacks if stack.environment == name)
        roles = tuple(role["name"] for role in _roles(shared, f"apply-{name}_"))
        columns.append(Box(name, roles + own, kind="identity", key=f"deploy-{name}"))
        arrows.append(Arrow(before, f"deploy-{name}", label))
        before, label = f"deploy-{name}", ""
    return Box(word("stacks"), children=tuple(columns), across=True, gap=_GAP), arrows
