"""The types of the settings. `loading` loads the files, and `rules` validates rules between several settings."""

from collections.abc import Iterator
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, StrictBool

from eks_gitops.access_host import AccessHostConfig
from eks_gitops.access_logs import AccessLogsConfig
from eks_gitops.addons import AddonsConfig, PolicyArn
from eks_gitops.aurora import AuroraConfig
from eks_gitops.auto_mode import REPLACED_ADDONS
from eks_gitops.backend import StateBackendConfig
from eks_gitops.backup_plan import BackupConfig
from eks_gitops.budget import BudgetConfig, CostTag
from eks_gitops.cluster import ClusterConfig
from eks_gitops.config import (
    AccountId,
    Config,
    DomainName,
    KeyArn,
    Problem,
    RoleArn,
    known_problems,
    matching,
    one_of,
    without_validation,
)
from eks_gitops.container_logs import ContainerLogsConfig
from eks_gitops.controllers import ControllersConfig
from eks_gitops.database import DatabaseConfig
from eks_gitops.delivery.delegation import delegation_role_arn
from eks_gitops.dns import DnsConfig
from eks_gitops.ecr import EcrRepositoryConfig
from eks_gitops.existing_vpc import ExistingVpcConfig
from eks_gitops.file_system import FileSystemConfig
from eks_gitops.github import GithubRepository
from eks_gitops.in_cluster.argo_cd_config import ArgoCdConfig
from eks_gitops.in_cluster.load_balancer_controller import IngressClassConfig
from eks_gitops.in_cluster.repository_credential import RepositoryCredentialConfig
from eks_gitops.in_cluster.root_application import Revision
from eks_gitops.karpenter import KarpenterConfig
from eks_gitops.location import Location
from eks_gitops.node_group import NodeGroupConfig
from eks_gitops.observability import Observability
from eks_gitops.runners import RunnersConfig
from eks_gitops.threat_detection import ThreatDetectionConfig
from eks_gitops.values import AbsolutePath, TagValue, listed_twice, named_twice, roles_listed_twice
from eks_gitops.versions import ARGO_CD_CHARTS, EKS_VERSIONS
from eks_gitops.vpc import VpcConfig
from eks_gitops.web_acl import WebAclConfig
from stacks import platform
from stacks.usage import EnvironmentUsage, SharedUsage

_REDIS_REPLICAS = 3
_OF_ENVIRONMENT = {"databases": (), "aurora_databases": (), "further_clusters": ()}


class Owner(Config):
    """The owner of the platform: values that are the same in all regions and environments."""

    organisation: Annotated[
        str,
        matching(
            r"(?!xn--|sthree-|amzn-s3-demo-)[a-z][a-z0-9-]{1,20}",
            "use 2 to 21 lower-case letters, digits and hyphens, starting with a letter and no prefix reserved by S3",
        ),
    ]
    """The prefix of the names of the backup buckets and, in the example settings, of the state bucket. A change
    replaces these buckets, which the guard refuses."""
    account_id: AccountId
    """The account of the example settings: every region and environment refers to it."""
    domain: DomainName
    """The domain of the example settings: those of the region, its environments and Argo CD are derived from it. Use a
    subdomain, such as `platform.your-domain.com`: whoever points a whole domain to the name servers of a new zone takes
    over its mail and web."""
    repository: GithubRepository
    """Your copy of this repository. The settings of the region refer to it."""
    administrator_role_arn: RoleArn
    """The IAM role of the administrators in the example settings. It must exist before the first deploy."""
    cost_center: TagValue
    """The tag `CostCenter` of all resources. A change also replaces all nodes gradually, because their launch template
    has the tags, and an administrator deploys `shared`, whose delivery roles have them, too."""
    project: TagValue = "gitops-platform"
    """The tag `Project` of all resources. A change does the same as one of `cost_center`."""
    team: TagValue = "platform"
    """The tag `Owner` of all resources. A change does the same as one of `cost_center`."""


