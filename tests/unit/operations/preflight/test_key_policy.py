"""Key policies of a company, evaluated for the statements that the platform needs."""

import json
from typing import Any

import pytest

from operations.preflight.key_policy import verdict
from tests.template import Template

ACCOUNT = "123456789012"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
LOGS = f"arn:aws:logs:ap-northeast-2:{ACCOUNT}:log-group"

BY_IAM: dict[str, Any] = {
    "Effect": "Allow",
    "Action": ["kms:CreateGrant", "kms:Decrypt", "kms:GenerateDataKey*"],
    "Principal": {"AWS": [ROOT]},
    "Resource": ["*"],
}
BY_SERVICES: dict[str, Any] = {
    "Effect": "Allow",
    "Action": ["kms:Decrypt", "kms:ReEncrypt*"],
    "Principal": {"AWS": ["*"]},
    "Resource": ["*"],
    "Condition": {
        "StringEquals": {
            "kms:CallerAccount": ACCOUNT,
            "kms:ViaService": ["ec2.ap-northeast-2.amazonaws.com", "rds.ap-northeast-2.amazonaws.com"],
        },
        "Bool": {"kms:GrantIsForAWSResource": "true"},
    },
}
BY_LOGS: dict[str, Any] = {
    "Effect": "Allow",
    "Action": ["kms:Encrypt"],
    "Principal": {"Service": ["logs.ap-northeast-2.amazonaws.com"]},
    "Resource": ["*"],
    "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": [f"{LOGS}:/aws/eks/dev/*", f"{LOGS}:/aws/rds/*"]}},
}
EVERYTHING: dict[str, Any] = {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}


def _for(principal: Any, **more: Any) -> dict[str, Any]:
    """A statement that allows everything to a principal."""
    return {**EVERYTHING, "Principal": principal, **more}


@pytest.mark.parametrize("environment", ["shared", "dev"])
def test_the_policy_of_our_own_key_allows_its_own_statements(platform: dict[str, Template], environment: str) -> None:
    policy = json.loads(platform[f"ap-northeast-2-{environment}"].only("aws_kms_key")["policy"])
    assert {verdict(policy, statement, ACCOUNT) for statement in policy["Statement"]} == {"allowed"}


@pytest.mark.parametrize("principal", [{"AWS": ROOT}, {"AWS": ["any", ACCOUNT]}, {"AWS": "*"}, "*"])
def test_the_account_is_named_by_its_root_its_id_or_a_wildcard(principal: Any) -> None:
    assert verdict({"Statement": _for(principal)}, BY_IAM, ACCOUNT) == "allowed"


@pytest.mark.parametrize("principal", [{"AWS": "arn:aws:iam::210987654321:root"}, {"Service": "ec2.amazonaws.com"}])
def test_another_principal_is_not_the_account(principal: Any) -> None:
    assert verdict({"Statement": [_for(principal)]}, BY_IAM, ACCOUNT) == "missing"


def test_a_policy_without_statements_allows_nothing() -> None:
    assert verdict({}, BY_IAM, ACCOUNT) == "missing"


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        ({"Action": ["kms:creategrant", "kms:Decrypt", "kms:Generate*"]}, "allowed"),
        ({"Action": ["kms:CreateGrant", "kms:Decrypt", "kms:GenerateDataKey"]}, "missing"),
        ({"Action": None, "NotAction": ["kms:ScheduleKeyDeletion"]}, "allowed"),
        ({"Action": None, "NotAction": ["kms:Decrypt"]}, "missing"),
    ],
)
def test_every_action_must_be_allowed(actions: dict[str, Any], expected: str) -> None:
    statement = {name: value for name, value in _for({"AWS": ROOT}, **actions).items() if value is not None}
    assert verdict({"Statement": [statement]}, BY_IAM, ACCOUNT) == expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"StringLike": {"kms:ViaService": "*.ap-northeast-2.amazonaws.com"}}, "allowed"),
        ({"StringEquals": {"kms:viaservice": "ec2.ap-northeast-2.amazonaws.com"}}, "missing"),
        ({"StringNotEquals": {"kms:ViaService": ["sqs.ap-northeast-2.amazonaws.com"]}}, "allowed"),
        ({"StringEquals": {"aws:PrincipalAccount": [ACCOUNT]}}, "allowed"),
        ({"Bool": {"kms:GrantIsForAWSResource": True}}, "allowed"),
        ({"Bool": {"kms:GrantIsForAWSResource": "false"}}, "missing"),
        ({"ForAnyValue:StringEqualsIfExists": {"kms:CallerAccount": ACCOUNT}}, "allowed"),
        ({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}, "unknown"),
        ({"DateLessThan": {"kms:CallerAccount": ACCOUNT}}, "unknown"),
        ({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5", "kms:CallerAccount": "1"}}, "missing"),
    ],
)
def test_conditions_are_evaluated_for_every_service(condition: dict[str, Any], expected: str) -> None:
    assert verdict({"Statement": [_for("*", Condition=condition)]}, BY_SERVICES, ACCOUNT) == expected


def test_several_statements_allow_the_services_together() -> None:
    both = [
        _for("*", Condition={"StringEquals": {"kms:ViaService": f"{service}.ap-northeast-2.amazonaws.com"}})
        for service in ("ec2", "rds")
    ]
    assert verdict({"Statement": both}, BY_SERVICES, ACCOUNT) == "allowed"
    assert verdict({"Statement": both[:1]}, BY_SERVICES, ACCOUNT) == "missing"


def test_a_service_is_allowed_for_the_log_groups_that_a_pattern_contains() -> None:
    logs = {"Service": "logs.ap-northeast-2.amazonaws.com"}
    context = "kms:EncryptionContext:aws:logs:arn"
    for pattern, expected in ((f"{LOGS}:*", "allowed"), (f"{LOGS}:/aws/eks/*", "missing")):
        statement = _for(logs, Condition={"ArnLike": {context: pattern}})
        assert verdict({"Statement": [statement]}, BY_LOGS, ACCOUNT) == expected
    other = _for(logs, Condition={"ArnNotLike": {context: f"{LOGS}:/aws/rds/*"}})
    assert verdict({"Statement": [other]}, BY_LOGS, ACCOUNT) == "missing"


@pytest.mark.parametrize(
    ("denied", "expected"),
    [
        ({"Action": "kms:ScheduleKeyDeletion", "Principal": "*"}, "allowed"),
        ({"Action": "kms:Decrypt", "Principal": {"AWS": ROOT}}, "missing"),
        ({"Action": "*", "Principal": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}, "allowed"),
        ({"Action": "*", "Principal": "*", "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "false"}}}, "unknown"),
        ({"Action": "*", "NotPrincipal": {"AWS": ROOT}}, "unknown"),
    ],
)
def test_a_denial_wins(denied: dict[str, Any], expected: str) -> None:
    deny = {"Effect": "Deny", "Resource": "*", **denied}
    assert verdict({"Statement": [_for({"AWS": ROOT}), deny]}, BY_IAM, ACCOUNT) == expected
