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
    """The statements of a controller that name resources."""
    statements = Role(template, f"controllers_{controller}_role").statements
    return [statement for statement in statements if statement["Resource"] != ["*"]]


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_external_secrets_reads_the_secrets_of_its_environment_alone(
    platform: dict[str, Template], environment: str
) -> None:
    role = Role(platform[f"ap-northeast-2-{environment}"], "controllers_external-secrets_role")
    secrets, key = role.statements
    prefix = "arn:aws:secretsmanager:ap-northeast-2:123456789012:secret"
    assert secrets["Action"] == ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
    assert secrets["Resource"] == [f"{prefix}:ap-northeast-2/{environment}/*"]
    assert (key["Action"], key["Resource"]) == (["kms:Decrypt"], ["${aws_kms_key.key.arn}"])


def test_master_passwords_are_read_by_the_job_that_makes_database_users_and_by_nobody_else(prod: Template) -> None:
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


def test_users_of_databases_are_written_by_that_job_alone(prod: Template) -> None:
    users = {f"${{aws_secretsmanager_secret.database-{name}_user-secret.arn}}" for name in ("bubblepool", "guestbook")}
    writers = {
        name: set(statement["Resource"])
        for name in prod.resources("aws_iam_role")
        for statement in Role(prod, name).statements
        if "secretsmanager:PutSecretValue" in statement["Action"]
    }
    assert writers == {"controllers_database-users_role": users}


def test_external_dns_writes_into_the_platforms_zone_alone(prod: Template, platform: dict[str, Template]) -> None:
    (records,) = _on_resources(prod, "external-dns")
    assert [resolved(zone, platform) for zone in records["Resource"]] == ["${aws_route53_zone.dns_zone.arn}"]


def test_external_dns_writes_into_the_zone_that_is_named(otherwise: dict[str, Template]) -> None:
    (records,) = _on_resources(otherwise["us-gov-west-1-dev"], "external-dns")
    assert [resolved(zone, otherwise) for zone in records["Resource"]] == ["${data.aws_route53_zone.dns_zone.arn}"]


def test_kyverno_only_reads_images(prod: Template) -> None:
    statements = Role(prod, "controllers_kyverno_role").statements
    actions = {action for statement in statements for action in statement["Action"]}
    assert actions == {*READ_IMAGES, "ecr:GetAuthorizationToken"}


def test_kyverno_reads_the_platforms_images_alone(
    prod: Template, platform: dict[str, Template], committed: tuple[Owner, list[Region]]
) -> None:
    (images,) = _on_resources(prod, "kyverno")
    _, (region,) = committed
    assert sorted(resolved(arn, platform) for arn in images["Resource"]) == sorted(
        f"${{aws_ecr_repository.ecr_repository-{repository.name}.arn}}"
        for repository in region.shared.image_repositories
    )


def test_no_controller_carries_a_policy_of_aws(prod: Template) -> None:
    for name in prod.resources("aws_iam_role"):
        if name.startswith("controllers_"):
            assert Role(prod, name).aws_managed == []
