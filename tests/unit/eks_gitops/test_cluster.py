from pathlib import Path

import cdktf
import pytest

from eks_gitops.cluster import Access, Cluster, ClusterConfig
from eks_gitops.context import Context
from eks_gitops.key import Key
from eks_gitops.location import Location
from tests.edited_settings import EditedSettings
from tests.template import Json, Template, every_stack, one_stack, resolved

ADMINISTRATOR = "arn:aws:iam::123456789012:role/your-admin-role"
EVERYWHERE = {"type": "cluster"}
ADMIN, VIEW = ("AmazonEKSClusterAdminPolicy", EVERYWHERE), ("AmazonEKSAdminViewPolicy", EVERYWHERE)
EDIT_ARGO_CD = ("AmazonEKSEditPolicy", {"type": "namespace", "namespaces": ["argocd"]})


def test_secrets_are_encrypted_with_the_environments_key(dev: Template) -> None:
    assert dev.only("aws_eks_cluster")["encryption_config"] == {
        "provider": {"key_arn": "${aws_kms_key.key.arn}"},
        "resources": ["secrets"],
    }


def test_all_log_types_are_enabled(dev: Template) -> None:
    assert dev.only("aws_eks_cluster")["enabled_cluster_log_types"] == [
        "api",
        "audit",
        "authenticator",
        "controllerManager",
        "scheduler",
    ]


@pytest.mark.parametrize(("environment", "protected"), [("dev", False), ("staging", False), ("prod", True)])
def test_the_cluster_of_production_is_protected(
    platform: dict[str, Template], environment: str, *, protected: bool
) -> None:
    cluster = platform[f"ap-northeast-2-{environment}"].only("aws_eks_cluster")
    assert cluster["deletion_protection"] is protected


@pytest.mark.parametrize(("environment", "days"), [("dev", 14), ("staging", 30), ("prod", 365)])
def test_log_group_is_created_before_the_cluster_with_key_and_retention(
    platform: dict[str, Template], environment: str, days: int
) -> None:
    stack = platform[f"ap-northeast-2-{environment}"]
    group = stack.resources("aws_cloudwatch_log_group")["cluster_log-group"]
    assert group["name"] == f"/aws/eks/gitops-cluster-{environment}/cluster"
    assert group["retention_in_days"] == days
    assert group["kms_key_id"] == "${aws_kms_key.key.arn}"
    assert "aws_cloudwatch_log_group.cluster_log-group" in stack.only("aws_eks_cluster")["depends_on"]


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_api_endpoint_is_private_by_default(platform: dict[str, Template], environment: str) -> None:
    endpoint = platform[f"ap-northeast-2-{environment}"].only("aws_eks_cluster")["vpc_config"]
    assert endpoint["endpoint_private_access"] is True
    assert endpoint["endpoint_public_access"] is False
    assert "public_access_cidrs" not in endpoint


def test_public_api_endpoint_is_limited_to_the_configured_networks(alternative: dict[str, Template]) -> None:
    endpoint = alternative["us-gov-west-1-dev"].only("aws_eks_cluster")["vpc_config"]
    assert endpoint["endpoint_private_access"] is True
    assert endpoint["endpoint_public_access"] is True
    assert endpoint["public_access_cidrs"] == ["203.0.113.0/24"]


def test_control_plane_uses_the_private_subnets(dev: Template, platform: dict[str, Template]) -> None:
    subnets = dev.only("aws_eks_cluster")["vpc_config"]["subnet_ids"]
    assert [resolved(subnet, platform) for subnet in subnets] == [
        f"${{aws_subnet.vpc_private-ap-northeast-2{zone}.id}}" for zone in "abc"
    ]


_FOURTH_ZONE = 'Zone(name="ap-northeast-2d", public="10.0.4.0/24", private="10.0.128.0/19", database="10.0.14.0/24"),'


def test_a_new_zone_reaches_nodes_databases_and_files_but_not_the_control_plane(
    edited: EditedSettings, tmp_path: Path
) -> None:
    edited.replace("ap_northeast_2/shared.py", "zones=(", f"zones=({_FOURTH_ZONE}")
    stacks = every_stack(edited.load(), tmp_path)
    dev = stacks["ap-northeast-2-dev"]

    def zones(references: list[str]) -> str:
        return "".join(sorted(resolved(reference, stacks).removesuffix(".id}")[-1] for reference in references))

    assert zones(dev.only("aws_eks_cluster")["vpc_config"]["subnet_ids"]) == "abc"
    assert zones(dev.only("aws_eks_node_group")["subnet_ids"]) == "abcd"
    assert zones(dev.only("aws_db_subnet_group")["subnet_ids"]) == "abcd"
    targets = dev.resources("aws_efs_mount_target").values()
    assert zones([target["subnet_id"] for target in targets]) == "abcd"


def test_addresses_of_services_are_those_of_the_settings(edited: EditedSettings, tmp_path: Path, dev: Template) -> None:
    assert "kubernetes_network_config" not in dev.only("aws_eks_cluster")
    edited.replace("ap_northeast_2/dev.py", 'version="1.36"', 'service_ipv4_cidr="172.30.0.0/16", version="1.36"')
    cluster = every_stack(edited.load(), tmp_path)["ap-northeast-2-dev"].only("aws_eks_cluster")
    assert cluster["kubernetes_network_config"] == {"service_ipv4_cidr": "172.30.0.0/16"}


