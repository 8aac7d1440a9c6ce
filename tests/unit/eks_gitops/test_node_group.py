import base64
import re

import pytest

from eks_gitops.node_group import NodeGroupConfig
from tests.policies import Role
from tests.template import Json, Template, resolved

TEMPLATE = "${aws_launch_template.node-group-main_launch-template"


def _user_data(template: Template) -> str:
    return base64.b64decode(template.only("aws_launch_template")["user_data"]).decode()


def _disk(template: Template) -> Json:
    (mapping,) = template.only("aws_launch_template")["block_device_mappings"]
    disk: Json = mapping
    return disk


def test_a_pod_cannot_reach_the_nodes_credentials(dev: Template) -> None:
    options = dev.only("aws_launch_template")["metadata_options"]
    assert options["http_tokens"] == "required"
    assert options["http_put_response_hop_limit"] == 1


@pytest.mark.parametrize(("environment", "gib"), [("dev", 50), ("prod", 100)])
def test_disks_are_encrypted_with_the_environments_key(
    platform: dict[str, Template], environment: str, gib: int
) -> None:
    disk = _disk(platform[f"ap-northeast-2-{environment}"])
    assert disk == {
        "device_name": "/dev/xvda",
        "ebs": {
            "delete_on_termination": "true",
            "encrypted": "true",
            "kms_key_id": "${aws_kms_key.key.arn}",
            "volume_size": gib,
            "volume_type": "gp3",
        },
    }


def test_bottlerockets_second_disk_is_the_one_that_is_sized(otherwise: dict[str, Template]) -> None:
    assert _disk(otherwise["us-gov-west-1-dev"])["device_name"] == "/dev/xvdb"


def test_amazon_linux_is_told_how_many_pods_fit(dev: Template) -> None:
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


def test_bottlerocket_is_told_how_many_pods_fit(otherwise: dict[str, Template]) -> None:
    assert _user_data(otherwise["us-gov-west-1-dev"]) == "[settings.kubernetes]\nmax-pods = 110\n"


@pytest.mark.parametrize(
    ("instance_types", "pods"),
    [(("m7i.large",), 110), (("m7i.8xlarge",), 250), (("m7i.large", "m7i.8xlarge"), 110)],
)
def test_pods_are_as_many_as_every_instance_type_can_run(instance_types: tuple[str, ...], pods: int) -> None:
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
def test_what_auto_scaling_makes_carries_every_default_tag(dev: Template, kind: str) -> None:
    specifications = dev.only("aws_launch_template")["tag_specifications"]
    tags = {specification["resource_type"]: specification["tags"] for specification in specifications}[kind]
    (provider,) = dev.json["provider"]["aws"]
    assert tags == {**provider["default_tags"][0]["tags"], "Name": "ap-northeast-2-dev-main"}


def test_an_autoscaler_keeps_the_size_that_it_chose(dev: Template) -> None:
    group = dev.only("aws_eks_node_group")
    assert group["scaling_config"] == {"min_size": 2, "desired_size": 3, "max_size": 10}
    assert group["lifecycle"] == {"ignore_changes": ["scaling_config[0].desired_size"]}


def test_a_third_of_the_nodes_is_replaced_at_a_time(dev: Template) -> None:
    assert dev.only("aws_eks_node_group")["update_config"] == {"max_unavailable_percentage": 33}


def test_broken_nodes_are_replaced(dev: Template) -> None:
    assert dev.only("aws_eks_node_group")["node_repair_config"] == {"enabled": True}


def test_nodes_lie_in_the_private_subnets(dev: Template, platform: dict[str, Template]) -> None:
    subnets = dev.only("aws_eks_node_group")["subnet_ids"]
    assert [resolved(subnet, platform) for subnet in subnets] == [
        f"${{aws_subnet.vpc_private-ap-northeast-2{zone}.id}}" for zone in "abc"
    ]


def test_nodes_follow_the_launch_templates_newest_version(dev: Template) -> None:
    assert dev.only("aws_eks_node_group")["launch_template"] == {
        "id": f"{TEMPLATE}.id}}",
        "version": f"{TEMPLATE}.latest_version)}}".replace("${", "${tostring("),
    }


def test_nodes_have_the_clusters_version(prod: Template) -> None:
    assert prod.only("aws_eks_node_group")["version"] == prod.only("aws_eks_cluster")["version"] == "1.36"


def test_taints_keep_other_pods_away(otherwise: dict[str, Template]) -> None:
    group = otherwise["us-gov-west-1-dev"].only("aws_eks_node_group")
    assert group["taint"] == [{"key": "spot", "value": "true", "effect": "NO_SCHEDULE"}]


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_nodes_may_join_and_pull_and_nothing_else(platform: dict[str, Template], environment: str) -> None:
    role = Role(platform[f"ap-northeast-2-{environment}"], "node-role")
    assert role.aws_managed == ["AmazonEC2ContainerRegistryPullOnly", "AmazonEKSWorkerNodePolicy"]
    assert (role.inline, role.managed) == ([], [])
