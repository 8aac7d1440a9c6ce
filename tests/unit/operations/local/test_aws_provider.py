"""What the copy of a stack for the emulated AWS has in place of what its provider does not know."""

from typing import Any

import pytest

from operations.local import aws_provider

_SUBNETS = {
    f"{kind}-{zone}": {"availability_zone": f"ap-northeast-2{zone}", "tags": {f"kubernetes.io/role/{role}": "1"}}
    for kind, role in (("private", "internal-elb"), ("public", "elb"))
    for zone in "ab"
}
_GATEWAY = {
    "availability_mode": "regional",
    "availability_zone_address": [
        {"availability_zone": f"ap-northeast-2{zone}", "allocation_ids": [f"${{aws_eip.{zone}.id}}"]} for zone in "ba"
    ],
    "vpc_id": "${aws_vpc.vpc.id}",
    "tags": {"Name": "vpc"},
}


def _adapted() -> dict[str, Any]:
    stack = {"terraform": {}, "resource": {"aws_subnet": _SUBNETS, "aws_nat_gateway": {"nat": _GATEWAY}}}
    gateway: dict[str, Any] = aws_provider.adapted(stack)["resource"]["aws_nat_gateway"]["nat"]
    return gateway


def test_version_5_gets_a_nat_gateway_in_a_public_subnet_in_place_of_a_regional_one() -> None:
    assert _adapted() == {
        "allocation_id": "${aws_eip.b.id}",
        "subnet_id": "${aws_subnet.public-b.id}",
        "tags": {"Name": "vpc"},
    }


def test_version_6_gets_the_regional_nat_gateway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(aws_provider.VARIABLE, "6.25.0")
    assert _adapted() == _GATEWAY
