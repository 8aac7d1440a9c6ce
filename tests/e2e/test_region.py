"""The whole region, really applied: Terraform, the AWS provider, state in S3, on the emulated AWS."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from operations import cdktf, synthesized
from operations.emulator_process import Emulator
from operations.synthesized import Stack

pytestmark = pytest.mark.e2e

_ROOT = Path(__file__).parents[2]
_BUCKET = "your-org-terraform-state-ap-northeast-2"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of the working tree, whose settings a test may change."""
    clone = tmp_path_factory.mktemp("clone")
    files = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=_ROOT, check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    for file in files:
        if (_ROOT / file).is_file():
            (clone / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(_ROOT / file, clone / file)
    for installed in (".venv", "node_modules"):
        (clone / installed).symlink_to(_ROOT / installed)
    return clone


@pytest.fixture(scope="module")
def aws(clone: Path) -> Iterator[boto3.Session]:
    """The emulated AWS, which this process and all that it starts are pointed at."""
    with Emulator(clone / "emulator.log") as emulator, pytest.MonkeyPatch.context() as patch:
        for name, value in emulator.environment.items():
            patch.setenv(name, value)
        patch.chdir(clone)
        yield boto3.Session()


@pytest.fixture(scope="module")
def region(clone: Path, aws: boto3.Session) -> list[Stack]:  # noqa: ARG001 (the environment points at it)
    """Every stack of the region, deployed as the README says."""
    output = clone / "cdktf.out"
    cdktf.synth(output)
    _operations("bootstrap")
    stacks = synthesized.stacks(output)
    cdktf.deploy(stacks, output, log=clone / "deploy.log", outputs=clone / "outputs.json")
    return stacks


def _operations(command: str) -> str:
    finished = subprocess.run(
        [sys.executable, "-m", "operations", command], check=False, capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def _plan(stack: Stack, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """A plan of `stack`: status 0 is no change, 2 a change, 1 an error."""
    subprocess.run(["terraform", "init", "-input=false"], cwd=stack.directory, check=True, capture_output=True)
    return subprocess.run(
        ["terraform", "plan", "-input=false", "-no-color", "-detailed-exitcode", *arguments],
        cwd=stack.directory, check=False, capture_output=True, text=True,
    )  # fmt: skip


def _named(region: list[Stack], name: str) -> Stack:
    return next(stack for stack in region if stack.name == name)


@pytest.mark.usefixtures("region")
def test_every_state_lies_in_the_bucket_under_its_own_key(aws: boto3.Session) -> None:
    objects = aws.client("s3").list_objects_v2(Bucket=_BUCKET)["Contents"]
    assert {entry["Key"] for entry in objects} == {
        f"ap-northeast-2/{environment}/terraform.tfstate"
        for environment in ("backend", "shared", "dev", "staging", "prod")
    }


@pytest.mark.usefixtures("region")
def test_bootstrap_can_be_repeated() -> None:
    assert "its state lies in" in _operations("bootstrap")


@pytest.mark.parametrize("environment", ["backend", "shared", "dev", "staging", "prod"])
def test_a_second_plan_is_empty(region: list[Stack], environment: str) -> None:
    plan = _plan(_named(region, f"ap-northeast-2-{environment}"))
    assert plan.returncode == 0, plan.stdout + plan.stderr


def test_no_password_lies_in_a_state(region: list[Stack], aws: boto3.Session) -> None:
    """RDS keeps the master password in Secrets Manager; Terraform never learns it."""
    secrets = aws.client("secretsmanager")
    values = [
        json.loads(secrets.get_secret_value(SecretId=secret["ARN"])["SecretString"])["password"]
        for secret in secrets.list_secrets()["SecretList"]
    ]
    assert len(values) == 4
    for stack in region:
        state = aws.client("s3").get_object(Bucket=_BUCKET, Key=stack.state.key)["Body"].read().decode()
        assert not [value for value in values if value in state]


def test_a_lock_held_by_somebody_else_stops_a_plan_and_names_them(region: list[Stack], aws: boto3.Session) -> None:
    stack = _named(region, "ap-northeast-2-shared")
    lock = {"ID": "6f1c", "Operation": "OperationTypeApply", "Who": "minji@laptop", "Created": "2026-01-01T00:00:00Z"}
    key = f"{stack.state.key}.tflock"
    aws.client("s3").put_object(Bucket=_BUCKET, Key=key, Body=json.dumps(lock))
    try:
        plan = _plan(stack)
    finally:
        aws.client("s3").delete_object(Bucket=_BUCKET, Key=key)
    assert plan.returncode == 1
    assert "Error acquiring the state lock" in plan.stderr
    assert "minji@laptop" in plan.stderr


def test_what_is_changed_behind_terraforms_back_is_drift(region: list[Stack], aws: boto3.Session) -> None:
    ec2 = aws.client("ec2")
    stack = _named(region, "ap-northeast-2-dev")
    name = {"Name": "group-name", "Values": ["ap-northeast-2-dev-bubblepool-database"]}
    group = ec2.describe_security_groups(Filters=[name])["SecurityGroups"][0]
    opened = {"IpProtocol": "tcp", "FromPort": 5432, "ToPort": 5432, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.revoke_security_group_ingress(GroupId=group["GroupId"], IpPermissions=group["IpPermissions"])
    ec2.authorize_security_group_ingress(GroupId=group["GroupId"], IpPermissions=[opened])
    try:
        plan = _plan(stack)
    finally:
        ec2.revoke_security_group_ingress(GroupId=group["GroupId"], IpPermissions=[opened])
    assert plan.returncode == 2, plan.stdout + plan.stderr
    assert re.search(r"aws_vpc_security_group_ingress_rule\.database-bubblepool\S+ will be created", plan.stdout)


@pytest.mark.usefixtures("region")
def test_the_state_bucket_stays_while_another_stack_has_resources() -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "operations", "unbootstrap"], check=False, capture_output=True, text=True
    )
    assert finished.returncode == 1
    assert "ap-northeast-2/prod/terraform.tfstate" in finished.stderr
    assert "destroy that stack first" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_destroying_in_reverse_order_leaves_what_aws_keeps(
    region: list[Stack], aws: boto3.Session, clone: Path
) -> None:
    """Last: protection is lifted in the settings, deployed, and everything destroyed, the state bucket at the end."""
    for environment in ("staging", "prod"):
        settings = clone / f"stacks/ap_northeast_2/{environment}.py"
        text = settings.read_text().replace("deletion_protection=True", "deletion_protection=False")
        settings.write_text(
            text.replace("    cluster=ClusterConfig(", "    teardown=True,\n    cluster=ClusterConfig(")
        )
    output = clone / "cdktf.out"
    cdktf.synth(output)
    changed = [stack for stack in region if stack.name != "ap-northeast-2-backend"]
    cdktf.deploy(changed, output, log=clone / "unprotect.log", outputs=clone / "outputs.json")
    cdktf.destroy(changed, output, log=clone / "destroy.log")
    _operations("unbootstrap")

    assert _left(aws) == {
        "keys pending deletion": 5,
        "final snapshots": {
            "ap-northeast-2-dev-bubblepool-final",
            "ap-northeast-2-prod-bubblepool-final",
            "ap-northeast-2-prod-guestbook-final",
            "ap-northeast-2-staging-bubblepool-final",
        },
    }
    assert "nothing to destroy" in _operations("unbootstrap")


def _left(aws: boto3.Session) -> dict[str, object]:
    """What exists in the account, but for what AWS makes in every account by itself."""
    ec2, iam, kms = aws.client("ec2"), aws.client("iam"), aws.client("kms")
    keys = [kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"] for key in kms.list_keys()["Keys"]]
    snapshots = aws.client("rds").describe_db_snapshots()["DBSnapshots"]
    left = {
        "keys": {key["KeyId"] for key in keys if key["KeyState"] != "PendingDeletion"},
        "keys pending deletion": sum(key["KeyState"] == "PendingDeletion" for key in keys),
        "final snapshots": {snapshot["DBSnapshotIdentifier"] for snapshot in snapshots},
        "buckets": aws.client("s3").list_buckets()["Buckets"],
        "networks": [vpc["VpcId"] for vpc in ec2.describe_vpcs()["Vpcs"] if not vpc["IsDefault"]],
        "addresses": ec2.describe_addresses()["Addresses"],
        "launch templates": ec2.describe_launch_templates()["LaunchTemplates"],
        "roles": [role for role in iam.list_roles()["Roles"] if "aws-service-role" not in role["Path"]],
        "policies": iam.list_policies(Scope="Local")["Policies"],
        "identity providers": iam.list_open_id_connect_providers()["OpenIDConnectProviderList"],
        "clusters": aws.client("eks").list_clusters()["clusters"],
        "databases": aws.client("rds").describe_db_instances()["DBInstances"],
        "file systems": aws.client("efs").describe_file_systems()["FileSystems"],
        "repositories": aws.client("ecr").describe_repositories()["repositories"],
        "zones": aws.client("route53").list_hosted_zones()["HostedZones"],
        "certificates": aws.client("acm").list_certificates()["CertificateSummaryList"],
        "log groups": aws.client("logs").describe_log_groups()["logGroups"],
        "secrets": aws.client("secretsmanager").list_secrets()["SecretList"],
    }
    return {kind: found for kind, found in left.items() if found}
