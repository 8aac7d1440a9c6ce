"""The order of add-ons and nodes, which is read from `depends_on`, and the settings of the add-ons."""

import json
from pathlib import Path

import pytest

from eks_gitops.addons import AddonsConfig
from eks_gitops.versions import ADDON_SETS, EKS_VERSIONS, addon_version
from tests.edited_settings import EditedSettings
from tests.policies import Role
from tests.template import Template, every_stack

NODE_ADDONS = ("eks-pod-identity-agent", "kube-proxy", "vpc-cni")
WORKLOAD_ADDONS = ("aws-ebs-csi-driver", "aws-efs-csi-driver", "coredns", "eks-node-monitoring-agent")
NODES = "aws_eks_node_group.node-group-main_node-group"


def _before(template: Template, address: str) -> set[str]:
    """The direct and indirect dependencies of a resource in `depends_on`."""
    kind, _, name = address.partition(".")
    found: set[str] = set()
    for dependency in template.resources(kind)[name].get("depends_on", []):
        found |= {dependency, *_before(template, dependency)}
    return found


@pytest.mark.parametrize("addon", NODE_ADDONS)
def test_node_group_depends_on_node_addons(prod: Template, addon: str) -> None:
    assert f"aws_eks_addon.node-addons_{addon}" in _before(prod, NODES)


@pytest.mark.parametrize("addon", WORKLOAD_ADDONS)
def test_workload_addons_depend_on_the_node_group(prod: Template, addon: str) -> None:
    assert NODES in _before(prod, f"aws_eks_addon.workload-addons_{addon}")


def test_vpc_cni_depends_on_the_pod_identity_agent(prod: Template) -> None:
    assert "aws_eks_addon.node-addons_eks-pod-identity-agent" in _before(prod, "aws_eks_addon.node-addons_vpc-cni")


@pytest.mark.parametrize(
    ("addon", "permission"),
    [
        ("node-addons_vpc-cni", "node-addons_vpc-cni-role_AmazonEKS_CNI_Policy"),
        ("workload-addons_aws-ebs-csi-driver", "workload-addons_ebs-csi-role_AmazonEBSCSIDriverPolicyV2"),
        ("workload-addons_aws-efs-csi-driver", "workload-addons_efs-csi-role_AmazonEFSCSIDriverPolicy"),
    ],
)
def test_addon_depends_on_the_permissions_of_its_role(prod: Template, addon: str, permission: str) -> None:
    assert f"aws_iam_role_policy_attachment.{permission}" in _before(prod, f"aws_eks_addon.{addon}")


def test_addons_overwrite_changed_settings(prod: Template) -> None:
    addons = prod.resources("aws_eks_addon").values()
    assert {addon["addon_name"] for addon in addons} == {*NODE_ADDONS, *WORKLOAD_ADDONS}
    for addon in addons:
        assert addon["resolve_conflicts_on_create"] == addon["resolve_conflicts_on_update"] == "OVERWRITE"


def test_vpc_cni_enables_network_policies_and_prefix_delegation_and_tags_its_interfaces(prod: Template) -> None:
    settings = json.loads(prod.resources("aws_eks_addon")["node-addons_vpc-cni"]["configuration_values"])
    tags = settings["env"].pop("ADDITIONAL_ENI_TAGS")
    (provider,) = prod.json["provider"]["aws"]
    assert json.loads(tags) == provider["default_tags"][0]["tags"]
    assert settings == {
        "enableNetworkPolicy": "true",
        "env": {"ENABLE_PREFIX_DELEGATION": "true", "WARM_PREFIX_TARGET": "1"},
    }


ROLES = [
    ("node-addons_vpc-cni", "node-addons_vpc-cni-role", "aws-node"),
    ("workload-addons_aws-ebs-csi-driver", "workload-addons_ebs-csi-role", "ebs-csi-controller-sa"),
    ("workload-addons_aws-efs-csi-driver", "workload-addons_efs-csi-role", "efs-csi-controller-sa"),
]


@pytest.mark.parametrize(("addon", "role", "account"), ROLES)
def test_addon_gets_its_role_by_pod_identity(prod: Template, addon: str, role: str, account: str) -> None:
    arguments = prod.resources("aws_eks_addon")[addon]
    assert arguments["pod_identity_association"] == [
        {"role_arn": f"${{aws_iam_role.{role}.arn}}", "service_account": account}
    ]
    assert "service_account_role_arn" not in arguments


@pytest.mark.parametrize(("addon", "role", "account"), ROLES)
def test_addon_gets_its_role_by_irsa_if_chosen(
    alternative: dict[str, Template], addon: str, role: str, account: str
) -> None:
    arguments = alternative["us-gov-west-1-dev"].resources("aws_eks_addon")[addon]
    assert arguments["service_account_role_arn"] == f"${{aws_iam_role.{role}.arn}}"
    assert "pod_identity_association" not in arguments
    (trust,) = Role(alternative["us-gov-west-1-dev"], role).trust["Statement"]
    assert f"system:serviceaccount:kube-system:{account}" in trust["Condition"]["StringEquals"].values()


