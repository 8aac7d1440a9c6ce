"""WebAcl: a web ACL of AWS WAF for the load balancer of an environment's services, with managed rules of AWS."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from cdktf_cdktf_provider_aws.wafv2_web_acl import (
    Wafv2WebAcl,
    Wafv2WebAclDefaultAction,
    Wafv2WebAclDefaultActionAllow,
    Wafv2WebAclRule,
    Wafv2WebAclRuleAction,
    Wafv2WebAclRuleActionBlock,
    Wafv2WebAclRuleActionCount,
    Wafv2WebAclRuleOverrideAction,
    Wafv2WebAclRuleOverrideActionCount,
    Wafv2WebAclRuleOverrideActionNone,
    Wafv2WebAclRuleVisibilityConfig,
    Wafv2WebAclVisibilityConfig,
)
from constructs import Construct
from pydantic import Field

from eks_gitops.config import Config, Problem, matching
from eks_gitops.location import Location
from eks_gitops.values import listed_twice

_MANAGED = (
    ("ip-reputation", "AWSManagedRulesAmazonIpReputationList"),
    ("common", "AWSManagedRulesCommonRuleSet"),
    ("known-bad-inputs", "AWSManagedRulesKnownBadInputsRuleSet"),
)
"""The managed rule groups, in their order. Together with the limit, they need 927 of the 1,500 units of a web ACL.

Source: https://docs.aws.amazon.com/waf/latest/developerguide/aws-managed-rule-groups-list.html
"""
_MOST_COUNTED = 100

RuleName = Annotated[
    str, matching(r"[A-Za-z0-9_-]{1,128}", "not the name of a rule; write one such as SizeRestrictions_BODY")
]
"""The name of a rule of a rule group. Source: `EntityName` of AWS WAF in botocore 1.43."""


class WebAclConfig(Config):
    """A web ACL that the platform creates: managed rules of AWS, and a limit of requests.

    The managed rules are the IP reputation list of Amazon, the common rule set, and known bad inputs.
    """

    mode: Literal["block", "count"] = "block"
    """Whether requests that match a rule are refused with 403, or only counted in metrics and samples. Start with
    `count`: the common rule set refuses bodies of more than 8 KB, among others."""
    counted_rules: tuple[RuleName, ...] = ()
    """Rules of the common rule set that only count with `block`, too, such as `SizeRestrictions_BODY` for uploads. AWS
    ignores a name that no rule has."""
    requests_per_5_minutes: Annotated[int, Field(strict=True, ge=10, le=2_000_000_000)] | None = 2000
    """The requests that one IP address may make in five minutes, or None for no limit."""

    def problems(self) -> Iterator[Problem]:
        """Duplicates, or too many counted rules."""
        yield from listed_twice("counted_rules", self.counted_rules, "rule")
        if len(self.counted_rules) > _MOST_COUNTED:
            message = f"AWS WAF allows {_MOST_COUNTED}; set mode to count"
            yield Problem("counted_rules", f"{len(self.counted_rules)} rules", message)


class WebAcl(Construct):
    """A web ACL of the region, with metrics in CloudWatch and samples of requests.

    The load balancer controller associates it by its name: no annotation of an Ingress removes it then.
    """

    def __init__(self, scope: Construct, id_: str, config: WebAclConfig, *, location: Location) -> None:
        super().__init__(scope, id_)
        name = web_acl_name(location)
        rules = [_managed(config, priority, *names) for priority, names in enumerate(_MANAGED, start=1)]
        if config.requests_per_5_minutes is not None:
            rules.insert(0, _limit(config, config.requests_per_5_minutes))
        Wafv2WebAcl(
            self,
            "web-acl",
            name=name,
            description=f"The load balancer of the services of {location.region} {location.environment}",
            scope="REGIONAL",
            default_action=Wafv2WebAclDefaultAction(allow=Wafv2WebAclDefaultActionAllow()),
            visibility_config=Wafv2WebAclVisibilityConfig(
                cloudwatch_metrics_enabled=True, metric_name=name, sampled_requests_enabled=True
            ),
            rule=rules,
        )


def web_acl_name(location: Location) -> str:
    """The name of an environment's web ACL, which all of its clusters use."""
    return location.of_environment.name("services")


def _limit(config: WebAclConfig, requests: int) -> Wafv2WebAclRule:
    action = (
        Wafv2WebAclRuleAction(block=Wafv2WebAclRuleActionBlock())
        if config.mode == "block"
        else Wafv2WebAclRuleAction(count=Wafv2WebAclRuleActionCount())
    )
    return Wafv2WebAclRule(
        name="requests-of-an-address",
        priority=0,
        action=action,
        visibility_config=_visible("requests-of-an-address"),
        statement={
            "rate_based_statement": {"limit": requests, "aggregate_key_type": "IP", "evaluation_window_sec": 300}
        },
    )


def _managed(config: WebAclConfig, priority: int, name: str, group: str) -> Wafv2WebAclRule:
    counts = config.mode == "count"
    statement: dict[str, Any] = {"vendor_name": "AWS", "name": group}
    if name == "common" and config.counted_rules:
        statement["rule_action_override"] = [
            {"name": rule, "action_to_use": {"count": {}}} for rule in config.counted_rules
        ]
    return Wafv2WebAclRule(
        name=name,
        priority=priority,
        override_action=Wafv2WebAclRuleOverrideAction(
            count=Wafv2WebAclRuleOverrideActionCount() if counts else None,
            none=None if counts else Wafv2WebAclRuleOverrideActionNone(),
        ),
        visibility_config=_visible(name),
        statement={"managed_rule_group_statement": statement},
    )


def _visible(name: str) -> Wafv2WebAclRuleVisibilityConfig:
    return Wafv2WebAclRuleVisibilityConfig(
        cloudwatch_metrics_enabled=True, metric_name=name, sampled_requests_enabled=True
    )
