"""What the settings name as existing, checked against AWS, which answers from botocore stubs."""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from botocore.exceptions import ClientError

from operations.preflight import prerequisites
from operations.preflight.check import Line
from operations.terraform.stacks import Existing, ExistingKey, ExistingRole
from tests.stacks import ACCOUNT, REGION, make_stack
from tests.stubbed_aws import Answer, stubs

Aws = Callable[..., Any]

KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"
REPOSITORY = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/hello"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/company/limits"
STATEMENT: dict[str, Any] = {
    "Effect": "Allow",
    "Action": ["kms:Decrypt"],
    "Principal": {"AWS": [f"arn:aws:iam::{ACCOUNT}:root"]},
    "Resource": ["*"],
}


@pytest.fixture
def aws() -> Iterator[Aws]:
    with stubs() as answering:
        yield answering


def _lines(aws: Aws, existing: Existing, *answers: Answer) -> list[Line]:
    ((_, check),) = prerequisites.checks([make_stack(existing=existing)], aws(*answers))
    return list(check())


def _key(aws: Aws, *, tags: dict[str, str] | None = None, policy: Any = STATEMENT, **described: str) -> list[Line]:
    metadata = {"KeyId": "1", "KeyState": "Enabled", "KeySpec": "SYMMETRIC_DEFAULT", **described}
    return _lines(
        aws,
        Existing(key=ExistingKey(KEY, [STATEMENT])),
        ("kms", "describe_key", {"KeyMetadata": metadata}),
        (
            "kms",
            "list_resource_tags",
            {"Tags": [{"TagKey": name, "TagValue": value} for name, value in (tags or {}).items()]},
        ),
        ("kms", "get_key_policy", {"Policy": json.dumps({"Statement": [policy]})}),
    )


def test_nothing_is_checked_for_a_stack_that_owns_everything(aws: Aws) -> None:
    assert list(prerequisites.checks([make_stack()], aws())) == []


def test_a_usable_key_passes(aws: Aws) -> None:
    (line,) = _key(aws, tags={"Environment": "dev", "Team": "security"})
    expected = ("key of ap-northeast-2-dev", "passed", "enabled, symmetric, and its key policy allows its use")
    assert line == Line(*expected)  # type: ignore[arg-type]


def test_a_key_that_does_not_exist_fails(aws: Aws) -> None:
    existing = Existing(key=ExistingKey(KEY, [STATEMENT]))
    (line,) = _lines(aws, existing, ("kms", "describe_key", "NotFoundException"))
    assert (line.outcome, line.message) == ("failed", f"{KEY} does not exist; correct key_arn, or remove it")


def test_another_error_is_left_to_the_caller(aws: Aws) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        _lines(aws, Existing(permissions_boundary=BOUNDARY), ("iam", "get_policy", "AccessDenied"))


def test_a_disabled_asymmetric_key_fails_twice(aws: Aws) -> None:
    disabled, asymmetric = _key(aws, KeyState="PendingDeletion", KeySpec="RSA_2048")
    assert disabled.message.startswith(f"{KEY} is PendingDeletion, not Enabled; enable it (`aws kms cancel-key-del")
    assert asymmetric.message.startswith(f"{KEY} is RSA_2048; choose a symmetric key")
    assert {disabled.outcome, asymmetric.outcome} == {"failed"}


def test_a_key_policy_without_a_statement_fails_with_it(aws: Aws) -> None:
    (line,) = _key(aws, policy={**STATEMENT, "Action": "kms:Encrypt"})
    assert line.outcome == "failed"
    before, _, statement = line.message.partition("; add to it: ")
    assert before == "its key policy does not allow what the stack needs"
    assert json.loads(statement) == STATEMENT


