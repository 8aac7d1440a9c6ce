"""A monthly limit of the cost of an environment, with alerts, and the tags by which AWS tells costs apart."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from cdktf_cdktf_provider_aws.budgets_budget import BudgetsBudget, BudgetsBudgetCostFilter, BudgetsBudgetNotification
from cdktf_cdktf_provider_aws.ce_cost_allocation_tag import CeCostAllocationTag
from constructs import Construct
from pydantic import Field

from eks_gitops.config import Config, Count, Problem, matching
from eks_gitops.location import Location
from eks_gitops.values import listed_twice

MOST_ALERTS = 10
MOST_EMAILS = 10
"""The most alerts of a budget, and the most addresses of an alert.

Source: `CreateBudgetRequest` and `Subscribers` of AWS Budgets in botocore 1.43, of which one is an SNS topic:
https://docs.aws.amazon.com/cost-management/latest/userguide/budgets-create.html
"""

CostTag = Literal["Cluster", "CostCenter", "Environment", "ManagedBy", "Owner", "Project", "Region"]
"""The tags of the platform's resources."""

Email = Annotated[
    str,
    matching(
        r"(?=.{3,254}$)[A-Za-z0-9.!#%&'*+/=?^_~-]+@([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]{2,}",
        "not an email address; write one such as platform@your-domain.com",
    ),
]
TopicArn = Annotated[
    str,
    matching(
        r"arn:(aws|aws-cn|aws-us-gov):sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}",
        "not the ARN of an SNS topic; write arn:aws:sns:<region>:<account id>:<name>",
    ),
]


class BudgetConfig(Config):
    """A budget of an environment in AWS Budgets. It stops nothing: it alerts.

    It counts what has the tag `Environment` of the environment, in all regions of the account, once that tag is a cost
    allocation tag (`cost_allocation_tags`).
    """

    monthly_limit: Count
    """The limit of a month, in US dollars, or in CNY in the regions of China."""
    alert_percentages: tuple[Annotated[int, Field(strict=True, ge=1, le=1000)], ...] = (80, 100)
    """The parts of the limit, in percent, whose excess by the actual cost alerts."""
    topic_arn: TopicArn | None = None
    """An existing SNS topic of the account that receives the alerts. Its policy must permit `budgets.amazonaws.com` to
    publish."""
    emails: tuple[Email, ...] = ()
    """The addresses that receive the alerts, if there is no topic, or besides it."""

    def problems(self) -> Iterator[Problem]:
        """No one to alert, no alerts, too many of them, or duplicates."""
        if not self.emails and self.topic_arn is None:
            yield Problem("emails", self.emails, "nobody to alert; list an address, or set topic_arn")
        if len(self.emails) > MOST_EMAILS:
            yield Problem("emails", f"{len(self.emails)} addresses", f"AWS allows {MOST_EMAILS}; use a topic or a list")
        if not 1 <= len(self.alert_percentages) <= MOST_ALERTS:
            count = f"{len(self.alert_percentages)} alerts"
            yield Problem("alert_percentages", count, f"write 1 to {MOST_ALERTS}, such as (80, 100)")
        yield from listed_twice("emails", self.emails, "address")
        yield from listed_twice("alert_percentages", self.alert_percentages, "percentage")


class Budget(Construct):
    """The budget. AWS Budgets is a global service: the budget belongs to the account, and its name has the region.

    Source of the format of the filter: https://docs.aws.amazon.com/cost-management/latest/userguide/budgets-create-filters.html
    and https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/budgets_budget
    """

    def __init__(self, scope: Construct, id_: str, config: BudgetConfig, *, location: Location) -> None:
        super().__init__(scope, id_)
        BudgetsBudget(
            self,
            "budget",
            account_id=location.account_id,
            name=location.name("cost"),
            budget_type="COST",
            time_unit="MONTHLY",
            limit_amount=str(config.monthly_limit),
            limit_unit="CNY" if location.partition == "aws-cn" else "USD",
            cost_filter=[
                BudgetsBudgetCostFilter(name="TagKeyValue", values=[f"user:Environment${location.environment}"])
            ],
            notification=[
                BudgetsBudgetNotification(
                    comparison_operator="GREATER_THAN",
                    notification_type="ACTUAL",
                    threshold=percentage,
                    threshold_type="PERCENTAGE",
                    subscriber_email_addresses=list(config.emails) or None,
                    subscriber_sns_topic_arns=None if config.topic_arn is None else [config.topic_arn],
                )
                for percentage in config.alert_percentages
            ],
        )


class CostAllocationTags(Construct):
    """Activated cost allocation tags. Only the account that pays, of an organization the management account, can.

    Source: https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/activating-tags.html
    """

    def __init__(self, scope: Construct, id_: str, tags: Sequence[CostTag]) -> None:
        super().__init__(scope, id_)
        for tag in tags:
            CeCostAllocationTag(self, tag, tag_key=tag, status="Active")
