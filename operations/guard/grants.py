"""Compares IAM policies: what one allows that another does not."""

import json
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple


class Grant(NamedTuple):
    """One action on one resource, for one principal, under a condition. `Not` elements are not expanded."""

    principal: str
    action: str
    resource: str
    condition: str

    def covers(self, other: "Grant") -> bool:
        """Whether this allows everything that `other` allows. A condition covers itself only; none covers all."""
        if self.condition not in {"", other.condition}:
            return False
        return all(mine == its or fnmatchcase(its, mine) for mine, its in zip(self[:3], other[:3], strict=True))

    def __str__(self) -> str:
        principal = "anyone" if self.principal == "*" else self.principal
        parts = (("on", self.resource), ("for", principal), ("if", self.condition))
        return " ".join([self.action, *(f"{word} {part}" for word, part in parts if part)])


def gained(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """The grants that `new` allows and `old` did not, then the denials of `old` that `new` lacks."""
    had = list(_grants(old, "Allow"))
    for grant in _grants(new, "Allow"):
        if not any(other.covers(grant) for other in had):
            yield str(grant)
    denies = list(_grants(new, "Deny"))
    for denied in _grants(old, "Deny"):
        if not any(other.covers(denied) for other in denies):
            yield f"{denied} (no longer denied)"


def administrative(policy: Mapping[str, Any]) -> Iterator[str]:
    """The grants of administrator access or of access for anyone, each with a description."""
    for grant in _grants(policy, "Allow"):
        is_public = grant.principal == "*" and not grant.condition
        allows_all = grant.action in {"*", "*:*", "iam:*"} and grant.resource == "*" and not grant.principal
        if is_public:
            yield f"grants access to anyone: {grant._replace(principal='')}"
        elif allows_all or grant.action.startswith("Not"):
            yield f"grants administrator access: {grant}"


def _grants(policy: Mapping[str, Any], effect: str) -> Iterator[Grant]:
    for statement in _list(policy.get("Statement")):
        # Terraform accepts any JSON in a plan; AWS rejects invalid statements.
        if not isinstance(statement, dict) or statement.get("Effect") != effect:
            continue
        condition = json.dumps(statement["Condition"], sort_keys=True) if statement.get("Condition") else ""
        for principal in _principals(statement):
            for action in _values(statement, "Action"):
                for resource in _values(statement, "Resource") or [""]:
                    yield Grant(principal, action, resource, condition)


def _principals(statement: Mapping[str, Any]) -> list[str]:
    principal = statement.get("Principal", statement.get("NotPrincipal"))
    if principal is None:
        return [""]
    if "NotPrincipal" in statement:
        return [f"NotPrincipal {json.dumps(principal, sort_keys=True)}"]
    if not isinstance(principal, dict):
        return [str(principal)]
    return ["*" if value == "*" else f"{kind} {value}" for kind, values in principal.items() for value in _list(values)]


def _values(statement: Mapping[str, Any], name: str) -> list[str]:
    if f"Not{name}" in statement:
        return [f"Not{name} {' '.join(sorted(_list(statement[f'Not{name}'])))}"]
    return [str(value) for value in _list(statement.get(name))]


def _list(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]
