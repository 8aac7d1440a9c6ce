"""`terraform validate` accepts all AWS stacks, and the preconditions of the in-cluster stacks work.

All stacks are modules of one configuration, so that the provider is started only once.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from operations.local import aws_provider as local_provider
from operations.terraform import program
from tests.contract import platforms
from tests.template import Template, every_stack

pytestmark = pytest.mark.terraform

_EXPECTED = {
    "Backend configuration ignored",  # every stack is a module here
    "Deprecated Parameter",  # the lock table, which is used during the migration to lock files
}

_META = {"//", "depends_on", "lifecycle", "provider", "provisioner"}
"""Arguments of every resource, which belong to Terraform."""


def _terraform(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [program.name(), *arguments],
        cwd=folder,
        env={**os.environ, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "TF_INPUT": "0"},
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def every(
    platform: dict[str, Template],
    alternative: dict[str, Template],
    with_existing: dict[str, Template],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Template]:
    """All stacks of several platforms, one of them with an existing VPC."""
    existing_vpc = every_stack(platforms.existing_vpc(), tmp_path_factory.mktemp("existing-vpc"))
    return {**platform, **alternative, **with_existing, "existing-vpc": existing_vpc["ap-northeast-2-shared"]}


@pytest.fixture(scope="module")
def folder(
    aws_provider: None,  # noqa: ARG001 (skips the test if the provider is not available)
    every: dict[str, Template],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """All AWS stacks as modules of one configuration, initialized with the provider of the emulated AWS."""
    folder = tmp_path_factory.mktemp("terraform")
    # Without the in-cluster stacks, because the provider mirror of the tests has no helm and kubernetes providers.
    stacks = {name: stack for name, stack in every.items() if not name.endswith("-gitops")}
    for name, stack in stacks.items():
        (folder / "stacks" / name).mkdir(parents=True)
        (folder / "stacks" / name / "cdk.tf.json").write_text(json.dumps(stack.raw))
    local_provider.use(folder)
    modules = {"module": {name: {"source": f"./stacks/{name}"} for name in stacks}}
    (folder / "main.tf.json").write_text(json.dumps(modules))
    initialized = _terraform(folder, "init", "-backend=false", "-no-color")
    assert initialized.returncode == 0, initialized.stderr
    return folder


@pytest.fixture(scope="module")
def diagnostics(folder: Path) -> list[dict[str, Any]]:
    """The diagnostics of `terraform validate` for all AWS stacks."""
    found: list[dict[str, Any]] = json.loads(_terraform(folder, "validate", "-json").stdout)["diagnostics"]
    return found


def _messages(diagnostics: list[dict[str, Any]], severity: str) -> list[str]:
    return [
        f"{diagnostic['range']['filename']}: {diagnostic['summary']}: {diagnostic['detail']}"
        for diagnostic in diagnostics
        if diagnostic["severity"] == severity and diagnostic["summary"] not in _EXPECTED
    ]


def test_all_aws_stacks_are_valid(diagnostics: list[dict[str, Any]]) -> None:
    assert _messages(diagnostics, "error") == []


def test_nothing_is_deprecated(diagnostics: list[dict[str, Any]]) -> None:
    assert _messages(diagnostics, "warning") == []


def test_the_provider_of_the_emulated_aws_does_not_know_exactly_the_arguments_that_are_left_out_for_it(
    folder: Path, platform: dict[str, Template], alternative: dict[str, Template]
) -> None:
    if not local_provider.version().startswith("5."):
        pytest.skip("the provider of the stacks is used: nothing is left out")
    schema = json.loads(_terraform(folder, "providers", "schema", "-json").stdout)["provider_schemas"]
    (types,) = (one["resource_schemas"] for name, one in schema.items() if name.endswith("hashicorp/aws"))
    unknown: dict[str, frozenset[str]] = {}
    for stack in (*platform.values(), *alternative.values()):
        for kind, resources in stack.json["resource"].items():
            if kind.startswith("aws_"):
                paths = (_unknown(types[kind]["block"], arguments) for arguments in resources.values())
                new = frozenset(path for some in paths for path in some)
                unknown |= {kind: unknown.get(kind, frozenset()) | new} if new else {}
    for kind, listed in local_provider.NEW_IN_6.items():  # also those that neither settings use
        for argument in listed:
            name, _, rest = argument.partition(".")
            found = _unknown(types[kind]["block"], {name: {rest: ""} if rest else ""})
            unknown[kind] = unknown.get(kind, frozenset()) | set(found)
    assert unknown == local_provider.NEW_IN_6


def _unknown(block: Mapping[str, Any], arguments: Mapping[str, Any]) -> Iterator[str]:
    """The paths of arguments that the provider does not know, also in blocks that occur once."""
    blocks = block.get("block_types", {})
    for name, value in arguments.items():
        if name in blocks and isinstance(value, dict):
            yield from (f"{name}.{path}" for path in _unknown(blocks[name]["block"], value))
        elif name not in block.get("attributes", {}).keys() | blocks.keys() | _META:
            yield name


_REFERENCE = re.compile(r"data\.terraform_remote_state\.[\w.-]+")


@pytest.mark.parametrize("empty", [False, True], ids=["known", "empty"])
def test_preconditions_of_the_cluster_secret_fail_for_empty_values(
    platform: dict[str, Template], tmp_path: Path, *, empty: bool
) -> None:
    """The preconditions are moved to a `terraform_data` resource, with a local value instead of remote state."""
    (secret,) = (
        secret
        for secret in platform["ap-northeast-2-prod-gitops"].resources("kubernetes_secret_v1").values()
        if "lifecycle" in secret
    )
    rules = secret["lifecycle"]["precondition"]
    text = _REFERENCE.sub("local.output", json.dumps(rules))
    configuration = {
        "locals": {"output": "" if empty else "some"},
        "resource": {"terraform_data": {"secret": {"lifecycle": {"precondition": json.loads(text)}}}},
    }
    (tmp_path / "main.tf.json").write_text(json.dumps(configuration))
    initialized = _terraform(tmp_path, "init", "-no-color")
    assert initialized.returncode == 0, initialized.stderr
    planned = _terraform(tmp_path, "plan", "-no-color", "-input=false")
    failed = sorted(set(re.findall(r"(platform/[a-z-]+) of the\s+cluster\s+secret\s+is\s+empty", planned.stderr)))
    referencing = [name for name, value in secret["metadata"]["annotations"].items() if "${" in value]
    assert planned.returncode == (1 if empty else 0), planned.stderr
    assert failed == (sorted(referencing) if empty else [])
