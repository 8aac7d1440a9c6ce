"""Cluster: an EKS control plane with its log group, access entries and OIDC provider."""

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Network
from typing import Annotated, NamedTuple

from cdktf import ITerraformDependable, TerraformLocal, TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.cloudwatch_log_group import CloudwatchLogGroup
from cdktf_cdktf_provider_aws.eks_access_entry import EksAccessEntry
from cdktf_cdktf_provider_aws.eks_access_policy_association import (
    EksAccessPolicyAssociation,
    EksAccessPolicyAssociationAccessScope,
)
from cdktf_cdktf_provider_aws.eks_cluster import (
    EksCluster,
    EksClusterAccessConfig,
    EksClusterComputeConfig,
    EksClusterEncryptionConfig,
    EksClusterEncryptionConfigProvider,
    EksClusterKubernetesNetworkConfig,
    EksClusterKubernetesNetworkConfigElasticLoadBalancing,
    EksClusterStorageConfig,
    EksClusterStorageConfigBlockStorage,
    EksClusterUpgradePolicy,
    EksClusterVpcConfig,
    EksClusterZonalShiftConfig,
)
from cdktf_cdktf_provider_aws.iam_openid_connect_provider import IamOpenidConnectProvider
from cdktf_cdktf_provider_aws.vpc_security_group_ingress_rule import VpcSecurityGroupIngressRule
from constructs import Construct
from pydantic import StrictBool

from eks_gitops.auto_mode import CLUSTER_POLICIES, AutoModeConfig, AutoModeNodeRole, tagging_policy
from eks_gitops.config import Cidr, Config, LogRetentionDays, Problem, RoleArn, matching
from eks_gitops.context import Context
from eks_gitops.iam import Role, Statement, policy_document
from eks_gitops.security_group import group_description
from eks_gitops.values import RULES_OF_A_SECURITY_GROUP, listed_twice, not_public, roles_listed_twice, too_large
from eks_gitops.versions import EKS_VERSIONS
from eks_gitops.vpc import FEWEST_ZONES

_HTTPS = 443
# Source: https://docs.aws.amazon.com/general/latest/gr/eks.html; this quota cannot be increased.
_MOST_PUBLIC_NETWORKS = 40
# In the cluster's security group: those of EKS, of the AWS Load Balancer Controller and of `clients`
_RULES_OF_OTHERS = 10
# Source: `KubernetesNetworkConfigRequest` of EKS in botocore 1.43
_PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
_LARGEST_SERVICE_PREFIX = 12
_SMALLEST_SERVICE_PREFIX = 24
_LOG_TYPES = ["api", "audit", "authenticator", "controllerManager", "scheduler"]


CLUSTER_POLICY = "AmazonEKSClusterPolicy"
"""The managed policy of a cluster's role: https://docs.aws.amazon.com/eks/latest/userguide/cluster-iam-role.html"""


