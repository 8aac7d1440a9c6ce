"""Each argument of each AWS resource is one that the bindings declare, also where an override of CDKTF wrote it."""

import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from tests.template import Template

pytestmark = pytest.mark.slow

_META = {"//", "depends_on", "lifecycle", "provider", "provisioner"}
"""Arguments of every resource, which belong to Terraform."""
_BLOCK = re.compile(r"@cdktf/provider-aws\.[\w.]+")


@pytest.fixture(scope="module")
def types() -> Mapping[str, Any]:
    """The types that the bindings of the AWS provider declare, by name."""
    (archive,) = Path(str(files("cdktf_cdktf_provider_aws._jsii"))).glob("*.tgz")
    with tarfile.open(archive) as packed:
        declared = packed.extractfile("package/.jsii")
        assert declared is not None
        found: Mapping[str, Any] = json.load(declared)["types"]
        return found


def test_every_argument_is_declared(
    types: Mapping[str, Any], platform: dict[str, Template], alternative: dict[str, Template]
) -> None:
    configs = {name.split(".")[-1].lower(): name for name in types if name.endswith("Config")}
    checked = set()
    undeclared = set()
    for stack in (*platform.values(), *alternative.values()):
        for kind, resources in stack.json["resource"].items():
            if kind.startswith("aws_"):
                name = kind.removeprefix("aws").replace("_", "")
                # CDKTF appends an A to a class whose name another type would have otherwise.
                config = configs.get(f"{name}config") or configs[f"{name}aconfig"]
                checked.add(kind)
                for arguments in resources.values():
                    own = {name: value for name, value in arguments.items() if name not in _META}
                    undeclared |= {f"{kind}.{path}" for path in _undeclared(types, config, own)}
    assert len(checked) > 50
    assert undeclared == set()


def test_an_argument_that_is_not_declared_is_found(types: Mapping[str, Any]) -> None:
    config = "@cdktf/provider-aws.eksCluster.EksClusterConfig"
    arguments = {"name": "a", "nme": "b", "vpc_config": [{"subnet_ids": ["c"], "subnets": []}]}
    assert list(_undeclared(types, config, arguments)) == ["nme", "vpc_config.subnets"]


def _undeclared(types: Mapping[str, Any], config: str, arguments: Mapping[str, Any]) -> Iterator[str]:
    """The paths of arguments that a type does not declare, with those of its blocks."""
    declared = {one["name"]: one["type"] for one in types[config]["properties"]}
    for name, value in arguments.items():
        camel = re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name)
        if camel not in declared:
            yield name
            continue
        block = _BLOCK.search(json.dumps(declared[camel]))
        for one in value if isinstance(value, list) else [value]:
            if block and isinstance(one, dict):
                yield from (f"{name}.{path}" for path in _undeclared(types, block[0], one))