class AccountBase(Config):
    """What each account of a region has of its own."""

    account_id: AccountId
    """The account. Terraform refuses credentials of another one; a change moves no resources."""
    state: StateBackendConfig
    """The bucket and locks of the Terraform states of the account in this region, which the stack `backend` creates."""
    vpc: Annotated[VpcConfig | ExistingVpcConfig, one_of(VpcConfig, ExistingVpcConfig)]
    """The network that all environments of the region share: one that the platform creates, or one of your own. A
    change from one to the other replaces everything in it, which the guard refuses."""
    owns_github_provider: StrictBool
    """True in exactly one region of an account, because the identity provider for GitHub is global, or in none if
    `github_provider_exists`. The guard refuses to change it to False."""
    github_provider_exists: StrictBool = False
    """Whether the account has the identity provider for GitHub already, from elsewhere. Then no region of the account
    owns it, and `make preflight` checks its audience."""
    cluster_administrators: tuple[RoleArn, ...]
    """IAM roles that can assume the role that administers all clusters of the region."""
    key_arn: KeyArn | None = None
    """An existing KMS key of the account and region, which encrypts images and flow logs. With None, a key is created.
    `make preflight` checks what its key policy lacks. Images keep the key with which their repository was created. A
    change from or to None is described in docs/architecture.md."""
    permissions_boundary_arn: PolicyArn | None = None
    """An existing policy that limits the roles of this stack, also its apply role, in place of the platform's
    permissions boundary. docs/architecture.md says what is lost. Only an administrator can deploy a change."""
    access_host: AccessHostConfig | None = None
    """A host for Session Manager, or None. Through it, people without a VPN reach the private API of all clusters of
    the region: `make tunnel`. The delivery roles get the permissions to manage it, so an administrator deploys
    `shared`. To remove it, deploy the environments first, because EC2 deletes no security group that a rule names."""
    runners: RunnersConfig | None = None
    """GitHub Actions runners inside the VPC, or None. Their labels are in the variable `PRIVATE_RUNNERS`
    (docs/delivery.md). An administrator deploys `shared`, and a removal starts with the environments, as with
    `access_host`."""
    cost_allocation_tags: tuple[CostTag, ...] = ()
    """The tags that are activated as cost allocation tags, for budgets and Cost Explorer (docs/cost.md). Only the
    account that pays can activate them: one without an organization, or its management account. It lists a tag in one
    region only. The delivery roles get the permissions, so an administrator deploys `shared`."""
    threat_detection: ThreatDetectionConfig | None = None
    """GuardDuty for the clusters of the account and region, or None. The delivery roles get the permissions, so an
    administrator deploys `shared`."""
    usage: SharedUsage = SharedUsage()
    """The usage that `make cost` assumes (docs/cost.md)."""

    def problems(self) -> Iterator[Problem]:
        """No cluster administrator, or duplicates."""
        yield from listed_twice("cost_allocation_tags", self.cost_allocation_tags, "tag")
        roles = self.cluster_administrators
        if not roles:
            yield Problem("cluster_administrators", "()", "no cluster administrator; list at least one IAM role")
            return
        yield from roles_listed_twice("cluster_administrators", roles)


class AccountSettings(AccountBase):
    """A further account of a region, with its own network, delivery roles and state (docs/accounts.md).

    An environment is in this account if its `account_id` is that of the account. The domain and the image repositories
    stay in the account of the region.
    """

    name: Annotated[
        str,
        matching(r"[a-z][a-z0-9]{1,11}", "use 2 to 12 lower-case letters and digits, starting with a letter"),
    ]
    """The suffix of the stacks of the account: `<region>-backend-<name>` and `<region>-shared-<name>`. A change of it
    makes new stacks, which do not have the resources of the old ones."""