class ClusterConfig(Config):
    """An EKS cluster. Inside the VPC, its nodes always reach the Kubernetes API."""

    name: Annotated[
        str,
        matching(
            r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}",
            "not a valid cluster name; use 1 to 100 letters, digits, - and _, starting with a letter or digit",
        ),
    ]
    """The name of the cluster. A change replaces the cluster, which the guard refuses. External DNS, Karpenter and the
    monitoring read it."""
    version: str
    """The Kubernetes version of the control plane and of the node groups, such as `1.36`. A change upgrades the control
    plane, then the add-ons, and replaces the nodes gradually; plan it with `make upgrade` (docs/eks-upgrades.md)."""
    zones: tuple[str, ...]
    """The Availability Zones of the control plane: two or more zones of the region's VPC. EKS never changes them after
    the creation of the cluster, and the guard refuses it. Nodes, databases and files use all zones of the VPC."""
    service_ipv4_cidr: Cidr | None = None
    """The addresses of Services in the cluster, which exist only there. With None, EKS chooses 10.100.0.0/16 or
    172.20.0.0/16. A change replaces the cluster, which the guard refuses."""
    auto_mode: AutoModeConfig | None = None
    """EKS Auto Mode, or None for managed node groups. Choose it for a new cluster: in an existing one, it deletes all
    node groups and the drivers of volumes and load balancers at once, and AWS does not take it back when this changes
    to None (docs/in-cluster.md)."""
    administrators: tuple[RoleArn, ...]
    """IAM roles that get an access entry with cluster-admin permissions."""
    public_access_cidrs: tuple[Cidr, ...] = ()
    """Networks from which the Kubernetes API is reachable over the internet. If there are none, the endpoint is
    private."""
    private_access_cidrs: tuple[Cidr, ...] = ()
    """Networks, such as that of a runner or a VPN, from which the private endpoint is reachable, in addition to the
    cluster's nodes."""
    log_retention_days: LogRetentionDays = 365
    """Days that CloudWatch Logs keeps the logs of the control plane. A change to fewer days deletes older ones."""
    zonal_shift: StrictBool = True
    """Registers the cluster in Amazon Application Recovery Controller, so that you, or AWS with zonal autoshift, can
    shift traffic away from an impaired Availability Zone. Karpenter then starts no nodes there."""
    role_arn: RoleArn | None = None
    """An existing IAM role of the account for the control plane, such as that of a cluster to adopt. With None, a role
    is created. `make preflight` checks its trust and its policies. A change replaces the cluster, which the guard
    refuses."""
    deletion_protection: StrictBool = False
    """Whether EKS rejects the deletion of the cluster: required in production. A change takes effect at once. Set it to
    False and deploy that before a destroy."""

    def problems(self) -> Iterator[Problem]:
        """An unsupported version, too few zones, no administrator, duplicates, networks that are not allowed."""
        if self.version not in EKS_VERSIONS:
            yield Problem("version", self.version, f"not supported; choose one of {', '.join(EKS_VERSIONS)}")
        # Source: https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html
        if len(self.zones) < FEWEST_ZONES:
            message = f"EKS needs at least {FEWEST_ZONES} Availability Zones; list zones of the VPC"
            yield Problem("zones", len(self.zones), message)
        yield from listed_twice("zones", self.zones, "zone")
        yield from self._service_cidr_problems()
        if not self.administrators:
            yield Problem("administrators", "()", "the cluster has no administrator; list at least one IAM role")
        for field in ("public_access_cidrs", "private_access_cidrs"):
            for index, cidr in enumerate(getattr(self, field)):
                if cidr.prefixlen == 0:
                    message = "opens the API to all addresses; list the networks of your office or runners, or none"
                    yield Problem(f"{field}[{index}]", cidr, message)
            yield from too_large(field, getattr(self, field))
            yield from listed_twice(field, getattr(self, field), "network")
        yield from not_public("public_access_cidrs", self.public_access_cidrs)
        yield from self._too_many_networks()
        yield from roles_listed_twice("administrators", self.administrators)
        if self.role_arn is not None and self.auto_mode is not None:
            message = "EKS Auto Mode needs policies of the platform's own role; remove it, or auto_mode"
            yield Problem("role_arn", self.role_arn, message)

    def _service_cidr_problems(self) -> Iterator[Problem]:
        cidr = self.service_ipv4_cidr
        if cidr is None:
            return
        if not _LARGEST_SERVICE_PREFIX <= cidr.prefixlen <= _SMALLEST_SERVICE_PREFIX:
            sizes = f"/{_LARGEST_SERVICE_PREFIX} and /{_SMALLEST_SERVICE_PREFIX}"
            yield Problem("service_ipv4_cidr", cidr, f"addresses of Services must be between {sizes}; change it")
        if not any(cidr.subnet_of(private) for private in _PRIVATE):
            message = f"not a private network; choose one in {', '.join(map(str, _PRIVATE))}"
            yield Problem("service_ipv4_cidr", cidr, message)
        for network in self.private_access_cidrs:
            if cidr.overlaps(network):
                message = (
                    f"overlaps {network} of private_access_cidrs, which Pods could not answer; choose another network"
                )
                yield Problem("service_ipv4_cidr", cidr, message)

    def _too_many_networks(self) -> Iterator[Problem]:
        public, private = len(self.public_access_cidrs), len(self.private_access_cidrs)
        if public > _MOST_PUBLIC_NETWORKS:
            message = f"EKS accepts {_MOST_PUBLIC_NETWORKS} networks; combine some of them"
            yield Problem("public_access_cidrs", public, message)
        most = RULES_OF_A_SECURITY_GROUP - _RULES_OF_OTHERS
        if private > most:
            message = (
                f"a security group has at most {RULES_OF_A_SECURITY_GROUP} rules, and EKS and controllers need "
                f"{_RULES_OF_OTHERS} of them; list {most} networks or fewer"
            )
            yield Problem("private_access_cidrs", private, message)


