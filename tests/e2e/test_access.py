"""The ways to private clusters, which are off in the example settings: the host and the runners of `shared`."""

from pathlib import Path
from typing import Any

import pytest

from operations.local.emulator_process import Emulator
from tests.e2e.part_of_stack import PartOfStack
from tests.edited_settings import EditedSettings
from tests.template import Json, Template, every_stack

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("aws_provider")]

_CONNECTION = "arn:aws:codeconnections:ap-northeast-2:123456789012:connection/01234567-89ab-cdef-0123-456789abcdef"
_PARTS = ("access-host", "runner-dev")
_LOST: dict[str, set[str]] = {
    "aws_instance.access-host_instance": {"associate_public_ip_address", "root_block_device", "subnet_id"},
    "aws_codebuild_project.runner-dev_project": set(),
}
"""What MiniStack 1.5.33 forgets: the subnet of a network interface in RunInstances and the encryption of its volume,
and the logs, the VPC and the limit of a CodeBuild project. By resource, the arguments for which it is replaced."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Template:
    """The stack `shared` with a host and runners."""
    folder = tmp_path_factory.mktemp("access")
    settings = EditedSettings(folder)
    settings.replace(
        "ap_northeast_2/shared.py",
        "owns_github_provider=True,",
        f"""owns_github_provider=True, access_host={{"zone": "ap-northeast-2a"}},
    runners={{"connection_arn": "{_CONNECTION}"}},""",
    )
    (folder / "out").mkdir()
    return every_stack(settings.load(), folder / "out")["ap-northeast-2-shared"]


def _resources(shared: Template) -> Json:
    """The resources of the host and of the runners of dev, with the network and the key that they refer to."""
    resource: dict[str, dict[str, Any]] = {}
    for kind, name, arguments in shared.all_resources():
        is_part = name.startswith(_PARTS) and kind != "aws_codebuild_webhook"  # MiniStack 1.5.33 lacks CreateWebhook
        is_network = kind in {"aws_vpc", "aws_subnet"} and (name == "vpc" or name.startswith("vpc_private"))
        if is_part or is_network or (kind, name) == ("aws_kms_key", "key"):
            resource.setdefault(kind, {})[name] = arguments
    for role in resource["aws_iam_role"].values():
        del role["permissions_boundary"]
    return resource


def test_host_and_runners_are_created_and_planned_again_without_other_changes(shared: Template, tmp_path: Path) -> None:
    with Emulator(tmp_path / "emulator.log") as emulator:
        terraform = PartOfStack(tmp_path, emulator)
        data = {"aws_ssm_parameter": shared.json["data"]["aws_ssm_parameter"]}
        terraform.configure(shared.json["provider"]["aws"][:1], _resources(shared), data=data)
        terraform.apply()
        assert terraform.planned() == _LOST
        terraform("state", "rm", "aws_codebuild_project.runner-dev_project")  # MiniStack deletes projects by name only
        terraform("destroy", "-auto-approve", "-input=false")
