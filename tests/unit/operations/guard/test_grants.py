"""What one IAM policy allows and another does not."""

from typing import Any

import pytest

from operations.guard.grants import administrative, gained


def _policy(**fields: Any) -> dict[str, Any]:
    return {"Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::media/*", **fields}]}


_OLD = _policy()
_SECURE = {"Bool": {"aws:SecureTransport": "true"}}


@pytest.mark.parametrize(
    "new",
    [
        _OLD,
        _policy(Action=["s3:GetObject"]),
        _policy(Resource="arn:aws:s3:::media/public/*"),
        _policy(Condition=_SECURE),
        {"Statement": _OLD["Statement"][0]},
        {"Statement": []},
        {"Statement": "s3:*"},
    ],
)
def test_the_same_or_less_gains_nothing(new: dict[str, Any]) -> None:
    assert list(gained(_OLD, new)) == []


@pytest.mark.parametrize(
    ("new", "gain"),
    [
        (_policy(Action=["s3:GetObject", "s3:PutObject"]), "s3:PutObject on arn:aws:s3:::media/*"),
        (_policy(Action="s3:*"), "s3:* on arn:aws:s3:::media/*"),
        (_policy(Resource=["arn:aws:s3:::media/*", "arn:aws:s3:::other"]), "s3:GetObject on arn:aws:s3:::other"),
        (
            _policy(Principal={"AWS": ["arn:aws:iam::999999999999:root"]}),
            "s3:GetObject on arn:aws:s3:::media/* for AWS arn:aws:iam::999999999999:root",
        ),
        (_policy(Principal="*"), "s3:GetObject on arn:aws:s3:::media/* for anyone"),
    ],
)
def test_gains_are_listed(new: dict[str, Any], gain: str) -> None:
    assert list(gained(_OLD, new)) == [gain]


def test_not_action_is_covered_by_itself_only() -> None:
    new = {"Statement": [{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}]}
    assert list(gained(_OLD, new)) == ["NotAction iam:* on *"]
    assert list(gained(new, new)) == []


def test_a_removed_condition_is_a_gain() -> None:
    assert list(gained(_policy(Condition=_SECURE), _OLD)) == ["s3:GetObject on arn:aws:s3:::media/*"]


def test_a_removed_denial_is_a_gain() -> None:
    denied = _policy(Effect="Deny", Action="s3:*")
    assert list(gained(denied, {"Statement": []})) == ["s3:* on arn:aws:s3:::media/* (no longer denied)"]
    assert list(gained(denied, _policy(Effect="Deny", Action="*", Resource="*"))) == []


@pytest.mark.parametrize(
    ("policy", "is_administrative"),
    [
        (_OLD, False),
        (_policy(Action="*", Resource="*"), True),
        (_policy(Action="iam:*", Resource="*"), True),
        (_policy(Principal={"AWS": "*"}), True),
        (_policy(Principal="*", Condition=_SECURE), False),
        ({"Statement": [{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}]}, True),
        # A key policy names its account, and applies to that key only.
        (_policy(Action="kms:*", Resource="*", Principal={"AWS": "arn:aws:iam::123456789012:root"}), False),
    ],
)
def test_recognizes_administrator_access(policy: dict[str, Any], *, is_administrative: bool) -> None:
    assert bool(list(administrative(policy))) == is_administrative


def test_access_for_anyone_is_not_called_administrator_access() -> None:
    trust = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}]}
    assert list(administrative(trust)) == ["grants access to anyone: sts:AssumeRole"]
    assert list(administrative(_policy(Action="*", Resource="*"))) == ["grants administrator access: * on *"]


def test_a_grant_without_a_resource_is_described_without_one() -> None:
    trust = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "123456789012"}}]}
    assert list(gained({}, trust)) == ["sts:AssumeRole for AWS 123456789012"]


def test_excluded_principals_are_covered_by_themselves_only() -> None:
    root = {"AWS": "arn:aws:iam::123456789012:root"}
    new = {"Statement": [{"Effect": "Allow", "NotPrincipal": root, "Action": "s3:*", "Resource": "*"}]}
    assert list(gained(new, new)) == []
    assert list(gained(_policy(Principal=root), new)) == [
        's3:* on * for NotPrincipal {"AWS": "arn:aws:iam::123456789012:root"}'
    ]