def test_access_is_by_access_entries_only_and_the_creator_is_no_administrator(dev: Template) -> None:
    assert dev.only("aws_eks_cluster")["access_config"] == {
        "authentication_mode": "API",
        "bootstrap_cluster_creator_admin_permissions": False,
    }


def test_no_self_managed_networking_addons_are_installed(dev: Template) -> None:
    assert dev.only("aws_eks_cluster")["bootstrap_self_managed_addons"] is False


def test_cluster_is_upgraded_at_the_end_of_standard_support(dev: Template) -> None:
    assert dev.only("aws_eks_cluster")["upgrade_policy"] == {"support_type": "STANDARD"}


def test_zonal_shift_is_enabled(dev: Template) -> None:
    assert dev.only("aws_eks_cluster")["zonal_shift_config"] == {"enabled": True}


def test_cluster_depends_on_the_permissions_of_its_role(dev: Template) -> None:
    assert {
        "aws_iam_role_policy.cluster_role_encrypt-secrets",
        "aws_iam_role_policy_attachment.cluster_role_AmazonEKSClusterPolicy",
    } <= set(dev.only("aws_eks_cluster")["depends_on"])


def _access(template: Template) -> dict[str, tuple[str, Json]]:
    """The access policy and access scope of every principal that has one."""
    entries = template.resources("aws_eks_access_entry")
    associations = template.resources("aws_eks_access_policy_association").values()
    return {
        entry["principal_arn"]: (association["policy_arn"].rpartition("/")[2], association["access_scope"])
        for name, entry in entries.items()
        for association in associations
        if association["principal_arn"] == f"${{aws_eks_access_entry.{name}.principal_arn}}"
    }


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_access_entries_of_each_environment(platform: dict[str, Template], environment: str) -> None:
    access = _access(platform[f"ap-northeast-2-{environment}"])
    assert access.pop(ADMINISTRATOR) == ADMIN
    assert {resolved(principal, platform): policy for principal, policy in access.items()} == {
        "${aws_iam_role.cluster-administrator_role.arn}": ADMIN,
        f"${{aws_iam_role.apply-{environment}_role.arn}}": ADMIN,
        "${aws_iam_role.plan_role.arn}": VIEW,
        f"${{aws_iam_role.backup-{environment}_role.arn}}": EDIT_ARGO_CD,
    }


def test_administrators_with_the_same_role_name_get_separate_entries() -> None:
    location = Location(account_id="123456789012", region="ap-northeast-2", environment="dev")
    administrators = (
        "arn:aws:iam::123456789012:role/plan",
        "arn:aws:iam::123456789012:role/users/admin",
        "arn:aws:iam::123456789012:role/machines/other-admin",
        "arn:aws:iam::123456789012:role/machines--other-admin",
        "arn:aws:iam::210987654321:role/users/admin",
    )

    def build(stack: cdktf.TerraformStack) -> None:
        Cluster(
            stack,
            "cluster",
            ClusterConfig(name="cluster", version="1.36", zones=("zone-1", "zone-2"), administrators=administrators),
            context=Context(location, Key(stack, "key", location=location, description="test"), "boundary"),
            subnet_ids=["subnet-1", "subnet-2"],
            access={"plan": Access("plan-role", "AmazonEKSAdminViewPolicy")},
            clients={},
        )

    assert _access(one_stack(build)) == {**dict.fromkeys(administrators, ADMIN), "plan-role": VIEW}


def test_oidc_provider_is_created_for_irsa(dev: Template) -> None:
    provider = dev.only("aws_iam_openid_connect_provider")
    assert provider["url"] == "${aws_eks_cluster.cluster.identity[0].oidc[0].issuer}"
    assert provider["client_id_list"] == ["sts.amazonaws.com"]


def test_private_api_endpoint_allows_only_the_configured_networks(
    edited: EditedSettings, tmp_path: Path, dev: Template
) -> None:
    assert "aws_vpc_security_group_ingress_rule" not in {
        kind for kind, name, _ in dev.all_resources() if name.startswith("cluster_")
    }
    edited.replace(
        "ap_northeast_2/dev.py",
        "public_access_cidrs=()",
        'public_access_cidrs=(), private_access_cidrs=("10.0.9.0/24", "192.168.0.0/24")',
    )
    rules = every_stack(edited.load(), tmp_path)["ap-northeast-2-dev"].resources("aws_vpc_security_group_ingress_rule")
    group = "${aws_eks_cluster.cluster.vpc_config[0].cluster_security_group_id}"
    opened = [rule for rule in rules.values() if rule["security_group_id"] == group]
    assert [(rule["cidr_ipv4"], rule["ip_protocol"], rule["from_port"], rule["to_port"]) for rule in opened] == [
        ("10.0.9.0/24", "tcp", 443, 443),
        ("192.168.0.0/24", "tcp", 443, 443),
    ]


def test_an_existing_role_is_used_and_not_created(with_existing: dict[str, Template]) -> None:
    dev = with_existing["us-east-1-dev"]
    assert dev.only("aws_eks_cluster")["role_arn"] == "arn:aws:iam::123456789012:role/eks-cluster"
    of_cluster = [
        name
        for kind in ("role", "role_policy", "role_policy_attachment")
        for name in dev.resources(f"aws_iam_{kind}")
        if name.startswith("cluster_role")
    ]
    assert of_cluster == []
