import base64
import re
from pathlib import Path
from typing import Any

import pytest

from eks_gitops.node_group import NodeGroupConfig
from tests.edited_settings import EditedSettings
from tests.policies import Role
from tests.template import Json, Template, every_stack, resolved

GROUP = """NodeGroupConfig(
            {}, instance_types=("t3.medium",), ami_type="AL2023_x86_64_STANDARD", capacity_type="ON_DEMAND",
            min_size=1, desired_size=1, max_size=2),"""
TEMPLATE = "${aws_launch_template.node-group-main_launch-template"


def _user_data(template: Template) -> str:
    return base64.b64decode(template.only("aws_launch_template")["user_data"]).decode()


def _disks(template: Template) -> list[Json]:
    disks: list[Json] = template.only("aws_launch_template")["block_device_mappings"]
    return disks


def _ebs(gib: int | None) -> Json:
    size = {} if gib is None else {"volume_size": gib}
    return {
        "delete_on_termination": "true",
        "encrypted": "true",
        "kms_key_id": "${aws_kms_key.key.arn}",
        "volume_type": "gp3",
        **size,
    }


def test_pods_cannot_reach_the_instance_metadata(dev: Template) -> None:
    options = dev.only("aws_launch_template")["metadata_options"]
    assert options["http_tokens"] == "required"
    assert options["http_put_response_hop_limit"] == 1


@pytest.mark.parametrize(("environment", "gib"), [("dev", 50), ("prod", 100)])
def test_disks_are_encrypted_with_the_environments_key(
    platform: dict[str, Template], environment: str, gib: int
) -> None:
    disks = _disks(platform[f"ap-northeast-2-{environment}"])
    assert disks == [{"device_name": "/dev/xvda", "ebs": _ebs(gib)}]


def test_both_disks_of_bottlerocket_are_encrypted_and_that_of_the_data_has_the_configured_size(
    alternative: dict[str, Template],
) -> None:
    assert _disks(alternative["us-gov-west-1-dev"]) == [
        {"device_name": "/dev/xvda", "ebs": _ebs(None)},
        {"device_name": "/dev/xvdb", "ebs": _ebs(50)},
    ]


def test_amazon_linux_user_data_sets_max_pods(dev: Template) -> None:
    boundary = re.search(r'boundary="(.+)"', _user_data(dev))
    assert boundary is not None
    _, node_config, end = _user_data(dev).split(f"--{boundary[1]}")
    assert end == "--\n"
    assert node_config == (
        "\nContent-Type: application/node.eks.aws\n\n"
        "apiVersion: node.eks.aws/v1alpha1\n"
        "kind: NodeConfig\n"
        "spec:\n"
        "  kubelet:\n"
        "    flags:\n"
        "      - --max-pods=110\n\n"
    )


def test_bottlerocket_user_data_sets_max_pods(alternative: dict[str, Template]) -> None:
    assert _user_data(alternative["us-gov-west-1-dev"]) == "[settings.kubernetes]\nmax-pods = 110\n"


@pytest.mark.parametrize(
    ("instance_types", "pods"),
    [(("m7i.large",), 110), (("m7i.8xlarge",), 250), (("m7i.large", "m7i.8xlarge"), 110)],
)
def test_max_pods_is_the_minimum_over_the_instance_types(instance_types: tuple[str, ...], pods: int) -> None:
    config = NodeGroupConfig(
        name="main",
        instance_types=instance_types,
        ami_type="AL2023_x86_64_STANDARD",
        capacity_type="SPOT",
        min_size=0,
        desired_size=0,
        max_size=1,
    )
    assert config.max_pods == pods


@pytest.mark.parametrize("kind", ["instance", "network-interface", "volume"])
def test_resources_created_by_auto_scaling_have_the_default_tags(dev: Template, kind: str) -> None:
    specifications = dev.only("aws_launch_template")["tag_specifications"]
    tags = {specification["resource_type"]: specification["tags"] for specification in specifications}[kind]
    (provider,) = dev.json["provider"]["aws"]
    assert tags == {**provider["default_tags"][0]["tags"], "Name": "ap-northeast-2-dev-main"}


def test_the_sizes_are_those_of_the_settings(dev: Template) -> None:
    assert dev.only("aws_eks_node_group")["scaling_config"] == {"min_size": 2, "desired_size": 3, "max_size": 10}


def test_a_new_group_is_created_under_another_name_before_the_old_one_is_destroyed(dev: Template) -> None:
    group = dev.only("aws_eks_node_group")
    assert group["lifecycle"] == {"create_before_destroy": True}
    assert group["node_group_name_prefix"] == "main-"
    assert "node_group_name" not in group


