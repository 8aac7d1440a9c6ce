import pytest

from tests.policies import Role
from tests.template import Json, Template

READ_IMAGES = {
    "ecr:BatchGetImage",
    "ecr:DescribeImages",
    "ecr:GetDownloadUrlForLayer",
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


def _secret(name: str) -> str:
    return f"arn:aws:secretsmanager:ap-northeast-2:123456789012:secret:{name}"


def _of_database(environment: str, region: str = "ap-northeast-2") -> dict[str, str]:
    """The tag that RDS sets on the secret of a master password."""
    arn = f"arn:aws:rds:{region}:123456789012:db:{region}-{environment}-bubblepool"
    return {"aws:rds:primaryDBInstanceArn": arn}


def _controllers(template: Template) -> dict[str, Role]:
    names = [name for name in template.resources("aws_iam_role") if name.startswith("controllers_")]
    roles = {name: Role(template, name) for name in names}
    for role in roles.values():
        role.boundary = None
    return roles


def test_only_the_database_users_job_can_read_master_passwords(prod: Template) -> None:
    secret = _secret("rds!db-1-AbCdEf")
    for name, role in _controllers(prod).items():
        may = role.may("secretsmanager:GetSecretValue", secret, tags=_of_database("prod"))
        assert may == (name == "controllers_database-users_role"), name


@pytest.mark.parametrize("tags", [_of_database("dev"), _of_database("prod2"), _of_database("prod", "us-west-2"), {}])
def test_the_database_users_job_can_read_no_other_master_password(prod: Template, tags: dict[str, str]) -> None:
    job = _controllers(prod)["controllers_database-users_role"]
    assert not job.may("secretsmanager:GetSecretValue", _secret("rds!db-1-AbCdEf"), tags=tags)


def test_only_the_database_users_job_can_write_user_secrets(prod: Template) -> None:
    secret = _secret("ap-northeast-2/prod/guestbook/database-AbCdEf")
    for name, role in _controllers(prod).items():
        assert role.may("secretsmanager:PutSecretValue", secret, tags={}) == (
            name == "controllers_database-users_role"
        ), name


@pytest.mark.parametrize(
    "secret", ["ap-northeast-2/dev/guestbook/database", "ap-northeast-2/prod/argo-cd/oidc", "us-west-2/prod/a/database"]
)
def test_the_database_users_job_can_write_no_other_secret(prod: Template, secret: str) -> None:
    job = _controllers(prod)["controllers_database-users_role"]
    assert not job.may("secretsmanager:PutSecretValue", _secret(f"{secret}-AbCdEf"), tags={})


def test_external_dns_can_write_only_to_the_zone_of_its_environment(prod: Template) -> None:
    (records,) = _on_resources(prod, "external-dns")
    assert records["Resource"] == ["${aws_route53_zone.dns_zone.arn}"]
    assert prod.only("aws_route53_zone")["name"] == "prod.platform.your-domain.com"


def test_kyverno_can_only_read_images(prod: Template) -> None:
    statements = Role(prod, "controllers_kyverno_role").statements
    actions = {action for statement in statements for action in statement["Action"]}
    assert actions == {*READ_IMAGES, "ecr:GetAuthorizationToken"}


@pytest.mark.parametrize(
    ("repository", "tags", "may"),
    [
        ("ap-northeast-2:123456789012:repository/bubblepool", {"Environment": "shared"}, True),
        ("ap-northeast-2:123456789012:repository/bubblepool", {"Environment": "dev"}, False),
        ("ap-northeast-2:123456789012:repository/of-another-team", {}, False),
        ("us-west-2:123456789012:repository/bubblepool", {"Environment": "shared"}, False),
        ("ap-northeast-2:111122223333:repository/bubblepool", {"Environment": "shared"}, False),
    ],
)
def test_kyverno_can_read_only_the_platforms_images(
    prod: Template, repository: str, tags: dict[str, str], *, may: bool
) -> None:
    kyverno = _controllers(prod)["controllers_kyverno_role"]
    assert kyverno.may("ecr:BatchGetImage", f"arn:aws:ecr:{repository}", tags=tags) == may


def test_repositories_have_the_tag_by_which_kyverno_may_read_them(shared: Template) -> None:
    (provider,) = shared.json["provider"]["aws"]
    assert provider["default_tags"][0]["tags"]["Environment"] == "shared"
    assert shared.resources("aws_ecr_repository")
    for repository in shared.resources("aws_ecr_repository").values():
        assert "Environment" not in repository.get("tags", {})  # which would replace the default


def test_no_controller_has_an_aws_managed_policy(prod: Template) -> None:
    for name in prod.resources("aws_iam_role"):
        if name.startswith("controllers_"):
            assert Role(prod, name).aws_managed == []
