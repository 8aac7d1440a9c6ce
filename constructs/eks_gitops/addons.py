"""The EKS add-ons of a cluster: those that nodes need to become ready, and those that need nodes to become ready."""

import json
from collections.abc import Mapping, Sequence

from cdktf import ITerraformDependable
from cdktf_cdktf_provider_aws.eks_addon import EksAddon, EksAddonPodIdentityAssociation
from constructs import Construct

from eks_gitops.cluster import Cluster
from eks_gitops.config import Config
from eks_gitops.context import Context
from eks_gitops.iam import Statement, policy_document
from eks_gitops.key import Key
from eks_gitops.workload_identity import ServiceAccount, WorkloadIdentity, WorkloadRole

_NAMESPACE = "kube-system"


class AddonsConfig(Config):
    """The add-ons' identities and, by the add-on's name, a version.

    An add-on without a version gets EKS's default for the cluster's version when it is made, and keeps it.
    """

    vpc_cni_identity: WorkloadIdentity = "pod-identity"
    ebs_csi_identity: WorkloadIdentity = "pod-identity"
    efs_csi_identity: WorkloadIdentity = "pod-identity"
    versions: dict[str, str] = {}


class NodeAddons(Construct):
    """vpc-cni, kube-proxy and the Pod Identity agent: nodes that join before them are never ready, or small."""

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
            # Sixteen addresses at once: without it a t3.medium runs 17 pods.
            "env": {"ENABLE_PREFIX_DELEGATION": "true", "WARM_PREFIX_TARGET": "1"},
        }
        agent = _addon(self, "eks-pod-identity-agent", config, cluster)
        self.resources: list[ITerraformDependable] = [
            agent,
            _addon(self, "kube-proxy", config, cluster),
            _addon(self, "vpc-cni", config, cluster, role=role, settings=settings, depends_on=[agent]),
        ]


class WorkloadAddons(Construct):
    """coredns and the EBS and EFS CSI drivers: their pods need a node to run on."""

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
            policies={"encrypt-volumes": _use_of_key(context.key)},
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
    name: str,
    config: AddonsConfig,
    cluster: Cluster,
    *,
    role: WorkloadRole | None = None,
    settings: Mapping[str, object] | None = None,
    depends_on: Sequence[ITerraformDependable] = (),
) -> EksAddon:
    """One add-on, whose settings are Terraform's: what somebody changed in the cluster is put back."""
    by_pod_identity = role is not None and role.identity == "pod-identity"
    return EksAddon(
        scope,
        name,
        cluster_name=cluster.name,
        addon_name=name,
        addon_version=config.versions.get(name),
        configuration_values=None if settings is None else json.dumps(settings, sort_keys=True),
        resolve_conflicts_on_create="OVERWRITE",
        resolve_conflicts_on_update="OVERWRITE",
        service_account_role_arn=role.arn if role is not None and not by_pod_identity else None,
        pod_identity_association=[
            EksAddonPodIdentityAssociation(role_arn=role.arn, service_account=role.service_account.name)
        ]
        if role is not None and by_pod_identity
        else None,
        # Without its permissions a driver starts, fails, and the add-on with it.
        depends_on=[*(role.permissions if role is not None else []), *depends_on],
    )


def _use_of_key(key: Key) -> str:
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
