"""What observes an environment, which is off in the example settings."""

from pathlib import Path
from typing import Any

import pytest

from operations.local.emulator_process import Emulator
from tests.e2e.part_of_stack import PartOfStack
from tests.edited_settings import EditedSettings
from tests.template import Json, Template, every_stack

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("aws_provider")]

_SETTINGS = """\
    access_logs={"retention_days": 30},
    container_logs={"retention_days": 14},
    web_acl={"counted_rules": ("SizeRestrictions_BODY",)},
    backup="""
_PARTS = ("access-logs", "container-logs", "web-acl", "backup-plan")
_OF_OTHERS = ("container-logs_fluent-bit", "backup-plan_selection-database", "backup-plan_selection-file-system")
"""The parts that refer to the cluster, the databases or the files, which are not applied here."""
_TOPIC = "arn:aws:sns:ap-northeast-2:123456789012:security"


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Template]:
    """The stacks with everything in dev, and GuardDuty in the account."""
    folder = tmp_path_factory.mktemp("observability")
    settings = EditedSettings(folder)
    settings.replace("ap_northeast_2/dev.py", "    backup=", _SETTINGS)
    settings.replace("ap_northeast_2/dev.py", "backup=BackupConfig(", "backup=BackupConfig(clusters=True, ")
    detection = f'threat_detection={{"detector": "platform", "runtime_monitoring": True, "topic_arn": "{_TOPIC}"}}'
    settings.replace("ap_northeast_2/shared.py", "owns_github_provider=True", f"owns_github_provider=True, {detection}")
    (folder / "out").mkdir()
    return every_stack(settings.load(), folder / "out")


def _resources(stacks: dict[str, Template]) -> Json:
    """The resources of observability, with the key that they refer to."""
    dev, shared = stacks["ap-northeast-2-dev"], stacks["ap-northeast-2-shared"]
    resource: dict[str, dict[str, Any]] = {}
    for template, parts in ((dev, _PARTS), (shared, ("threat-detection",))):
        for kind, name, arguments in template.all_resources():
            is_key = template is dev and (kind, name) == ("aws_kms_key", "key")
            if is_key or (name.startswith(parts) and not name.startswith(_OF_OTHERS)):
                resource.setdefault(kind, {})[name] = arguments
    for role in resource["aws_iam_role"].values():
        del role["permissions_boundary"]
    return resource


def test_everything_is_created_planned_again_without_changes_and_destroyed(
    stacks: dict[str, Template], tmp_path: Path
) -> None:
    resources = _resources(stacks)
    kinds = {"aws_cloudwatch_query_definition", "aws_guardduty_detector_feature", "aws_s3_bucket", "aws_wafv2_web_acl"}
    assert kinds <= {*resources}
    with Emulator(tmp_path / "emulator.log") as emulator:
        terraform = PartOfStack(tmp_path, emulator)
        terraform.configure(stacks["ap-northeast-2-dev"].json["provider"]["aws"][:1], resources)
        terraform.apply()
        assert terraform.planned() == {}
        terraform("destroy", "-auto-approve", "-input=false")