class SharedSettings(AccountBase):
    """The settings of the resources that the environments of a region share."""

    dns: DnsConfig
    """The domain of the platform and its hosted zone."""
    image_repositories: tuple[EcrRepositoryConfig, ...]
    """The ECR repositories, one per service. `make service` adds entries, and needs one entry per line."""
    image_replica_regions: tuple[str, ...] = ()
    """Other regions that ECR copies new images of these repositories to. Images that exist already are not copied. A
    registry has one such configuration: one that exists already must not be overwritten (`make preflight`). To remove a
    region, see docs/disaster-recovery.md."""
    repository: GithubRepository
    """Your copy of this repository. The roles of its workflows trust it, Argo CD clones it, and Kyverno requires that
    its workflow signed the images of services."""
    accounts: tuple[AccountSettings, ...] = ()
    """Further accounts of the region, each for the environments that name its `account_id`. The account of the region
    keeps the domain and the image repositories, which the nodes of the others may pull from."""

    def problems(self) -> Iterator[Problem]:
        """No cluster administrator, duplicates, or two GitHub repositories with the same ID."""
        yield from known_problems(super().problems())
        yield from named_twice("image_repositories", [repository.name for repository in self.image_repositories])
        yield from listed_twice("image_replica_regions", self.image_replica_regions, "region")
        yield from named_twice("accounts", [account.name for account in self.accounts])
        yield from known_problems(self._problems_of_github())

    def _problems_of_github(self) -> Iterator[Problem]:
        """An ID belongs to one name, and a name to one ID: otherwise no token matches the trust of a push role."""
        known = [self.repository]
        for index, image in enumerate(self.image_repositories):
            ours, field = image.pushed_by, f"image_repositories[{index}].pushed_by"
            for other in known:
                same_owner = ours.owner == other.owner
                if same_owner != (ours.owner_id == other.owner_id):
                    message = f"{other.owner} has the ID {other.owner_id}; each owner has one ID of its own, correct it"
                    yield Problem(f"{field}.owner_id", ours.owner_id, message)
                    break
                if (same_owner and ours.name == other.name) != (ours.id == other.id):
                    message = f"{other.owner}/{other.name} has the ID {other.id}; each repository has one, correct it"
                    yield Problem(f"{field}.id", ours.id, message)
                    break
            known.append(ours)


class GitopsSettings(Config):
    """The resources that Terraform installs in a cluster, and the revision of this repository that Argo CD tracks."""

    revision: Revision
    """The branch or tag of this repository that Argo CD deploys, for the platform's components and the services."""
    policies: Literal["enforce", "audit"] = "enforce"
    """Whether the policies of `management/policies` reject what violates them, or only warn about and report it. With
    `audit`, an unavailable Kyverno blocks nothing, and runs with one replica. Production must enforce them."""
    ingress: IngressClassConfig
    """The load balancer that all services share: the IngressClass `alb`."""
    argo_cd: ArgoCdConfig
    """Argo CD itself. With `hub`, it is not installed, and these settings wait until the cluster leaves its hub."""
    hub: (
        Annotated[str, matching(r"[a-z][a-z0-9]*", "write the name of another environment of the region, such as prod")]
        | None
    ) = None
    """The environment of the same region and account whose Argo CD also deploys to this cluster, or None for an Argo CD
    of its own. An administrator deploys `shared` first. A cluster that already has an Argo CD must lose it, with all
    services, before it joins a hub; it leaves without an interruption (docs/hub.md)."""
    repository_credential: RepositoryCredentialConfig | None = None
    """Access to this repository, which is required if it is private."""
    dns_weight: Annotated[int, Field(strict=True, ge=0, le=255)] | None = None
    """The weight of this cluster's records of the services, among those of all clusters of the environment, which need
    one then. Route 53 sends each cluster requests in the proportion of its weight, and none with 0. With None, there is
    one record for each service. A change reaches clients as their
    answers expire (docs/fleet.md)."""
    kubeconfig: AbsolutePath | None = None
    """A file whose current context is used instead of the EKS cluster, for trials. Terraform runs in another folder, so
    the path is absolute."""


