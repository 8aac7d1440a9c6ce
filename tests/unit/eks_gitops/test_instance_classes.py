import pytest

from eks_gitops import instance_classes
from eks_gitops.versions import POSTGRESQL_MAJORS


@pytest.mark.parametrize("major", POSTGRESQL_MAJORS)
def test_classes_of_a_version(major: str) -> None:
    classes = instance_classes.of_versions([major])
    assert {"db.t4g.micro", "db.t3.medium", "db.m9g.large"} <= set(classes)
    assert not {"db.t3a.medium", "db.c7g.large", "db.t2.micro", "db.serverless"} & set(classes)


def test_offers_of_a_region() -> None:
    assert instance_classes.offered("db.m9g.large", "us-west-2")
    assert not instance_classes.offered("db.m9g.large", "ap-northeast-2")


def test_without_published_offers_every_class_is_accepted() -> None:
    assert instance_classes.offered("db.m9g.large", "us-iso-east-1")


def test_similar_classes_and_alternatives() -> None:
    assert instance_classes.similar("t4g.medium", ["17"]).startswith("db.t4g.medium, ")
    assert instance_classes.alternatives("db.m9g.large", "17", "ap-northeast-2").startswith("db.m8g.large, ")
