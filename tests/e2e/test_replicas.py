"""Images after the loss of a region: the other region takes over the repositories that replication created in it."""

from pathlib import Path
from typing import Any

import boto3
import pytest

from operations.local.emulator_process import Emulator
from tests.e2e.part_of_stack import PartOfStack
from tests.edited_settings import EditedSettings
from tests.template import Json, Template, every_stack

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("aws_provider")]

_OTHER = "us-west-2"
_NAME = "hello"


@pytest.fixture(scope="module")
def regions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Template]:
    """The stacks of two regions, the second of which is the replica region of the first."""
    folder = tmp_path_factory.mktemp("regions")
    settings = EditedSettings(folder)
    settings.add_region("us_west_2", network=1)
    for region in settings.regions:
        settings.replace(f"{region}/__init__.py", '("dev", "staging", "prod")', '("dev",)')
    settings.replace("us_west_2/dev.py", 'name="gitops-cluster', 'name="west')
    settings.replace(
        "ap_northeast_2/shared.py",
        "owns_github_provider=True",
        f'owns_github_provider=True, image_replica_regions=("{_OTHER}",)',
    )
    (folder / "out").mkdir()
    return every_stack(settings.load(), folder / "out")


def test_repositories_of_replication_are_taken_over_without_a_replacement(
    regions: dict[str, Template], tmp_path: Path
) -> None:
    with Emulator(tmp_path / "emulator.log") as emulator:
        source, other = (PartOfStack(tmp_path / name, emulator) for name in ("source", "other"))
        seoul = regions["ap-northeast-2-shared"]
        role = seoul.resources("aws_iam_role")["ecr_template-role"] | {"permissions_boundary": None}
        template = seoul.only("aws_ecr_repository_creation_template")
        template |= {"custom_role_arn": "${aws_iam_role.it.arn}", "depends_on": []}
        source.configure(
            _providers("ap-northeast-2"),
            {"aws_ecr_repository_creation_template": {"it": template}, "aws_iam_role": {"it": role}},
        )
        source.apply()
        assert {tuple(change["actions"]) for change in source.changes().values()} == {("no-op",)}
        _replicate(emulator)

        west = regions[f"{_OTHER}-shared"]
        repositories = {"it": west.resources("aws_ecr_repository")[f"ecr_repository-{_NAME}"]}
        policies = {"it": west.resources("aws_ecr_lifecycle_policy")[f"ecr_lifecycle-{_NAME}"] | {"repository": _NAME}}
        key = {"key": {"description": "The key of the other region"}}
        other.configure(
            _providers(_OTHER),
            {"aws_ecr_repository": repositories, "aws_ecr_lifecycle_policy": policies, "aws_kms_key": key},
        )
        for kind in ("aws_ecr_repository", "aws_ecr_lifecycle_policy"):
            other("import", "-input=false", f"{kind}.it", _NAME)
        changes = other.changes()
        assert changes["aws_ecr_repository.it"]["actions"] in (["no-op"], ["update"])
        assert changes["aws_ecr_lifecycle_policy.it"]["actions"] == ["no-op"]
        before, after = (changes["aws_ecr_repository.it"][state] for state in ("before", "after"))
        assert before["image_tag_mutability"] == after["image_tag_mutability"] == "IMMUTABLE"
        assert before["encryption_configuration"] == after["encryption_configuration"]
        other("apply", "-auto-approve", "-input=false", "plan")


def _providers(region: str) -> list[Json]:
    return [{"region": region}, {"region": _OTHER, "alias": _OTHER}]


def _replicate(emulator: Emulator) -> None:
    """Create the repository in the other region with the settings of the template, as ECR does with the first image."""
    ecr: Any = boto3.client(
        "ecr",
        endpoint_url=emulator.environment["AWS_ENDPOINT_URL"],
        region_name=_OTHER,
        aws_access_key_id=emulator.environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=emulator.environment["AWS_SECRET_ACCESS_KEY"],
    )
    (template,) = ecr.describe_repository_creation_templates(prefixes=["ROOT"])["repositoryCreationTemplates"]
    ecr.create_repository(
        repositoryName=_NAME,
        imageTagMutability=template["imageTagMutability"],
        encryptionConfiguration=template["encryptionConfiguration"],
        tags=template["resourceTags"],
    )
    ecr.put_lifecycle_policy(repositoryName=_NAME, lifecyclePolicyText=template["lifecyclePolicy"])
