import pytest

from eks_gitops.security_group import group_description
from tests.template import Template


@pytest.mark.parametrize("text", ["a", "HTTPS (443) from inside the VPC", "a-zA-Z0-9 ._-:/()#,@[]+=&;{}!$*", "a" * 255])
def test_accepts_a_description(text: str) -> None:
    assert group_description(text) == text


@pytest.mark.parametrize("text", ["", "The cluster's API", "a" * 256, "a\n", "클러스터", 'the "API"', "a?"])
def test_rejects_a_description(text: str) -> None:
    with pytest.raises(ValueError, match="not a description of a security group; use 1 to 255 of a-z A-Z 0-9"):
        group_description(text)


def test_every_security_group_and_rule_has_a_valid_description(
    platform: dict[str, Template], alternative: dict[str, Template]
) -> None:
    descriptions = [
        group_description(resource["description"])
        for stack in (*platform.values(), *alternative.values())
        for kind in ("aws_security_group", "aws_vpc_security_group_ingress_rule", "aws_vpc_security_group_egress_rule")
        for resource in stack.resources(kind).values()
    ]
    assert descriptions