def test_the_longest_name_leaves_room_for_the_suffix_of_the_provider() -> None:
    """EKS allows 63 characters (https://docs.aws.amazon.com/eks/latest/userguide/create-managed-node-group.html), of
    which the provider appends 26 (`UniqueIDSuffixLength` of the Terraform plugin SDK)."""
    longest = 63 - 26 - len("-")
    sizes = {"min_size": 0, "desired_size": 0, "max_size": 1}
    types = {"instance_types": ("m7i.large",), "ami_type": "AL2023_x86_64_STANDARD", "capacity_type": "SPOT"}
    values: dict[str, Any] = {**types, **sizes}
    with pytest.raises(ValueError, match="use 1 to 31 lower-case letters"):
        NodeGroupConfig(name="x" * (longest + 1), **values)


def test_at_most_a_third_of_the_nodes_is_updated_at_once(dev: Template) -> None:
    assert dev.only("aws_eks_node_group")["update_config"] == {"max_unavailable_percentage": 33}


def test_node_repair_is_enabled(dev: Template) -> None:
    assert dev.only("aws_eks_node_group")["node_repair_config"] == {"enabled": True}


def test_node_repair_has_the_thresholds_and_overrides_of_the_settings(alternative: dict[str, Template]) -> None:
    assert alternative["us-gov-west-1-dev"].only("aws_eks_node_group")["node_repair_config"] == {
        "enabled": True,
        "max_unhealthy_node_threshold_percentage": 40,
        "max_parallel_nodes_repaired_count": 1,
        "node_repair_config_overrides": [
            {
                "node_monitoring_condition": "NetworkingReady",
                "node_unhealthy_reason": "IPAMDNotReady",
                "min_repair_wait_time_mins": 10,
                "repair_action": "Reboot",
            }
        ],
    }


def test_nodes_are_in_the_private_subnets(dev: Template, platform: dict[str, Template]) -> None:
    subnets = dev.only("aws_eks_node_group")["subnet_ids"]
    assert [resolved(subnet, platform) for subnet in subnets] == [
        f"${{aws_subnet.vpc_private-ap-northeast-2{zone}.id}}" for zone in "abc"
    ]


def test_nodes_use_the_latest_version_of_the_launch_template(dev: Template) -> None:
    assert dev.only("aws_eks_node_group")["launch_template"] == {
        "id": f"{TEMPLATE}.id}}",
        "version": f"{TEMPLATE}.latest_version)}}".replace("${", "${tostring("),
    }


def test_nodes_have_the_kubernetes_version_of_the_cluster(prod: Template) -> None:
    assert prod.only("aws_eks_node_group")["version"] == prod.only("aws_eks_cluster")["version"] == "1.36"


def test_without_a_release_eks_chooses_the_ami(prod: Template) -> None:
    assert "release_version" not in prod.only("aws_eks_node_group")


def test_node_group_has_the_configured_release_of_its_ami(alternative: dict[str, Template]) -> None:
    assert alternative["us-gov-west-1-dev"].only("aws_eks_node_group")["release_version"] == "1.64.0-7c4f0d2b"


def test_node_group_has_the_configured_taints(alternative: dict[str, Template]) -> None:
    group = alternative["us-gov-west-1-dev"].only("aws_eks_node_group")
    assert group["taint"] == [{"key": "spot", "value": "true", "effect": "PREFER_NO_SCHEDULE"}]


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_node_role_can_only_join_the_cluster_and_pull_images(platform: dict[str, Template], environment: str) -> None:
    role = Role(platform[f"ap-northeast-2-{environment}"], "node-role")
    assert role.aws_managed == ["AmazonEC2ContainerRegistryPullOnly", "AmazonEKSWorkerNodePolicy"]
    assert (role.inline, role.managed) == ([], [])


def test_an_existing_role_is_used_and_not_created(with_existing: dict[str, Template]) -> None:
    dev = with_existing["us-east-1-dev"]
    role = "arn:aws:iam::123456789012:role/company/eks-nodes"
    assert dev.only("aws_eks_node_group")["node_role_arn"] == role
    assert [name for name in dev.resources("aws_iam_role") if "node-role" in name] == []
    assert [name for name in dev.resources("aws_iam_role_policy_attachment") if "node-role" in name] == []


def test_only_groups_without_an_existing_role_have_the_created_one(edited: EditedSettings, tmp_path: Path) -> None:
    more = GROUP.format('name="adopted", role_arn="arn:aws:iam::123456789012:role/nodes"')
    edited.replace("ap_northeast_2/dev.py", "node_groups=(", f"node_groups=({more}")
    dev = every_stack(edited.load(), tmp_path / "out")["ap-northeast-2-dev"]
    groups = {group["node_group_name_prefix"]: group for group in dev.resources("aws_eks_node_group").values()}
    assert groups["adopted-"]["node_role_arn"] == "arn:aws:iam::123456789012:role/nodes"
    assert groups["main-"]["node_role_arn"].startswith("${aws_iam_role.node-role")
    depends = [[one for one in group["depends_on"] if "node-role" in one] for group in groups.values()]
    assert sorted(map(len, depends)) == [0, 2]
