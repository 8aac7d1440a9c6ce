"""The EKS add-ons of a cluster: those that must exist before the nodes, and those that need nodes to run on."""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

from cdktf import ITerraformDependable
from cdktf_cdktf_provider_aws.eks_addon import EksAddon, EksAddonPodIdentityAssociation
from constructs import Construct

from eks_gitops.cluster import Cluster
from eks_gitops.config import Config, Problem, known_problems, matching
from eks_gitops.context import Context
from eks_gitops.iam import Statement, policy_document
from eks_gitops.key import Key
from eks_gitops.values import listed_twice, named_twice
from eks_gitops.versions import addon_version
from eks_gitops.workload_identity import ServiceAccount, WorkloadIdentity, WorkloadRole

_NAMESPACE = "kube-system"
# The service accounts of the add-ons of the platform that have a role.
_VPC_CNI = ServiceAccount(namespace=_NAMESPACE, name="aws-node")
_EBS_CSI = ServiceAccount(namespace=_NAMESPACE, name="ebs-csi-controller-sa")
_EFS_CSI = ServiceAccount(namespace=_NAMESPACE, name="efs-csi-controller-sa")

AddonName = Literal[
    "aws-ebs-csi-driver",
    "aws-efs-csi-driver",
    "coredns",
    "eks-node-monitoring-agent",
    "eks-pod-identity-agent",
    "kube-proxy",
    "vpc-cni",
]
"""The add-ons of the platform."""

_FROM_GIT = {
    "external-dns": "external-dns",
    "kube-state-metrics": "monitoring",
    "metrics-server": "metrics-server",
    "prometheus-node-exporter": "monitoring",
}
"""Add-ons whose application is deployed from Git, each with its folder of `management/`.

Source: https://docs.aws.amazon.com/eks/latest/userguide/community-addons.html
"""

AddonVersion = Annotated[
    str,
    matching(
        r"v\d+\.\d+\.\d+-eksbuild\.\d+",
        "not the version of an add-on; write one that aws eks describe-addon-versions lists, such as v1.2.3-eksbuild.4",
    ),
]
"""The version of an add-on. Source: https://docs.aws.amazon.com/eks/latest/userguide/managing-add-ons.html"""


PolicyArn = Annotated[
    str,
    matching(
        r"arn:(aws|aws-cn|aws-us-gov):iam::(aws|\d{12}):policy/(?=.{0,512}$)([\w.,+@=-]+/)*[\w+=,.@-]{1,128}",
        "not the ARN of an IAM policy; write arn:aws:iam::aws:policy/<name>, or one of your account",
    ),
]
"""The ARN of a managed policy. Source: `policyNameType` and `arnType` of IAM in botocore 1.43."""

_KubernetesName = Annotated[
    str,
    matching(
        r"(?=.{1,63}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?",
        "not a name; use 1 to 63 lower-case letters, digits and hyphens, starting and ending with a letter or digit",
    ),
]


class AddonIdentityConfig(Config):
    """The IAM role of an add-on, which its service account gets by EKS Pod Identity."""

    namespace: _KubernetesName
    """The namespace of the add-on, which its documentation names."""
    service_account: _KubernetesName
    """The service account of the add-on, which its documentation names."""
    policy_arns: tuple[PolicyArn, ...]
    """The managed policies of the role. The permissions boundary of the environment
    (`constructs/eks_gitops/delivery/boundary.py`) limits them: a service that it does not list stays denied."""

    @property
    def account(self) -> ServiceAccount:
        """The service account with its namespace."""
        return ServiceAccount(namespace=self.namespace, name=self.service_account)

    def problems(self) -> Iterator[Problem]:
        """No policy, or a duplicate one."""
        if not self.policy_arns:
            yield Problem("policy_arns", "()", "the role would permit nothing; list a policy, or remove the identity")
        yield from listed_twice("policy_arns", self.policy_arns, "policy")


