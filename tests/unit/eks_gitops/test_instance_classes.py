import pytest

from eks_gitops import instance_classes
from eks_gitops.versions import MYSQL_MAJORS, POSTGRESQL_MAJORS


@pytest.mark.parametrize(
    ("engine", "major"),
    [*(("postgres", major) for major in POSTGRESQL_MAJORS), *(("mysql", major) for major in MYSQL_MAJORS)],
)
def test_classes_of_a_version(engine: str, major: str) -> None:
    classes = instance_classes.of_versions(engine, [major])
    assert {"db.t4g.micro", "db.t3.medium", "db.m9g.large"} <= set(classes)
    assert not {"db.t3a.medium", "db.c7g.large", "db.t2.micro", "db.serverless"} & set(classes)


def test_offers_of_a_region() -> None:
    assert instance_classes.offered("postgres", "db.m9g.large", "us-west-2")
    assert not instance_classes.offered("postgres", "db.m9g.large", "ap-northeast-2")


def test_without_published_offers_every_class_is_accepted() -> None:
    assert instance_classes.offered("postgres", "db.m9g.large", "us-iso-east-1")


def test_similar_classes_and_alternatives() -> None:
    assert instance_classes.similar("postgres", "t4g.medium", ["17"]).startswith("db.t4g.medium, ")
    assert instance_classes.alternatives("postgres", "db.m9g.large", "17", "ap-northeast-2").startswith(
        "db.m8g.large, "
    )
