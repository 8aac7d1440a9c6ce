import pytest

from stacks.settings import Owner, Region
from tests.policies import Role
from tests.template import Json, Template, resolved

READ_IMAGES = {
    "ecr:BatchGetImage",
    "ecr:DescribeImages",
    "ecr:GetDownloadUrlForLayer",
    "ecr:ListImageReferrers",
    "ecr:ListImages",
}


def _on_resources(template: Template, controller: str) -> list[Json]:
    """The statements of a controller's role for specific resources."""
    statements = Role(template, f"controllers_{controller}_role").statements
    return [statement for statement in statements if statement["Resource"] != ["*"]]


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_external_secrets_can_read_only_the_secrets_of_its_environment(
    platform: dict[str, Template], environment: str
) -> None:
    role = Role(platform[f"ap-northeast-2-{environment}"], "controllers_external-secrets_role")
    secrets, key = role.statements
    prefix = "arn:aws:secretsmanager:ap-northeast-2:123456789012:secret"
    assert secrets["Action"] == ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
    assert secrets["Resource"] == [f"{prefix}:ap-northeast-2/{environment}/*"]
    assert (key["Action"], key["Resource"]) == (["kms:Decrypt"], ["${aws_kms_key.key.arn}"])


def test_only_the_database_users_job_can_read_master_passwords(prod: Template) -> None:
    names = [name for name in prod.resources("aws_iam_role") if name.startswith("controllers_")]
    masters = {
        f"${{aws_db_instance.database-{name}_instance.master_user_secret[0].secret_arn}}"
        for name in ("bubblepool", "guestbook")
    }
    readers = {
        name
        for name in names
        for statement in Role(prod, name).statements
        if masters & set(statement["Resource"]) and "secretsmanager:GetSecretValue" in statement["Action"]
    }
    assert readers == {"controllers_database-users_role"}


def test_only_the_database_users_job_can_write_user_secrets(prod: Template) -> None:
    users = {f"${{aws_secretsmanager_secret.database-{name}_user-secret.arn}}" for name in ("bubblepool", "guestbook")}
    writers = {
        name: set(statement["Resource"])
        for name in prod.resources("aws_iam_role")
        for statement in Role(prod, name).statements
        if "secretsmanager:PutSecretValue" in statement["Action"]
    }
    assert writers == {"controllers_database-users_role": users}


def test_external_dns_can_write_only_to_the_platforms_zone(prod: Template, platform: dict[str, Template]) -> None:
    (records,) = _on_resources(prod, "external-dns")
    assert [resolved(zone, platform) for zone in records["Resource"]] == ["${aws_route53_zone.dns_zone.arn}"]


def test_external_dns_can_write_to_an_existing_zone(alternative: dict[str, Template]) -> None:
    (records,) = _on_resources(alternative["us-gov-west-1-dev"], "external-dns")
    assert [resolved(zone, alternative) for zone in records["Resource"]] == ["${data.aws_route53_zone.dns_zone.arn}"]


def test_kyverno_can_only_read_images(prod: Template) -> None:
    statements = Role(prod, "controllers_kyverno_role").statements
    actions = {action for statement in statements for action in statement["Action"]}
    assert actions == {*READ_IMAGES, "ecr:GetAuthorizationToken"}


def test_kyverno_can_read_only_the_platforms_images(
    prod: Template, platform: dict[str, Template], committed: tuple[Owner, list[Region]]
) -> None:
    (images,) = _on_resources(prod, "kyverno")
    _, (region,) = committed
    assert sorted(resolved(arn, platform) for arn in images["Resource"]) == sorted(
        f"${{aws_ecr_repository.ecr_repository-{repository.name}.arn}}"
        for repository in region.shared.image_repositories
    )


def test_no_controller_has_an_aws_managed_policy(prod: Template) -> None:
    for name in prod.resources("aws_iam_role"):
        if name.startswith("controllers_"):
            assert Role(prod, name).aws_managed == []
