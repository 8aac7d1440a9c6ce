"""Rules for all roles and policies, with the example settings and with alternative settings."""

import json
import re
from collections.abc import Callable, Iterator

import pytest

from eks_gitops.iam import Statement, policy_document, trust_policy
from tests import iam_data
from tests.policies import Role, all_policies, identity_policies, resource_policies, trust_policies
from tests.template import Json, Template

MANAGED_LIMIT = 6_144
INLINE_LIMIT = 10_240
TRUST_LIMIT = 2_048

_TOKEN = re.compile(r"\$\{[^}]*\}")


@pytest.fixture(scope="module")
def stacks(platform: dict[str, Template], alternative: dict[str, Template]) -> dict[str, Template]:
    return {**platform, **alternative}


def _roles(stacks: dict[str, Template]) -> Iterator[tuple[str, Role]]:
    for name, stack in stacks.items():
        for role in stack.resources("aws_iam_role"):
            yield name, Role(stack, role)


def _length(policy: str) -> int:
    """The size of a policy as counted by IAM. Each reference is counted as a long ARN."""
    return len(re.sub(r"\s", "", _TOKEN.sub("r" * 100, policy)))


def _statements(stacks: dict[str, Template]) -> Iterator[tuple[str, Json]]:
    for stack in stacks.values():
        for policy in all_policies(stack):
            for statement in policy.statements:
                yield policy.address, statement


def test_statement_is_rendered_sorted_and_without_empty_elements() -> None:
    statement = Statement(actions=["b:B", "a:A"], resources=["2", "1"])
    assert statement.render() == {"Effect": "Allow", "Action": ["a:A", "b:B"], "Resource": ["1", "2"]}


@pytest.mark.parametrize(
    "fields",
    [
        {"actions": [], "resources": ["*"]},
        {"actions": ["sts:AssumeRole"], "principals": {"AWS": []}},
        {"actions": ["sts:AssumeRole"], "principals": {"AWS": ["*"], "Service": []}},
    ],
)
def test_statement_rejects_empty_lists(fields: Json) -> None:
    with pytest.raises(ValueError, match="has an empty list; leave the statement out"):
        Statement(**fields)


@pytest.mark.parametrize(
    "fields", [{"except_actions": ["a:A"]}, {"except_actions": ["a:A"], "actions": ["b:B"], "effect": "Deny"}]
)
def test_statement_rejects_exceptions_from_other_than_a_denial(fields: Json) -> None:
    with pytest.raises(ValueError, match="except_actions is only for a Deny without actions"):
        Statement(**fields)


def test_statement_denies_everything_except_some_actions() -> None:
    statement = Statement(effect="Deny", except_actions=["b:B", "a:A"], resources=["*"])
    assert statement.render() == {"Effect": "Deny", "NotAction": ["a:A", "b:B"], "Resource": ["*"]}


def test_policy_document_rejects_a_statement_without_resources() -> None:
    with pytest.raises(
        ValueError, match=r"Statement\(actions=\['ecr:BatchGetImage'\].* has no resources; leave the st"
    ):
        policy_document(Statement(actions=["s3:GetObject"], resources=["*"]), Statement(actions=["ecr:BatchGetImage"]))


@pytest.mark.parametrize(
    "statement",
    [
        Statement(actions=["sts:AssumeRole"]),
        Statement(actions=["sts:AssumeRole"], principals={"AWS": ["1"]}, resources=["*"]),
    ],
)
def test_trust_policy_rejects_resources_and_a_statement_without_principals(statement: Statement) -> None:
    with pytest.raises(ValueError, match="a trust policy has principals and no resources"):
        trust_policy(statement)


@pytest.mark.parametrize("document", [policy_document, trust_policy])
def test_policy_rejects_having_no_statement(document: Callable[[], str]) -> None:
    with pytest.raises(ValueError, match="a policy without a statement; leave the policy out"):
        document()


def test_references_in_a_statement_stay_in_order() -> None:
    """With more than 1,000 tokens, the last of them would come first if they were sorted as text."""
    references = ["${TfToken[TOKEN.999]}", "${TfToken[TOKEN.1000]}"]
    principals = {"AWS": ["arn:aws:iam::123456789012:root", *references]}
    rendered = Statement(actions=["a:A"], resources=[*references, "*"], principals=principals).render()
    assert rendered["Resource"] == [*references, "*"]
    assert rendered["Principal"] == {"AWS": [*references, "arn:aws:iam::123456789012:root"]}


def test_no_statement_allows_every_action(stacks: dict[str, Template]) -> None:
    for address, statement in _statements(stacks):
        assert statement["Effect"] == "Deny" or "*" not in statement["Action"], address


def test_only_denials_are_for_all_actions_except_some(stacks: dict[str, Template]) -> None:
    for address, statement in _statements(stacks):
        assert not {"NotResource", "NotPrincipal"} & statement.keys(), address
        assert statement["Effect"] == "Deny" or "NotAction" not in statement, address


_TAGS_LIMITED_OTHERWISE = {
    ("aws-load-balancer-controller", "elasticloadbalancing:AddTags"),  # of listeners, in the published policy: boundary
    ("_domain", "route53:ChangeTagsForResource"),  # IAM has no condition on tags of zones
    ("_images-and-domain", "route53:ChangeTagsForResource"),
    ("_images-and-domain", "logs:*"),  # flow logs, which only the shared stack has
    ("assume-target", "sts:TagSession"),  # of the sessions of a role in another account, which the settings name
    ("replicate", "s3:ReplicateTags"),  # of the objects in the copy of the state bucket, by its name
}


