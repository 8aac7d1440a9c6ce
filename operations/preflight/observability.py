"""Checks what backups of clusters and GuardDuty need in the account: the opt-in to EKS, and one detector."""

from collections.abc import Iterator, Sequence
from functools import partial

from operations.preflight.check import Check, Clients, Line
from operations.preflight.state import NewResources
from operations.terraform.stacks import Stack

_DETECTOR = "aws_guardduty_detector"
_FINDINGS = "threat-detection_findings"


def checks(stacks: Sequence[Stack], new: NewResources, aws: Clients) -> Iterator[tuple[str, Check]]:
    """A check of the opt-in if clusters are backed up, and one of the detector if GuardDuty has settings."""
    if any(_backs_up_clusters(stack) for stack in stacks):
        yield "backups of clusters", partial(opt_in, aws)
    for stack in stacks:
        if stack.resources_of(_DETECTOR):
            yield f"GuardDuty of {stack.name}", partial(own_detector, stack, new, aws)
        elif any(name.startswith(_FINDINGS) for name in stack.resources_of("aws_cloudwatch_event_rule")):
            yield f"GuardDuty of {stack.name}", partial(existing_detector, stack, aws)


def _backs_up_clusters(stack: Stack) -> bool:
    selections = stack.resources_of("aws_backup_selection").values()
    return any(":eks:" in arn for selection in selections for arn in selection["resources"])


def opt_in(aws: Clients) -> Iterator[Line]:
    """Whether AWS Backup protects clusters in the region: each account opts in to each type of resource.

    Source: https://docs.aws.amazon.com/aws-backup/latest/devguide/getting-started.html#service-opt-in
    """
    subject = "backups of clusters"
    if aws("backup").describe_region_settings()["ResourceTypeOptInPreference"].get("EKS"):
        yield Line(subject, "passed", "AWS Backup protects EKS in this region")
    else:
        command = "aws backup update-region-settings --resource-type-opt-in-preference EKS=true"
        message = f"the account has not opted in to EKS, so AWS Backup may leave clusters out; opt in: {command}"
        yield Line(subject, "warning", message)


def own_detector(stack: Stack, new: NewResources, aws: Clients) -> Iterator[Line]:
    """Whether the detector can be created: an account has one in a region."""
    subject, found = f"GuardDuty of {stack.name}", aws("guardduty").list_detectors()["DetectorIds"]
    if found and any(one.kind == _DETECTOR for one in new.of(stack)):
        message = f"the region has the detector {found[0]} already, and can have one; set detector to existing"
        yield Line(subject, "failed", message)
    else:
        yield Line(subject, "passed", "no detector but the platform's own")


def existing_detector(stack: Stack, aws: Clients) -> Iterator[Line]:
    """Whether there is the detector that the settings name as an existing one."""
    subject, found = f"GuardDuty of {stack.name}", aws("guardduty").list_detectors()["DetectorIds"]
    if found:
        yield Line(subject, "passed", f"the detector {found[0]} exists")
    else:
        yield Line(subject, "failed", "there is no detector, so no findings; turn GuardDuty on, or set platform")