class FurtherCluster(Config):
    """A further cluster of an environment, with Argo CD in it, in two stacks of its own.

    It shares the environment's key, databases, file system, zone and backup bucket, and deploys the same Git tree.
    """

    name: Annotated[
        str,
        matching(r"[a-z][a-z0-9]{0,9}", "use 1 to 10 lower-case letters and digits, starting with a letter"),
    ]
    """The name of the cluster within its environment, such as `blue`: part of the names of its stacks and AWS
    resources. A change is another cluster: destroy the stacks before."""
    teardown: StrictBool = False
    """Set and deploy it before the cluster is destroyed: it permits disabling `cluster.deletion_protection` in
    production. It concerns only this cluster."""
    cluster: ClusterConfig
    """The EKS cluster."""
    node_groups: tuple[NodeGroupConfig, ...]
    """The managed node groups, as those of the environment."""
    addons: AddonsConfig = AddonsConfig()
    """The EKS add-ons of the cluster."""
    karpenter: KarpenterConfig | None = None
    """The AWS resources of Karpenter, or None."""
    gitops: GitopsSettings
    """What Terraform installs in the cluster. Argo CD needs a domain of its own."""


class EnvironmentSettings(Config):
    """One environment: a cluster, its AWS resources, and the bootstrap of Argo CD in it."""

    account_id: AccountId
    """The account of the environment: that of the region, or of one of its `accounts`. Nothing moves with a change of
    it: all resources of the environment would be new (docs/accounts.md)."""
    production: StrictBool
    """Enables the checks of the requirements of production. In the cluster, it chooses the values of components for
    production, and limits when the services are synced automatically (`syncWindows` of their project)."""
    teardown: StrictBool = False
    """Set and deploy it before the environment is destroyed: it permits disabling the deletion protection of databases,
    and deletes backups with their vault and bucket."""
    key_arn: KeyArn | None = None
    """An existing KMS key of the account and region, which encrypts Kubernetes Secrets, volumes, files, databases,
    backups and logs. With None, a key is created. `make preflight` checks what its key policy lacks. A change to
    another key replaces databases and file systems, and EKS keeps that of a cluster, so the guard refuses it.
    docs/architecture.md says how the key that the platform created becomes an existing one."""
    permissions_boundary_arn: PolicyArn | None = None
    """An existing policy that limits the roles of this environment, also its apply role, instead of the platform's
    permissions boundary. docs/architecture.md says what is lost. An administrator deploys `shared` first."""
    cluster: ClusterConfig
    """The EKS cluster."""
    node_groups: tuple[NodeGroupConfig, ...]
    """The managed node groups. Argo CD runs on them. With EKS Auto Mode, there are none: `()`."""
    addons: AddonsConfig = AddonsConfig()
    """The EKS add-ons of the cluster."""
    controllers: ControllersConfig = ControllersConfig()
    """How the controllers in the cluster get their IAM roles."""
    karpenter: KarpenterConfig | None = None
    """The AWS resources of Karpenter, or None. Argo CD deploys Karpenter only to a cluster that has them."""
    gitops: GitopsSettings
    """What Terraform installs in the cluster."""
    file_system: FileSystemConfig | None = None
    """The EFS file system and its StorageClass `efs-ap`, or None. A change to None destroys its files, which the guard
    refuses."""
    databases: tuple[DatabaseConfig, ...] = ()
    """The databases. Services find theirs by name. Removing one destroys it after a final snapshot, which
    the guard refuses."""
    aurora_databases: tuple[AuroraConfig, ...] = ()
    """Databases on Aurora, which can have readers. Services use them as the others, and the names of both are
    different. An administrator deploys `shared` with the first one of a region, before the environment, and without the
    last one, after it. Removing one destroys it after a final snapshot, which the guard refuses."""
    backup: BackupConfig
    """How long backups are kept."""
    budget: BudgetConfig | None = None
    """The budget of the environment in AWS Budgets, or None (docs/cost.md). The apply role gets the permissions to
    manage it, so an administrator deploys `shared` first."""
    access_logs: AccessLogsConfig | None = None
    """The access logs of the load balancers of the services, of all clusters, in a bucket; or None. An administrator
    deploys `shared` first. docs/recipes/observability.md says how they are turned off."""
    container_logs: ContainerLogsConfig | None = None
    """The logs of the containers of all clusters in CloudWatch Logs, and saved queries; or None. An administrator
    deploys `shared` first. A change to None deletes the logs."""
    web_acl: WebAclConfig | None = None
    """A web ACL of AWS WAF for the load balancers of the services, of all clusters, or None. An administrator deploys
    `shared` first. docs/recipes/observability.md says how it is turned off."""
    usage: EnvironmentUsage = EnvironmentUsage()
    """The usage that `make cost` assumes (docs/cost.md)."""
    further_clusters: tuple[FurtherCluster, ...] = ()
    """Clusters beside the first, for a blue/green upgrade, each in stacks of its own (docs/fleet.md). An administrator
    deploys `shared`, whose delivery roles name all clusters. Before one is removed here, destroy its stacks."""

    @property
    def observability(self) -> Observability:
        """Which optional resources of observability the environment has, as far as it is known."""
        known = vars(self)
        return Observability(**{name: known.get(name) is not None for name in Observability._fields})

    @property
    def existing_roles(self) -> list[str]:
        """The ARNs of the roles of the cluster and its nodes that exist already, each once."""
        roles = (self.cluster.role_arn, *[group.role_arn for group in self.node_groups])
        return sorted({role for role in roles if role is not None})

    def problems(self) -> Iterator[Problem]:
        """No node for CoreDNS and Argo CD, duplicates, or an Argo CD that cannot run in the cluster."""
        yield from named_twice("node_groups", [group.name for group in self.node_groups])
        yield from named_twice("databases", [database.name for database in self.databases])
        yield from named_twice("aurora_databases", [database.name for database in self.aurora_databases])
        yield from known_problems(self._problems_of_names())
        yield from named_twice("further_clusters", [further.name for further in self.further_clusters])
        yield from known_problems(self._problems_of_web_acl())
        yield from self.problems_of_cluster()
        for index, further in enumerate(self.further_clusters):
            for problem in self.with_cluster(further).problems_of_cluster():
                yield problem.below(f"further_clusters[{index}]")

    def _problems_of_web_acl(self) -> Iterator[Problem]:
        """Its IngressClassParams have other fields.

        Source: https://docs.aws.amazon.com/eks/latest/userguide/auto-configure-alb.html
        """
        clusters = (self.cluster, *[further.cluster for further in self.further_clusters])
        if self.web_acl is not None and any(cluster.auto_mode is not None for cluster in clusters):
            message = "AWS documents no web ACL for the IngressClasses of EKS Auto Mode; remove it, or auto_mode"
            yield Problem("web_acl", self.web_acl, message)

    def with_cluster(self, further: FurtherCluster) -> "EnvironmentSettings":
        """These settings with a further cluster in the place of the first, as far as its fields are known.

        They have no databases and backups, which belong to the environment.
        """
        others = {*FurtherCluster.model_fields, "backup"}
        values = {name: value for name, value in vars(self).items() if name not in others}
        own = {name: value for name, value in vars(further).items() if name != "name"}
        return without_validation(EnvironmentSettings, {**values, **own, **_OF_ENVIRONMENT})

    @property
    def every_database(self) -> dict[str, DatabaseConfig | AuroraConfig]:
        """The databases on RDS and on Aurora by field, such as `aurora_databases[0]`, as far as they are known."""
        lists: dict[str, tuple[DatabaseConfig | AuroraConfig, ...]] = {
            field: getattr(self, field, ()) for field in ("databases", "aurora_databases")
        }
        return {f"{field}[{index}]": one for field, many in lists.items() for index, one in enumerate(many)}

    def _problems_of_names(self) -> Iterator[Problem]:
        """A name on RDS and on Aurora: services find their database by name."""
        names = {database.name for database in self.databases}
        for index, database in enumerate(self.aurora_databases):
            if database.name in names:
                message = "also the name of a database on RDS; choose another"
                yield Problem(f"aurora_databases[{index}].name", database.name, message)

    def problems_of_cluster(self) -> Iterator[Problem]:
        """The rules on the cluster alone, which hold for each further one, too."""
        yield from known_problems(self._problems_of_nodes())
        yield from known_problems(self._problems_of_auto_mode())
        yield from known_problems(self._problems_of_argo_cd())
        yield from known_problems(self._problems_of_kube_proxy())
        yield from known_problems(self._problems_of_releases())

    @property
    def open_node_groups(self) -> list[NodeGroupConfig]:
        """The node groups on which Pods without tolerations run."""
        return [
            group for group in self.node_groups if all(taint.effect == "PREFER_NO_SCHEDULE" for taint in group.taints)
        ]

    @property
    def open_nodes(self) -> int:
        """The nodes on which Pods without tolerations run, at the least."""
        return sum(group.min_size for group in self.open_node_groups)

    def _problems_of_nodes(self) -> Iterator[Problem]:
        if self.cluster.auto_mode is not None:
            return
        if not self.node_groups:
            yield Problem("node_groups", "()", "Argo CD needs nodes to run on; add a node group")
        elif not self.open_node_groups:
            message = "CoreDNS and Argo CD tolerate no taint; add a group without taints, or use PREFER_NO_SCHEDULE"
            yield Problem("node_groups", "all tainted", message)
        elif self.open_nodes == 0:
            message = "no node for CoreDNS and Argo CD; set min_size of a group without taints to at least 1"
            yield Problem("node_groups", "total min_size 0", message)

    def _problems_of_auto_mode(self) -> Iterator[Problem]:
        """What EKS Auto Mode replaces, and what does not have its IngressClasses."""
        if self.cluster.auto_mode is None:
            return
        for version in sorted(set(self.addons.versions) & set(REPLACED_ADDONS)):
            message = "part of EKS Auto Mode, which updates it; remove it"
            yield Problem(f"addons.versions.{version}", self.addons.versions[version], message)
        if self.karpenter is not None:
            message = "EKS Auto Mode starts the nodes itself; set it to None, or cluster.auto_mode"
            yield Problem("karpenter", self.karpenter, message)
        if self.gitops.kubeconfig is not None:
            message = "only EKS has the IngressClassParams of Auto Mode; remove it, or cluster.auto_mode"
            yield Problem("gitops.kubeconfig", self.gitops.kubeconfig, message)
        if self.node_groups:
            message = "their nodes need the add-ons that EKS Auto Mode replaces; write (), or remove cluster.auto_mode"
            yield Problem("node_groups", f"{len(self.node_groups)} groups", message)

    def _problems_of_kube_proxy(self) -> Iterator[Problem]:
        """Its versions are those of Kubernetes, and EKS offers it for the same minor version.

        Source: https://docs.aws.amazon.com/eks/latest/userguide/managing-kube-proxy.html
        """
        version = self.addons.versions.get("kube-proxy")
        if version is not None and not version.startswith(f"v{self.cluster.version}."):
            message = (
                f"not for Kubernetes {self.cluster.version}; choose a version that starts with v{self.cluster.version}."
            )
            yield Problem("addons.versions.kube-proxy", version, message)

    def _problems_of_releases(self) -> Iterator[Problem]:
        """EKS accepts an AMI of Amazon Linux only for its version of Kubernetes.

        Source: https://docs.aws.amazon.com/eks/latest/userguide/eks-linux-ami-versions.html
        """
        version = self.cluster.version
        for index, group in enumerate(self.node_groups):
            if group.kubernetes_of_release not in {None, version}:
                message = f"not for Kubernetes {version}; choose a release that starts with {version}."
                yield Problem(f"node_groups[{index}].release_version", group.release_version, message)

    def _problems_of_argo_cd(self) -> Iterator[Problem]:
        argo_cd, version, nodes = self.gitops.argo_cd, self.cluster.version, self.open_nodes
        if self.production and self.gitops.kubeconfig is not None:
            message = "would install the Argo CD of production in another cluster than its own; remove it"
            yield Problem("gitops.kubeconfig", self.gitops.kubeconfig, message)
        if argo_cd.availability == "high-availability" and 0 < nodes < _REDIS_REPLICAS:
            message = (
                f"each of its {_REDIS_REPLICAS} Redis replicas needs its own node, and the total min_size of groups "
                f"without taints is {nodes}; raise min_size, or use single-node"
            )
            yield Problem("gitops.argo_cd.availability", argo_cd.availability, message)
        chart = ARGO_CD_CHARTS.get(argo_cd.chart_version)
        if chart is not None and version in EKS_VERSIONS and not chart.supports(version):
            first, last = chart.kubernetes
            message = f"tested with Kubernetes {first} to {last}, but the cluster has {version}; choose another version"
            yield Problem("gitops.argo_cd.chart_version", argo_cd.chart_version, message)