class AddonConfig(Config):
    """An EKS add-on of AWS, of its partners or of the community, which the platform itself does not install."""

    name: Annotated[
        str,
        matching(
            r"[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?",
            "not the name of an add-on; use one that aws eks describe-addon-versions lists",
        ),
    ]
    """The name of the add-on, as in `aws eks describe-addon-versions`. A change deletes the add-on and installs the
    other one."""
    version: AddonVersion | None = None
    """The version. Without one, the add-on is created with the EKS default, and keeps that version."""
    configuration: dict[str, Any] = {}
    """The configuration values, by the schema that `aws eks describe-addon-configuration` prints. EKS rejects
    others."""
    identity: AddonIdentityConfig | None = None
    """The role of the add-on; None for an add-on that calls no AWS service."""

    def problems(self) -> Iterator[Problem]:
        """An add-on that the platform has already, or a configuration that is no JSON or that Terraform changes."""
        if self.name in get_args(AddonName):
            message = "installed already in every cluster; remove it, and set its version in addons.versions"
            yield Problem("name", self.name, message)
        if folder := _FROM_GIT.get(self.name):
            yield Problem("name", self.name, f"deployed from Git already (management/{folder}); remove it")
        try:
            text = json.dumps(self.configuration, allow_nan=False)
        except (TypeError, ValueError) as error:
            yield Problem("configuration", self.configuration, f"not JSON: {error}; use strings, numbers and booleans")
        else:
            if "${" in text or "%{" in text:
                message = "Terraform would evaluate ${ and %{; write the value without them"
                yield Problem("configuration", self.configuration, message)


class AddonsConfig(Config):
    """The identity type of each add-on with a role, optional versions of add-ons, and further add-ons."""

    vpc_cni_identity: WorkloadIdentity = "pod-identity"
    """How vpc-cni, the network of the Pods, gets its IAM role."""
    ebs_csi_identity: WorkloadIdentity = "pod-identity"
    """How the EBS CSI driver, which creates `gp3` volumes, gets its IAM role."""
    efs_csi_identity: WorkloadIdentity = "pod-identity"
    """How the EFS CSI driver, which mounts the file system, gets its IAM role."""
    versions: dict[str, AddonVersion] = {}
    """Versions by add-on name, instead of those that are tested with the cluster's version (`addon_versions.json`). An
    add-on without either is created with the EKS default for the cluster's version, and keeps that version."""
    others: tuple[AddonConfig, ...] = ()
    """Further add-ons by name. Removing one deletes it with what it installed in the cluster."""

    def problems(self) -> Iterator[Problem]:
        """The version of an add-on that the platform does not install; duplicate add-ons or service accounts."""
        yield from known_problems(named_twice("others", [addon.name for addon in self.others]))
        yield from known_problems(self._accounts_listed_twice())
        names = get_args(AddonName)
        for name in self.versions:
            if name not in names:
                close = difflib.get_close_matches(name, names, n=1)
                remedy = f"did you mean {close[0]}?" if close else f"use {', '.join(names)}"
                yield Problem("versions", name, f"not an add-on of the platform; {remedy}")

    def _accounts_listed_twice(self) -> Iterator[Problem]:
        """A service account has one role. Source: `CreatePodIdentityAssociation` in botocore 1.43."""
        seen = [_VPC_CNI, _EBS_CSI, _EFS_CSI]
        for index, addon in enumerate(self.others):
            if addon.identity is not None:
                account = addon.identity.account
                if account in seen:
                    message = "has the role of another add-on; use another service account, or leave out the identity"
                    yield Problem(f"others[{index}].identity.service_account", account.name, message)
                seen.append(account)


