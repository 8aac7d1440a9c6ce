import pytest

from tests.edited_settings import EditedSettings
from tests.policies import statement
from tests.template import Template, every_stack, resolved

POLICY = "aws_efs_file_system_policy.file-system_policy"


def test_file_system_is_encrypted_with_the_environments_key(prod: Template) -> None:
    file_system = prod.only("aws_efs_file_system")
    assert file_system["encrypted"] is True
    assert file_system["kms_key_id"] == "${aws_kms_key.key.arn}"


def test_every_private_subnet_has_a_mount_target(prod: Template, platform: dict[str, Template]) -> None:
    targets = prod.resources("aws_efs_mount_target")
    assert {name: resolved(target["subnet_id"], platform) for name, target in targets.items()} == {
        f"file-system_mount-target-ap-northeast-2{zone}": f"${{aws_subnet.vpc_private-ap-northeast-2{zone}.id}}"
        for zone in "abc"
    }


def test_only_the_nodes_of_the_cluster_have_access(prod: Template) -> None:
    rules = prod.resources("aws_vpc_security_group_ingress_rule").values()
    group = "${aws_security_group.file-system_security-group.id}"
    (rule,) = [rule for rule in rules if rule["security_group_id"] == group]
    assert rule["referenced_security_group_id"] == "${aws_eks_cluster.cluster.vpc_config[0].cluster_security_group_id}"
    assert (rule["from_port"], rule["to_port"]) == (2049, 2049)
    assert {target["security_groups"][0] for target in prod.resources("aws_efs_mount_target").values()} == {group}


def test_only_tls_is_served(prod: Template) -> None:
    denied = statement(prod.document(POLICY), "DenyWithoutTls")
    assert (denied["Effect"], denied["Action"]) == ("Deny", ["elasticfilesystem:*"])
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_only_clients_of_mount_targets_are_allowed(prod: Template) -> None:
    allowed = statement(prod.document(POLICY), "ClientsOfMountTargets")
    assert allowed["Condition"] == {"Bool": {"elasticfilesystem:AccessedViaMountTarget": "true"}}


def test_access_point_has_its_directory_and_owner(alternative: dict[str, Template]) -> None:
    point = alternative["us-gov-west-1-dev"].only("aws_efs_access_point")
    assert point["posix_user"] == {"uid": 1000, "gid": 2000}
    assert point["root_directory"] == {
        "path": "/media",
        "creation_info": {"owner_uid": 1000, "owner_gid": 2000, "permissions": "750"},
    }


def test_file_system_is_optional(edited: EditedSettings, tmp_path_factory: pytest.TempPathFactory) -> None:
    edited.replace("ap_northeast_2/dev.py", "file_system=FileSystemConfig(),", "")
    stacks = every_stack(edited.load(), tmp_path_factory.mktemp("without"))
    assert not stacks["ap-northeast-2-dev"].resources("aws_efs_file_system")