class Environment(NamedTuple):
    """An environment: its name, which is the name of its module, its file and its settings."""

    name: str
    file: str
    settings: EnvironmentSettings
    cluster: str = ""
    """The name of the further cluster whose settings are in the place of those of the first; empty for the first."""
    path: str = ""
    """The path of these settings, such as `further_clusters[0]`; empty for the first cluster."""

    @property
    def further(self) -> tuple["Environment", ...]:
        """This environment with each further cluster in the place of the first, as far as its fields are known."""
        found: tuple[FurtherCluster, ...] = getattr(self.settings, "further_clusters", ())
        return tuple(
            Environment(
                self.name,
                self.file,
                self.settings.with_cluster(further),
                getattr(further, "name", ""),
                f"further_clusters[{index}]",
            )
            for index, further in enumerate(found)
        )

    def below(self, problems: Iterator[Problem]) -> Iterator[Problem]:
        """The problems with their paths in the settings file."""
        for problem in problems:
            yield problem.below(self.path)

    @property
    def clusters(self) -> tuple["Environment", ...]:
        """This environment, and it with each further cluster in the place of the first."""
        return (self, *self.further)

    @property
    def cluster_names(self) -> list[str]:
        """The names of all clusters in AWS."""
        return [one.settings.cluster.name for one in self.clusters]

    @property
    def hub(self) -> str | None:
        """The environment whose Argo CD deploys to this cluster; None if it has its own, or it is unknown."""
        gitops = vars(self.settings).get("gitops")
        return None if gitops is None else vars(gitops).get("hub")

    @property
    def existing_roles(self) -> list[str]:
        """The ARNs of the existing roles of all clusters and their nodes, each once."""
        return sorted({role for one in self.clusters for role in one.settings.existing_roles})


