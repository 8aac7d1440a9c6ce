"""SharedStack: the resources that the environments of a region share."""

from collections.abc import Mapping, Sequence
from typing import Any

from cdktf import TerraformOutput
from constructs import Construct

from eks_gitops.access_host import AccessHost
from eks_gitops.budget import CostAllocationTags
from eks_gitops.context import Context
from eks_gitops.delivery import apply_environment_policy, apply_shared_policy
from eks_gitops.delivery.boundary import PermissionsBoundary
from eks_gitops.delivery.delegation import READ_DELEGATION, DelegationRoles
from eks_gitops.delivery.roles import (
    PLAN_ENVIRONMENT,
    ApplyRole,
    ArgoCdBackupRole,
    ClusterAdministratorRole,
    ImagePushRole,
    PlanRole,
    ReadPolicy,
)
from eks_gitops.delivery.state_access import StateLocation
from eks_gitops.dns import Dns
from eks_gitops.ecr import EcrRepositories
from eks_gitops.existing_vpc import ExistingVpc
from eks_gitops.flow_log import flow_log_group_name
from eks_gitops.github import GithubOidcProvider, github_provider_arn
from eks_gitops.iam import Statement
from eks_gitops.key import Key
from eks_gitops.observability import Observability
from eks_gitops.runners import Runner, log_group_name, runner_name
from eks_gitops.threat_detection import ThreatDetection
from eks_gitops.vpc import Vpc, VpcConfig
from stacks import existing_vpc, platform
from stacks.base import RegionStack
from stacks.names import stack_name
from stacks.settings import Owner, Region


