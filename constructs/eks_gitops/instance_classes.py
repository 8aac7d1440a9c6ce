"""RDS instance classes for PostgreSQL: the major versions that can run on them, and the regions that offer them."""

from collections.abc import Collection
from typing import Any

from eks_gitops import aws_data


def _rows() -> dict[str, list[Any]]:
    """The major versions and the set of regions of each class."""
    rows: dict[str, list[Any]] = aws_data.content()["instance_classes"]
    return rows


def of_versions(majors: Collection[str]) -> list[str]:
    """The classes on which one of the major versions can run in any region."""
    return [name for name, (versions, _) in _rows().items() if not set(majors).isdisjoint(versions)]


def offered(instance_class: str, region: str) -> bool:
    """Whether a region offers an existing class. True if AWS does not publish the offers of the region."""
    return aws_data.offered(_rows()[instance_class][1], region)


def similar(instance_class: str, majors: Collection[str]) -> str:
    """Classes of the major versions with names similar to another one."""
    return aws_data.similar(instance_class, of_versions(majors))


def alternatives(instance_class: str, major: str, region: str) -> str:
    """Classes of a major version that a region offers instead of another one."""
    return aws_data.similar(instance_class, [name for name in of_versions([major]) if offered(name, region)])