class Access(NamedTuple):
    """Access of an IAM role to a cluster: the EKS access policy, and the namespaces it applies to (empty for all)."""

    role_arn: str
    policy: str
    namespaces: Sequence[str] = ()


class Cluster(Construct):
    """An EKS control plane. Only access entries grant access to it; its creator gets no implicit permissions.

    `access` contains access entries by ID, in addition to those of the administrators. `subnet_ids` are the private
    subnets of `config.zones`. `clients` are security groups by ID, whose members reach the API inside the VPC.
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
        clients: Mapping[str, str],
    ) -> None:
        super().__init__(scope, id_)
        self._location = context.location
        logs = CloudwatchLogGroup(
            self,
            "log-group",
            name=cluster_log_group_name(config.name),  # EKS would create it without a key and without expiration
            retention_in_days=config.log_retention_days,
            kms_key_id=context.key.arn,
        )
        auto_mode = config.auto_mode
        self.auto_mode = auto_mode is not None
        role_arn, permissions = self._role(config, context)
        nodes = AutoModeNodeRole(self, "auto-mode-node-role", context=context) if auto_mode is not None else None
        self._cluster = EksCluster(
            self,
            "cluster",
            name=config.name,
            version=config.version,
            role_arn=role_arn,
            enabled_cluster_log_types=_LOG_TYPES,
            access_config=EksClusterAccessConfig(
                authentication_mode="API", bootstrap_cluster_creator_admin_permissions=False
            ),
            # The networking add-ons are installed as managed add-ons, with their settings, before the first node.
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
            zonal_shift_config=EksClusterZonalShiftConfig(enabled=config.zonal_shift),
            # Source: https://docs.aws.amazon.com/eks/latest/userguide/deletion-protection.html
            deletion_protection=config.deletion_protection,
            # EKS accepts the three capabilities of Auto Mode only together.
            # Source: https://docs.aws.amazon.com/eks/latest/userguide/auto-enable-existing.html
            compute_config=EksClusterComputeConfig(
                enabled=True, node_pools=list(auto_mode.node_pools), node_role_arn=nodes.arn
            )
            if auto_mode is not None and nodes is not None
            else None,
            kubernetes_network_config=EksClusterKubernetesNetworkConfig(
                service_ipv4_cidr=None if config.service_ipv4_cidr is None else str(config.service_ipv4_cidr),
                elastic_load_balancing=EksClusterKubernetesNetworkConfigElasticLoadBalancing(enabled=True)
                if self.auto_mode
                else None,
            )
            if self.auto_mode or config.service_ipv4_cidr is not None
            else None,
            storage_config=EksClusterStorageConfig(block_storage=EksClusterStorageConfigBlockStorage(enabled=True))
            if self.auto_mode
            else None,
            depends_on=[logs, *permissions, *(nodes.permissions if nodes is not None else [])],
            # It matters only while the cluster is created. EKS does not return it, so after an import the provider
            # 5.100.0 assumes True (`resourceClusterRead` in internal/service/eks/cluster.go), and would replace the
            # cluster.
            lifecycle=TerraformResourceLifecycle(
                ignore_changes=["access_config[0].bootstrap_cluster_creator_admin_permissions"]
            ),
        )
        self.name: str = self._cluster.name
        self.version: str = config.version
        self.arn: str = self._cluster.arn
        self.endpoint: str = self._cluster.endpoint
        self.certificate_authority: str = self._cluster.certificate_authority.get(0).data
        self.security_group_id: str = self._cluster.vpc_config.cluster_security_group_id
        for cidr in config.private_access_cidrs:
            self._admit(f"private-access-{cidr}", cidr_ipv4=str(cidr))
        for client, group_id in clients.items():
            self._admit(f"client-{client}", referenced_security_group_id=group_id)
        self._add_access_entries(config.administrators, access)
        self._add_oidc_provider()

    def _admit(
        self, id_: str, *, cidr_ipv4: str | None = None, referenced_security_group_id: str | None = None
    ) -> None:
        """Admit to the API what the security group that EKS creates does not: it allows only its own members."""
        VpcSecurityGroupIngressRule(
            self,
            id_,
            security_group_id=self.security_group_id,
            description=group_description("HTTPS to the API of the cluster"),
            cidr_ipv4=cidr_ipv4,
            referenced_security_group_id=referenced_security_group_id,
            ip_protocol="tcp",
            from_port=_HTTPS,
            to_port=_HTTPS,
        )

    def _role(self, config: ClusterConfig, context: Context) -> tuple[str, list[ITerraformDependable]]:
        """The ARN of the cluster's role, and its permissions."""
        if config.role_arn is not None:
            return config.role_arn, []
        auto_mode = config.auto_mode is not None
        tagging = {"tag-resources": tagging_policy(context.location, config.name)} if auto_mode else {}
        role = Role(
            self,
            "role",
            location=self._location,
            name="cluster",
            description="The control plane of the EKS cluster",
            trust=[
                Statement(actions=["sts:AssumeRole", "sts:TagSession"], principals={"Service": ["eks.amazonaws.com"]})
            ],
            permissions_boundary=context.permissions_boundary,
            policies={
                **tagging,
                "encrypt-secrets": policy_document(
                    Statement(
                        actions=["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:ListGrants"],
                        resources=[context.key.arn],
                    )
                ),
            },
            managed_policies=CLUSTER_POLICIES if auto_mode else [CLUSTER_POLICY],
        )
        return role.arn, role.permissions

    def _add_access_entries(self, administrators: Sequence[str], access: Mapping[str, Access]) -> None:
        # The ID includes the account and path, because roles may have the same name. In IDs, CDKTF replaces / by --.
        entries = {
            f"administrator-{role.partition('::')[2].replace('--', '-__-')}": Access(
                role, "AmazonEKSClusterAdminPolicy"
            )
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

    def _add_oidc_provider(self) -> None:
        issuer = f"{self._cluster.fqn}.identity[0].oidc[0].issuer"
        provider = IamOpenidConnectProvider(
            self, "oidc-provider", url=f"${{{issuer}}}", client_id_list=["sts.amazonaws.com"]
        )
        self.oidc_provider_arn: str = provider.arn
        # A local value, because the quotes of an expression would be escaped inside the JSON of a trust policy.
        host = TerraformLocal(self, "oidc-issuer", f'${{trimprefix({issuer}, "https://")}}')
        self.oidc_issuer: str = host.as_string


def cluster_log_group_name(cluster: str) -> str:
    """The log group that EKS writes the control plane logs to. EKS determines the name."""
    return f"/aws/eks/{cluster}/cluster"