class SharedStack(RegionStack):
    """The network, image repositories, domain and delivery roles of one region."""

    kind = "shared"

    def __init__(self, scope: Construct, region: Region, *, owner: Owner) -> None:
        settings, vpc = region.shared, region.shared.vpc
        super().__init__(
            scope,
            region,
            "shared",
            owner=owner,
            settings_file=region.shared_file,
        )
        self._region = region
        self._organisation = owner.organisation
        self._state_location = StateLocation(settings.state.bucket, settings.state.lock_table)
        self.dns = None if region.account else Dns(self, "dns", settings.dns)
        clusters = {environment.name: environment.cluster_names for environment in region.environments}
        targets = {environment.name: region.assumed_roles(environment) for environment in region.environments}
        existing_roles = {environment.name: environment.existing_roles for environment in region.environments}
        observability = {one.name: one.settings.observability for one in region.environments}
        budgets = {environment.name for environment in region.environments if environment.settings.budget is not None}
        existing_boundaries = {
            "shared": settings.permissions_boundary_arn,
            **{one.name: one.settings.permissions_boundary_arn for one in region.environments},
        }
        reads = {environment.name: region.read_by(environment) for environment in region.environments}
        self._boundaries = {
            name: PermissionsBoundary(
                self,
                f"boundary-{name}",
                location=region.location(name),
                clusters=names,
                domain=settings.dns.of_environment(name) if names else None,
                parent_zone_arn=self.dns.zone_arn if names and self.dns is not None else None,
                target_roles=targets.get(name, []),
                existing_arn=existing_boundaries[name],
                existing_roles=existing_roles.get(name, []),
                reads=reads.get(name, []),
                access_host=name == "shared" and settings.access_host is not None,
                runners=name == "shared" and settings.runners is not None,
                cost_tags=name == "shared" and bool(settings.cost_allocation_tags),
                budget=name in budgets,
                observability=observability.get(name, Observability()),
                threat_detection=name == "shared" and settings.threat_detection is not None,
                aurora=region.has_aurora,
            )
            for name, names in {"shared": list[str](), **clusters}.items()
        }
        self._key = Key(
            self,
            "key",
            location=self.location,
            description=f"Images and logs of {region.name}",
            services=["ecr"],
            log_groups=[
                *([flow_log_group_name(vpc.name)] if isinstance(vpc, VpcConfig) else []),
                *([] if settings.runners is None else [log_group_name(runner_name(self.location, "*"))]),
            ],
            existing_arn=settings.key_arn,
        )
        context = Context(self.location, self._key, self._boundaries["shared"].arn)
        self.vpc: Vpc | ExistingVpc = (
            Vpc(self, "vpc", vpc, context=context) if isinstance(vpc, VpcConfig) else ExistingVpc(self, "vpc", vpc)
        )
        self.repositories = EcrRepositories(
            self,
            "ecr",
            settings.image_repositories,
            context=context,
            pulled_by=[account.account_id for account in settings.accounts],
            replica_regions=settings.image_replica_regions,
            replica_tags=self.tags,
        )
        self._access_host = self._build_access_host(context)
        self._runners = self._build_runners(context)
        self._build_delivery()
        CostAllocationTags(self, "cost-allocation-tags", settings.cost_allocation_tags)
        if settings.threat_detection is not None:
            ThreatDetection(self, "threat-detection", settings.threat_detection, location=self.location)
        self.cluster_administrator = ClusterAdministratorRole(
            self,
            "cluster-administrator",
            location=self.location,
            trusted_roles=settings.cluster_administrators,
            boundary=self._boundaries["shared"],
        )
        self._add_outputs()

    def _build_access_host(self, context: Context) -> AccessHost | None:
        config = self._region.shared.access_host
        if config is None:
            return None
        return AccessHost(
            self,
            "access-host",
            config,
            context=context,
            vpc_id=self.vpc.id,
            subnet_id=self.vpc.private_subnet_ids[config.zone],
        )

    def _build_runners(self, context: Context) -> dict[str, Runner]:
        """The runners by environment, and those of plans, drift and backups."""
        config = self._region.shared.runners
        if config is None:
            return {}
        return {
            name: Runner(
                self,
                f"runner-{name}",
                config,
                context=context,
                name="-".join(filter(None, (self._region.account, name))),  # a label is for all accounts
                repository=self._region.shared.repository,
                vpc_id=self.vpc.id,
                subnet_ids=self.vpc.private_subnet_ids,
            )
            for name in (PLAN_ENVIRONMENT, *[environment.name for environment in self._region.environments])
        }

    def clients(self, environment: str) -> dict[str, str]:
        """The security groups, by ID, whose members reach the API of the cluster of an environment."""
        host = {} if self._access_host is None else {"access-host": self._access_host.security_group_id}
        runners = (PLAN_ENVIRONMENT, environment) if self._runners else ()
        return {**host, **{f"runner-{name}": self._runners[name].security_group_id for name in runners}}

    def _build_delivery(self) -> None:
        settings = self._region.shared
        if settings.owns_github_provider:
            GithubOidcProvider(self, "github")
        credentials = [cluster.settings.gitops.repository_credential for cluster in self._region.clusters]
        self._read = ReadPolicy(
            self,
            "read",
            location=self.location,
            repository_credentials=[credential.secret_name for credential in credentials if credential is not None],
            access_host=settings.access_host is not None,
            runners=settings.runners is not None,
            cost_tags=bool(settings.cost_allocation_tags),
            budgets=any(environment.settings.budget is not None for environment in self._region.environments),
            observability=self._region.observability,
            threat_detection=settings.threat_detection is not None,
        )
        self.plan_role = PlanRole(
            self,
            "plan",
            location=self.location,
            repository=settings.repository,
            state=self._state_location,
            read=self._read,
            delegation_role_arn=self._region.delegation_role_arn(READ_DELEGATION),
        )
        self._build_delegation()
        shared = apply_shared_policy.statements(
            self.location,
            settings.vpc if isinstance(settings.vpc, VpcConfig) else None,
            existing_key_arn=settings.key_arn,
            existing_boundary_arn=settings.permissions_boundary_arn,
            access_host=settings.access_host is not None,
            connection_arn=None if settings.runners is None else settings.runners.connection_arn,
            cost_tags=bool(settings.cost_allocation_tags),
            threat_detection=settings.threat_detection is not None,
        )
        self.apply_roles = {"shared": self._apply_role("shared", shared)}
        for environment in self._region.environments:
            location = self._region.location(environment.name)
            policies = apply_environment_policy.statements(
                location,
                environment.cluster_names,
                domain=settings.dns.of_environment(environment.name),
                parent_zone_arn=None if self.dns is None else self.dns.zone_arn,
                delegation_role_arn=self._region.delegation_role_arn(environment.name),
                existing_key_arn=environment.settings.key_arn,
                existing_boundary_arn=environment.settings.permissions_boundary_arn,
                existing_roles=environment.existing_roles,
                budget=environment.settings.budget is not None,
                observability=environment.settings.observability,
                aurora=bool(environment.settings.aurora_databases),
            )
            self.apply_roles[environment.name] = self._apply_role(
                environment.name, policies, reads=self._region.read_by(environment)
            )
        self.backup_roles = {
            environment.name: ArgoCdBackupRole(
                self,
                f"backup-{environment.name}",
                location=self._region.location(environment.name),
                repository=settings.repository,
                cluster_names=environment.cluster_names,
                organisation=self._organisation,
                boundary=self._boundaries[environment.name],
                existing_key_arn=environment.settings.key_arn,
            )
            for environment in self._region.environments
        }
        self.push_roles = {
            repository.name: ImagePushRole(
                self,
                f"push-{repository.name}",
                location=self.location,
                repository=repository.pushed_by,
                ecr_repository=repository.name,
                ecr_repository_arn=self.repositories.arns[repository.name],
                boundary=self._boundaries["shared"],
            )
            for repository in settings.image_repositories
        }

    def _build_delegation(self) -> None:
        """The roles of the environments of further accounts, whose zones are below that of this account."""
        shared, elsewhere = self._region.shared, self._region.elsewhere
        if self.dns is not None and shared.accounts:
            DelegationRoles(
                self,
                "delegation",
                location=self.location,
                zone_arn=self.dns.zone_arn,
                domains={
                    account.account_id: {
                        one.name: shared.dns.of_environment(one.name)
                        for one in elsewhere
                        if one.settings.account_id == account.account_id
                    }
                    for account in shared.accounts
                },
            )

    def _apply_role(
        self, environment: str, policies: Mapping[str, Sequence[Statement]], reads: Sequence[str] = ()
    ) -> ApplyRole:
        return ApplyRole(
            self,
            f"apply-{environment}",
            location=self._region.location(environment),
            repository=self._region.shared.repository,
            state=self._state_location,
            read=self._read,
            boundary=self._boundaries[environment],
            policies=policies,
            reads=reads,
        )

    def describe(self) -> platform.Stack:
        """The description of this stack for `platform.json`."""
        settings = self._region.shared
        return {
            **super().describe(),
            "existing_vpc": existing_vpc.describe(self._region),
            "existing": self._existing(
                key=self._key,
                repositories=[self.repositories.arns[one.name] for one in settings.image_repositories if one.existing],
                github_provider=github_provider_arn(self.location) if settings.github_provider_exists else None,
                permissions_boundary=settings.permissions_boundary_arn,
            ),
        }

    def boundary_arn(self, environment: str) -> str:
        """The ARN of the permissions boundary of all roles of an environment."""
        return self._boundaries[environment].arn

    def _add_outputs(self) -> None:
        outputs: tuple[tuple[str, Any, str], ...] = (
            ("vpc_id", self.vpc.id, "The VPC that all clusters of the region share"),
            *self._outputs_of_domain(),
            (
                "roles",
                {
                    self._region.place: {
                        "plan": self.plan_role.arn,
                        "apply": {name: role.arn for name, role in self.apply_roles.items()},
                    }
                },
                "GitHub variable AWS_ROLES of this repository, as JSON: the objects of all regions as one",
            ),
            (
                "backups",
                [
                    {
                        "stack": stack_name(self._region.name, cluster.name, cluster.cluster),
                        "region": self._region.name,
                        "cluster": cluster.settings.cluster.name,
                        "role": self.backup_roles[cluster.name].arn,
                        **({"place": self._region.place} if self._region.account else {}),
                    }
                    for cluster in self._region.clusters
                    if cluster.hub is None  # else the backup of the hub has its Applications
                ],
                "GitHub variable AWS_BACKUPS of this repository, as JSON: the lists of all regions as one",
            ),
            *self._outputs_of_images(),
            (
                "cluster_administrator_role_arn",
                self.cluster_administrator.arn,
                "Argument of update-kubeconfig --role-arn",
            ),
        )
        for name, value, description in outputs:
            TerraformOutput(self, name, value=value, description=description)

    def _outputs_of_domain(self) -> list[tuple[str, Any, str]]:
        """Of the account of the region, which has the domain and the image repositories."""
        if self.dns is None:
            return []
        name_servers = "The values of an NS record named like the domain, in the zone above it"
        return [
            ("name_servers", self.dns.name_servers, name_servers),
            ("image_repositories", self.repositories.urls, "Where each service's images are pushed, by service"),
        ]

    def _outputs_of_images(self) -> list[tuple[str, Any, str]]:
        if self.dns is None:
            return []
        arns = {name: role.arn for name, role in self.push_roles.items()}
        return [("push_role_arns", arns, "GitHub variable AWS_PUSH_ROLE_ARN of each application repository")]
