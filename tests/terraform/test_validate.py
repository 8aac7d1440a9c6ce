"""`terraform validate` accepts all AWS stacks, and the preconditions of the in-cluster stacks work.

All stacks are modules of one configuration, so that the provider is started only once.
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
    "Deprecated Parameter",  # the lock table, which is used during the migration to lock files
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
    aws_provider: None,  # noqa: ARG001 (skips the test if the provider is not available)
    platform: dict[str, Template],
    alternative: dict[str, Template],
    tmp_path_factory: pytest.TempPathFactory,
) -> list[dict[str, Any]]:
    """The diagnostics of `terraform validate` for all AWS stacks."""
    folder = tmp_path_factory.mktemp("terraform")
    # Without the in-cluster stacks, because the provider mirror of the tests has no helm and kubernetes providers.
    stacks = {name: stack for name, stack in {**platform, **alternative}.items() if not name.endswith("-gitops")}
    for name, stack in stacks.items():
        (folder / name).mkdir()
        (folder / name / "cdk.tf.json").write_text(json.dumps(stack.raw))
    modules = {"module": {name: {"source": f"./{name}"} for name in stacks}}
    (folder / "main.tf.json").write_text(json.dumps(modules))
    initialized = _terraform(folder, "init", "-backend=false", "-no-color")
    assert initialized.returncode == 0, initialized.stderr
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
