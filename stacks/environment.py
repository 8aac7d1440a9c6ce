"""The AWS resources of an environment: EnvironmentStack, and FurtherClusterStack for each cluster beside the first."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from cdktf import ITerraformDependable, TerraformOutput
from constructs import Construct

from eks_gitops.access_logs import AccessLogsBucket
from eks_gitops.addons import NodeAddons, OtherAddon, WorkloadAddons
from eks_gitops.aurora import AuroraDatabase, aurora_log_group_prefix
from eks_gitops.backup_bucket import BackupBucket, backup_bucket_name
from eks_gitops.backup_plan import BackupPlan
from eks_gitops.budget import Budget
from eks_gitops.cluster import CLUSTER_POLICY, Access, Cluster, cluster_log_group_name
from eks_gitops.container_logs import ContainerLogs, container_log_group_name
from eks_gitops.context import Context
from eks_gitops.controller_tags import controller_tags
from eks_gitops.controllers import ControllerRoles
from eks_gitops.database import Database, database_log_group_prefix
from eks_gitops.delivery.delegation import READ_DELEGATION, delegation_role_arn
from eks_gitops.dns import DnsOfAnotherAccount, EnvironmentDns
from eks_gitops.file_system import FileSystem
from eks_gitops.hub import HubRoles
from eks_gitops.in_cluster import argo_cd
from eks_gitops.karpenter import Karpenter
from eks_gitops.key import Key, key_alias
from eks_gitops.node_group import NODE_POLICIES, NodeGroup, NodeRole
from eks_gitops.private_database import PrivateDatabase, PrivateDatabaseConfig, monitoring_role
from eks_gitops.web_acl import WebAcl
from stacks import existing_vpc, platform
from stacks.base import RegionStack
from stacks.settings import Environment, Owner, Region
from stacks.shared import SharedStack

_KEY_USERS = ("backup", "ec2", "elasticfilesystem", "rds", "secretsmanager")


class ClusterStack(RegionStack):
    """The base of both stacks: a cluster with its nodes, add-ons and roles, and what it uses of its environment."""

    kind = "environment"

    key: Key
    context: Context
    cluster: Cluster
    dns: EnvironmentDns
    file_system: FileSystem | None
    databases: Mapping[str, PrivateDatabase]
    hub_access: Mapping[str, Access]
    """The access that the cluster's Argo CD has to other clusters, if it deploys to others."""

    def __init__(
        self, scope: Construct, region: Region, environment: Environment, *, owner: Owner, shared: SharedStack
    ) -> None:
        super().__init__(
            scope, region, environment.name, owner=owner, settings_file=environment.file, cluster=environment.cluster
        )
        self._shared = shared
        self._organisation = owner.organisation
        self.environment, self._region = environment, region
        self._settings = environment.settings

    def _build_cluster(self, hub: "ClusterStack | None" = None) -> None:
        """Add the cluster. `hub` has the Argo CD that deploys to it, in place of its own."""
        shared, environment = self._shared, self.environment
        access, clients = {}, {**shared.clients(environment.name)}
        if hub is None:
            # The export runs inside a Pod of Argo CD.
            backup = shared.backup_roles[environment.name].arn
            access["argo-cd-backup"] = Access(backup, "AmazonEKSEditPolicy", [argo_cd.NAMESPACE])
        else:
            clients["hub"] = hub.cluster.security_group_id
            access |= hub.hub_access
        self.cluster = Cluster(
            self,
            "cluster",
            self._settings.cluster,
            context=self.context,
            subnet_ids=[shared.vpc.private_subnet_ids[zone] for zone in self._settings.cluster.zones],
            access={
                "cluster-administrator": Access(shared.cluster_administrator.arn, "AmazonEKSClusterAdminPolicy"),
                "apply": Access(shared.apply_roles[environment.name].arn, "AmazonEKSClusterAdminPolicy"),
                "plan": Access(shared.plan_role.arn, "AmazonEKSAdminViewPolicy"),
                **access,
            },
            clients=clients,
        )

    def _build_nodes(self) -> None:
        """Add the node add-ons, the node groups and the workload add-ons. Each depends on the previous one.

        With EKS Auto Mode, the cluster itself has the first two.
        """
        nodes: Sequence[ITerraformDependable] = () if self.cluster.auto_mode else self._build_node_groups()
        addons = self._settings.addons
        WorkloadAddons(
            self,
            "workload-addons",
            addons,
            context=self.context,
            cluster=self.cluster,
            tags=self.tags,
            depends_on=nodes,
        )
        for addon in addons.others:
            OtherAddon(self, f"addon-{addon.name}", addon, context=self.context, cluster=self.cluster, depends_on=nodes)

    def _build_node_groups(self) -> list[ITerraformDependable]:
        first = NodeAddons(
            self,
            "node-addons",
            self._settings.addons,
            context=self.context,
            cluster=self.cluster,
            tags=self.tags,
        )
        roles = {
            arn: NodeRole(self, f"node-role{f'-{arn}' if arn else ''}", context=self.context, existing_arn=arn)
            for arn in dict.fromkeys(config.role_arn for config in self._settings.node_groups)
        }
        groups = [
            NodeGroup(
                self,
                f"node-group-{config.name}",
                config,
                context=self.context,
                cluster=self.cluster,
                cluster_version=self._settings.cluster.version,
                role=roles[config.role_arn],
                subnet_ids=list(self._shared.vpc.private_subnet_ids.values()),
                tags=self.tags,
                depends_on=first.resources,
            )
            for config in self._settings.node_groups
        ]
        return [group.resource for group in groups]

    def _build_identities(self) -> None:
        self.controllers = ControllerRoles(
            self,
            "controllers",
            self._settings.controllers,
            context=self.context,
            cluster=self.cluster,
            zone_arn=self.dns.zone_arn,
            has_databases=bool(self.databases),
            has_aurora=bool(self._aurora),
            has_load_balancer_controller=not self.cluster.auto_mode,
            has_web_acl=self._settings.web_acl is not None,
        )
        self.role_arns = {**self.controllers.arns}
        self.irsa_role_arns = {**self.controllers.irsa_arns}
        self.container_logs = None
        if self._settings.container_logs is not None:
            self.container_logs = ContainerLogs(
                self,
                "container-logs",
                self._settings.container_logs,
                context=self.context,
                cluster=self.cluster,
                cluster_name=self._settings.cluster.name,
            )
            self.role_arns["fluent-bit"] = self.container_logs.role_arn
        self.karpenter = None
        self.hub_access = {}
        if self._region.spokes(self.environment):
            hub = HubRoles(self, "hub", context=self.context, cluster=self.cluster, namespace=argo_cd.NAMESPACE)
            self.hub_access = hub.access()
        if self._settings.karpenter is not None:
            self.karpenter = Karpenter(
                self,
                "karpenter",
                self._settings.karpenter,
                context=self.context,
                cluster=self.cluster,
                cluster_name=self._settings.cluster.name,
            )
            self.role_arns["karpenter"] = self.karpenter.role_arn
            if self._settings.karpenter.identity == "irsa":
                self.irsa_role_arns["karpenter"] = self.karpenter.role_arn

    @property
    def _aurora(self) -> dict[str, AuroraDatabase]:
        """The databases on Aurora, which a further cluster uses as well."""
        return {name: one for name, one in self.databases.items() if isinstance(one, AuroraDatabase)}

    def describe(self) -> platform.Stack:
        """The description of this stack, its cluster and its backups for `platform.json`."""
        name = self._settings.cluster.name
        return {
            **super().describe(),
            "cluster": {
                "name": name,
                "controller_tags": controller_tags(name),
                "further": self.environment.cluster,
                "hub": self.environment.hub or "",
            },
            "existing_vpc": existing_vpc.describe(self._region, self.environment),
            "backups": {
                "bucket": backup_bucket_name(self.location.of_environment, self._organisation),
                "key_id": self._settings.key_arn or key_alias(self.location),
            },
            "existing": self._existing(
                key=self.key,
                permissions_boundary=self._settings.permissions_boundary_arn,
                roles=self._existing_roles(),
            ),
        }

    def _existing_roles(self) -> list[platform.ExistingRole]:
        """The roles in the settings, each with what uses it and the managed policies that this needs."""
        cluster = self._settings.cluster.role_arn
        used: dict[str, platform.ExistingRole] = {}
        if cluster is not None:
            used[cluster] = {"arn": cluster, "service": "eks.amazonaws.com", "policies": [CLUSTER_POLICY]}
        for arn in [group.role_arn for group in self._settings.node_groups]:
            if arn is not None:
                used[arn] = {"arn": arn, "service": "ec2.amazonaws.com", "policies": list(NODE_POLICIES)}
        return list(used.values())

    def _cluster_outputs(self) -> Iterator[tuple[str, str | dict[str, str], str]]:
        yield "cluster_name", self.cluster.name, "Argument of aws eks update-kubeconfig --name"
        yield "cluster_endpoint", self.cluster.endpoint, "The cluster's API; it answers inside the VPC"
        yield "controller_role_arns", self.role_arns, "The role of each controller in the cluster"


