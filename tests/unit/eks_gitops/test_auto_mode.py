"""A cluster with EKS Auto Mode: what AWS requires, and what it replaces."""

import json
import re

import pytest

from tests.contract import platforms
from tests.policies import Role, statement
from tests.template import Json, Template, every_stack

AWS, IN_CLUSTER = "ap-northeast-2-test", "ap-northeast-2-test-gitops"


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Template]:
    return every_stack(platforms.maximal(), tmp_path_factory.mktemp("maximal"))


@pytest.fixture(scope="module")
def argo_cd(stacks: dict[str, Template]) -> Json:
    (release,) = (one for one in stacks[IN_CLUSTER].resources("helm_release").values() if one["chart"] == "argo-cd")
    values: Json = json.loads(release["values"][0])
    return values


def test_the_three_capabilities_are_enabled_together(stacks: dict[str, Template]) -> None:
    cluster = stacks[AWS].only("aws_eks_cluster")
    assert cluster["compute_config"] == {
        "enabled": True,
        "node_pools": ["general-purpose"],
        "node_role_arn": "${aws_iam_role.cluster_auto-mode-node-role.arn}",
    }
    assert cluster["kubernetes_network_config"] == {"elastic_load_balancing": {"enabled": True}}
    assert cluster["storage_config"] == {"block_storage": {"enabled": True}}
    assert cluster["bootstrap_self_managed_addons"] is False


def test_a_cluster_without_auto_mode_has_none_of_them(stacks: dict[str, Template]) -> None:
    cluster = stacks["ap-northeast-2-dev"].only("aws_eks_cluster")
    assert not cluster.keys() & {"compute_config", "kubernetes_network_config", "storage_config"}


@pytest.mark.parametrize(
    ("role", "policies"),
    [
        (
            "cluster_role",
            {
                "AmazonEKSBlockStoragePolicy",
                "AmazonEKSClusterPolicy",
                "AmazonEKSComputePolicy",
                "AmazonEKSLoadBalancingPolicy",
                "AmazonEKSNetworkingPolicy",
            },
        ),
        (
            "cluster_auto-mode-node-role",
            {"AmazonEC2ContainerRegistryPullOnly", "AmazonEKSWorkerNodeMinimalPolicy"},
        ),
    ],
)
def test_roles_have_the_policies_that_aws_names(stacks: dict[str, Template], role: str, policies: set[str]) -> None:
    attached = {
        one["policy_arn"].rpartition("/")[2]
        for one in stacks[AWS].resources("aws_iam_role_policy_attachment").values()
        if one["role"] == f"${{aws_iam_role.{role}.name}}"
    }
    assert attached == policies


def test_cluster_depends_on_the_permissions_of_its_nodes(stacks: dict[str, Template]) -> None:
    depends_on = stacks[AWS].only("aws_eks_cluster")["depends_on"]
    assert sum("auto-mode-node-role" in address for address in depends_on) == 2


def test_cluster_can_tag_only_what_it_creates_for_itself(stacks: dict[str, Template]) -> None:
    policy = stacks[AWS].document("aws_iam_role_policy.cluster_role_tag-resources")
    for name in ("LoadBalancers", "Volumes"):
        condition = statement(policy, name)["Condition"]
        assert condition == {"StringEquals": {"aws:RequestTag/eks:eks-cluster-name": "shop-test"}}


def test_boundary_permits_the_instance_profile_of_auto_mode(stacks: dict[str, Template]) -> None:
    role = Role(stacks["ap-northeast-2-shared"], "apply-test_role")
    role.inline, role.managed = ['{"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'], []
    profiles = "arn:aws:iam::123456789012:instance-profile"
    assert role.may("iam:AddRoleToInstanceProfile", f"{profiles}/eks-ap-northeast-2-shop-test-1", tags={})
    assert not role.may("iam:AddRoleToInstanceProfile", f"{profiles}/any", tags={})
    assert not role.may("iam:DeleteInstanceProfile", f"{profiles}/eks-ap-northeast-2-shop-test-1", tags={})


def test_what_auto_mode_replaces_is_left_out(stacks: dict[str, Template]) -> None:
    stack = stacks[AWS]
    assert {addon["addon_name"] for addon in stack.resources("aws_eks_addon").values()} == {"aws-efs-csi-driver"}
    assert not stack.resources("aws_eks_node_group")
    assert not [name for name in stack.resources("aws_iam_role") if re.search("karpenter|load-balancer|vpc-cni", name)]
    assert "aws-load-balancer-controller" not in json.dumps(stacks[IN_CLUSTER].json)
    assert Role(stack, "controllers_external-dns_role").arguments["name"] == "ap-northeast-2-test-external-dns"


def test_volumes_come_from_its_driver_with_the_tags_of_the_environment(stacks: dict[str, Template]) -> None:
    storage = stacks[IN_CLUSTER].resources("kubernetes_storage_class_v1")["storage-classes_gp3"]
    assert storage["storage_provisioner"] == "ebs.csi.eks.amazonaws.com"
    tags = [value for key, value in storage["parameters"].items() if key.startswith("tagSpecification_")]
    assert tags[:2] == ["CostCenter=1234", "Environment=test"]
    assert len(tags) == 6


def test_network_policies_are_enforced(stacks: dict[str, Template]) -> None:
    config = stacks[IN_CLUSTER].only("kubernetes_config_map_v1")
    assert config["metadata"] == {"name": "amazon-vpc-cni", "namespace": "kube-system"}
    assert config["data"] == {"enable-network-policy-controller": "true"}


def test_ingress_classes_belong_to_auto_mode(argo_cd: Json) -> None:
    objects = {(one["kind"], one["metadata"]["name"]): one for one in argo_cd["extraObjects"]}
    assert set(objects) == {
        (kind, name) for kind in ("IngressClass", "IngressClassParams") for name in ("alb", "argo-cd")
    }
    for name in ("alb", "argo-cd"):
        params, of_class = objects["IngressClassParams", name], objects["IngressClass", name]["spec"]
        assert params["apiVersion"] == "eks.amazonaws.com/v1"
        assert of_class["controller"] == "eks.amazonaws.com/alb"
        assert of_class["parameters"] == {"apiGroup": "eks.amazonaws.com", "kind": "IngressClassParams", "name": name}
        assert "certificateArn" not in params["spec"]
        # Services also have hosts directly below the domain of the platform.
        assert len(params["spec"]["certificateARNs"]) == (2 if name == "alb" else 1)
    assert objects["IngressClassParams", "alb"]["spec"]["group"] == {"name": "ap-northeast-2-test"}


def test_web_acl_is_set_by_the_ingress_of_argo_cd(argo_cd: Json) -> None:
    """AWS does not document a field for it in the IngressClassParams of EKS Auto Mode."""
    annotations = argo_cd["server"]["ingress"]["annotations"]
    web_acl = "arn:aws:wafv2:ap-northeast-2:123456789012:regional/webacl/argo-cd/1"
    assert annotations["alb.ingress.kubernetes.io/wafv2-acl-arn"] == web_acl
    assert not [one for one in argo_cd["extraObjects"] if "wafv2AclArn" in one["spec"]]
