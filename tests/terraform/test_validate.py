"""Terraform and the schema of the AWS provider accept every stack of AWS, and in-cluster rules say what they should.

All stacks are modules of one configuration, so that the provider is started once.
"""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.template import Template

pytestmark = pytest.mark.terraform

_EXPECTED = {
    "Backend configuration ignored",  # every stack is a module here
    "Deprecated Parameter",  # the lock table, which is chosen while a team moves to lock files
}


def _terraform(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["terraform", *arguments],
        cwd=folder,
        env={**os.environ, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "TF_INPUT": "0"},
        check=False,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def diagnostics(
    aws_provider: None,  # noqa: ARG001 (skips where there is none)
    platform: dict[str, Template],
    otherwise: dict[str, Template],
    tmp_path_factory: pytest.TempPathFactory,
) -> list[dict[str, Any]]:
    """What `terraform validate` says to all stacks."""
    folder = tmp_path_factory.mktemp("terraform")
    # Without the in-cluster stacks: their providers helm and kubernetes are not in the mirror that tests install from.
    stacks = {name: stack for name, stack in {**platform, **otherwise}.items() if not name.endswith("-gitops")}
    for name, stack in stacks.items():
        (folder / name).mkdir()
        (folder / name / "cdk.tf.json").write_text(json.dumps(stack.raw))
    modules = {"module": {name: {"source": f"./{name}"} for name in stacks}}
    (folder / "main.tf.json").write_text(json.dumps(modules))
    initialized = _terraform(folder, "init", "-backend=false", "-no-color")
    assert initialized.returncode == 0, initialized.stderr
    said: list[dict[str, Any]] = json.loads(_terraform(folder, "validate", "-json").stdout)["diagnostics"]
    return said


def _told(diagnostics: list[dict[str, Any]], severity: str) -> list[str]:
    return [
        f"{diagnostic['range']['filename']}: {diagnostic['summary']}: {diagnostic['detail']}"
        for diagnostic in diagnostics
        if diagnostic["severity"] == severity and diagnostic["summary"] not in _EXPECTED
    ]


def test_every_stack_of_aws_is_valid(diagnostics: list[dict[str, Any]]) -> None:
    assert _told(diagnostics, "error") == []


def test_nothing_is_deprecated(diagnostics: list[dict[str, Any]]) -> None:
    assert _told(diagnostics, "warning") == []


_REFERENCE = re.compile(r"data\.terraform_remote_state\.[\w.-]+")


@pytest.mark.parametrize("empty", [False, True], ids=["known", "empty"])
def test_cluster_secret_is_refused_while_what_it_reads_is_empty(
    platform: dict[str, Template], tmp_path: Path, *, empty: bool
) -> None:
    """Its preconditions on a resource that Terraform has built in; another stack's outputs are a local there."""
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
    refused = sorted(set(re.findall(r"(platform/[a-z-]+) of the\s+cluster\s+secret\s+is\s+empty", planned.stderr)))
    read = [name for name, value in secret["metadata"]["annotations"].items() if "${" in value]
    assert planned.returncode == (1 if empty else 0), planned.stderr
    assert refused == (sorted(read) if empty else [])
