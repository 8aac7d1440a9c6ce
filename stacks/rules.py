"""Validation rules that involve several settings of a region."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from eks_gitops.access_host import ENDPOINTS
from eks_gitops.access_logs import access_logs_bucket_name
from eks_gitops.addons import addon_role_name
from eks_gitops.aurora import AuroraConfig
from eks_gitops.backup_bucket import backup_bucket_name
from eks_gitops.config import Problem, known_problems
from eks_gitops.delivery.boundary import delivery_path, statements
from eks_gitops.delivery.plan_policy import read_statements
from eks_gitops.delivery.roles import PLAN_ENVIRONMENT, administrator_trust
from eks_gitops.dns import LONGEST_DOMAIN
from eks_gitops.ecr import MOST_MOVING_TAGS, MOST_REPLICATED
from eks_gitops.iam import LONGEST_POLICY, policy_length, trust_policy
from eks_gitops.location import Location
from eks_gitops.private_bucket import LONGEST_BUCKET_NAME
from eks_gitops.values import listed_twice
from eks_gitops.vpc import VpcConfig
from stacks import (
    rules_between_regions,
    rules_of_accounts,
    rules_of_arns,
    rules_of_environments,
    rules_of_further_clusters,
    rules_of_hubs,
    rules_of_offers,
    rules_of_vpc,
)
from stacks.names import RESERVED, is_environment_name
from stacks.rules_of_environments import LONGEST_ROLE, too_long
from stacks.rules_of_vpc import PRODUCTION_LOG_DAYS
from stacks.settings import Environment, Finding, Owner, Region, SharedSettings

_PRODUCTION = "prod"
_PRODUCTION_BACKUP_DAYS = 14
_PRODUCTION_MONTHLY_BACKUP_DAYS = 90
_PRODUCTION_NODES = 2
_PRODUCTION_PREFIX = 16


_LONGEST_TRUST = 2_048
_LONGEST_ZONE_ID = 32  # Source: `ResourceId` of Route 53 in botocore 1.43


def broken(owner: Owner, regions: Sequence[Region]) -> list[Finding]:
    """The rules that the settings violate, as far as their fields are known."""
    return [
        *(finding for region in regions for finding in _broken_in_region(owner, region)),
        *rules_between_regions.broken(regions),
    ]


def _broken_in_region(owner: Owner, region: Region) -> Iterator[Finding]:
    for file, problems in _of_region(owner, region):
        for problem in known_problems(problems):
            yield Finding(file, problem)
    for account in region.accounts:
        for file, problems in _of_account(account):
            for problem in known_problems(problems):
                yield Finding(file, problem.below(account.path) if file == region.shared_file else problem)


def _of_region(owner: Owner, region: Region) -> list[tuple[str, Iterator[Problem]]]:
    """The files of a region, each with the problems in it, of rules on all accounts together."""
    shared, environments = region.shared, region.environments
    return [
        (region.file, _no_environment(region)),
        (region.file, _environment_names(region)),
        (region.file, _backup_buckets(owner, region)),
        *[(environment.file, _bucket_of_access_logs(owner, region, environment)) for environment in environments],
        *[(environment.file, _production_name(environment)) for environment in environments],
        *[
            (cluster.file, cluster.below(rule(cluster)))
            for cluster in region.clusters
            for rule in (
                _production_endpoint,
                _production_policies,
                _production_nodes,
                _production_protection,
                _production_databases,
                _production_logs,
                _production_backups,
                rules_of_environments.unreachable_from_the_internet,
            )
        ],
        *[(cluster.file, cluster.below(_domain_of_argo_cd(region, cluster))) for cluster in region.clusters],
        *[
            (cluster.file, cluster.below(rules_of_environments.order(rule, lower, cluster)))
            for lower, upper in pairwise(environments)
            for cluster in upper.clusters
            for rule in (rules_of_environments.kubernetes_order, rules_of_environments.chart_order)
        ],
        *[(upper.file, rules_of_environments.engine_order(lower, upper)) for lower, upper in pairwise(environments)],
        *rules_of_accounts.of_region(region),
        *rules_of_further_clusters.of_region(region),
        *rules_of_hubs.of_region(region),
        (region.shared_file, _long_iam_names(region, shared)),
        (region.shared_file, _replicas(region.name, shared)),
        (region.shared_file, _long_domains(shared, environments)),
    ]


def _of_account(region: Region) -> list[tuple[str, Iterator[Problem]]]:
    """The files of a region, each with the problems in it, of rules on one of its accounts."""
    shared, environments = region.shared, region.environments
    return [
        *rules_of_offers.of_region(region),
        *rules_of_vpc.of_region(region),
        (region.file, _long_read_policy(region)),
        (region.shared_file, _long_trust_policy(shared)),
        (region.shared_file, _access_host(shared)),
        *[(environment.file, _long_boundaries(region, environment)) for environment in environments],
        *[(environment.file, _copies_of_backups(region, environment)) for environment in environments],
        *[
            (cluster.file, cluster.below(rule(region, cluster)))
            for cluster in region.clusters
            for rule in (
                _long_node_group_names,
                _long_addon_names,
                _zones_of_the_cluster,
                rules_of_environments.web_acl_elsewhere,
            )
        ],
        *rules_of_arns.of_region(region),
    ]


def _no_environment(region: Region) -> Iterator[Problem]:
    if not region.environments:
        yield Problem("ENVIRONMENTS", "()", 'no environment; name at least one module of this package, as in ("dev",)')


def _environment_names(region: Region) -> Iterator[Problem]:
    yield from listed_twice("ENVIRONMENTS", [environment.name for environment in region.environments], "environment")
    for index, environment in enumerate(region.environments):
        field, location = f"ENVIRONMENTS[{index}]", region.location(environment.name)
        if not is_environment_name(environment.name):
            message = "part of AWS names; use lower-case letters and digits, starting with a letter"
            yield Problem(field, environment.name, message)
        if environment.name in RESERVED:
            yield Problem(field, environment.name, "reserved for a stack of the region; choose another name")
        if location.iam_path == delivery_path(location):
            yield Problem(field, environment.name, "its IAM path is that of the delivery roles; choose another name")
        if environment.name == PLAN_ENVIRONMENT:
            yield Problem(field, environment.name, "its GitHub environment is that of plans; choose another name")
        yield from too_long(location, LONGEST_ROLE, field, environment.name, "longest role")


def _long_node_group_names(region: Region, environment: Environment) -> Iterator[Problem]:
    location = region.location(environment.name, environment.cluster)
    for index, group in enumerate(environment.settings.node_groups):
        yield from too_long(location, group.name, f"node_groups[{index}].name", group.name, "launch template")


def _long_addon_names(region: Region, environment: Environment) -> Iterator[Problem]:
    location = region.location(environment.name, environment.cluster)
    for index, addon in enumerate(environment.settings.addons.others):
        if addon.identity is not None:
            yield from too_long(
                location, addon_role_name(addon.name), f"addons.others[{index}].name", addon.name, "role"
            )


def _long_domains(shared: SharedSettings, environments: Sequence[Environment]) -> Iterator[Problem]:
    for environment in environments:
        domain = shared.dns.of_environment(environment.name)
        if len(domain) > LONGEST_DOMAIN:
            message = (
                f"too long for the certificate of {domain}; choose a shorter one, at most {LONGEST_DOMAIN} together"
            )
            yield Problem("dns.domain", shared.dns.domain, message)


def _domain_of_argo_cd(region: Region, environment: Environment) -> Iterator[Problem]:
    domain, covered = environment.settings.gitops.argo_cd.domain, region.shared.dns.of_environment(environment.name)
    first, _, rest = domain.partition(".") if domain != covered else ("argocd", "", "")
    if rest != covered:
        message = f"must be one level below {covered} to match the certificate; write {first}.{covered}"
        yield Problem("gitops.argo_cd.domain", domain, message)


def _production_name(environment: Environment) -> Iterator[Problem]:
    if environment.name == _PRODUCTION and not environment.settings.production:
        yield Problem("production", False, "prod must meet production requirements; set it to True")


def _production_endpoint(environment: Environment) -> Iterator[Problem]:
    settings = environment.settings
    for index, cidr in enumerate(settings.cluster.public_access_cidrs):
        if settings.production and 0 < cidr.prefixlen < _PRODUCTION_PREFIX:
            message = f"too large for production; list networks of /{_PRODUCTION_PREFIX} or smaller, or none"
            yield Problem(f"cluster.public_access_cidrs[{index}]", cidr, message)


def _production_policies(environment: Environment) -> Iterator[Problem]:
    if environment.settings.production and environment.settings.gitops.policies != "enforce":
        message = "production must reject what violates a policy; use enforce"
        yield Problem("gitops.policies", environment.settings.gitops.policies, message)


def _production_protection(environment: Environment) -> Iterator[Problem]:
    settings = environment.settings
    protected = {"cluster": settings.cluster.deletion_protection} | {
        field: database.deletion_protection for field, database in settings.every_database.items()
    }
    for field, is_protected in protected.items():
        if settings.production and not settings.teardown and not is_protected:
            message = "production must be protected; set it to True, or set teardown to True before you destroy it"
            yield Problem(f"{field}.deletion_protection", False, message)


def _production_nodes(environment: Environment) -> Iterator[Problem]:
    nodes = environment.settings.open_nodes
    if environment.settings.cluster.auto_mode is not None:
        return  # EKS starts nodes in several zones for the topology spread constraints of the Pods
    if environment.settings.production and nodes < _PRODUCTION_NODES:
        message = f"production requires at least {_PRODUCTION_NODES} nodes; raise min_size"
        yield Problem("node_groups", f"total min_size {nodes}", message)


def _production_databases(environment: Environment) -> Iterator[Problem]:
    for field, database in environment.settings.every_database.items() if environment.settings.production else ():
        if isinstance(database, AuroraConfig):
            yield from _production_aurora(field, database)
        elif not database.multi_az:
            yield Problem(f"{field}.multi_az", False, "production must survive the loss of a zone; set it to True")
        if database.backup_retention_days < _PRODUCTION_BACKUP_DAYS:
            message = f"production must keep backups for at least {_PRODUCTION_BACKUP_DAYS} days; raise it"
            yield Problem(f"{field}.backup_retention_days", database.backup_retention_days, message)


def _production_aurora(field: str, database: AuroraConfig) -> Iterator[Problem]:
    if database.readers == 0:
        yield Problem(f"{field}.readers", 0, "production must survive the loss of a zone; set it to 1 or more")
    if database.capacity is not None and database.capacity.min_acu == 0:
        message = "production must answer at once, and Aurora would pause; set it to 0.5 or more"
        yield Problem(f"{field}.capacity.min_acu", database.capacity.min_acu, message)


def _production_logs(environment: Environment) -> Iterator[Problem]:
    settings = environment.settings
    kept = {"cluster": settings.cluster.log_retention_days} | {
        field: database.log_retention_days for field, database in settings.every_database.items()
    }
    for field, days in kept.items():
        if settings.production and days < PRODUCTION_LOG_DAYS:
            message = f"production must keep logs for a year; choose {PRODUCTION_LOG_DAYS} or more"
            yield Problem(f"{field}.log_retention_days", days, message)


def _production_backups(environment: Environment) -> Iterator[Problem]:
    backup = environment.settings.backup
    for field, days, least in (
        ("daily_retention_days", backup.daily_retention_days, _PRODUCTION_BACKUP_DAYS),
        ("monthly_retention_days", backup.monthly_retention_days, _PRODUCTION_MONTHLY_BACKUP_DAYS),
        ("argo_cd_retention_days", backup.argo_cd_retention_days, _PRODUCTION_BACKUP_DAYS),
    ):
        if environment.settings.production and days < least:
            message = f"production must keep these backups for at least {least} days; raise it"
            yield Problem(f"backup.{field}", days, message)


def _copies_of_backups(region: Region, environment: Environment) -> Iterator[Problem]:
    vault = environment.settings.backup.copy_to_vault
    if vault is not None and f":{region.name}:" in vault:
        message = f"also in {region.name}, and lost with that region; use a vault in another region"
        yield Problem("backup.copy_to_vault", vault, message)


def _zones_of_the_cluster(region: Region, environment: Environment) -> Iterator[Problem]:
    """A cluster stays in its zones. Source: https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html."""
    names = [zone.name for zone in region.shared.vpc.zones]
    for index, zone in enumerate(environment.settings.cluster.zones):
        if zone not in names:
            message = (
                f"not a zone of the VPC; choose among {', '.join(names)}, or keep it in vpc.zones of "
                f"{region.shared_file} if the cluster exists: EKS never changes its zones"
            )
            yield Problem(f"cluster.zones[{index}]", zone, message)


def _backup_buckets(owner: Owner, region: Region) -> Iterator[Problem]:
    states = {account.shared.state.bucket for account in region.accounts}
    for index, environment in enumerate(region.environments):
        bucket = backup_bucket_name(region.location(environment.name), owner.organisation)
        if len(bucket) > LONGEST_BUCKET_NAME:
            message = (
                f"backup bucket name {bucket!r} has {len(bucket)} characters; "
                f"S3 allows {LONGEST_BUCKET_NAME}, choose a shorter one"
            )
            yield Problem(f"ENVIRONMENTS[{index}]", environment.name, message)
        if bucket in states:
            message = f"its backup bucket would be the state bucket {bucket!r}; choose another name of the state bucket"
            yield Problem(f"ENVIRONMENTS[{index}]", environment.name, message)


def _bucket_of_access_logs(owner: Owner, region: Region, environment: Environment) -> Iterator[Problem]:
    bucket = access_logs_bucket_name(region.location(environment.name), owner.organisation)
    if environment.settings.access_logs is None:
        return
    if len(bucket) > LONGEST_BUCKET_NAME:
        message = (
            f"its bucket would have {len(bucket)} characters; S3 allows {LONGEST_BUCKET_NAME}, "
            "choose a shorter name of the environment or the organisation"
        )
        yield Problem("access_logs", bucket, message)
    if bucket in {account.shared.state.bucket for account in region.accounts}:
        yield Problem("access_logs", bucket, "its bucket would be the state bucket; choose another name of that one")


def _long_trust_policy(shared: SharedSettings) -> Iterator[Problem]:
    """Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html (also of the next rule)."""
    administrators = shared.cluster_administrators
    length = len(trust_policy(administrator_trust(administrators))) if administrators else 0
    if length > _LONGEST_TRUST:
        message = (
            f"the trust policy would have {length} characters; IAM allows {_LONGEST_TRUST}, "
            "let the administrators assume one role, and list that"
        )
        yield Problem("cluster_administrators", f"{len(administrators)} roles", message)


def _long_read_policy(region: Region) -> Iterator[Problem]:
    credentials = [cluster.settings.gitops.repository_credential for cluster in region.clusters]
    names = sorted({credential.secret_name for credential in credentials if credential is not None})
    shared = region.shared
    length = policy_length(
        *read_statements(
            region.location("shared"),
            repository_credentials=names,
            access_host=shared.access_host is not None,
            runners=shared.runners is not None,
            cost_tags=bool(shared.cost_allocation_tags),
            budgets=any(environment.settings.budget is not None for environment in region.environments),
            observability=region.observability,
            threat_detection=shared.threat_detection is not None,
        )
    )
    if length > LONGEST_POLICY:
        message = (
            f"the policy of the plan role would have {length} characters; IAM allows {LONGEST_POLICY}, "
            "use one secret in several environments, or shorter names"
        )
        yield Problem("ENVIRONMENTS", f"{len(names)} repository credentials", message)


def _long_boundaries(region: Region, environment: Environment) -> Iterator[Problem]:
    settings, location = environment.settings, region.location(environment.name)
    if settings.permissions_boundary_arn is not None:
        return
    targets = region.assumed_roles(environment)
    zone = None if region.account else location.arn("route53", f"hostedzone/{'Z' * _LONGEST_ZONE_ID}")
    domain = region.shared.dns.of_environment(environment.name)
    length = policy_length(
        *statements(
            location,
            environment.cluster_names,
            domain,
            zone,
            targets,
            existing_roles=environment.existing_roles,
            reads=region.read_by(environment),
            budget=settings.budget is not None,
            observability=settings.observability,
            aurora=region.has_aurora,
        )
    )
    if length > LONGEST_POLICY:
        message = f"the permissions boundary would have {length} characters; IAM allows {LONGEST_POLICY}, "
        if targets:
            message += "use one role for several controllers, or shorter names"
            yield Problem("controllers.targets", f"{len(targets)} roles", message)
        else:
            message += "use shorter names of clusters and existing roles, or fewer of them"
            yield Problem("cluster.name", environment.cluster_names[0], message)


def _long_iam_names(region: Region, shared: SharedSettings) -> Iterator[Problem]:
    location = Location(account_id=shared.account_id, region=region.name, environment="shared")
    for index, repository in enumerate(shared.image_repositories):
        field = f"image_repositories[{index}].name"
        yield from too_long(location, f"push-{repository.name}", field, repository.name, "push role")


def _replicas(region: str, shared: SharedSettings) -> Iterator[Problem]:
    repositories = len(shared.image_repositories)
    if shared.image_replica_regions and repositories > MOST_REPLICATED:
        message = f"ECR replicates at most {MOST_REPLICATED} by name; remove some, or image_replica_regions"
        yield Problem("image_repositories", repositories, message)
    moving_tags = {pattern for repository in shared.image_repositories for pattern in repository.moving_tags}
    if shared.image_replica_regions and len(moving_tags) > MOST_MOVING_TAGS:
        message = f"replicas have the moving tags of all repositories, and ECR accepts {MOST_MOVING_TAGS}; use fewer"
        yield Problem("image_repositories", f"{len(moving_tags)} moving tags", message)
    for index, replica in enumerate(shared.image_replica_regions):
        if replica == region:
            message = "images cannot be replicated to their own region; choose another region"
            yield Problem(f"image_replica_regions[{index}]", replica, message)


def _access_host(shared: SharedSettings) -> Iterator[Problem]:
    host, vpc = shared.access_host, shared.vpc
    if host is None:
        return
    names = [zone.name for zone in vpc.zones]
    if host.zone not in names:
        yield Problem("access_host.zone", host.zone, f"not a zone of the VPC; choose one of {', '.join(names)}")
    if not isinstance(vpc, VpcConfig) or vpc.reaches_the_internet:
        return
    missing = [service for service in ENDPOINTS if service not in vpc.interface_endpoints]
    if missing:
        message = (
            f"without NAT gateways, the access host reaches Systems Manager by interface endpoints only; "
            f"add {' and '.join(missing)}"
        )
        yield Problem("vpc.interface_endpoints", vpc.interface_endpoints, message)
