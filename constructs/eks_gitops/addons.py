"""The EKS add-ons of a cluster: those that must exist before the nodes, and those that need nodes to run on."""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal, get_args

from cdktf import ITerraformDependable
from cdktf_cdktf_provider_aws.eks_addon import EksAddon, EksAddonPodIdentityAssociation
from constructs import Construct

from eks_gitops.cluster import Cluster
from eks_gitops.config import Config, Problem, matching
from eks_gitops.context import Context
from eks_gitops.iam import Statement, policy_document
from eks_gitops.key import Key
from eks_gitops.versions import addon_version
from eks_gitops.workload_identity import ServiceAccount, WorkloadIdentity, WorkloadRole

_NAMESPACE = "kube-system"

AddonName = Literal[
    "aws-ebs-csi-driver", "aws-efs-csi-driver", "coredns", "eks-pod-identity-agent", "kube-proxy", "vpc-cni"
]
"""The add-ons that every cluster has."""

AddonVersion = Annotated[
    str,
    matching(
        r"v\d+\.\d+\.\d+-eksbuild\.\d+",
        "not the version of an add-on; write one that aws eks describe-addon-versions lists, such as v1.2.3-eksbuild.4",
    ),
]
"""The version of an add-on. Source: https://docs.aws.amazon.com/eks/latest/userguide/managing-add-ons.html"""


class AddonsConfig(Config):
    """The identity type of each add-on with a role, and optional versions of add-ons."""

    vpc_cni_identity: WorkloadIdentity = "pod-identity"
    """How vpc-cni, the network of the Pods, gets its IAM role."""
    ebs_csi_identity: WorkloadIdentity = "pod-identity"
    """How the EBS CSI driver, which creates `gp3` volumes, gets its IAM role."""
    efs_csi_identity: WorkloadIdentity = "pod-identity"
    """How the EFS CSI driver, which mounts the file system, gets its IAM role."""
    versions: dict[str, AddonVersion] = {}
    """Versions by add-on name, instead of those that are tested with the cluster's version (`addon_versions.json`). An
    add-on without either is created with the EKS default for the cluster's version, and keeps that version."""

    def problems(self) -> Iterator[Problem]:
        """The version of an add-on that the platform does not install."""
        names = get_args(AddonName)
        for name in self.versions:
            if name not in names:
                close = difflib.get_close_matches(name, names, n=1)
                remedy = f"did you mean {close[0]}?" if close else f"use {', '.join(names)}"
                yield Problem("versions", name, f"not an add-on of the platform; {remedy}")


class NodeAddons(Construct):
    """vpc-cni, kube-proxy and the Pod Identity agent.

    Nodes that join before them never become ready, or run fewer Pods.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        config: AddonsConfig,
        *,
        context: Context,
        cluster: Cluster,
    ) -> None:
        super().__init__(scope, id_)
        role = WorkloadRole(
            self,
            "vpc-cni-role",
            config.vpc_cni_identity,
            ServiceAccount(namespace=_NAMESPACE, name="aws-node"),
            context=context,
            name="vpc-cni",
            cluster=cluster,
            managed_policies=["AmazonEKS_CNI_Policy"],
            associate=False,
        )
        settings = {
            "enableNetworkPolicy": "true",
            # Assigns 16 addresses at once. Without it, a t3.medium runs at most 17 Pods.
            "env": {"ENABLE_PREFIX_DELEGATION": "true", "WARM_PREFIX_TARGET": "1"},
        }
        agent = _addon(self, "eks-pod-identity-agent", config, cluster)
        self.resources: list[ITerraformDependable] = [
            agent,
            _addon(self, "kube-proxy", config, cluster),
            _addon(self, "vpc-cni", config, cluster, role=role, settings=settings, depends_on=[agent]),
        ]


class WorkloadAddons(Construct):
    """CoreDNS and the EBS and EFS CSI drivers, whose Pods need a node to run on."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        config: AddonsConfig,
        *,
        context: Context,
        cluster: Cluster,
        depends_on: Sequence[ITerraformDependable],
    ) -> None:
        super().__init__(scope, id_)
        ebs = WorkloadRole(
            self,
            "ebs-csi-role",
            config.ebs_csi_identity,
            ServiceAccount(namespace=_NAMESPACE, name="ebs-csi-controller-sa"),
            context=context,
            name="ebs-csi",
            cluster=cluster,
            policies={"encrypt-volumes": _key_usage_policy(context.key)},
            managed_policies=["service-role/AmazonEBSCSIDriverPolicyV2"],
            associate=False,
        )
        efs = WorkloadRole(
            self,
            "efs-csi-role",
            config.efs_csi_identity,
            ServiceAccount(namespace=_NAMESPACE, name="efs-csi-controller-sa"),
            context=context,
            name="efs-csi",
            cluster=cluster,
            managed_policies=["service-role/AmazonEFSCSIDriverPolicy"],
            associate=False,
        )
        _addon(self, "coredns", config, cluster, depends_on=depends_on)
        _addon(self, "aws-ebs-csi-driver", config, cluster, role=ebs, depends_on=depends_on)
        _addon(self, "aws-efs-csi-driver", config, cluster, role=efs, depends_on=depends_on)


def _addon(
    scope: Construct,
    name: AddonName,
    config: AddonsConfig,
    cluster: Cluster,
    *,
    role: WorkloadRole | None = None,
    settings: Mapping[str, object] | None = None,
    depends_on: Sequence[ITerraformDependable] = (),
) -> EksAddon:
    """Create an add-on. Terraform owns its settings: changes that were made in the cluster are overwritten."""
    by_pod_identity = role is not None and role.identity == "pod-identity"
    return EksAddon(
        scope,
        name,
        cluster_name=cluster.name,
        addon_name=name,
        addon_version=config.versions.get(name) or addon_version(name, cluster.version),
        configuration_values=None if settings is None else json.dumps(settings, sort_keys=True),
        resolve_conflicts_on_create="OVERWRITE",
        resolve_conflicts_on_update="OVERWRITE",
        service_account_role_arn=role.arn if role is not None and not by_pod_identity else None,
        pod_identity_association=[
            EksAddonPodIdentityAssociation(role_arn=role.arn, service_account=role.service_account.name)
        ]
        if role is not None and by_pod_identity
        else None,
        # A driver that starts before its role has permissions fails, and the add-on becomes degraded.
        depends_on=[*(role.permissions if role is not None else []), *depends_on],
    )


def _key_usage_policy(key: Key) -> str:
    return policy_document(
        Statement(
            actions=["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncrypt*"],
            resources=[key.arn],
        ),
        Statement(
            actions=["kms:CreateGrant"],
            resources=[key.arn],
            conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}},
        ),
    )
