"""The region, applied with real Terraform and the AWS provider, with its states in S3, on the emulated AWS."""

import json
import re
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import boto3
import pytest

from operations.terraform import program
from operations.terraform.stacks import Stack
from tests.e2e.region import STATE_BUCKET, Calls, Region, operations
from tests.policies import Role
from tests.template import Template

pytestmark = pytest.mark.e2e


def _plan(stack: Stack, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """A plan of `stack`, with status 0 for no changes, 2 for changes and 1 for an error."""
    subprocess.run([program.name(), "init", "-input=false"], cwd=stack.directory, check=True, capture_output=True)
    return subprocess.run(
        [program.name(), "plan", "-input=false", "-no-color", "-detailed-exitcode", *arguments],
        cwd=stack.directory, check=False, capture_output=True, text=True,
    )  # fmt: skip


def _terraform(stack: Stack, *arguments: str) -> str:
    return subprocess.run(
        [program.name(), *arguments], cwd=stack.directory, check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.usefixtures("region")
def test_every_state_is_stored_in_the_bucket_under_its_own_key(aws: boto3.Session) -> None:
    objects = aws.client("s3").list_objects_v2(Bucket=STATE_BUCKET)["Contents"]
    assert {entry["Key"] for entry in objects} == {
        f"ap-northeast-2/{environment}/terraform.tfstate"
        for environment in ("backend", "shared", "dev", "staging", "prod")
    }


@pytest.mark.usefixtures("region")
def test_bootstrap_can_be_repeated() -> None:
    assert "its state is stored in" in operations("bootstrap")


@pytest.mark.parametrize("environment", ["backend", "shared", "dev", "staging", "prod"])
def test_a_second_plan_is_empty(region: Region, environment: str) -> None:
    plan = _plan(region.stack(environment))
    assert plan.returncode == 0, plan.stdout + plan.stderr


_REMOTE_OUTPUT = re.compile(r"data\.terraform_remote_state\.cross-stack-reference-input-([\w-]+)\.outputs\.([\w-]+)")


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_the_outputs_that_an_in_cluster_stack_reads_exist(region: Region, clone: Path, environment: str) -> None:
    name = f"ap-northeast-2-{environment}-gitops"
    text = (clone / "cdktf.out/stacks" / name / "cdk.tf.json").read_text()
    read = set(_REMOTE_OUTPUT.findall(text))
    published = {
        (stack.name, output): value["value"]
        for stack in region.stacks
        for output, value in json.loads(_terraform(stack, "output", "-json")).items()
    }
    assert {producer for producer, _ in read} == {"ap-northeast-2-shared", f"ap-northeast-2-{environment}"}
    empty = {output for producer, output in read if not published[producer, output]}
    # The emulated cluster has no Kubernetes API, so it has no certificate.
    assert {re.sub("_[0-9A-F]{8}", "_", output) for output in empty} == {
        "cross-stack-output-aws_eks_clustercluster_certificate_authority0data"
    }


# Called by the provider and the backend, and always allowed.
_NEEDS_NO_PERMISSION = {"sts:GetCallerIdentity"}


# The first deploy of `shared` creates the resources of delivery itself, which only an administrator may create.
_BY_ADMINISTRATORS = {"iam:CreateOpenIDConnectProvider", "iam:CreatePolicy"}


@pytest.mark.parametrize(("environment", "by_administrators"), [("shared", _BY_ADMINISTRATORS), ("dev", set())])
def test_an_apply_role_allows_the_actions_of_terraform(
    region: Region, environment: str, by_administrators: set[str]
) -> None:
    role = _role(region, f"apply-{environment}_role")
    assert {action for action in region.actions[environment] if not _allows(role, action)} == by_administrators


def test_the_plan_role_allows_the_actions_of_drift(region: Region, calls: Calls) -> None:
    """The plans of every stack, and the search for untracked resources."""
    calls.new()
    operations("drift", *[stack.name for stack in region.stacks])
    role = _role(region, "plan_role")
    assert not {action for action in calls.new() if not _allows(role, action)}


def _role(region: Region, name: str) -> Role:
    return Role(Template(json.dumps(region.stack("shared").configuration)), name)


def _allows(role: Role, action: str) -> bool:
    """Whether a statement allows the action for any resource; the tests of the roles check the resources."""
    allowed = [
        pattern for statement in role.statements if statement["Effect"] == "Allow" for pattern in statement["Action"]
    ]
    return action in _NEEDS_NO_PERMISSION or any(fnmatchcase(action, pattern) for pattern in allowed)


def test_no_state_contains_a_password(region: Region, aws: boto3.Session) -> None:
    """RDS stores the master password in Secrets Manager, and Terraform never reads it."""
    secrets = aws.client("secretsmanager")
    values = [
        json.loads(secrets.get_secret_value(SecretId=secret["ARN"])["SecretString"])["password"]
        for secret in secrets.list_secrets()["SecretList"]
        if secret["Name"].startswith("rds!")  # the secrets of users are empty until a Job in the cluster fills them
    ]
    assert len(values) == 4
    for stack in region.stacks:
        state = aws.client("s3").get_object(Bucket=STATE_BUCKET, Key=stack.state.key)["Body"].read().decode()
        assert not [value for value in values if value in state]


def test_a_plan_fails_with_the_owner_of_a_held_lock(region: Region, aws: boto3.Session) -> None:
    stack = region.stack("shared")
    lock = {"ID": "6f1c", "Operation": "OperationTypeApply", "Who": "minji@laptop", "Created": "2026-01-01T00:00:00Z"}
    key = f"{stack.state.key}.tflock"
    aws.client("s3").put_object(Bucket=STATE_BUCKET, Key=key, Body=json.dumps(lock))
    try:
        plan = _plan(stack)
    finally:
        aws.client("s3").delete_object(Bucket=STATE_BUCKET, Key=key)
    assert plan.returncode == 1
    assert "Error acquiring the state lock" in plan.stderr
    assert "minji@laptop" in plan.stderr


def test_a_change_outside_of_terraform_is_planned_again(region: Region, aws: boto3.Session) -> None:
    eks = aws.client("eks")
    entries = eks.list_access_entries(clusterName="gitops-cluster-dev")["accessEntries"]
    (plan_role,) = [entry for entry in entries if entry.endswith("/ap-northeast-2-shared-plan")]
    eks.delete_access_entry(clusterName="gitops-cluster-dev", principalArn=plan_role)
    plan = _plan(region.stack("dev"))
    assert plan.returncode == 2, plan.stdout + plan.stderr
    assert re.search(r"aws_eks_access_entry\.cluster_access-plan\S* will be created", plan.stdout)
    operations("deploy", region.stack("dev").name, "--yes")


@pytest.mark.usefixtures("region")
def test_the_state_bucket_is_kept_while_another_stack_has_resources() -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "operations", "unbootstrap"], check=False, capture_output=True, text=True
    )
    assert finished.returncode == 1
    assert "ap-northeast-2/prod/terraform.tfstate" in finished.stderr
    assert "destroy that stack first" in finished.stderr
    assert "Traceback" not in finished.stderr
