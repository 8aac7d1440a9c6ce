"""The picture of the identities of a stack: who assumes each role, and what it may use."""

import json
import re
from collections.abc import Iterator
from typing import Any

from operations.map.drawing import Arrow, Box, aligned
from operations.map.words import Word
from operations.terraform.stacks import Stack

_ROLE = re.compile(r"\$\{aws_iam_role\.([\w-]+)\.")
_POLICY = re.compile(r"\$\{aws_iam_policy\.([\w-]+)\.")
_POD = ("aws:RequestTag/kubernetes-namespace", "aws:RequestTag/kubernetes-service-account")
_SUBJECT = ":sub"
_MOST = 78
"""Letters of a line."""


def picture(stack: Stack, word: Word) -> tuple[Box, list[Arrow]]:
    """A row for each role: who, the role, and the AWS services of its policies."""
    rows, arrows = [], []
    policies = stack.resources_of("aws_iam_policy")
    used: dict[str, list[str]] = {}
    for one in stack.resources_of("aws_iam_role_policy").values():
        used.setdefault(_name(one["role"]), []).append(f"{one['name']}: {_services(one['policy'])}")
    for one in stack.resources_of("aws_iam_role_policy_attachment").values():
        found = _POLICY.match(one["policy_arn"])
        if found and found[1] in policies:
            text = f"{policies[found[1]]['name'].rpartition('-')[2]}: {_services(policies[found[1]]['policy'])}"
        else:
            text = one["policy_arn"].rpartition("/")[2].rstrip("}")
        used.setdefault(_name(one["role"]), []).append(text)
    for key, role in sorted(stack.resources_of("aws_iam_role").items(), key=lambda item: str(item[1]["name"])):
        who = tuple(dict.fromkeys(principals(json.loads(role["assume_role_policy"]), word)))
        may = tuple(line for text in sorted(used.get(key, [word("none")])) for line in _folded(text))
        rows.append(
            Box(
                children=(
                    Box(lines=who, kind="outside", key=f"{key} who"),
                    Box(role["name"], (role.get("description", ""),), kind="identity", key=key),
                    Box(lines=may, key=f"{key} may", kind="data"),
                ),
                across=True,
                gap=90,
            )
        )
        arrows += [Arrow(f"{key} who", key, word("assumes")), Arrow(key, f"{key} may", word("may use"))]
    return Box(stack.name, children=aligned(rows)), arrows


def _name(reference: str) -> str:
    found = _ROLE.match(reference)
    return found[1] if found else reference


def _services(policy: str) -> str:
    """The AWS services whose actions a policy allows; with `pass` where a role may be handed on."""
    names = set()
    for statement in json.loads(policy)["Statement"]:
        if statement["Effect"] == "Allow":
            actions = statement.get("Action", [])
            for action in [actions] if isinstance(actions, str) else actions:
                names.add("iam:PassRole" if action == "iam:PassRole" else action.partition(":")[0])
    return ", ".join(sorted(names))


def _folded(text: str) -> Iterator[str]:
    line = ""
    for part in text.split(", "):
        if line and len(line) + len(part) > _MOST:
            yield f"{line},"
            line = f"  {part}"
        else:
            line = f"{line}, {part}" if line else part
    yield line


def principals(trust: dict[str, Any], word: Word) -> Iterator[str]:
    """Who may assume a role: workflows of GitHub, Pods, AWS services, and other principals."""
    for statement in trust["Statement"]:
        conditions = {key: value for some in statement.get("Condition", {}).values() for key, value in some.items()}
        for kind, value in statement["Principal"].items():
            for principal in [value] if isinstance(value, str) else value:
                if kind == "Federated":
                    yield from _subjects(conditions) or [principal.rpartition("/")[2]]
                elif kind == "Service" and principal == "pods.eks.amazonaws.com" and _POD[0] in conditions:
                    yield f"Pod {conditions[_POD[0]]}/{conditions[_POD[1]]}"
                elif kind == "Service":
                    yield f"{word('service')} {principal}"
                else:
                    yield str(principal)


def _subjects(conditions: dict[str, Any]) -> list[str]:
    """The repositories and environments of GitHub; those with numbers are the same, in the newer format."""
    found = [value for key, value in conditions.items() if key.endswith(_SUBJECT)]
    texts = [text for value in found for text in ([value] if isinstance(value, str) else value)]
    return [f"GitHub {text.removeprefix('repo:')}" for text in texts if "@" not in text]
