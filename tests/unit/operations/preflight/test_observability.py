"""The opt-in to backups of clusters, and the detector of GuardDuty. AWS answers from botocore stubs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from operations.preflight import observability
from operations.preflight.state import NewResources
from operations.terraform.stacks import Stack
from tests.stubbed_aws import Answer, stubs
from tests.unit.operations.preflight.test_preflight import Aws, Stacks

_CLUSTER = "arn:aws:eks:ap-northeast-2:123456789012:cluster/gitops-cluster-dev"
_SELECTION = ("aws_backup_selection", "selection", {"resources": [_CLUSTER]})
_DETECTOR = ("aws_guardduty_detector", "detector", {"enable": True})
_FINDINGS = ("aws_cloudwatch_event_rule", "threat-detection_findings_1A2B3C4D", {"name": "guardduty"})
_NO_STATE: Answer = ("s3", "get_object", "NoSuchKey")


@pytest.fixture
def aws() -> Iterator[Aws]:
    """AWS clients that return these answers in order."""
    with stubs() as answering:
        yield answering


@pytest.fixture
def stack(tmp_path: Path) -> Stacks:
    """Creates stacks with the given resources."""
    return Stacks(tmp_path)


def _found(stack: Stack, clients: Any) -> list[tuple[str, str]]:
    checks = observability.checks([stack], NewResources([stack], clients), clients)
    return [(line.outcome, line.message) for _, check in checks for line in check()]


def test_a_stack_without_any_of_it_asks_nothing(aws: Aws, stack: Stacks) -> None:
    assert _found(stack(), aws()) == []


def test_an_account_that_did_not_opt_in_to_eks_is_a_warning_with_the_command(aws: Aws, stack: Stacks) -> None:
    settings = {"ResourceTypeOptInPreference": {"EFS": True}}
    ((outcome, message),) = _found(stack(_SELECTION), aws(("backup", "describe_region_settings", settings)))
    assert outcome == "warning"
    assert message.endswith("aws backup update-region-settings --resource-type-opt-in-preference EKS=true")


def test_an_account_that_opted_in_passes(aws: Aws, stack: Stacks) -> None:
    settings = {"ResourceTypeOptInPreference": {"EKS": True}}
    ((outcome, _),) = _found(stack(_SELECTION), aws(("backup", "describe_region_settings", settings)))
    assert outcome == "passed"


def test_a_detector_of_others_fails_because_a_region_has_one(aws: Aws, stack: Stacks) -> None:
    answers: tuple[Answer, ...] = (("guardduty", "list_detectors", {"DetectorIds": ["12abc"]}), _NO_STATE)
    ((outcome, message),) = _found(stack(_DETECTOR), aws(*answers))
    assert (outcome, "set detector to existing" in message) == ("failed", True)


def test_without_a_detector_one_can_be_created(aws: Aws, stack: Stacks) -> None:
    ((outcome, _),) = _found(stack(_DETECTOR), aws(("guardduty", "list_detectors", {"DetectorIds": []})))
    assert outcome == "passed"


@pytest.mark.parametrize(("found", "outcome"), [(["12abc"], "passed"), ([], "failed")])
def test_an_existing_detector_must_exist(aws: Aws, stack: Stacks, found: list[str], outcome: str) -> None:
    clients = aws(("guardduty", "list_detectors", {"DetectorIds": found}))
    assert [one for one, _ in _found(stack(_FINDINGS), clients)] == [outcome]
