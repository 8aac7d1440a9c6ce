"""All identity policies, compared with the published actions, resource types and condition keys of AWS."""

from collections.abc import Iterator

import pytest

from tests import iam_data
from tests.policies import Role, identity_policies
from tests.template import Json, Template

PUBLISHED = "aws-load-balancer-controller"
"""The policy that the controller publishes; its unit test compares it. Some of its changes are allowed on `*`."""
ALTERNATIVES = {"route53:ChangeTagsForResource"}
"""Actions for which AWS publishes two required resource types, of which a request has one."""


@pytest.fixture(scope="module")
def statements(platform: dict[str, Template], alternative: dict[str, Template]) -> list[tuple[str, Json]]:
    return [
        (f"{policy.address} {statement.get('Sid', '')}", statement)
        for stack in (*platform.values(), *alternative.values())
        for policy in identity_policies(stack)
        for statement in policy.statements
    ]


def _patterns(statement: Json) -> list[str]:
    """The patterns of actions in a statement. A statement that denies every action has none."""
    return [action for action in (*statement.get("Action", ()), *statement.get("NotAction", ())) if action != "*"]


def test_every_action_exists(statements: list[tuple[str, Json]]) -> None:
    unknown = {
        f"{address}: {pattern}"
        for address, statement in statements
        for pattern in _patterns(statement)
        if not iam_data.matching(pattern)
    }
    assert not unknown, "\n".join(sorted(unknown))


def _unsupported_resources(statement: Json) -> Iterator[str]:
    """Actions without a resource of their type, and resources that no action has a type for."""
    resources = [resource for resource in statement["Resource"] if not resource.startswith("${")]
    if resources == ["*"] or len(resources) < len(statement["Resource"]):
        return  # references are ARNs that the stack knows only after a deploy
    used = set()
    for pattern in statement["Action"]:
        types = {resource.arn for action in iam_data.matching(pattern) for resource in action.resources}
        found = {resource for resource in resources for arn in types if iam_data.overlap(arn, resource)}
        if not found:
            yield f"{pattern}: has no resource type of {resources}"
        used |= found
    for resource in sorted(set(resources) - used):
        yield f"{resource}: is no resource of {statement['Action']}"


def test_every_action_and_resource_of_a_statement_belong_together(statements: list[tuple[str, Json]]) -> None:
    wrong = {
        f"{address}: {problem}"
        for address, statement in statements
        if "NotAction" not in statement and statement["Action"] != ["*"] and PUBLISHED not in address
        for problem in _unsupported_resources(statement)
    }
    assert not wrong, "\n".join(sorted(wrong))


def _unsupported_keys(statement: Json) -> Iterator[str]:
    for test, keys in statement.get("Condition", {}).items():
        passes_without_key = test.startswith("ForAllValues:") or test.endswith("IfExists")
        for key in keys:
            without = [
                pattern
                for pattern in statement["Action"]
                if not any(action.supports(key) for action in iam_data.matching(pattern))
            ]
            if without == statement["Action"] or (without and not passes_without_key):
                yield f"{key}: does not exist for {without}"


def test_every_action_supports_the_condition_keys_of_its_statement(statements: list[tuple[str, Json]]) -> None:
    wrong = {
        f"{address}: {problem}"
        for address, statement in statements
        if "NotAction" not in statement and statement["Action"] != ["*"]
        for problem in _unsupported_keys(statement)
    }
    assert not wrong, "\n".join(sorted(wrong))


def test_changes_are_allowed_on_all_resources_only_if_they_have_no_resource_types(
    statements: list[tuple[str, Json]],
) -> None:
    published = {action for address, statement in statements if PUBLISHED in address for action in statement["Action"]}
    wrong = {
        f"{address}: {action.name}"
        for address, statement in statements
        if statement["Effect"] == "Allow" and statement["Resource"] == ["*"]
        for pattern in statement["Action"]
        for action in iam_data.matching(pattern)
        if action.changes and action.resources and action.name not in published
    }
    assert not wrong, "\n".join(sorted(wrong))


def test_a_role_with_an_action_has_all_resource_types_that_the_action_requires(
    platform: dict[str, Template], alternative: dict[str, Template]
) -> None:
    """A request is denied if a role may not take the action on one of the resources, such as the image of a node."""
    wrong = {
        f"{name}: {pattern}: {arn}"
        for stack in (*platform.values(), *alternative.values())
        for name in stack.resources("aws_iam_role")
        for pattern, resources in _allowed(Role(stack, name)).items()
        for action in iam_data.matching(pattern)
        if "*" not in pattern
        and pattern not in ALTERNATIVES
        and not any(resource.startswith("${") for resource in resources)
        for arn in ([resource.arn for resource in action.required] or ([] if action.resources else ["*"]))
        if "*" not in resources and (arn == "*" or not any(iam_data.overlap(arn, resource) for resource in resources))
    }
    assert not wrong, "\n".join(sorted(wrong))


def _allowed(role: Role) -> dict[str, set[str]]:
    """The resources on which a role may take each action."""
    found: dict[str, set[str]] = {}
    for statement in role.statements:
        for pattern in statement["Action"]:
            found.setdefault(pattern, set()).update(statement["Resource"])
    return found