def test_what_sets_tags_is_limited_to_own_or_new_resources(stacks: dict[str, Template]) -> None:
    """By the name of the resource, by a tag that it has or does not have yet, or by the action that creates it."""
    limited_otherwise = set()
    for stack, template in stacks.items():
        for policy in identity_policies(template):
            named = re.search(r"\.apply-([a-z]+)_", policy.address)
            environment = named[1] if named is not None else stack.rpartition("-")[2]
            for statement in policy.statements if "boundary" not in policy.address else []:
                if statement["Effect"] == "Deny" or _is_for_own_or_new(statement, environment):
                    continue
                for action in filter(_sets_tags, statement["Action"]):
                    limited_otherwise.add((re.split("_role_|(?=_)", policy.address)[-1], action))
    assert limited_otherwise == _TAGS_LIMITED_OTHERWISE


def _is_for_own_or_new(statement: Json, environment: str) -> bool:
    keys = {key for condition in statement.get("Condition", {}).values() for key in condition}
    names = [re.search(rf"[-/]{environment}(?![a-z])", resource) for resource in statement["Resource"]]
    return all(names) or any(key.startswith("aws:ResourceTag/") or key.endswith(":CreateAction") for key in keys)


def _sets_tags(action: str) -> bool:
    setting = [known for known in iam_data.matching(action) if "Tagging" in known.levels]
    return any(not re.search(":(Untag|Remove|Delete)", known.name) for known in setting)


def test_every_arn_has_the_regions_partition(stacks: dict[str, Template]) -> None:
    for name, stack in stacks.items():
        partition = "aws-us-gov" if name.startswith("us-gov-") else "aws"
        # The ARN of the administrator role is a setting that contains its own partition.
        text = json.dumps(stack.json).replace("arn:aws:iam::123456789012:role/your-admin-role", "")
        assert set(re.findall(r"arn:([a-z-]+):", text)) <= {partition}, name


def test_no_role_has_an_administrator_policy(stacks: dict[str, Template]) -> None:
    for _, role in _roles(stacks):
        assert not [name for name in role.aws_managed if "Administrator" in name or name.endswith("FullAccess")]


def test_names_contain_region_and_environment(stacks: dict[str, Template]) -> None:
    """Names of roles, policies and instance profiles must be unique in an account, across all regions."""
    for stack, template in stacks.items():
        names = ("backend", "shared", "dev", "staging", "prod")
        environments = [name for name in names if stack.endswith(("shared", name))]
        region = stack.rpartition("-")[0]
        for kind in ("aws_iam_role", "aws_iam_policy", "aws_iam_instance_profile"):
            for resource in template.resources(kind).values():
                assert resource["name"].startswith(tuple(f"{region}-{name}-" for name in environments))
                assert len(resource["name"]) <= 64


def test_roles_are_on_the_path_of_their_environment_or_of_delivery(stacks: dict[str, Template]) -> None:
    for stack, role in _roles(stacks):
        region, _, environment = stack.rpartition("-")
        path = role.arguments["path"]
        assert path in (f"/{region}/{environment}/", f"/{region}/delivery/")
        is_delivery = re.search(r"(?<!-runner)-(plan|apply|cluster-admin|argo-cd-backup)$", role.arguments["name"])
        assert path.endswith("/delivery/") is bool(is_delivery), role.arguments["name"]


def test_every_role_except_the_read_only_ones_and_that_of_s3_has_a_boundary(stacks: dict[str, Template]) -> None:
    without = {role.arguments["name"] for _, role in _roles(stacks) if "permissions_boundary" not in role.arguments}
    copy = "us-gov-west-1-backend-state-copy"  # no boundary exists before the backend stack
    assert without == {"ap-northeast-2-shared-plan", "us-gov-west-1-shared-plan", copy}


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_roles_of_an_environment_have_its_boundary(platform: dict[str, Template], environment: str) -> None:
    shared = platform["ap-northeast-2-shared"]
    boundary = f"${{aws_iam_policy.boundary-{environment}_policy.arn}}"
    (output,) = [
        name
        for name, output in shared.json["output"].items()
        if name.startswith("cross-stack-output") and output["value"] == boundary
    ]
    for role in platform[f"ap-northeast-2-{environment}"].resources("aws_iam_role").values():
        assert role["permissions_boundary"].endswith(f".outputs.{output}}}")


def test_managed_policies_are_within_the_size_limit(stacks: dict[str, Template]) -> None:
    for name, stack in stacks.items():
        for policy in stack.resources("aws_iam_policy").values():
            assert _length(policy["policy"]) <= MANAGED_LIMIT, (name, policy["name"])


def test_inline_policies_of_a_role_are_within_the_total_size_limit(stacks: dict[str, Template]) -> None:
    for _, role in _roles(stacks):
        assert sum(_length(policy) for policy in role.inline) <= INLINE_LIMIT, role.arguments["name"]


def test_trust_policies_are_within_the_size_limit(stacks: dict[str, Template]) -> None:
    for stack in stacks.values():
        for policy in trust_policies(stack):
            assert _length(policy.text) <= TRUST_LIMIT, policy.address


def test_no_trust_policy_allows_all_principals(stacks: dict[str, Template]) -> None:
    for stack in stacks.values():
        for policy in trust_policies(stack):
            for statement in policy.statements:
                assert "*" not in json.dumps(statement["Principal"]), policy.address


def test_resource_policies_allow_all_principals_only_with_a_condition(stacks: dict[str, Template]) -> None:
    for stack in stacks.values():
        for policy in resource_policies(stack):
            for statement in policy.statements:
                if "*" in json.dumps(statement["Principal"]) and statement["Effect"] == "Allow":
                    assert statement["Condition"], policy.address