def _versions(template: Template) -> dict[str, str]:
    addons = template.resources("aws_eks_addon").values()
    return {addon["addon_name"]: addon["addon_version"] for addon in addons if "addon_version" in addon}


def test_addons_have_the_versions_that_are_tested_with_kubernetes(prod: Template) -> None:
    (cluster,) = prod.resources("aws_eks_cluster").values()
    assert _versions(prod) == ADDON_SETS[cluster["version"]].versions


def test_a_version_in_the_settings_is_used_instead(alternative: dict[str, Template]) -> None:
    template = alternative["us-gov-west-1-dev"]
    (cluster,) = template.resources("aws_eks_cluster").values()
    tested = ADDON_SETS[cluster["version"]].versions
    assert tested["coredns"] != "v1.12.0-eksbuild.1"
    assert _versions(template) == {
        **tested,
        "coredns": "v1.12.0-eksbuild.1",
        "snapshot-controller": "v8.5.0-eksbuild.1",
    }


def test_the_tested_versions_are_valid_settings() -> None:
    assert set(ADDON_SETS) <= set(EKS_VERSIONS)
    for kubernetes, tested in ADDON_SETS.items():
        AddonsConfig(versions=dict(tested.versions))
        assert tested.versions["kube-proxy"].startswith(f"v{kubernetes}.")
        assert tested.source
    assert addon_version("kube-proxy", "1.99") is None
    assert addon_version("eks-unknown", "1.36") is None


def test_drivers_tag_what_they_create(prod: Template) -> None:
    ebs, efs = (
        json.loads(prod.resources("aws_eks_addon")[f"workload-addons_{name}"]["configuration_values"])["controller"]
        for name in ("aws-ebs-csi-driver", "aws-efs-csi-driver")
    )
    (provider,) = prod.json["provider"]["aws"]
    (tags,) = provider["default_tags"]
    assert ebs == {"extraVolumeTags": tags["tags"]}
    assert efs == {"tags": tags["tags"]}


def test_spaces_and_colons_of_tags_are_escaped_for_the_efs_csi_driver(tmp_path: Path) -> None:
    settings = EditedSettings(tmp_path)
    settings.replace("owner.py", 'cost_center="your-cost-center"', 'cost_center="unit 7: shops"')
    template = every_stack(settings.load(), tmp_path / "out")["ap-northeast-2-dev"]
    values = json.loads(
        template.resources("aws_eks_addon")["workload-addons_aws-efs-csi-driver"]["configuration_values"]
    )
    assert values["controller"]["tags"]["CostCenter"] == r"unit\ 7\:\ shops"


def test_further_addons_depend_on_the_node_group(alternative: dict[str, Template]) -> None:
    template = alternative["us-gov-west-1-dev"]
    assert NODES in _before(template, "aws_eks_addon.addon-snapshot-controller_addon")
    arguments = template.resources("aws_eks_addon")["addon-snapshot-controller_addon"]
    assert json.loads(arguments["configuration_values"]) == {"replicaCount": 1}
    assert "pod_identity_association" not in arguments


def test_further_addon_gets_a_role_with_the_named_policies(alternative: dict[str, Template]) -> None:
    template = alternative["us-gov-west-1-dev"]
    arguments = template.resources("aws_eks_addon")["addon-aws-mountpoint-s3-csi-driver_addon"]
    assert arguments["pod_identity_association"] == [
        {
            "role_arn": "${aws_iam_role.addon-aws-mountpoint-s3-csi-driver_role.arn}",
            "service_account": "s3-csi-driver-sa",
        }
    ]
    assert "configuration_values" not in arguments
    role = template.resources("aws_iam_role")["addon-aws-mountpoint-s3-csi-driver_role"]
    assert role["name"] == "us-gov-west-1-dev-addon-aws-mountpoint-s3-csi-driver"
    attachments = [
        one["policy_arn"]
        for name, one in template.resources("aws_iam_role_policy_attachment").items()
        if name.startswith("addon-aws-mountpoint-s3-csi-driver_")
    ]
    assert attachments == ["arn:aws-us-gov:iam::aws:policy/AmazonS3ReadOnlyAccess"]


def test_ebs_csi_driver_can_use_only_the_environments_key(prod: Template) -> None:
    statements = Role(prod, "workload-addons_ebs-csi-role").statements
    assert [statement["Resource"] for statement in statements] == [["${aws_kms_key.key.arn}"]] * 2
    grants = [statement for statement in statements if "kms:CreateGrant" in statement["Action"]]
    assert [grant["Condition"] for grant in grants] == [{"Bool": {"kms:GrantIsForAWSResource": "true"}}]
