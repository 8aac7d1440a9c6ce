"""Terraform and the schema of the AWS provider accept every stack.

All stacks are modules of one configuration, so that the provider is started once.
"""

import json
import os
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
    stacks = {**platform, **otherwise}
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


def test_every_stack_is_valid(diagnostics: list[dict[str, Any]]) -> None:
    assert _told(diagnostics, "error") == []


def test_nothing_is_deprecated(diagnostics: list[dict[str, Any]]) -> None:
    assert _told(diagnostics, "warning") == []
