import pytest

from eks_gitops.location import Location


def _location(region: str) -> Location:
    return Location(account_id="123456789012", region=region, environment="dev")


@pytest.mark.parametrize(
    ("region", "partition"),
    [("ap-northeast-2", "aws"), ("us-gov-west-1", "aws-us-gov"), ("cn-north-1", "aws-cn")],
)
def test_partition_is_derived_from_the_region(region: str, partition: str) -> None:
    assert _location(region).partition == partition
    assert _location(region).managed_policy_arn("Any") == f"arn:{partition}:iam::aws:policy/Any"


@pytest.mark.parametrize(
    ("service", "arn"),
    [
        ("eks", "arn:aws:eks:ap-northeast-2:123456789012:any"),
        ("iam", "arn:aws:iam::123456789012:any"),
        ("route53", "arn:aws:route53:::any"),
        ("s3", "arn:aws:s3:::any"),
    ],
)
def test_arn_has_region_and_account_only_if_the_service_uses_them(service: str, arn: str) -> None:
    assert _location("ap-northeast-2").arn(service, "any") == arn


def test_arn_can_have_another_account_and_region() -> None:
    assert _location("ap-northeast-2").arn("ec2", "image/*", account_id="", region="*") == "arn:aws:ec2:*::image/*"


def test_accepts_a_name_of_the_maximum_length() -> None:
    longest = "x" * (64 - len("ap-northeast-2-dev-"))
    assert len(_location("ap-northeast-2").name(longest)) == 64


def test_rejects_a_longer_name() -> None:
    longer = "x" * (65 - len("ap-northeast-2-dev-"))
    message = f"name 'ap-northeast-2-dev-{longer}' has 65 characters; IAM allows 64, choose a shorter one"
    with pytest.raises(ValueError, match=f"^{message}$"):
        _location("ap-northeast-2").name(longer)
