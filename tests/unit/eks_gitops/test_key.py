from fnmatch import fnmatchcase

import cdktf
import pytest

from eks_gitops.key import Key
from eks_gitops.location import Location
from tests.policies import statement
from tests.template import Json, Template, one_stack

STACKS = [f"ap-northeast-2-{environment}" for environment in ("backend", "shared", "dev", "staging", "prod")]
ENVIRONMENTS = STACKS[2:]


def _policy(template: Template) -> Json:
    (name,) = template.resources("aws_kms_key")
    return template.document(f"aws_kms_key.{name}")


@pytest.mark.parametrize("stack", STACKS)
def test_key_rotates(platform: dict[str, Template], stack: str) -> None:
    assert platform[stack].only("aws_kms_key")["enable_key_rotation"] is True


@pytest.mark.parametrize("stack", STACKS)
def test_key_has_a_deletion_window_of_thirty_days(platform: dict[str, Template], stack: str) -> None:
    assert platform[stack].only("aws_kms_key")["deletion_window_in_days"] == 30


@pytest.mark.parametrize("stack", STACKS)
def test_alias_contains_region_and_environment(platform: dict[str, Template], stack: str) -> None:
    region, _, environment = stack.rpartition("-")
    assert platform[stack].only("aws_kms_alias")["name"] == f"alias/{region}/{environment}"


@pytest.mark.parametrize("stack", STACKS)
def test_account_can_manage_its_key(platform: dict[str, Template], stack: str) -> None:
    root = statement(_policy(platform[stack]), "AccountDecidesByIam")
    assert root["Principal"] == {"AWS": ["arn:aws:iam::123456789012:root"]}
    assert root["Action"] == ["kms:*"]


@pytest.mark.parametrize("stack", ENVIRONMENTS)
@pytest.mark.parametrize("sid", ["ServicesOfThisAccount", "GrantsOfServices"])
def test_services_can_use_the_key_only_for_this_account(platform: dict[str, Template], stack: str, sid: str) -> None:
    condition = statement(_policy(platform[stack]), sid)["Condition"]["StringEquals"]
    assert condition == {
        "kms:CallerAccount": "123456789012",
        "kms:ViaService": [
            f"{service}.ap-northeast-2.amazonaws.com"
            for service in ("backup", "ec2", "elasticfilesystem", "rds", "secretsmanager")
        ],
    }


@pytest.mark.parametrize("stack", ENVIRONMENTS)
def test_only_services_can_create_grants(platform: dict[str, Template], stack: str) -> None:
    grants = statement(_policy(platform[stack]), "GrantsOfServices")
    assert grants["Action"] == ["kms:CreateGrant"]
    assert grants["Condition"]["Bool"] == {"kms:GrantIsForAWSResource": "true"}


@pytest.mark.parametrize("stack", STACKS[1:])
def test_cloudwatch_logs_can_use_the_key_for_exactly_its_log_groups(platform: dict[str, Template], stack: str) -> None:
    allowed = statement(_policy(platform[stack]), "CloudWatchLogs")
    assert allowed["Principal"] == {"Service": ["logs.ap-northeast-2.amazonaws.com"]}
    patterns = allowed["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"]
    arns = [
        f"arn:aws:logs:ap-northeast-2:123456789012:log-group:{group['name']}"
        for group in platform[stack].resources("aws_cloudwatch_log_group").values()
        if group["kms_key_id"] == "${aws_kms_key.key.arn}"
    ]
    assert arns
    assert [arn for arn in arns if not any(fnmatchcase(arn, pattern) for pattern in patterns)] == []
    assert [pattern for pattern in patterns if not any(fnmatchcase(arn, pattern) for arn in arns)] == []


@pytest.mark.parametrize("stack", STACKS[1:])
def test_every_log_group_is_encrypted_with_the_stacks_key(platform: dict[str, Template], stack: str) -> None:
    for group in platform[stack].resources("aws_cloudwatch_log_group").values():
        assert group["kms_key_id"] == "${aws_kms_key.key.arn}"


def test_backend_key_does_not_allow_cloudwatch_logs(backend: Template) -> None:
    assert [entry["Sid"] for entry in _policy(backend)["Statement"]] == [
        "AccountDecidesByIam",
        "ServicesOfThisAccount",
        "GrantsOfServices",
    ]


def test_an_existing_key_is_used_and_neither_it_nor_an_alias_is_created(with_existing: dict[str, Template]) -> None:
    arn = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-0000-0000-00000000000"
    for environment, key in (("shared", f"{arn}1"), ("dev", f"{arn}2")):
        stack = with_existing[f"us-east-1-{environment}"]
        assert not stack.resources("aws_kms_key")
        assert not stack.resources("aws_kms_alias")
        for group in stack.resources("aws_cloudwatch_log_group").values():
            assert group["kms_key_id"] == key
    cluster = with_existing["us-east-1-dev"].only("aws_eks_cluster")
    assert cluster["encryption_config"]["provider"] == {"key_arn": f"{arn}2"}


def test_the_policy_of_an_existing_key_needs_the_statements_of_our_own_key() -> None:
    location = Location(account_id="123456789012", region="ap-northeast-2", environment="dev")
    keys: list[Key] = []

    def build(stack: cdktf.TerraformStack) -> None:
        keys.append(Key(stack, "own", location=location, description="test", services=["ec2"], log_groups=["/a"]))
        existing = "arn:aws:kms:ap-northeast-2:123456789012:key/1"
        keys.append(
            Key(
                stack,
                "existing",
                location=location,
                description="test",
                services=["ec2"],
                log_groups=["/a"],
                existing_arn=existing,
            )
        )

    by_iam, *others = _policy(one_stack(build))["Statement"]
    own, existing = keys
    assert own.required_statements == []
    first, *required = [statement.render() for statement in existing.required_statements]
    assert required == others
    assert {**first, "Action": by_iam["Action"]} == by_iam
    assert "kms:CreateGrant" in first["Action"]  # type: ignore[operator]
    assert "kms:*" not in first["Action"]  # type: ignore[operator]


def test_service_names_have_the_dns_suffix_of_china() -> None:
    location = Location(account_id="123456789012", region="cn-north-1", environment="dev")

    def build(stack: cdktf.TerraformStack) -> None:
        Key(stack, "key", location=location, description="test", services=["ec2"])

    condition = statement(_policy(one_stack(build)), "ServicesOfThisAccount")["Condition"]["StringEquals"]
    assert condition["kms:ViaService"] == ["ec2.cn-north-1.amazonaws.com.cn"]
