"""Evaluates a key policy or a trust policy: whether it allows what a statement of the platform allows.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import product
from typing import Any, Literal, NamedTuple

Verdict = Literal["allowed", "missing", "unknown"]

# What the patterns of actions in the statements of the platform mean.
# Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awskeymanagementservice.html
_ACTIONS = {
    "kms:GenerateDataKey*": ("kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext"),
    "kms:ReEncrypt*": ("kms:ReEncryptFrom", "kms:ReEncryptTo"),
}
_EXACT = {"Bool", "StringEquals"}
_PATTERNS = {"ArnEquals", "ArnLike", "StringLike"}


class _Request(NamedTuple):
    """One action of one principal, such as `("AWS", "*")`, with the values of the condition keys that are known."""

    principal: tuple[str, str]
    action: str
    context: Mapping[str, str]


def verdict(policy: Mapping[str, Any], required: Mapping[str, Any], account_id: str) -> Verdict:
    """Whether a policy allows all that a statement allows; unknown if conditions on other keys decide it."""
    verdicts = {_verdict(_list(policy.get("Statement")), request) for request in _requests(required, account_id)}
    return "missing" if "missing" in verdicts else "unknown" if "unknown" in verdicts else "allowed"


def _requests(required: Mapping[str, Any], account_id: str) -> Iterator[_Request]:
    """Each request that a statement of the platform allows. Its conditions only compare strings."""
    principals = [(kind, name) for kind, names in required["Principal"].items() for name in _list(names)]
    actions = [one for action in required["Action"] for one in _ACTIONS.get(action, (action,))]
    keys = {key: _list(values) for test in required.get("Condition", {}).values() for key, values in test.items()}
    for principal, action, *values in product(principals, actions, *keys.values()):
        context = {"aws:SecureTransport": "true", **dict(zip(keys, values, strict=True))}
        if principal[0] == "AWS":
            context |= {"aws:PrincipalAccount": account_id, "kms:CallerAccount": account_id}
        yield _Request(principal, action, {key.lower(): value for key, value in context.items()})


def _verdict(statements: Sequence[Mapping[str, Any]], request: _Request) -> Verdict:
    matched = {(one.get("Effect"), _matches(one, request)) for one in statements}
    if ("Deny", True) in matched or not matched & {("Allow", True), ("Allow", None)}:
        return "missing"
    return "allowed" if ("Allow", True) in matched and ("Deny", None) not in matched else "unknown"


def _matches(statement: Mapping[str, Any], request: _Request) -> bool | None:
    """Whether a statement is about a request; None if that depends on a condition key that is not known."""
    tests = [
        _has_principal(statement, request.principal),
        _has_action(statement, request.action),
        *(
            _holds(operator, _list(values), request.context.get(key.lower()))
            for operator, test in (statement.get("Condition") or {}).items()
            for key, values in test.items()
        ),
    ]
    return _all(tests)


def _all(tests: Iterable[bool | None]) -> bool | None:
    found = set(tests)
    return False if False in found else None if None in found else True


def _has_principal(statement: Mapping[str, Any], principal: tuple[str, str]) -> bool | None:
    if "Principal" not in statement:
        return None  # NotPrincipal
    named, (kind, name) = statement["Principal"], principal
    if named == "*":
        return True
    names = _list(named.get(kind))
    # A root principal is also written as the ID of its account.
    return "*" in names or name in names or (name.endswith(":root") and name.split(":")[4] in names)


def _has_action(statement: Mapping[str, Any], action: str) -> bool:
    patterns = _list(statement.get("Action", statement.get("NotAction")))
    found = any(fnmatchcase(action.lower(), pattern.lower()) for pattern in patterns)
    return found == ("Action" in statement)


def _holds(operator: str, expected: Sequence[Any], value: str | None) -> bool | None:
    """Whether a condition holds; None if its operator or the value of its key is not known."""
    name = operator.rpartition(":")[2].removesuffix("IfExists")
    positive = name.replace("Not", "")
    if value is None or positive not in _EXACT | _PATTERNS:
        return None
    if positive in _PATTERNS:
        found = any(fnmatchcase(value, str(pattern)) for pattern in expected)
    else:
        found = value in {str(one).lower() if isinstance(one, bool) else str(one) for one in expected}
    return found == (positive == name)


def _list(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]
