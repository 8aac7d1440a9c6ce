"""The settings: their types, and loading all files with all errors at once. Rules among them stand in `rules`."""

import importlib
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import StrictBool

from eks_gitops.addons import AddonsConfig
from eks_gitops.argo_cd import ArgoCdConfig
from eks_gitops.backend import StateBackendConfig
from eks_gitops.backup_plan import BackupConfig
from eks_gitops.cluster import ClusterConfig
from eks_gitops.config import (
    AccountId,
    AnyConfig,
    Config,
    DomainName,
    Problem,
    RoleArn,
    all_problems,
    as_far_as_known,
    deferred_errors,
    matching,
    shape_errors,
    without_validation,
)
from eks_gitops.controllers import ControllersConfig
from eks_gitops.database import DatabaseConfig
from eks_gitops.dns import DnsConfig
from eks_gitops.ecr import EcrRepositoryConfig
from eks_gitops.file_system import FileSystemConfig
from eks_gitops.github import GithubRepository
from eks_gitops.karpenter import KarpenterConfig
from eks_gitops.load_balancer_controller import IngressClassConfig
from eks_gitops.location import Location
from eks_gitops.node_group import NodeGroupConfig
from eks_gitops.repository_credential import RepositoryCredentialConfig
from eks_gitops.root_application import Revision
from eks_gitops.versions import ARGO_CD_CHARTS, EKS_VERSIONS
from eks_gitops.vpc import VpcConfig

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

    def location(self, environment: str) -> Location:
        """Where the resources of an environment of this region live."""
        return Location(account_id=self.shared.account_id, region=self.name, environment=environment)


class Finding(NamedTuple):
    """A problem and the file that it stands in."""

    file: str
    problem: Problem

    def __str__(self) -> str:
        return f"{self.file}: {self.problem}"


class SettingsError(Exception):
    """The settings are wrong; `findings` says where, one by one."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("\n".join(map(str, findings)))
        self.findings = tuple(findings)


class _Loader:
    """Loads modules one by one and keeps what is wrong with each, instead of stopping at the first."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def region(self, package: str) -> Region | None:
        """The region whose folder is `package`; None where its `__init__` cannot be read."""
        try:
            module = importlib.import_module(package)
            name, environments = module.REGION, module.ENVIRONMENTS
        except Exception as error:  # noqa: BLE001 (whatever a settings file raises is told, with its line)
            self._refuse(package, error)
            return None
        if isinstance(environments, str):
            problem = Problem(
                "ENVIRONMENTS", environments, f'a name, and not a tuple of names; write ("{environments}",)'
            )
            self.findings.append(Finding(_file(package), problem))
            return None
        return Region(
            name=name,
            file=_file(package),
            shared_file=_file(f"{package}.shared"),
            shared=self.settings(f"{package}.shared", "SHARED", SharedSettings),
            environments=tuple(self._environment(package, environment) for environment in environments),
        )

    def _environment(self, package: str, name: str) -> Environment:
        module = f"{package}.{name}"
        return Environment(name, _file(module), self.settings(module, name.upper(), EnvironmentSettings))

    def settings(self, module: str, name: str, kind: type[AnyConfig]) -> AnyConfig:
        """The literal `name` of a module, as far as it is known: without any field where the module cannot be read."""
        file = _file(module)
        try:
            with deferred_errors():
                literal = getattr(importlib.import_module(module), name)
        except Exception as error:  # noqa: BLE001
            self._refuse(module, error)
            return without_validation(kind, {})
        if not isinstance(literal, kind):
            problem = Problem(name, type(literal).__name__, f"not the settings; assign {kind.__name__}(...)")
            self.findings.append(Finding(file, problem))
            return without_validation(kind, {})
        known = as_far_as_known(literal)
        self.findings += [Finding(file, problem) for problem in (*shape_errors(literal), *all_problems(known))]
        return known

    def _refuse(self, module: str, error: Exception) -> None:
        places: list[tuple[str, int | None]] = [
            (_relative(frame.filename), frame.lineno)
            for frame in traceback.extract_tb(error.__traceback__)
            if _relative(frame.filename).startswith("stacks/") and frame.filename != __file__
        ]
        if isinstance(error, SyntaxError) and error.filename is not None:
            places.append((_relative(error.filename), error.lineno))
        file, line = places[-1] if places else (_file(module), None)
        where = f"line {line}" if line else "module"
        self.findings.append(Finding(file, Problem(where, type(error).__name__, f"{error}; correct the Python there")))


def _relative(path: str | Path) -> str:
    root = Path(__file__).parent.parent
    path = Path(path)
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def _file(module: str) -> str:
    """The file of a module, whether it can be imported or not, as the owner sees it."""
    return (
        _relative(sys.modules[module].__file__ or module) if module in sys.modules else module.replace(".", "/") + ".py"
    )


def load(packages: Sequence[str]) -> tuple[Owner, list[Region]]:
    """Load the owner and the folders of all regions.

    Raises:
        SettingsError: with every error of every file, and of the rules among them.
    """
    from stacks import rules  # noqa: PLC0415 (the rules speak of the types above)

    loader = _Loader()
    owner = loader.settings("stacks.owner", "OWNER", Owner)
    regions = [region for package in packages if (region := loader.region(package)) is not None]
    findings = [*loader.findings, *rules.broken(owner, regions)]
    if findings:
        # What is wrong in a file that others import is found once for each of them.
        once = {str(finding): finding for finding in findings}.values()
        raise SettingsError(sorted(once, key=lambda finding: finding.file))
    return owner, regions
