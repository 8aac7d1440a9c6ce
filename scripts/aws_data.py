#!/usr/bin/env python3
"""Writes `constructs/eks_gitops/aws_data.json`: what AWS offers in each region. Run it with `make aws-data`.

Sources, as pinned in the Makefile:

- cfn-lint, AWS's linter for CloudFormation: the instance types and the instance classes of RDS and Aurora of each
  region, the versions of the database engines, and the Availability Zones.
- botocore, AWS's SDK: the regions and their partitions.
- moto, which contains the answer of EC2's DescribeInstanceTypes: architecture, vCPUs and network interfaces.

An instance type is left out if EC2 does not describe it any more, or if Kubernetes has no nodes of its architecture
(Macs).
"""

import gzip
import json
import re
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from cfnlint.helpers import AVAILABILITY_ZONES

_OUTPUT = Path(__file__).parent.parent / "constructs" / "eks_gitops" / "aws_data.json"
_SOURCES = ("botocore", "cfn-lint", "moto")
_ARCHITECTURES = ("arm64", "x86_64")
_ENGINES = {"postgres": 1, "mysql": 2, "aurora-postgresql": 1, "aurora-mysql": 2}
"""The database engines, by their name in RDS, with the count of numbers in a major version: 8.4 of MySQL has two."""


class _RegionSets:
    """Sets of regions, of which the rows contain only the index."""

    def __init__(self) -> None:
        self.sets: list[list[str]] = []

    def index(self, regions: Iterable[str]) -> int:
        regions = sorted(regions)
        if regions not in self.sets:
            self.sets.append(regions)
        return self.sets.index(regions)


def _cfn_lint(path: str) -> Any:
    return json.loads(files("cfnlint").joinpath("data/schemas/extensions", path).read_text())


def _regions() -> dict[str, Any]:
    """The partition of each region, and its zones if they are published."""
    partitions = json.loads(files("botocore").joinpath("data/partitions.json").read_text())["partitions"]
    return {
        region: {"partition": partition["id"], "zones": AVAILABILITY_ZONES.get(region, [])}
        for partition in partitions
        for region in sorted(partition["regions"])
        if not region.endswith("-global")
    }


def _instance_types(sets: _RegionSets) -> dict[str, list[Any]]:
    """For each type, the values of a row of `eks_gitops.instance_types`."""
    offers: dict[str, list[str]] = {}
    for region, schema in _cfn_lint("aws_ec2_instance/instancetype_enum.json").items():
        for name in schema["enum"] if isinstance(schema, dict) else ():
            offers.setdefault(name, []).append(region)
    packed = files("moto").joinpath("ec2/resources/instance_types.json.gz").read_bytes()
    described = json.loads(gzip.decompress(packed))
    rows = {}
    for name in sorted(offers.keys() & described.keys()):
        details = described[name]
        network, supported = details["NetworkInfo"], details["ProcessorInfo"]["SupportedArchitectures"]
        architecture = next((known for known in _ARCHITECTURES if known in supported), None)
        if architecture is not None:
            rows[name] = [
                architecture,
                details["VCpuInfo"]["DefaultVCpus"],
                network["NetworkCards"][network["DefaultNetworkCardIndex"]]["MaximumNetworkInterfaces"],
                network["Ipv4AddressesPerInterface"],
                details["BareMetal"] or details["Hypervisor"] == "nitro",
                sets.index(offers[name]),
            ]
    return rows


def _rules(engine: str, rules: list[Any]) -> Iterator[tuple[dict[str, Any], Any]]:
    """The conditions and consequences of the rules for an engine."""
    for rule in rules:
        condition = rule["if"]["properties"]
        if condition["Engine"].get("const") == engine and condition.get("LicenseModel", False) is False:
            yield condition, rule["then"]


def _engine_versions(engine: str) -> dict[str, dict[str, list[str]]]:
    """The minor versions of each major version: those that can be created, and those that are deprecated.

    Versions that only Extended Support has, such as 8.0.46-rds.20260624, are left out, and Aurora's version 2 of MySQL,
    and its 16.13-limitless.
    """
    folder = "aws_rds_dbinstance"
    ((_, known),) = _rules(engine, _cfn_lint(f"{folder}/engine_version.json")["allOf"])
    ((deprecated, _),) = _rules(engine, _cfn_lint(f"{folder}/engine_version_deprecated.json")["allOf"])
    majors: dict[str, dict[str, list[str]]] = {}
    for name in sorted(known["properties"]["EngineVersion"]["enum"], key=_numbers):
        major = ".".join(name.split(".")[: _ENGINES[engine]])
        kind = "deprecated" if name in deprecated["EngineVersion"]["enum"] else "current"
        if name != major and "-" not in name and "mysql_aurora.2." not in name:
            majors.setdefault(major, {"current": [], "deprecated": []})[kind].append(name)
    return majors


def _numbers(name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", name)]


def _instance_classes(
    engine: str, sets: _RegionSets, versions: dict[str, dict[str, list[str]]]
) -> dict[str, list[Any]]:
    """For each class, the values of a row of `eks_gitops.instance_classes`.

    The classes of a major version are those of all its minor versions: of a version that RDS has as well, cfn-lint
    lists the classes of both, and Aurora has fewer.
    """
    offers: dict[str, set[str]] = {}
    for region, schema in _cfn_lint("aws_rds_dbinstance/dbinstanceclass_enum.json").items():
        for _, then in _rules(engine, schema["allOf"] if isinstance(schema, dict) else []):
            for name in then["properties"]["DBInstanceClass"]["enum"]:
                offers.setdefault(name, set()).add(region)
    rules = [
        (re.compile(condition["EngineVersion"]["pattern"]), set(then["properties"]["DBInstanceClass"]["enum"]))
        for condition, then in _rules(engine, _cfn_lint("aws_rds_dbinstance/db_instance_class.json")["allOf"])
    ]
    majors: dict[str, set[str]] = {}
    for major, minors in versions.items():
        of_minors = [
            set().union(*[names for pattern, names in rules if pattern.search(minor)]) for minor in minors["current"]
        ]
        for name in set.intersection(*of_minors) if of_minors else ():
            majors.setdefault(name, set()).add(major)
    return {
        name: [sorted(majors[name], key=_numbers), sets.index(offers[name])]
        for name in sorted(offers.keys() & majors.keys())
    }


def _lines(values: Any, depth: int) -> str:
    """JSON with one line per value at a depth, so that a difference is readable."""
    if depth == 0:
        return json.dumps(values)
    if isinstance(values, list):
        return "[\n" + ",\n".join(_lines(value, depth - 1) for value in values) + "\n]"
    return "{\n" + ",\n".join(f"{json.dumps(key)}: {_lines(value, depth - 1)}" for key, value in values.items()) + "\n}"


def main() -> None:
    """Write the file."""
    sets = _RegionSets()
    versions = {engine: _engine_versions(engine) for engine in _ENGINES}
    content: dict[str, Any] = {
        "sources": {name: version(name) for name in _SOURCES},
        "regions": _regions(),
        "instance_types": _instance_types(sets),
        **{f"{engine}_versions": majors for engine, majors in versions.items()},
        **{f"{engine}_classes": _instance_classes(engine, sets, majors) for engine, majors in versions.items()},
        "region_sets": sets.sets,
    }
    text = ",\n".join(
        f"{json.dumps(key)}: {_lines(values, 2 if key.endswith('_versions') else 1)}" for key, values in content.items()
    )
    _OUTPUT.write_text(f"{{\n{text}\n}}\n")


if __name__ == "__main__":
    main()
