"""ThreatDetection: GuardDuty for the clusters of an account and region, and where its findings go."""

import json
from collections.abc import Iterator
from typing import Annotated, Literal

from cdktf_cdktf_provider_aws.cloudwatch_event_rule import CloudwatchEventRule
from cdktf_cdktf_provider_aws.cloudwatch_event_target import CloudwatchEventTarget
from cdktf_cdktf_provider_aws.guardduty_detector import GuarddutyDetector
from cdktf_cdktf_provider_aws.guardduty_detector_feature import (
    GuarddutyDetectorFeature,
    GuarddutyDetectorFeatureAdditionalConfiguration,
)
from constructs import Construct
from pydantic import Field, StrictBool

from eks_gitops.budget import TopicArn
from eks_gitops.config import Config, Problem
from eks_gitops.location import Location

_AGENTS = ("EC2_AGENT_MANAGEMENT", "ECS_FARGATE_AGENT_MANAGEMENT", "EKS_ADDON_MANAGEMENT")
"""What GuardDuty can install its agent on. Source: `FeatureAdditionalConfiguration` of GuardDuty in botocore 1.43."""


class ThreatDetectionConfig(Config):
    """GuardDuty in the account and region, which analyzes the audit logs of all clusters in it, also of others."""

    detector: Literal["platform", "existing"]
    """`platform` creates the detector, of which an account has one in a region. `existing` is for one that your
    organization or another tool manages: only its findings are sent to the topic. `make preflight` checks whether there
    is one."""
    runtime_monitoring: StrictBool = False
    """Whether GuardDuty also watches processes on the nodes of all clusters of the account and region. It installs its
    agent, an EKS add-on, and an interface endpoint in the VPC by itself. Only with `platform`."""
    topic_arn: TopicArn | None = None
    """An existing SNS topic of the region that receives the findings, or None. Its policy must permit
    `events.amazonaws.com` to publish."""
    least_severity: Annotated[int, Field(strict=True, ge=1, le=10)] = 4
    """The severity from which findings are sent: 1 low, 4 medium, 7 high, 9 critical."""

    def problems(self) -> Iterator[Problem]:
        """An existing detector for which nothing is to be done, or whose features are managed elsewhere."""
        if self.detector == "existing" and self.topic_arn is None:
            yield Problem("topic_arn", None, "with an existing detector, only findings are sent; set it")
        if self.detector == "existing" and self.runtime_monitoring:
            message = "managed where the detector is; set it to False, and turn it on there"
            yield Problem("runtime_monitoring", True, message)


class ThreatDetection(Construct):
    """A detector with EKS Protection, unless it exists, and a rule that sends its findings to a topic.

    Sources: https://docs.aws.amazon.com/guardduty/latest/ug/kubernetes-protection.html,
    https://docs.aws.amazon.com/guardduty/latest/ug/how-runtime-monitoring-works-eks.html,
    https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_findings_eventbridge.html and
    https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_findings-severity.html
    """

    def __init__(self, scope: Construct, id_: str, config: ThreatDetectionConfig, *, location: Location) -> None:
        super().__init__(scope, id_)
        if config.detector == "platform":
            self._detect(config)
        if config.topic_arn is not None:
            self._send(config, location, config.topic_arn)

    def _detect(self, config: ThreatDetectionConfig) -> None:
        detector = GuarddutyDetector(self, "detector", enable=True, finding_publishing_frequency="FIFTEEN_MINUTES")
        GuarddutyDetectorFeature(self, "audit-logs", detector_id=detector.id, name="EKS_AUDIT_LOGS", status="ENABLED")
        # Both features are always set: without them, the default of AWS would hold, which differs by region.
        GuarddutyDetectorFeature(
            self,
            "runtime-monitoring",
            detector_id=detector.id,
            name="RUNTIME_MONITORING",
            status=_status(is_enabled=config.runtime_monitoring),
            additional_configuration=[
                GuarddutyDetectorFeatureAdditionalConfiguration(
                    name=agent,
                    status=_status(is_enabled=config.runtime_monitoring and agent == "EKS_ADDON_MANAGEMENT"),
                )
                for agent in _AGENTS
            ],
        )

    def _send(self, config: ThreatDetectionConfig, location: Location, topic_arn: str) -> None:
        pattern = {
            "source": ["aws.guardduty"],
            "detail-type": ["GuardDuty Finding"],
            "detail": {"severity": [{"numeric": [">=", config.least_severity]}]},
        }
        rule = CloudwatchEventRule(
            self,
            "findings",
            name=location.name("guardduty"),
            description="Findings of GuardDuty",
            event_pattern=json.dumps(pattern, sort_keys=True),
        )
        CloudwatchEventTarget(self, "topic", rule=rule.name, target_id="topic", arn=topic_arn)


def _status(*, is_enabled: bool) -> str:
    return "ENABLED" if is_enabled else "DISABLED"
