"""Budgets and cost allocation tags, which are off in the example settings."""

import pytest

from eks_gitops.budget import Budget, BudgetConfig
from eks_gitops.location import Location
from tests.edited_settings import EditedSettings
from tests.policies import Role
from tests.template import Template, every_stack, one_stack

ACCOUNT = "123456789012"
TOPIC = f"arn:aws:sns:ap-northeast-2:{ACCOUNT}:platform"
BUDGETS = f"arn:aws:budgets::{ACCOUNT}:budget"
DEV, SHARED = "ap-northeast-2-dev", "ap-northeast-2-shared"


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Template]:
    """The stacks of the example settings with budgets of dev and prod, and two cost allocation tags."""
    settings = EditedSettings(tmp_path_factory.mktemp("settings"))
    for name, budget in {
        "dev": '{"monthly_limit": 400, "emails": ("a@your-domain.com", "b@your-domain.com")}',
        "prod": f'{{"monthly_limit": 2000, "topic_arn": "{TOPIC}", "alert_percentages": (50,)}}',
    }.items():
        settings.replace(f"ap_northeast_2/{name}.py", "    backup=", f"    budget={budget},\n    backup=")
    tags = 'owns_github_provider=True, cost_allocation_tags=("Environment", "CostCenter"),'
    settings.replace("ap_northeast_2/shared.py", "owns_github_provider=True,", tags)
    return every_stack(settings.load(), tmp_path_factory.mktemp("budgets"))


def test_without_the_settings_there_are_none_and_no_permissions(platform: dict[str, Template]) -> None:
    for template in platform.values():
        assert not template.resources("aws_budgets_budget")
        assert not template.resources("aws_ce_cost_allocation_tag")
    for role in ("apply-dev_role", "apply-shared_role", "plan_role"):
        assert not Role(platform[SHARED], role).may("budgets:ViewBudget", f"{BUDGETS}/{DEV}-cost", tags={})
        assert not Role(platform[SHARED], role).may("ce:ListCostAllocationTags", "*", tags={})


def test_budget_counts_what_has_the_tag_of_the_environment(stacks: dict[str, Template]) -> None:
    budget = stacks[DEV].only("aws_budgets_budget")
    assert (budget["name"], budget["account_id"]) == (f"{DEV}-cost", ACCOUNT)
    assert (budget["budget_type"], budget["time_unit"]) == ("COST", "MONTHLY")
    assert (budget["limit_amount"], budget["limit_unit"]) == ("400", "USD")
    assert budget["cost_filter"] == [{"name": "TagKeyValue", "values": ["user:Environment$dev"]}]
    assert not stacks["ap-northeast-2-staging"].resources("aws_budgets_budget")


def test_alerts_go_to_addresses_or_to_the_topic(stacks: dict[str, Template]) -> None:
    of_dev = stacks[DEV].only("aws_budgets_budget")["notification"]
    assert [alert["threshold"] for alert in of_dev] == [80, 100]
    for alert in of_dev:
        assert alert["subscriber_email_addresses"] == ["a@your-domain.com", "b@your-domain.com"]
        assert "subscriber_sns_topic_arns" not in alert
    (of_prod,) = stacks["ap-northeast-2-prod"].only("aws_budgets_budget")["notification"]
    assert of_prod == {
        "comparison_operator": "GREATER_THAN",
        "notification_type": "ACTUAL",
        "threshold": 50,
        "threshold_type": "PERCENTAGE",
        "subscriber_sns_topic_arns": [TOPIC],
    }


def test_tags_are_activated_by_the_shared_stack(stacks: dict[str, Template]) -> None:
    tags = stacks[SHARED].resources("aws_ce_cost_allocation_tag").values()
    assert {(tag["tag_key"], tag["status"]) for tag in tags} == {("Environment", "Active"), ("CostCenter", "Active")}


@pytest.mark.parametrize(
    ("role", "action", "resource", "allowed"),
    [
        ("apply-dev_role", "budgets:ModifyBudget", f"{BUDGETS}/{DEV}-cost", True),
        ("apply-dev_role", "budgets:TagResource", f"{BUDGETS}/{DEV}-cost", True),
        ("apply-dev_role", "budgets:ViewBudget", f"{BUDGETS}/{DEV}-cost", True),
        ("apply-dev_role", "budgets:ModifyBudget", f"{BUDGETS}/ap-northeast-2-prod-cost", False),
        ("apply-dev_role", "budgets:ModifyBudget", f"{BUDGETS}/of-the-company", False),
        ("apply-dev_role", "ce:UpdateCostAllocationTagsStatus", "*", False),
        ("apply-staging_role", "budgets:ModifyBudget", f"{BUDGETS}/ap-northeast-2-staging-cost", False),
        ("apply-shared_role", "ce:UpdateCostAllocationTagsStatus", "*", True),
        ("apply-shared_role", "ce:ListCostAllocationTags", "*", True),
        ("apply-shared_role", "budgets:ModifyBudget", f"{BUDGETS}/{DEV}-cost", False),
        ("plan_role", "budgets:ViewBudget", f"{BUDGETS}/{DEV}-cost", True),
        ("plan_role", "budgets:ListTagsForResource", f"{BUDGETS}/{DEV}-cost", True),
        ("plan_role", "budgets:ModifyBudget", f"{BUDGETS}/{DEV}-cost", False),
        ("plan_role", "budgets:ViewBudget", f"{BUDGETS}/of-the-company", False),
        ("plan_role", "ce:ListCostAllocationTags", "*", True),
        ("plan_role", "ce:UpdateCostAllocationTagsStatus", "*", False),
    ],
)
def test_roles_manage_what_is_theirs(
    stacks: dict[str, Template], role: str, action: str, resource: str, *, allowed: bool
) -> None:
    assert Role(stacks[SHARED], role).may(action, resource, tags={}) is allowed


def test_budgets_of_china_are_in_its_currency() -> None:
    config = BudgetConfig(monthly_limit=1, emails=("a@your-domain.com",))
    location = Location(account_id=ACCOUNT, region="cn-north-1", environment="dev")
    stack = one_stack(lambda stack: Budget(stack, "budget", config, location=location))
    assert stack.only("aws_budgets_budget")["limit_unit"] == "CNY"