class EnvironmentStack(ClusterStack):
    """The AWS resources of one environment, without the Kubernetes resources in its cluster, and further clusters.

    `hub` is the stack of the environment whose Argo CD deploys to the cluster, if it has none of its own.
    """

    def __init__(
        self,
        scope: Construct,
        region: Region,
        environment: Environment,
        *,
        owner: Owner,
        shared: SharedStack,
        hub: "EnvironmentStack | None" = None,
    ) -> None:
        super().__init__(scope, region, environment, owner=owner, shared=shared)
        location = self.location
        self.key = Key(
            self,
            "key",
            location=location,
            description=f"Secrets, volumes, files, databases and logs of {location.region} {location.environment}",
            services=_KEY_USERS,
            log_groups=[
                *[cluster_log_group_name(name) for name in environment.cluster_names],
                *[
                    container_log_group_name(name)
                    for name in environment.cluster_names
                    if self._settings.container_logs is not None
                ],
                # Of all databases: a key policy has a size limit.
                f"{database_log_group_prefix(location.name('*'))}*",
                *([f"{aurora_log_group_prefix(location.name('*'))}*"] if self._settings.aurora_databases else []),
            ],
            existing_arn=self._settings.key_arn,
        )
        self.context = Context(location, self.key, shared.boundary_arn(environment.name))
        self._build_cluster(hub)
        self._build_nodes()
        self._build_storage()
        self.dns = EnvironmentDns(
            self,
            "dns",
            region.shared.dns.of_environment(environment.name),
            parent=shared.dns
            or DnsOfAnotherAccount(
                self,
                "parent-dns",
                region.shared.dns,
                location=region.main_location,
                plan_role=region.location("shared").name("plan"),
                reading_role_arn=delegation_role_arn(region.main_location, READ_DELEGATION),
                writing_role_arn=delegation_role_arn(region.main_location, environment.name),
            ),
            force_destroy=self._settings.teardown,
        )
        self._build_backups()
        self._build_identities()
        self._build_for_load_balancers()
        if self._settings.budget is not None:
            Budget(self, "budget", self._settings.budget, location=location)
        self._add_outputs()

    def _build_storage(self) -> None:
        vpc = self._shared.vpc
        self.file_system = None
        if self._settings.file_system is not None:
            self.file_system = FileSystem(
                self,
                "file-system",
                self._settings.file_system,
                context=self.context,
                vpc_id=vpc.id,
                subnet_ids=vpc.private_subnet_ids,
                client_security_group_id=self.cluster.security_group_id,
            )
        kinds: list[tuple[Callable[..., PrivateDatabase], PrivateDatabaseConfig]] = [
            *[(Database, config) for config in self._settings.databases],
            *[(AuroraDatabase, config) for config in self._settings.aurora_databases],
        ]
        monitoring = monitoring_role(self, self.context) if kinds else None
        self.databases = {
            config.name: kind(
                self,
                f"database-{config.name}",
                config,
                context=self.context,
                vpc_id=vpc.id,
                subnet_ids=vpc.database_subnet_ids or vpc.private_subnet_ids,
                client_security_group_id=self.cluster.security_group_id,
                monitoring_role=monitoring,
            )
            for kind, config in kinds
        }

    def _build_backups(self) -> None:
        config, teardown = self._settings.backup, self._settings.teardown
        self.backup_bucket = BackupBucket(
            self,
            "backup-bucket",
            context=self.context,
            organisation=self._organisation,
            retention_days=config.argo_cd_retention_days,
            force_destroy=teardown,
        )
        resources = {f"database-{name}": database.arn for name, database in self.databases.items()}
        if self.file_system is not None:
            resources["file-system"] = self.file_system.arn
        if config.clusters:
            for one in self.environment.clusters:
                name = "-".join(filter(None, ("cluster", one.cluster)))
                resources[name] = self.location.arn("eks", f"cluster/{one.settings.cluster.name}")
        self.backup_plan = BackupPlan(
            self,
            "backup-plan",
            config,
            context=self.context,
            resources=resources,
            force_destroy=teardown,
        )

    def _build_for_load_balancers(self) -> None:
        """What the load balancers of the services of all clusters use."""
        if self._settings.access_logs is not None:
            AccessLogsBucket(
                self,
                "access-logs",
                self._settings.access_logs,
                context=self.context,
                organisation=self._organisation,
                force_destroy=self._settings.teardown,
            )
        if self._settings.web_acl is not None:
            WebAcl(self, "web-acl", self._settings.web_acl, location=self.location)

    def _add_outputs(self) -> None:
        for name, value, description in (
            *self._cluster_outputs(),
            (
                "database_addresses",
                {name: database.address for name, database in self.databases.items()},
                "The host of each database",
            ),
            (
                "database_secret_arns",
                {name: database.secret_arn for name, database in self.databases.items()},
                "Where AWS Secrets Manager keeps the master password of each database",
            ),
            ("backup_bucket", self.backup_bucket.bucket_name, "Where `make backup` keeps what Argo CD knows"),
            ("backup_vault", self.backup_plan.vault_name, "Where AWS Backup keeps files and databases"),
            (
                "certificate_arn",
                self.dns.certificate_arn,
                "The certificate of the environment's domain, and one level below",
            ),
        ):
            TerraformOutput(self, name, value=value, description=description)
        if self._aurora:
            TerraformOutput(
                self,
                "database_reader_addresses",
                value={name: database.reader_address for name, database in self._aurora.items()},
                description="The host of the readers of each database on Aurora",
            )


class FurtherClusterStack(ClusterStack):
    """The AWS resources of a cluster beside the first, which can be destroyed alone.

    `environment` has its settings in the place of those of the first. `first` is the stack that owns what both use.
    """

    def __init__(
        self,
        scope: Construct,
        region: Region,
        environment: Environment,
        *,
        owner: Owner,
        shared: SharedStack,
        first: EnvironmentStack,
    ) -> None:
        super().__init__(scope, region, environment, owner=owner, shared=shared)
        self.key, self.dns = first.key, first.dns
        self.file_system, self.databases = first.file_system, first.databases
        self.context = Context(self.location, self.key, shared.boundary_arn(environment.name))
        self._build_cluster()
        self._build_nodes()
        group = self.cluster.security_group_id
        if self.file_system is not None:
            self.file_system.admit(self, "file-system-from-nodes", group)
        for name, database in self.databases.items():
            database.admit(self, f"database-{name}-from-nodes", group)
        self._build_identities()
        for name, value, description in self._cluster_outputs():
            TerraformOutput(self, name, value=value, description=description)
