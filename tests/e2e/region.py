"""The region on the emulated AWS, deployed once for all tests."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import boto3

from eks_gitops.versions import EKS_VERSIONS
from operations.state.existing import NOT_IMPORTED
from operations.terraform.stacks import Stack

OLDER, NEWER = list(EKS_VERSIONS)[-2:]
"""The Kubernetes version that the region is deployed with, and the next one."""

STATE_BUCKET = "your-org-terraform-state-ap-northeast-2"


class Calls:
    """The calls to AWS, as IAM actions."""

    def __init__(self, record: Path) -> None:
        self._record = record
        self._read = 0

    def new(self) -> set[str]:
        """The actions since the last call of a method."""
        return set(self.new_in_order())

    def new_in_order(self) -> list[str]:
        """The actions since the last call of a method, in their order."""
        lines = self._record.read_text(encoding="utf-8").splitlines()
        new, self._read = lines[self._read :], len(lines)
        return [json.loads(line)["action"] for line in new]


class Region(NamedTuple):
    """The deployed stacks, and the IAM actions of their deploys by environment."""

    stacks: list[Stack]
    actions: dict[str, set[str]]

    def stack(self, environment: str) -> Stack:
        return next(stack for stack in self.stacks if stack.name == f"ap-northeast-2-{environment}")


def operations(*arguments: str) -> str:
    """Run a command that must succeed, and return its output."""
    finished = subprocess.run(
        [sys.executable, "-m", "operations", *arguments], check=False, capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def reported(*arguments: str) -> tuple[int, dict[str, Any]]:
    """The exit status and the report of a command, whatever its status."""
    finished = subprocess.run(
        [sys.executable, "-m", "operations", *arguments, "--json"], check=False, capture_output=True, text=True
    )
    assert finished.stdout, finished.stderr
    return finished.returncode, json.loads(finished.stdout)


def ids_in_state(aws: boto3.Session, stack: Stack) -> dict[str, Any]:
    """The IDs of the resources in a stack's state, by address, of types that can be imported."""
    body = aws.client("s3").get_object(Bucket=STATE_BUCKET, Key=stack.state.key)["Body"].read()
    return {
        f"{resource['type']}.{resource['name']}": resource["instances"][0]["attributes"]["id"]
        for resource in json.loads(body)["resources"]
        if resource["mode"] == "managed" and resource["type"] not in NOT_IMPORTED
    }
