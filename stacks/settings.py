"""The types of the settings. `loading` loads the files, and `rules` validates rules between several settings."""

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

_REDIS_REPLICAS = 3


TagValue = Annotated[
    str, matching(r"[\w .:/=+@-]{1,255}", "use 1 to 255 letters, digits, spaces and _ . : / = + - @, as in tags of AWS")
]
"""The value of a tag on all resources.

Source: logs.CreateLogGroup in botocore 1.43 for the characters, AWS::EKS::Addon in cfn-lint 1.58.0 for the length.
"""


class Owner(Config):
    """The owner of the platform: values that are the same in all regions and environments."""

    organisation: Annotated[
        str,
        matching(r"[a-z][a-z0-9-]{1,20}", "use 2 to 21 lower-case letters, digits and hyphens, starting with a letter"),
    ]
    account_id: AccountId
    domain: DomainName
    repository: GithubRepository
    administrator_role_arn: RoleArn
    cost_center: TagValue
    project: TagValue = "gitops-platform"
    team: TagValue = "platform"


class SharedSettings(Config):
    """The settings of the resources that the environments of a region share.

    `owns_github_provider` must be True in exactly one region of an account, because the identity provider for GitHub is
    global. `cluster_administrators` can assume the role that administers all clusters of the region.
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
        """No cluster administrator, duplicate image repositories."""
        if not self.cluster_administrators:
            yield Problem("cluster_administrators", "()", "no cluster administrator; list at least one IAM role")
        yield from named_twice("image_repositories", [repository.name for repository in self.image_repositories])


class GitopsSettings(Config):
    """The resources that Terraform installs in a cluster, and the revision of this repository that Argo CD tracks.

    A private repository needs `repository_credential`. `kubeconfig` is a file whose current context is used instead of
    the environment's EKS cluster, for trials. Use an absolute path, because Terraform runs in another folder.
    """

    revision: Revision
    ingress: IngressClassConfig
    argo_cd: ArgoCdConfig
    repository_credential: RepositoryCredentialConfig | None = None
    kubeconfig: str | None = None


class EnvironmentSettings(Config):
    """One environment: a cluster, its AWS resources, and the bootstrap of Argo CD in it.

    `production` enables the checks of the requirements of production. Set `teardown` before the environment is
    destroyed: it permits disabling the deletion protection of databases, and deletes backups with their vault and
    bucket.
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
        """No node group, duplicate names, or an Argo CD that cannot run in the cluster."""
        if not self.node_groups:
            yield Problem("node_groups", "()", "Argo CD needs nodes to run on; add a node group")
        yield from named_twice("node_groups", [group.name for group in self.node_groups])
        yield from named_twice("databases", [database.name for database in self.databases])
        yield from self._problems_of_argo_cd()

    def _problems_of_argo_cd(self) -> Iterator[Problem]:
        argo_cd, version = self.gitops.argo_cd, self.cluster.version
        nodes = sum(group.min_size for group in self.node_groups)
        if argo_cd.availability == "high-availability" and nodes < _REDIS_REPLICAS:
            message = (
                f"each of its {_REDIS_REPLICAS} Redis replicas needs its own node, and the total min_size is {nodes}; "
                "raise min_size, or use single-node"
            )
            yield Problem("gitops.argo_cd.availability", argo_cd.availability, message)
        chart = ARGO_CD_CHARTS.get(argo_cd.chart_version)
        if chart is not None and version in EKS_VERSIONS and not chart.supports(version):
            first, last = chart.kubernetes
            message = f"tested with Kubernetes {first} to {last}, but the cluster has {version}; choose another version"
            yield Problem("gitops.argo_cd.chart_version", argo_cd.chart_version, message)


def named_twice(field: str, names: Sequence[str]) -> Iterator[Problem]:
    """A problem for each name that occurs earlier in the same sequence."""
    for index, name in enumerate(names):
        if name in names[:index]:
            yield Problem(f"{field}[{index}].name", name, "duplicate name; choose another name")


class Environment(NamedTuple):
    """An environment: its name, which is the name of its module, its file and its settings."""

    name: str
    file: str
    settings: EnvironmentSettings


class Region(NamedTuple):
    """The settings of a region. Invalid fields are missing, so that the rules on the other fields can be checked.

    `environments` are in order of promotion.
    """

    name: str
    file: str
    shared_file: str
    shared: SharedSettings
    environments: tuple[Environment, ...]

    def describe(self) -> platform.Region:
        """The description of this region for `platform.json`."""
        return {
            "name": self.name,
            "shared_settings_file": self.shared_file,
            "environments": [environment.name for environment in self.environments],
            "push_role_prefix": self.location("shared").name("push-"),
        }

    def location(self, environment: str) -> Location:
        """The location of the resources of an environment of this region."""
        return Location(account_id=self.shared.account_id, region=self.name, environment=environment)


class Finding(NamedTuple):
    """A problem and the file that contains it."""

    file: str
    problem: Problem

    def __str__(self) -> str:
        return f"{self.file}: {self.problem}"
