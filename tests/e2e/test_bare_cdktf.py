"""CDKTF's own command line on the deployed region, as `docs/delivery.md` describes it."""

import os
import subprocess

import boto3
import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("region")]

_SHARED, _DEV = "ap-northeast-2-shared", "ap-northeast-2-dev"
_CLUSTER, _ROLE = "gitops-cluster-dev", "/ap-northeast-2-shared-plan"


def _deploy(*arguments: str, **variables: str) -> tuple[int, str]:
    """The exit status and the output of `cdktf deploy`, for the stacks as they are synthesized."""
    finished = subprocess.run(
        ["node_modules/.bin/cdktf", "deploy", *arguments, "--skip-synth", "--auto-approve"],
        env={**os.environ, **variables}, check=False, capture_output=True, text=True,
    )  # fmt: skip
    return finished.returncode, finished.stdout + finished.stderr


def _access(aws: boto3.Session) -> list[str]:
    """The access entry of the role for plans, if it is there."""
    entries = aws.client("eks").list_access_entries(clusterName=_CLUSTER)["accessEntries"]
    return [entry for entry in entries if entry.endswith(_ROLE)]


def test_a_stack_alone_is_refused_because_it_reads_from_shared() -> None:
    status, output = _deploy(_DEV)
    assert status != 0
    expected = f"The following dependencies are not included in the stacks to run: {_SHARED}"
    assert expected in " ".join(output.split())


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        pytest.param((_SHARED, _DEV), {}, id="both stacks"),
        pytest.param((_DEV, "--ignore-missing-stack-dependencies"), {}, id="option"),
        pytest.param((_DEV,), {"CDKTF_IGNORE_MISSING_STACK_DEPENDENCIES": "true"}, id="variable"),
    ],
)
def test_a_stack_is_deployed(aws: boto3.Session, arguments: tuple[str, ...], variables: dict[str, str]) -> None:
    """What was deleted outside of Terraform is created again, which shows that it was applied."""
    (role,) = _access(aws)
    aws.client("eks").delete_access_entry(clusterName=_CLUSTER, principalArn=role)
    status, output = _deploy(*arguments, **variables)
    assert status == 0, output
    assert _access(aws) == [role]
