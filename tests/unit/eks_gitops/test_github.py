import pytest

from eks_gitops.github import GithubRepository
from stacks.settings import Owner, Region
from tests.policies import Role
from tests.template import Template

_ENVIRONMENTS = ("dev", "staging", "prod")
ISSUER = "token.actions.githubusercontent.com"


def _subjects(template: Template, role: str) -> list[str]:
    (trust,) = Role(template, role).trust["Statement"]
    subjects: list[str] = trust["Condition"]["StringEquals"][f"{ISSUER}:sub"]
    return subjects


def _federated(template: Template) -> list[str]:
    """The roles that can be assumed with tokens of GitHub."""
    return [
        name
        for name in template.resources("aws_iam_role")
        if "Federated" in Role(template, name).trust["Statement"][0]["Principal"]
    ]


def test_subjects_have_a_form_with_names_and_a_form_with_ids() -> None:
    repository = GithubRepository(owner="org", owner_id=10, name="platform", id=20)
    assert repository.subjects("environment:dev") == [
        "repo:org/platform:environment:dev",
        "repo:org@10/platform@20:environment:dev",
    ]


def test_provider_accepts_only_tokens_for_sts(shared: Template) -> None:
    provider = shared.only("aws_iam_openid_connect_provider")
    assert provider["url"] == f"https://{ISSUER}"
    assert provider["client_id_list"] == ["sts.amazonaws.com"]


def test_an_existing_provider_is_not_created_but_trusted(with_existing: dict[str, Template]) -> None:
    shared = with_existing["us-east-1-shared"]
    assert not shared.resources("aws_iam_openid_connect_provider")
    (trust,) = Role(shared, "plan_role").trust["Statement"]
    assert trust["Principal"] == {"Federated": [f"arn:aws:iam::123456789012:oidc-provider/{ISSUER}"]}


@pytest.mark.parametrize(
    ("role", "contexts"),
    [
        ("plan_role", ["environment:plan", "ref:refs/heads/main"]),
        ("backup-prod_role", ["ref:refs/heads/main"]),
        ("apply-shared_role", ["environment:shared"]),
        ("apply-dev_role", ["environment:dev"]),
        ("apply-staging_role", ["environment:staging"]),
        ("apply-prod_role", ["environment:prod"]),
    ],
)
def test_delivery_roles_trust_only_their_contexts_of_this_repository(
    shared: Template, role: str, contexts: list[str]
) -> None:
    repositories = ("repo:your-org/platform", "repo:your-org@1/platform@2")
    assert _subjects(shared, role) == [f"{name}:{context}" for name in repositories for context in contexts]


@pytest.mark.parametrize(
    ("role", "subjects"),
    [
        ("push-bubblepool_role", ["repo:your-org/bubblepool", "repo:your-org@1/bubblepool@3"]),
        ("push-guestbook_role", ["repo:your-org/guestbook", "repo:your-org@1/guestbook@4"]),
        ("push-hello_role", ["repo:your-org/hello", "repo:your-org@1/hello@5"]),
    ],
)
def test_push_roles_trust_only_the_environment_delivery_of_their_repository(
    shared: Template, role: str, subjects: list[str]
) -> None:
    assert _subjects(shared, role) == [f"{subject}:environment:delivery" for subject in subjects]


def test_trust_policies_match_complete_subjects(shared: Template, committed: tuple[Owner, list[Region]]) -> None:
    roles = _federated(shared)
    _, (region,) = committed
    of_this_repository = ["plan", "apply-shared", *(f"{n}-{e}" for n in ("apply", "backup") for e in _ENVIRONMENTS)]
    of_applications = [f"push-{repository.name}" for repository in region.shared.image_repositories]
    assert sorted(roles) == sorted(f"{name}_role" for name in [*of_this_repository, *of_applications])
    for role in roles:
        (trust,) = Role(shared, role).trust["Statement"]
        assert trust["Action"] == ["sts:AssumeRoleWithWebIdentity"]
        assert list(trust["Condition"]) == ["StringEquals"]
        assert trust["Condition"]["StringEquals"][f"{ISSUER}:aud"] == "sts.amazonaws.com"
        assert not [subject for subject in _subjects(shared, role) if "*" in subject]
