"""Cluster: an EKS control plane, its log group, access entries, OIDC provider and the add-ons that nodes need first."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, NamedTuple

from cdktf import TerraformLocal
from cdktf_cdktf_provider_aws.cloudwatch_log_group import CloudwatchLogGroup
from cdktf_cdktf_provider_aws.eks_access_entry import EksAccessEntry
from cdktf_cdktf_provider_aws.eks_access_policy_association import (
    EksAccessPolicyAssociation,
    EksAccessPolicyAssociationAccessScope,
)
from cdktf_cdktf_provider_aws.eks_cluster import (
    EksCluster,
    EksClusterAccessConfig,
    EksClusterEncryptionConfig,
    EksClusterEncryptionConfigProvider,
    EksClusterUpgradePolicy,
    EksClusterVpcConfig,
    EksClusterZonalShiftConfig,
)
from cdktf_cdktf_provider_aws.iam_openid_connect_provider import IamOpenidConnectProvider
from cdktf_cdktf_provider_aws.vpc_security_group_ingress_rule import VpcSecurityGroupIngressRule
from constructs import Construct

from eks_gitops.config import Cidr, Config, LogRetentionDays, Problem, RoleArn, matching
from eks_gitops.context import Context
from eks_gitops.iam import Role, Statement, policy_document
from eks_gitops.versions import EKS_VERSIONS

_HTTPS = 443
_LOG_TYPES = ["api", "audit", "authenticator", "controllerManager", "scheduler"]


class ClusterConfig(Config):
    """An EKS cluster.

    Its API answers inside the VPC to its own nodes and to `private_access_cidrs`, such as the network of a runner or a
    VPN, and outside it only to `public_access_cidrs`; empty is private. `administrators` are IAM roles that get an
    access entry with cluster-admin rights.
    """

    name: Annotated[
        str,
        matching(
            r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}",
            "not a cluster's name; EKS takes 1 to 100 letters, digits, - and _, a letter or digit first",
        ),
    ]
    version: str
    administrators: tuple[RoleArn, ...]
    public_access_cidrs: tuple[Cidr, ...] = ()
    private_access_cidrs: tuple[Cidr, ...] = ()
    log_retention_days: LogRetentionDays = 90

    def problems(self) -> Iterator[Problem]:
        """A version that cannot be chosen, nobody who administers, an endpoint open to the world."""
        if self.version not in EKS_VERSIONS:
            yield Problem("version", self.version, f"not offered here; choose one of {', '.join(EKS_VERSIONS)}")
        if not self.administrators:
            yield Problem("administrators", "()", "nobody could administer the cluster; name at least one IAM role")
        for field in ("public_access_cidrs", "private_access_cidrs"):
            for index, cidr in enumerate(getattr(self, field)):
                if cidr.prefixlen == 0:
                    message = "opens the cluster's API to the world; name your office's or runners' networks, or none"
                    yield Problem(f"{field}[{index}]", cidr, message)
        for index, role in enumerate(self.administrators):
            if role in self.administrators[:index]:
                yield Problem(f"administrators[{index}]", role, "named twice; name each role once")


class Access(NamedTuple):
    """Whom a cluster admits: a role's ARN, the name of an EKS access policy, and where; no namespace means all."""

    role_arn: str
    policy: str
    namespaces: Sequence[str] = ()