def test_a_key_policy_that_depends_on_the_organization_is_a_warning(aws: Aws) -> None:
    condition = {"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}
    (line,) = _key(aws, policy={**STATEMENT, "Condition": condition})
    assert line.outcome == "warning"
    assert line.message.startswith("conditions of its key policy decide whether ")


def test_a_key_with_the_tag_of_another_environment_fails(aws: Aws) -> None:
    (line,) = _key(aws, tags={"Environment": "production"})
    assert line.outcome == "failed"
    assert line.message.startswith("its tag Environment is production, and the permissions boundary of dev denies ")


def test_an_existing_boundary_denies_no_tags(aws: Aws) -> None:
    tags = [{"Key": "Environment", "Value": "production"}]
    stack = make_stack(existing=Existing(repositories=[REPOSITORY], permissions_boundary=BOUNDARY))
    clients = aws(*_described(), ("ecr", "list_tags_for_resource", {"tags": tags}), ("iam", "get_policy", {}))
    lines = [line for _, check in prerequisites.checks([stack], clients) for line in check()]
    assert [line.outcome for line in lines] == ["passed", "passed"]


def _described(mutability: str = "IMMUTABLE", encryption: str = "KMS") -> list[Answer]:
    repository = {
        "imageTagMutability": mutability,
        "encryptionConfiguration": {"encryptionType": encryption},
    }
    return [("ecr", "describe_repositories", {"repositories": [repository]})]


@pytest.mark.parametrize(
    ("mutability", "encryption", "outcomes"),
    [
        ("IMMUTABLE", "KMS", {"passed": "exists, IMMUTABLE, encrypted with KMS"}),
        ("IMMUTABLE_WITH_EXCLUSION", "KMS_DSSE", {"passed": "exists, IMMUTABLE_WITH_EXCLUSION, encrypted with KMS_D"}),
        ("MUTABLE", "KMS", {"warning": "its tags are MUTABLE: a push can replace an image that runs; make them IMMU"}),
        ("IMMUTABLE", "AES256", {"warning": "it is encrypted with AES256, not with a KMS key, which only a new re"}),
    ],
)
def test_a_repository_is_compared_with_those_of_the_platform(
    aws: Aws, mutability: str, encryption: str, outcomes: dict[str, str]
) -> None:
    answers: list[Answer] = [*_described(mutability, encryption), ("ecr", "list_tags_for_resource", {"tags": []})]
    lines = _lines(aws, Existing(repositories=[REPOSITORY]), *answers)
    assert {line.subject for line in lines} == {"image repository hello"}
    assert [line.outcome for line in lines] == list(outcomes)
    assert all(line.message.startswith(outcomes[line.outcome]) for line in lines)


def test_a_repository_that_does_not_exist_fails(aws: Aws) -> None:
    answer = ("ecr", "describe_repositories", "RepositoryNotFoundException")
    (line,) = _lines(aws, Existing(repositories=[REPOSITORY]), answer)
    assert (line.outcome, line.message) == ("failed", "does not exist; create it, or set existing to False")


@pytest.mark.parametrize(
    ("answer", "outcome", "message"),
    [
        ({"ClientIDList": ["sts.amazonaws.com"]}, "passed", "exists, with the audience sts.amazonaws.com"),
        ({"ClientIDList": ["https://github.com/your-org"]}, "failed", "has no audience sts.amazonaws.com; add it: aws"),
        ("NoSuchEntity", "failed", f"{PROVIDER} does not exist; set owns_github_provider instead"),
    ],
)
def test_the_provider_for_github_has_the_audience_of_the_roles(
    aws: Aws, answer: Any, outcome: str, message: str
) -> None:
    (line,) = _lines(aws, Existing(github_provider=PROVIDER), ("iam", "get_open_id_connect_provider", answer))
    assert (line.subject, line.outcome) == ("identity provider for GitHub", outcome)
    assert line.message.startswith(message)


@pytest.mark.parametrize(
    ("answer", "outcome", "message"),
    [
        ({}, "passed", f"{BOUNDARY} exists"),
        ("NoSuchEntity", "failed", f"{BOUNDARY} does not exist; correct permissions_boundary_arn, or remove it"),
    ],
)
def test_an_existing_boundary_exists(aws: Aws, answer: Any, outcome: str, message: str) -> None:
    (line,) = _lines(aws, Existing(permissions_boundary=BOUNDARY), ("iam", "get_policy", answer))
    expected = ("permissions boundary of ap-northeast-2-dev", outcome, message)
    assert line == Line(*expected)  # type: ignore[arg-type]


NODES = f"arn:aws:iam::{ACCOUNT}:role/company/nodes"
_POLICIES = ("AmazonEC2ContainerRegistryPullOnly", "AmazonEKSWorkerNodePolicy")


def _trust(service: Any, action: Any = "sts:AssumeRole") -> str:
    statement = {"Effect": "Allow", "Action": action, "Principal": {"Service": service}}
    return quote(json.dumps({"Version": "2012-10-17", "Statement": statement}))


def _role(
    aws: Aws, trust: str, *attached: str, arn: str = NODES, tags: dict[str, str] | None = None
) -> list[tuple[str, str]]:
    role = {
        "Arn": arn, "Path": "/company/", "RoleName": "nodes", "RoleId": "AROA0123456789ABC",
        "CreateDate": datetime(2026, 1, 1, tzinfo=UTC), "AssumeRolePolicyDocument": trust,
        "Tags": [{"Key": name, "Value": value} for name, value in (tags or {}).items()],
    }  # fmt: skip
    policies = [{"PolicyName": name} for name in attached]
    answers: list[Answer] = [
        ("iam", "get_role", {"Role": role}),
        ("iam", "list_attached_role_policies", {"AttachedPolicies": policies}),
    ]
    existing = Existing(roles=[ExistingRole(NODES, "ec2.amazonaws.com", _POLICIES)])
    lines = _lines(aws, existing, *answers[: 2 if arn == NODES else 1])
    assert {line.subject for line in lines} == {"role nodes"}
    return [(line.outcome, line.message) for line in lines]


@pytest.mark.parametrize(
    ("trust", "attached"),
    [
        (_trust("ec2.amazonaws.com"), _POLICIES),
        (
            _trust(["ec2.amazonaws.com", "ssm.amazonaws.com"], ["sts:AssumeRole", "sts:TagSession"]),
            ("AmazonEKSWorkerNodeMinimalPolicy", "AmazonEC2ContainerRegistryReadOnly", "AmazonSSMManagedInstanceCore"),
        ),
    ],
)
def test_an_existing_role_has_its_trust_and_policies(aws: Aws, trust: str, attached: Sequence[str]) -> None:
    passed = "exists, ec2.amazonaws.com may assume it, and it has the policies it needs"
    assert _role(aws, trust, *attached) == [("passed", passed)]


def test_what_an_existing_role_lacks_is_printed_with_the_command(aws: Aws) -> None:
    failed, warned = _role(aws, _trust("eks.amazonaws.com"), "AmazonEKSWorkerNodePolicy")
    assert failed == (
        "failed",
        "its trust policy does not allow ec2.amazonaws.com sts:AssumeRole; add it: aws iam update-assume-role-policy",
    )
    assert warned[0] == "warning"
    assert warned[1] == (
        "has no policy AmazonEC2ContainerRegistryPullOnly; unless a policy of its own allows the same, attach it: "
        "aws iam attach-role-policy --role-name nodes "
        "--policy-arn arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly"
    )


def test_a_role_with_the_tag_of_another_environment_fails(aws: Aws) -> None:
    ((outcome, message),) = _role(aws, _trust("ec2.amazonaws.com"), *_POLICIES, tags={"Environment": "prod"})
    assert outcome == "failed"
    assert message.startswith("its tag Environment is prod, and the permissions boundary of dev denies resources of")


def test_a_role_that_does_not_exist_fails(aws: Aws) -> None:
    existing = Existing(roles=[ExistingRole(NODES, "ec2.amazonaws.com", _POLICIES)])
    (line,) = _lines(aws, existing, ("iam", "get_role", "NoSuchEntity"))
    assert (line.outcome, line.message) == ("failed", f"{NODES} does not exist; correct role_arn, or remove it")


def test_a_role_on_another_path_is_another_one(aws: Aws) -> None:
    other = f"arn:aws:iam::{ACCOUNT}:role/nodes"
    ((outcome, message),) = _role(aws, _trust("ec2.amazonaws.com"), arn=other)
    assert (outcome, message) == ("failed", f"{NODES} does not exist, but {other} does; correct role_arn, or remove it")
