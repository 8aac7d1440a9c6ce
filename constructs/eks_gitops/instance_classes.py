"""RDS instance classes for each database engine: the major versions that can run on them, and the regions with them."""

from collections.abc import Collection
from typing import Any

from eks_gitops import aws_data


def _rows(engine: str) -> dict[str, list[Any]]:
    """The major versions and the set of regions of each class."""
    rows: dict[str, list[Any]] = aws_data.content()[f"{engine}_classes"]
    return rows


def of_versions(engine: str, majors: Collection[str]) -> list[str]:
    """The classes on which one of the major versions of an engine can run in any region."""
    return [name for name, (versions, _) in _rows(engine).items() if not set(majors).isdisjoint(versions)]


def offered(engine: str, instance_class: str, region: str) -> bool:
    """Whether a region offers an existing class. True if AWS does not publish the offers of the region."""
    return aws_data.offered(_rows(engine)[instance_class][1], region)


def similar(engine: str, instance_class: str, majors: Collection[str]) -> str:
    """Classes of the major versions with names similar to another one."""
    return aws_data.similar(instance_class, of_versions(engine, majors))


def alternatives(engine: str, instance_class: str, major: str, region: str) -> str:
    """Classes of a major version that a region offers instead of another one."""
    names = [name for name in of_versions(engine, [major]) if offered(engine, name, region)]
    return aws_data.similar(instance_class, names)
