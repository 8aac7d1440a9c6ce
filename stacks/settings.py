"""The types of the settings. `loading` reads the files, and `rules` are the rules among several of them."""

from collections.abc import Iterator, Sequence
from typing import Annotated, NamedTuple

from pydantic import StrictBool

from eks_gitops.addons import AddonsConfig
from eks_gitops.backend import StateBackendConfig
from eks_gitops.backup_plan import BackupConfig
from eks_gitops.cluster import ClusterConfig
from eks_gitops.config import AccountId, Config, DomainName, Problem, RoleArn, matching
from eks_gitops.controllers import ControllersConfig
from eks_gitops.database import DatabaseConfig
from eks_gitops.dns import DnsConfig
from eks_gitops.ecr import EcrRepositoryConfig
from eks_gitops.file_system import FileSystemConfig
from eks_gitops.github import GithubRepository
from eks_gitops.in_cluster.argo_cd_config import ArgoCdConfig
from eks_gitops.in_cluster.load_balancer_controller import IngressClassConfig
from eks_gitops.in_cluster.repository_credential import RepositoryCredentialConfig
from eks_gitops.in_cluster.root_application import Revision
from eks_gitops.karpenter import KarpenterConfig
from eks_gitops.location import Location
from eks_gitops.node_group import NodeGroupConfig
from eks_gitops.versions import ARGO_CD_CHARTS, EKS_VERSIONS
from eks_gitops.vpc import VpcConfig
from stacks import platform

_NODES_OF_REDIS = 3


class Owner(Config):
    """What a new owner changes first. Nothing in it differs between environments or regions."""

    organisation: Annotated[
        str, matching(r"[a-z][a-z0-9-]{1,20}", "use 2 to 21 lower-case letters, digits and hyphens, a letter first")
    ]
    account_id: AccountId
    domain: DomainName
    repository: GithubRepository
    administrator_role_arn: RoleArn
    cost_center: str
    project: str = "gitops-platform"
    team: str = "platform"


class SharedSettings(Config):
    """What the environments of a region share.

    `owns_github_provider` is true in exactly one region of an account: the identity provider for GitHub is global.
    `cluster_administrators` may assume the role that administers every cluster of the region.
    """

    account_id: AccountId
    state: StateBackendConfig
    vpc: VpcConfig
    dns: DnsConfig
    image_repositories: tuple[EcrRepositoryConfig, ...]
    image_replica_regions: tuple[str, ...] = ()
    repository: GithubRepository
    owns_github_provider: StrictBool
    cluster_administrators: tuple[RoleArn, ...]

    def problems(self) -> Iterator[Problem]:
        """Nobody who administers, image repositories named twice."""
        if not self.cluster_administrators:
            yield Problem("cluster_administrators", "()", "nobody could assume the role; name at least one IAM role")
        yield from named_twice("image_repositories", [repository.name for repository in self.image_repositories])


class GitopsSettings(Config):
    """What Terraform installs in a cluster, and which revision of this repository it then follows.

    A private repository needs `repository_credential`. `kubeconfig` names a file whose current cluster stands for the
    environment's own, for trials: its path is seen from the folder that Terraform runs in, so write it whole.
    """

    revision: Revision
    ingress: IngressClassConfig
    argo_cd: ArgoCdConfig
    repository_credential: RepositoryCredentialConfig | None = None
    kubeconfig: str | None = None


class EnvironmentSettings(Config):
    """One environment: a cluster, what belongs to it, and what runs in it.

    `production` holds it to the minimum that production needs. `teardown` says that it is about to be destroyed: it
    lets the deletion protection of databases be lifted, and lets backups be destroyed with the vault that holds them.
    """

    account_id: AccountId
    production: StrictBool
    teardown: StrictBool = False
    cluster: ClusterConfig
    node_groups: tuple[NodeGroupConfig, ...]
    addons: AddonsConfig = AddonsConfig()
    controllers: ControllersConfig = ControllersConfig()
    karpenter: KarpenterConfig | None = None
    gitops: GitopsSettings
    file_system: FileSystemConfig | None = None
    databases: tuple[DatabaseConfig, ...] = ()
    backup: BackupConfig

    def problems(self) -> Iterator[Problem]:
        """No node group, names used twice, or an Argo CD that the cluster cannot carry."""
        if not self.node_groups:
            yield Problem("node_groups", "()", "no node would run Argo CD; add a node group")
        yield from named_twice("node_groups", [group.name for group in self.node_groups])
        yield from named_twice("databases", [database.name for database in self.databases])
        yield from self._problems_of_argo_cd()

    def _problems_of_argo_cd(self) -> Iterator[Problem]:
        argo_cd, version = self.gitops.argo_cd, self.cluster.version
        nodes = sum(group.min_size for group in self.node_groups)
        if argo_cd.availability == "high-availability" and nodes < _NODES_OF_REDIS:
            message = (
                f"three Redis need a node each, and the node groups keep {nodes}; raise min_size, or use single-node"
            )
            yield Problem("gitops.argo_cd.availability", argo_cd.availability, message)
        chart = ARGO_CD_CHARTS.get(argo_cd.chart_version)
        if chart is not None and version in EKS_VERSIONS and not chart.supports(version):
            first, last = chart.kubernetes
            message = f"tested with Kubernetes {first} to {last}, and the cluster is {version}; choose another"
            yield Problem("gitops.argo_cd.chart_version", argo_cd.chart_version, message)


def named_twice(field: str, names: Sequence[str]) -> Iterator[Problem]:
    """A problem for every name that stood before it in the same tuple."""
    for index, name in enumerate(names):
        if name in names[:index]:
            yield Problem(f"{field}[{index}].name", name, "named twice; choose another name")


class Environment(NamedTuple):
    """An environment's name, which is its module's, with its settings."""

    name: str
    file: str
    settings: EnvironmentSettings


class Region(NamedTuple):
    """A region's folder; settings with errors are there as far as they are known, so that rules on the rest are told.

    `environments` stand in the order of promotion.
    """

    name: str
    file: str
    shared_file: str
    shared: SharedSettings
    environments: tuple[Environment, ...]

    def describe(self) -> platform.Region:
        """What `platform.json` says of this region."""
        return {
            "name": self.name,
            "shared_settings_file": self.shared_file,
            "environments": [environment.name for environment in self.environments],
            "push_role_prefix": self.location("shared").name("push-"),
        }

    def location(self, environment: str) -> Location:
        """Where the resources of an environment of this region live."""
        return Location(account_id=self.shared.account_id, region=self.name, environment=environment)


class Finding(NamedTuple):
    """A problem and the file that it stands in."""

    file: str
    problem: Problem

    def __str__(self) -> str:
        return f"{self.file}: {self.problem}"