class Region(NamedTuple):
    """The settings of a region. Invalid fields are missing, so that the rules on the other fields can be checked.

    `environments` are in order of promotion. Of a further account, `account` is the name and `main_account_id` the
    account of the region, and `path` the field of its settings, such as `accounts[0]`; otherwise these are empty, and
    `elsewhere` are the environments in further accounts.
    """

    name: str
    file: str
    shared_file: str
    shared: SharedSettings
    environments: tuple[Environment, ...]
    account: str = ""
    main_account_id: str = ""
    elsewhere: tuple[Environment, ...] = ()
    path: str = ""

    def describe(self) -> platform.Region:
        """The description of this region for `platform.json`."""
        return {
            "name": self.name,
            "shared_settings_file": self.shared_file,
            "environments": [environment.name for environment in self.environments],
            "push_role_prefix": self.location("shared").name("push-"),
        }

    @property
    def clusters(self) -> tuple[Environment, ...]:
        """Each environment, and each with every further cluster in the place of the first."""
        return tuple(cluster for environment in self.environments for cluster in environment.clusters)

    @property
    def observability(self) -> Observability:
        """Which optional resources of observability any environment has."""
        of_environments = [environment.settings.observability for environment in self.environments]
        return Observability(*map(any, zip(Observability(), *of_environments, strict=True)))

    def spokes(self, hub: Environment) -> tuple[Environment, ...]:
        """The environments to whose clusters the Argo CD of the first cluster of `hub` also deploys."""
        if hub.cluster:
            return ()
        return tuple(environment for environment in self.environments if environment.hub == hub.name)

    def read_by(self, environment: Environment) -> list[str]:
        """The other environments whose outputs the stacks of an environment read: its hub, or its spokes."""
        hub = environment.hub
        return [*([] if hub is None else [hub]), *[spoke.name for spoke in self.spokes(environment)]]

    def location(self, environment: str, cluster: str = "") -> Location:
        """The location of the resources of an environment of this region and account, or of a further cluster of it."""
        return Location(account_id=self.shared.account_id, region=self.name, environment=environment, cluster=cluster)

    @property
    def has_aurora(self) -> bool:
        """Whether an environment of this region and account has a database on Aurora."""
        return any(getattr(one.settings, "aurora_databases", ()) for one in self.environments)

    @property
    def main_location(self) -> Location:
        """The location of what all accounts of the region share: the domain and the image repositories."""
        return Location(
            account_id=self.main_account_id or self.shared.account_id, region=self.name, environment="shared"
        )

    @property
    def place(self) -> str:
        """The name of the account of the region in the variables of GitHub: the region, and that of the account."""
        return "-".join(filter(None, (self.name, self.account)))

    def delegation_role_arn(self, name: str) -> str | None:
        """The role that an environment, or plans, use in the account of the domain; None if it is this account."""
        return delegation_role_arn(self.main_location, name) if self.account else None

    def assumed_roles(self, environment: Environment) -> list[str]:
        """The roles in other accounts that an environment assumes: of its controllers, and the one of its domain."""
        targets = [target.role_arn for target in environment.settings.controllers.targets]
        delegation = self.delegation_role_arn(environment.name)
        return [*targets, *([delegation] if delegation is not None else [])]

    @property
    def accounts(self) -> list["Region"]:
        """The region as each of its accounts sees it: with its settings and its environments only.

        The account of the region is the first. It also has the environments whose account is unknown or of no account.
        """
        known = vars(self.shared)
        further = {
            f"accounts[{index}]": account
            for index, account in enumerate(known.get("accounts", ()))
            if {"account_id", "name"} <= vars(account).keys()
        }
        ids = {account.account_id for account in further.values()} - {known.get("account_id")}
        main = tuple(one for one in self.environments if vars(one.settings).get("account_id") not in ids)
        common = {name: known[name] for name in ("dns", "repository") if name in known}
        elsewhere = tuple(one for one in self.environments if one not in main)
        views = [self._replace(environments=main, elsewhere=elsewhere)]
        for path, account in further.items():
            values = {**common, **vars(account), "image_repositories": ()}
            values.pop("name")
            views.append(
                self._replace(
                    shared=without_validation(SharedSettings, values),
                    environments=tuple(one for one in elsewhere if one.settings.account_id == account.account_id),
                    account=account.name,
                    main_account_id=known.get("account_id", ""),
                    path=path,
                )
            )
        return views


class Finding(NamedTuple):
    """A problem, and the file and line that contain it."""

    file: str
    problem: Problem
    line: int | None = None

    def __str__(self) -> str:
        return f"{self.file}:{f'{self.line}:' if self.line else ''} {self.problem}"