class NodeAddons(Construct):
    """vpc-cni, kube-proxy and the Pod Identity agent.

    Nodes that join before them never become ready, or run fewer Pods. The network interfaces that vpc-cni creates have
    `tags`: permissions boundaries recognize what belongs to another environment by its tag.
    Source: https://github.com/aws/amazon-vpc-cni-k8s#additional_eni_tags-v160
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        config: AddonsConfig,
        *,
        context: Context,
        cluster: Cluster,
        tags: Mapping[str, str],
    ) -> None:
        super().__init__(scope, id_)
        role = WorkloadRole(
            self,
            "vpc-cni-role",
            config.vpc_cni_identity,
            _VPC_CNI,
            context=context,
            name="vpc-cni",
            cluster=cluster,
            managed_policies=["AmazonEKS_CNI_Policy"],
            associate=False,
        )
        settings = {
            "enableNetworkPolicy": "true",
            "env": {
                "ADDITIONAL_ENI_TAGS": json.dumps(tags, sort_keys=True),
                # Assigns 16 addresses at once. Without it, a t3.medium runs at most 17 Pods.
                "ENABLE_PREFIX_DELEGATION": "true",
                "WARM_PREFIX_TARGET": "1",
            },
        }
        agent = _addon(self, "eks-pod-identity-agent", config.versions, cluster)
        self.resources: list[ITerraformDependable] = [
            agent,
            _addon(self, "kube-proxy", config.versions, cluster),
            _addon(self, "vpc-cni", config.versions, cluster, role=role, settings=settings, depends_on=[agent]),
        ]


class WorkloadAddons(Construct):
    """CoreDNS, the EBS and EFS CSI drivers and the node monitoring agent, whose Pods need a node to run on.

    The agent finds the failures that node auto repair acts on, besides a kubelet that does not answer.
    Source: https://docs.aws.amazon.com/eks/latest/userguide/node-health.html

    Volumes, snapshots and access points that the drivers create have `tags`, because default tags apply only to what
    Terraform creates. EKS Auto Mode has all of these except the EFS CSI driver.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        config: AddonsConfig,
        *,
        context: Context,
        cluster: Cluster,
        tags: Mapping[str, str],
        depends_on: Sequence[ITerraformDependable],
    ) -> None:
        super().__init__(scope, id_)
        versions = config.versions
        if not cluster.auto_mode:
            ebs = WorkloadRole(
                self,
                "ebs-csi-role",
                config.ebs_csi_identity,
                _EBS_CSI,
                context=context,
                name="ebs-csi",
                cluster=cluster,
                policies={"encrypt-volumes": volume_key_policy(context.key)},
                managed_policies=["service-role/AmazonEBSCSIDriverPolicyV2"],
                associate=False,
            )
            settings = {"controller": {"extraVolumeTags": dict(tags)}}
            _addon(self, "coredns", versions, cluster, depends_on=depends_on)
            _addon(self, "eks-node-monitoring-agent", versions, cluster, depends_on=depends_on)
            _addon(self, "aws-ebs-csi-driver", versions, cluster, role=ebs, settings=settings, depends_on=depends_on)
        efs = WorkloadRole(
            self,
            "efs-csi-role",
            config.efs_csi_identity,
            _EFS_CSI,
            context=context,
            name="efs-csi",
            cluster=cluster,
            managed_policies=["service-role/AmazonEFSCSIDriverPolicy"],
            associate=False,
        )
        settings = {"controller": {"tags": {key: _escaped(value) for key, value in tags.items()}}}
        _addon(self, "aws-efs-csi-driver", versions, cluster, role=efs, settings=settings, depends_on=depends_on)


class OtherAddon(Construct):
    """A further add-on of the settings, after the nodes that its Pods run on."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        config: AddonConfig,
        *,
        context: Context,
        cluster: Cluster,
        depends_on: Sequence[ITerraformDependable],
    ) -> None:
        super().__init__(scope, id_)
        role, identity = None, config.identity
        if identity is not None:
            role = WorkloadRole(
                self,
                "role",
                "pod-identity",
                identity.account,
                context=context,
                name=addon_role_name(config.name),
                cluster=cluster,
                policy_arns=identity.policy_arns,
                associate=False,
            )
        _addon(
            self,
            config.name,
            {config.name: config.version},
            cluster,
            id_="addon",
            role=role,
            settings=config.configuration or None,
            depends_on=depends_on,
        )


def addon_role_name(addon: str) -> str:
    """The name of the role of a further add-on, without region and environment."""
    return f"addon-{addon}"


def _escaped(value: str) -> str:
    """The value of a tag in the argument of the EFS CSI driver, where spaces and colons separate tags.

    Source: https://github.com/kubernetes-sigs/aws-efs-csi-driver/blob/v3.4.1/docs/parameters.md
    """
    return value.replace(":", "\\:").replace(" ", "\\ ")


def _addon(
    scope: Construct,
    name: str,
    versions: Mapping[str, str | None],
    cluster: Cluster,
    *,
    id_: str | None = None,
    role: WorkloadRole | None = None,
    settings: Mapping[str, object] | None = None,
    depends_on: Sequence[ITerraformDependable] = (),
) -> EksAddon:
    """Create an add-on. Terraform owns its settings: changes that were made in the cluster are overwritten."""
    by_pod_identity = role is not None and role.identity == "pod-identity"
    return EksAddon(
        scope,
        id_ or name,
        cluster_name=cluster.name,
        addon_name=name,
        addon_version=versions.get(name) or addon_version(name, cluster.version),
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


def volume_key_policy(key: Key) -> str:
    """The policy of a role that creates encrypted volumes with a key."""
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
