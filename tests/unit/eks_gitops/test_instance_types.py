import pytest

from eks_gitops import aws_data, instance_types


@pytest.mark.parametrize("name", ["t3.small", "m8i.large", "c8i.large", "r8i.96xlarge", "m9g.large", "g6.48xlarge"])
def test_knows_new_generations_and_all_sizes(name: str) -> None:
    assert instance_types.is_known(name)


@pytest.mark.parametrize("name", ["c5.8xlarge", "t3.mega", "t3", "", "mac2.metal"])
def test_does_not_know_types_that_no_node_can_have(name: str) -> None:
    assert not instance_types.is_known(name)


@pytest.mark.parametrize(
    ("name", "architecture", "vcpus"),
    [("t3.medium", "x86_64", 2), ("m7g.medium", "arm64", 1), ("c5.9xlarge", "x86_64", 36), ("m4.large", "x86_64", 2)],
)
def test_architecture_and_vcpus(name: str, architecture: str, vcpus: int) -> None:
    assert (instance_types.architecture(name), instance_types.vcpus(name)) == (architecture, vcpus)


@pytest.mark.parametrize(
    ("name", "pods"),
    [
        ("t3.medium", 110),  # 3 interfaces x 5 prefixes x 16 + 2 = 242
        ("t3.nano", 34),  # 2 x 1 x 16 + 2
        *[(f"{family}{generation}g.medium", 98) for family in "cmr" for generation in (6, 7, 8)],  # 2 x 3 x 16 + 2
        ("m7i.4xlarge", 110),
        ("m7i.8xlarge", 250),
        ("c5.metal", 250),
        ("m4.large", 20),  # 2 x 9 + 2: no prefixes without the Nitro System
        ("m4.16xlarge", 234),  # 8 x 29 + 2
    ],
)
def test_max_pods(name: str, pods: int) -> None:
    assert instance_types.max_pods(name) == pods


def test_offers_of_a_region() -> None:
    assert instance_types.offered("m6a.large", "us-west-2")
    assert not instance_types.offered("m6a.large", "ap-northeast-2")


def test_without_published_offers_every_type_is_accepted() -> None:
    assert instance_types.offered("m6a.large", "us-iso-east-1")


def test_every_type_is_offered_somewhere_and_has_an_address_for_pods() -> None:
    for name in aws_data.content()["instance_types"]:
        assert any(instance_types.offered(name, region) for region in aws_data.content()["regions"])
        assert instance_types.max_pods(name) > 0
        assert instance_types.vcpus(name) > 0