class Cluster(Construct):
    """An EKS control plane that only access entries open; whoever made it has no hidden right.

    `access` are further entries besides those of its administrators, by id.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        config: ClusterConfig,
        *,
        context: Context,
        subnet_ids: Sequence[str],
        access: Mapping[str, Access],
    ) -> None:
        super().__init__(scope, id_)
        self._location = context.location
        logs = CloudwatchLogGroup(
            self,
            "log-group",
            name=cluster_log_group_name(config.name),  # EKS would make it without a key and keep it for ever
            retention_in_days=config.log_retention_days,
            kms_key_id=context.key.arn,
        )
        self._cluster = EksCluster(
            self,
            "cluster",
            name=config.name,
            version=config.version,
            role_arn=self._role(context.permissions_boundary, context.key.arn),
            enabled_cluster_log_types=_LOG_TYPES,
            access_config=EksClusterAccessConfig(
                authentication_mode="API", bootstrap_cluster_creator_admin_permissions=False
            ),
            # Networking add-ons come as managed ones, with their settings, before the first node.
            bootstrap_self_managed_addons=False,
            encryption_config=EksClusterEncryptionConfig(
                resources=["secrets"], provider=EksClusterEncryptionConfigProvider(key_arn=context.key.arn)
            ),
            upgrade_policy=EksClusterUpgradePolicy(support_type="STANDARD"),
            vpc_config=EksClusterVpcConfig(
                subnet_ids=list(subnet_ids),
                endpoint_private_access=True,
                endpoint_public_access=bool(config.public_access_cidrs),
                public_access_cidrs=[str(cidr) for cidr in config.public_access_cidrs] or None,
            ),
            zonal_shift_config=EksClusterZonalShiftConfig(enabled=True),
            depends_on=[logs, *self._permissions],
        )
        self.name: str = self._cluster.name
        self.arn: str = self._cluster.arn
        self.endpoint: str = self._cluster.endpoint
        self.certificate_authority: str = self._cluster.certificate_authority.get(0).data
        self.security_group_id: str = self._cluster.vpc_config.cluster_security_group_id
        for cidr in config.private_access_cidrs:
            # EKS makes the group for nodes: it admits what carries the group itself, and nobody else.
            VpcSecurityGroupIngressRule(
                self,
                f"private-access-{cidr}",
                security_group_id=self.security_group_id,
                description="The cluster's API",
                cidr_ipv4=str(cidr),
                ip_protocol="tcp",
                from_port=_HTTPS,
                to_port=_HTTPS,
            )
        self._admit(config.administrators, access)
        self._trust_issuer()

    def _role(self, permissions_boundary: str, key_arn: str) -> str:
        role = Role(
            self,
            "role",
            location=self._location,
            name="cluster",
            description="The control plane of the EKS cluster",
            trust=[
                Statement(actions=["sts:AssumeRole", "sts:TagSession"], principals={"Service": ["eks.amazonaws.com"]})
            ],
            permissions_boundary=permissions_boundary,
            policies={
                "encrypt-secrets": policy_document(
                    Statement(
                        actions=["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:ListGrants"],
                        resources=[key_arn],
                    )
                )
            },
            managed_policies=["AmazonEKSClusterPolicy"],
        )
        self._permissions = role.permissions
        return role.arn

    def _admit(self, administrators: Sequence[str], access: Mapping[str, Access]) -> None:
        # By account and path too: roles of the same name must not take each other's place.
        entries = {
            f"administrator-{role.partition('::')[2]}": Access(role, "AmazonEKSClusterAdminPolicy")
            for role in administrators
        }
        for id_, (role_arn, policy, namespaces) in {**entries, **access}.items():
            entry = EksAccessEntry(self, f"access-{id_}", cluster_name=self.name, principal_arn=role_arn)
            EksAccessPolicyAssociation(
                self,
                f"access-policy-{id_}",
                cluster_name=self.name,
                principal_arn=entry.principal_arn,
                policy_arn=f"arn:{self._location.partition}:eks::aws:cluster-access-policy/{policy}",
                access_scope=EksAccessPolicyAssociationAccessScope(
                    type="namespace" if namespaces else "cluster", namespaces=list(namespaces) or None
                ),
            )

    def _trust_issuer(self) -> None:
        issuer = f"{self._cluster.fqn}.identity[0].oidc[0].issuer"
        provider = IamOpenidConnectProvider(
            self, "oidc-provider", url=f"${{{issuer}}}", client_id_list=["sts.amazonaws.com"]
        )
        self.oidc_provider_arn: str = provider.arn
        # A local value: inside the JSON of a trust policy the quotes of an expression would be escaped.
        host = TerraformLocal(self, "oidc-issuer", f'${{trimprefix({issuer}, "https://")}}')
        self.oidc_issuer: str = host.as_string


def cluster_log_group_name(cluster: str) -> str:
    """The log group that EKS writes the control plane's logs to; the name is not ours to choose."""
    return f"/aws/eks/{cluster}/cluster"
