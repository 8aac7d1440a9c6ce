"""`adopt` with real Terraform: resources that were made by hand are taken over, and none of them is replaced."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import pytest

from operations.local.emulator_process import Emulator
from tests.e2e.region import STATE_BUCKET, Region, ids_in_state, reported
from tests.e2e.tiny import BUCKET, Tiny, emulated
from tests.stacks import TRUST

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("aws_provider")]

_VERSION = "1.35"
_NODE_GROUP = "main-20240102030405678900000001"


class Made(NamedTuple):
    """What was made by hand."""

    subnets: list[str]
    key: str
    other_key: str
    file_systems: list[str]


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with emulated(tmp_path_factory.mktemp("emulator")) as running:
        yield running


@pytest.fixture
def tiny(tmp_path: Path, emulator: Emulator) -> Iterator[Tiny]:
    yield Tiny(tmp_path, emulator.environment)
    assert not list((tmp_path / "tmp").iterdir())  # plan files hold the prior state in plaintext


@pytest.fixture(scope="module")
def made(emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A cluster with a node group, a database, two file systems with the same name, and an image repository."""
    client = Tiny(tmp_path_factory.mktemp("made"), emulator.environment).client
    ec2, kms, iam, eks, rds, efs = (client(name) for name in ("ec2", "kms", "iam", "eks", "rds", "efs"))
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{index}.0/24", AvailabilityZone=f"ap-northeast-2{zone}")
        for index, zone in enumerate("ab")
    ]
    subnet_ids = [subnet["Subnet"]["SubnetId"] for subnet in subnets]
    keys = [kms.create_key(Description="by hand")["KeyMetadata"] for _ in range(2)]
    kms.create_alias(AliasName="alias/dev", TargetKeyId=keys[0]["KeyId"])
    roles = {
        name: iam.create_role(RoleName=f"dev-{name}", Path="/dev/", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
        for name in ("cluster", "node")
    }
    eks.create_cluster(
        name="dev",
        version=_VERSION,
        roleArn=roles["cluster"],
        resourcesVpcConfig={"subnetIds": subnet_ids},
        accessConfig={"authenticationMode": "API"},
    )
    eks.create_nodegroup(
        clusterName="dev",
        nodegroupName=_NODE_GROUP,
        nodeRole=roles["node"],
        subnets=subnet_ids,
        scalingConfig={"minSize": 1, "desiredSize": 1, "maxSize": 2},
        instanceTypes=["t3.medium"],
    )
    rds.create_db_subnet_group(DBSubnetGroupName="dev", DBSubnetGroupDescription="by hand", SubnetIds=subnet_ids)
    rds.create_db_parameter_group(
        DBParameterGroupName="dev", DBParameterGroupFamily="postgres17", Description="by hand"
    )
    rds.create_db_instance(
        DBInstanceIdentifier="dev",
        DBInstanceClass="db.t4g.micro",
        Engine="postgres",
        EngineVersion="17.6",
        AllocatedStorage=20,
        MasterUsername="root",
        MasterUserPassword="by-hand-12345",
        DBSubnetGroupName="dev",
        DBParameterGroupName="dev",
        StorageEncrypted=True,
        KmsKeyId=keys[0]["Arn"],
    )
    file_systems = [
        efs.create_file_system(
            CreationToken=token,
            Encrypted=True,
            KmsKeyId=keys[0]["Arn"],
            Tags=[{"Key": "Name", "Value": "dev"}],
        )["FileSystemId"]
        for token in ("one", "two")
    ]
    efs.create_mount_target(FileSystemId=file_systems[0], SubnetId=subnet_ids[0])
    client("ecr").create_repository(repositoryName="dev")
    return Made(subnet_ids, keys[0]["Arn"], keys[1]["Arn"], file_systems)


def _stack(tiny: Tiny, made: Made) -> None:
    """The settings for one of each, and for a lifecycle policy, which is absent."""
    key = "${aws_kms_key.it.arn}"
    tiny.stack(
        "dev",
        aws_kms_key={"it": {"description": "Everything of dev", "deletion_window_in_days": 30}},
        aws_kms_alias={"it": {"name": "alias/dev", "target_key_id": "${aws_kms_key.it.key_id}"}},
        aws_iam_role={
            name: {"name": f"dev-{name}", "path": "/dev/", "assume_role_policy": TRUST} for name in ("cluster", "node")
        },
        aws_eks_cluster={
            "it": {
                **_CLUSTER,
                "name": "dev",
                "role_arn": "${aws_iam_role.cluster.arn}",
                "vpc_config": {"subnet_ids": made.subnets},
            }
        },
        aws_eks_node_group={
            "it": {**_NODES, "node_role_arn": "${aws_iam_role.node.arn}", "subnet_ids": made.subnets},
        },
        aws_db_subnet_group={"it": {"name": "dev", "description": "by hand", "subnet_ids": made.subnets}},
        aws_db_parameter_group={"it": {"name": "dev", "description": "by hand", "family": "postgres17"}},
        aws_db_instance={
            "it": {
                "identifier": "dev",
                "instance_class": "db.t4g.micro",
                "engine": "postgres",
                "engine_version": "17.6",
                "allocated_storage": 20,
                "username": "root",
                "db_subnet_group_name": "${aws_db_subnet_group.it.name}",
                "parameter_group_name": "${aws_db_parameter_group.it.name}",
                "storage_encrypted": True,
                "kms_key_id": key,
                "skip_final_snapshot": True,
            }
        },
        aws_efs_file_system={"it": {"encrypted": True, "kms_key_id": key, "tags": {"Name": "dev"}}},
        aws_efs_mount_target={"it": {"file_system_id": "${aws_efs_file_system.it.id}", "subnet_id": made.subnets[0]}},
        aws_ecr_repository={"it": {"name": "dev", "image_tag_mutability": "IMMUTABLE"}},
        aws_ecr_lifecycle_policy={
            "it": {"repository": "${aws_ecr_repository.it.name}", "policy": json.dumps(_LIFECYCLE)}
        },
    )


_CLUSTER: dict[str, Any] = {
    "version": _VERSION,
    "access_config": {"authentication_mode": "API", "bootstrap_cluster_creator_admin_permissions": False},
    "bootstrap_self_managed_addons": False,
    "lifecycle": {"ignore_changes": ["access_config[0].bootstrap_cluster_creator_admin_permissions"]},
}
_NODES: dict[str, Any] = {
    "cluster_name": "${aws_eks_cluster.it.name}",
    "node_group_name_prefix": "main-",
    "instance_types": ["t3.medium"],
    "scaling_config": {"min_size": 1, "desired_size": 1, "max_size": 2},
}
_LIFECYCLE = {
    "rules": [
        {
            "rulePriority": 1,
            "selection": {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 1},
            "action": {"type": "expire"},
        }
    ]
}
_ADOPTED = {
    "aws_db_instance.it": "dev",
    "aws_db_parameter_group.it": "dev",
    "aws_db_subnet_group.it": "dev",
    "aws_ecr_repository.it": "dev",
    "aws_eks_cluster.it": "dev",
    "aws_eks_node_group.it": f"dev:{_NODE_GROUP}",
    "aws_iam_role.cluster": "dev-cluster",
    "aws_iam_role.node": "dev-node",
    "aws_kms_alias.it": "alias/dev",
}


def _is_untouched(tiny: Tiny) -> bool:
    objects = tiny.client("s3").list_objects_v2(Bucket=BUCKET).get("Contents", [])
    return not objects and not (tiny.output / "stacks/dev/imports.tf.json").exists()


def test_a_plan_that_would_replace_a_database_is_refused(tiny: Tiny, made: Made) -> None:
    _stack(tiny, made)
    ids = ["--id", f"aws_efs_file_system.it={made.file_systems[0]}"]
    ids += ["--id", f"aws_kms_key.it={made.other_key.rpartition('/')[2]}"]
    refused = tiny.operations("adopt", "dev", *ids, "--yes")
    assert (refused.status, refused.outcomes) == (2, {"dev": "refused"}), refused.output
    lines = refused.report["stacks"]["dev"]["what"].splitlines()
    values = f'"{made.key}" in AWS, "{made.other_key}" in the settings'
    remedy = 'it comes from aws_kms_key.it: adopt that from AWS, too, if it can be: ID="aws_kms_key.it=…"'
    assert f"replace aws_db_instance.it: dev: kms_key_id: {values}; {remedy}" in lines
    assert _is_untouched(tiny)
    (database,) = tiny.client("rds").describe_db_instances()["DBInstances"]
    assert database["KmsKeyId"] == made.key


def test_what_was_made_by_hand_is_adopted(tiny: Tiny, made: Made) -> None:
    _stack(tiny, made)
    which = tiny.operations("adopt", "dev", "--yes")
    ids = ", ".join(sorted(made.file_systems))
    assert which.report["stacks"]["dev"]["what"] == (
        f'aws_efs_file_system.it: {ids}: 2 exist with its name; choose one: ID="aws_efs_file_system.it=…"; '
        'if none is meant: ID="aws_efs_file_system.it="'
    ), which.output
    command = ["adopt", "dev", "--id", f"aws_efs_file_system.it={made.file_systems[0]}"]
    assert _is_untouched(tiny)
    adopted = tiny.operations(*command, "--yes")
    assert adopted.status == 0, adopted.output
    targets = tiny.client("efs").describe_mount_targets(FileSystemId=made.file_systems[0])["MountTargets"]
    assert adopted.report["stacks"]["dev"]["imported"] == {
        **_ADOPTED,
        "aws_efs_file_system.it": made.file_systems[0],
        "aws_efs_mount_target.it": targets[0]["MountTargetId"],
        "aws_kms_key.it": made.key.rpartition("/")[2],
    }
    assert adopted.report["stacks"]["dev"]["absent"] == {"aws_ecr_lifecycle_policy.it": ""}
    assert len(targets) == len(tiny.client("eks").list_nodegroups(clusterName="dev")["nodegroups"]) == 1

    assert tiny.operations("plan", "dev", "--all").status == 0
    again = tiny.operations(*command)
    assert (again.status, again.report["stacks"]["dev"]["what"]) == (0, "nothing to adopt")


def test_a_cluster_and_nodes_with_other_roles_are_adopted_once_the_settings_name_them(tiny: Tiny, made: Made) -> None:
    iam, eks = tiny.client("iam"), tiny.client("eks")
    roles = {
        name: iam.create_role(RoleName=name, Path="/company/", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]
        for name in ("eks", "nodes")
    }
    eks.create_cluster(
        name="old",
        version=_VERSION,
        roleArn=roles["eks"],
        resourcesVpcConfig={"subnetIds": made.subnets},
        accessConfig={"authenticationMode": "API"},
    )
    eks.create_nodegroup(
        clusterName="old",
        nodegroupName=_NODE_GROUP,
        nodeRole=roles["nodes"],
        subnets=made.subnets,
        scalingConfig={"minSize": 1, "desiredSize": 1, "maxSize": 2},
        instanceTypes=["t3.medium"],
    )
    own = {name: {"name": f"old-{name}", "path": "/old/", "assume_role_policy": TRUST} for name in ("cluster", "node")}
    _cluster_alone(tiny, made, "${aws_iam_role.cluster.arn}", "${aws_iam_role.node.arn}", aws_iam_role=own)
    refused = tiny.operations("adopt", "old", "--yes")
    assert (refused.status, refused.outcomes) == (2, {"old": "refused"}), refused.output
    lines = refused.report["stacks"]["old"]["what"].splitlines()
    for address, id_, argument, role, field in (
        ("aws_eks_cluster.it", "old", "role_arn", "eks", "cluster.role_arn"),
        ("aws_eks_node_group.it", f"old:{_NODE_GROUP}", "node_role_arn", "nodes", "node_groups.role_arn"),
    ):
        values = f'"{roles[role]}" in AWS, a value known only after the apply in the settings'
        line = f"replace {address}: {id_}: {argument}: {values}; set {field} in stacks/"
        assert any(one.startswith(line) for one in lines), lines

    _cluster_alone(tiny, made, roles["eks"], roles["nodes"])
    adopted = tiny.operations("adopt", "old", "--yes")
    assert adopted.status == 0, adopted.output
    assert adopted.report["stacks"]["old"]["imported"] == {
        "aws_eks_cluster.it": "old", "aws_eks_node_group.it": f"old:{_NODE_GROUP}",
    }  # fmt: skip
    assert tiny.operations("plan", "old", "--all").status == 0
    assert eks.describe_cluster(name="old")["cluster"]["roleArn"] == roles["eks"]


def _cluster_alone(tiny: Tiny, made: Made, role: str, node_role: str, **others: Any) -> None:
    tiny.stack(
        "old",
        **others,
        aws_eks_cluster={
            "it": {**_CLUSTER, "name": "old", "role_arn": role, "vpc_config": {"subnet_ids": made.subnets}}
        },
        aws_eks_node_group={"it": {**_NODES, "node_role_arn": node_role, "subnet_ids": made.subnets}},
    )


_TAGS = ("CostCenter", "Environment", "ManagedBy", "Owner", "Project", "Region")


@pytest.mark.long
def test_an_environment_is_adopted_of_which_only_the_names_are_known(region: Region, aws: boto3.Session) -> None:
    stack = region.stack("dev")
    before = ids_in_state(aws, stack)
    aws.client("s3").delete_object(Bucket=STATE_BUCKET, Key=stack.state.key)
    for address, id_ in before.items():
        match address.partition(".")[0]:
            case "aws_efs_file_system":
                aws.client("efs").untag_resource(ResourceId=id_, TagKeys=[*_TAGS])
            case "aws_kms_key":
                aws.client("kms").untag_resource(KeyId=id_, TagKeys=[*_TAGS])
                aws.client("kms").update_key_description(KeyId=id_, Description="by hand")
            case "aws_security_group":
                aws.client("ec2").delete_tags(Resources=[id_])

    status, report = reported("adopt", stack.name, "--yes")
    assert status == 0, report
    assert report["stacks"][stack.name]["imported"].keys() == before.keys()
    assert report["stacks"][stack.name]["absent"] == {}
    status, report = reported("plan", stack.name, "--all")
    assert status == 0, report


def test_an_interrupt_before_the_apply_changes_nothing(tiny: Tiny) -> None:
    directory = tiny.stack("small", aws_ecr_repository={"it": {"name": "small"}})
    tiny.client("ecr").create_repository(repositoryName="small")
    command = tiny.command("adopt", "small", "--yes", "--json")
    with subprocess.Popen(
        command, cwd=tiny.folder, env=tiny.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        stdin=subprocess.DEVNULL, start_new_session=True,
    ) as adopt:  # fmt: skip
        while not (directory / "imports.tf.json").exists():
            assert adopt.poll() is None, adopt.communicate()
            time.sleep(0.02)
        os.kill(adopt.pid, signal.SIGINT)
        _, stderr = adopt.communicate(timeout=60)
    assert "Traceback" not in stderr
    assert adopt.returncode == 1
    assert not (directory / "imports.tf.json").exists()
    held = tiny.client("s3").list_objects_v2(Bucket=BUCKET).get("Contents", [])
    assert not [entry["Key"] for entry in held if entry["Key"].startswith("small")]

    adopted = tiny.operations("adopt", "small", "--yes")
    assert adopted.report["stacks"]["small"]["imported"] == {"aws_ecr_repository.it": "small"}, adopted.output
    assert tiny.state("small").keys() == {"aws_ecr_repository.it"}
