"""The rules among settings: between a region's files, and between regions."""

import math
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import combinations, pairwise

from eks_gitops.config import Problem, told
from eks_gitops.location import Location
from eks_gitops.versions import EKS_VERSIONS
from stacks.names import PARTS, stack_name, state_key
from stacks.settings import (
    Environment,
    EnvironmentSettings,
    Finding,
    Owner,
    Region,
    SharedSettings,
)

_PRODUCTION = "prod"
_PRODUCTION_BACKUP_DAYS = 14
_PRODUCTION_NODES = 2
_PRODUCTION_PREFIX = 16
_WARNING = timedelta(days=90)

_RESERVED_BY_AWS = 5  # of every subnet
_ADDRESSES_OF_A_PREFIX = 16
_ADDRESSES_OF_AWS = 32  # network interfaces of a cluster's control plane, mount targets, endpoints


def broken(regions: Sequence[Region]) -> list[Finding]:
    """Every rule that the settings break, as far as they are known."""
    return [
        *(finding for region in regions for finding in _broken_in_region(region)),
        *_broken_between_regions(regions),
    ]


def _broken_in_region(region: Region) -> Iterator[Finding]:
    for environment in region.environments:
        for rule in (_production_endpoint, _production_nodes, _production_databases):
            for problem in told(rule(environment)):
                yield Finding(environment.file, problem)
    for lower, upper in pairwise(region.environments):
        for problem in told(_version_skew(lower, upper)):
            yield Finding(upper.file, problem)
    shared = region.shared
    for problems in (
        _zones_of_another_region(region.name, shared),
        _too_few_addresses(shared, region.environments),
        _nat_of_production(shared, region.environments),
        _long_iam_names(region, shared),
        _replicas(region.name, shared),
    ):
        for problem in told(problems):
            yield Finding(region.shared_file, problem)
    for environment in region.environments:
        for problem in told(_another_account(environment.settings, shared)):
            yield Finding(environment.file, problem)


def _another_account(settings: EnvironmentSettings, shared: SharedSettings) -> Iterator[Problem]:
    if settings.account_id != shared.account_id:
        message = f"another account than the region's; use {shared.account_id} (docs/adr/0006 says what else it takes)"
        yield Problem("account_id", settings.account_id, message)


def _production_endpoint(environment: Environment) -> Iterator[Problem]:
    settings = environment.settings
    if environment.name == _PRODUCTION and not settings.production:
        yield Problem("production", False, "prod is held to production's minimum; set it to True")
    for index, cidr in enumerate(settings.cluster.public_access_cidrs):
        if settings.production and 0 < cidr.prefixlen < _PRODUCTION_PREFIX:
            message = f"too wide for production; name networks of /{_PRODUCTION_PREFIX} or smaller, or none"
            yield Problem(f"cluster.public_access_cidrs[{index}]", cidr, message)


def _production_nodes(environment: Environment) -> Iterator[Problem]:
    nodes = sum(group.min_size for group in environment.settings.node_groups)
    if environment.settings.production and nodes < _PRODUCTION_NODES:
        message = f"production keeps {_PRODUCTION_NODES} nodes or more; raise min_size"
        yield Problem("node_groups", f"{nodes} nodes at least", message)


def _production_databases(environment: Environment) -> Iterator[Problem]:
    for index, database in enumerate(environment.settings.databases if environment.settings.production else ()):
        field = f"databases[{index}]"
        if not database.multi_az:
            yield Problem(
                f"{field}.multi_az",
                False,
                "production survives the loss of a zone; set it to True",
            )
        if not database.deletion_protection:
            yield Problem(
                f"{field}.deletion_protection",
                False,
                "production is protected; set it to True",
            )
        if database.backup_retention_days < _PRODUCTION_BACKUP_DAYS:
            message = f"production keeps backups for {_PRODUCTION_BACKUP_DAYS} days or more; raise it"
            yield Problem(
                f"{field}.backup_retention_days",
                database.backup_retention_days,
                message,
            )


def _version_skew(lower: Environment, upper: Environment) -> Iterator[Problem]:
    versions = list(EKS_VERSIONS)
    ours, theirs = upper.settings.cluster.version, lower.settings.cluster.version
    if ours in versions and theirs in versions and abs(versions.index(ours) - versions.index(theirs)) > 1:
        message = (
            f"more than one minor version apart from {lower.name} ({theirs}); upgrade one environment after the other"
        )
        yield Problem("cluster.version", ours, message)


def _zones_of_another_region(region: str, shared: SharedSettings) -> Iterator[Problem]:
    for index, zone in enumerate(shared.vpc.zones):
        if not (zone.name.startswith(region) and len(zone.name) == len(region) + 1 and zone.name[-1].isalpha()):
            message = f"not an availability zone of {region}; write {region}a, {region}b, …"
            yield Problem(f"vpc.zones[{index}].name", zone.name, message)


def _too_few_addresses(shared: SharedSettings, environments: Sequence[Environment]) -> Iterator[Problem]:
    have = sum(zone.private.num_addresses - _RESERVED_BY_AWS for zone in shared.vpc.zones)
    need = sum(_addresses(environment.settings) for environment in environments)
    if have < need:
        message = f"the nodes and pods of all environments may need {need} addresses; enlarge the private subnets"
        yield Problem("vpc.zones", f"{have} private addresses", message)


def _addresses(settings: EnvironmentSettings) -> int:
    """The addresses that an environment takes when every node group is at its maximum and full of pods."""
    need = _ADDRESSES_OF_AWS
    groups = [group for group in settings.node_groups if not list(group.problems())]
    for group in groups:
        need += group.max_size * _addresses_of_a_node(group.max_pods)
    if settings.karpenter is not None:
        need += settings.karpenter.max_nodes * _addresses_of_a_node(
            max((group.max_pods for group in groups), default=110)
        )
    return need


def _addresses_of_a_node(max_pods: int) -> int:
    """One for the node, prefixes for its pods, and the one prefix that vpc-cni keeps warm."""
    return 1 + _ADDRESSES_OF_A_PREFIX * (math.ceil(max_pods / _ADDRESSES_OF_A_PREFIX) + 1)


def _nat_of_production(shared: SharedSettings, environments: Sequence[Environment]) -> Iterator[Problem]:
    if shared.vpc.nat_gateways != "one-per-zone" and any(
        environment.settings.production for environment in environments
    ):
        message = "production lives in this VPC and must survive the loss of a zone; use one-per-zone"
        yield Problem("vpc.nat_gateways", shared.vpc.nat_gateways, message)


def _long_iam_names(region: Region, shared: SharedSettings) -> Iterator[Problem]:
    location = Location(account_id=shared.account_id, region=region.name, environment="shared")
    for index, repository in enumerate(shared.image_repositories):
        try:
            location.name(f"push-{repository.name}")
        except ValueError as error:
            yield Problem(
                f"image_repositories[{index}].name",
                repository.name,
                f"its push role's {error}",
            )


def _replicas(region: str, shared: SharedSettings) -> Iterator[Problem]:
    for index, replica in enumerate(shared.image_replica_regions):
        if replica == region:
            message = "images cannot be replicated to the region that they lie in; name another"
            yield Problem(f"image_replica_regions[{index}]", replica, message)


def _broken_between_regions(regions: Sequence[Region]) -> Iterator[Finding]:
    yield from _stacks_named_twice(regions)
    for left, right in combinations(regions, 2):
        for rule in (_vpcs_that_overlap, _buckets_named_twice, _zones_made_twice):
            for problem in told(rule(left.name, left.shared, right.shared)):
                yield Finding(right.shared_file, problem)
    yield from told(_github_providers(regions))
    yield from told(_clusters_named_twice(regions))


def _vpcs_that_overlap(region: str, left: SharedSettings, right: SharedSettings) -> Iterator[Problem]:
    if left.vpc.cidr.overlaps(right.vpc.cidr):
        message = f"overlaps the VPC of {region} ({left.vpc.cidr}); choose a network of its own"
        yield Problem("vpc.cidr", right.vpc.cidr, message)


def _buckets_named_twice(region: str, left: SharedSettings, right: SharedSettings) -> Iterator[Problem]:
    if left.state.bucket == right.state.bucket:
        message = f"used by {region} already; bucket names are global in AWS, choose another"
        yield Problem("state.bucket", right.state.bucket, message)


def _zones_made_twice(region: str, left: SharedSettings, right: SharedSettings) -> Iterator[Problem]:
    if left.dns.domain == right.dns.domain and left.dns.hosted_zone_id is None and right.dns.hosted_zone_id is None:
        message = f"{region} makes its hosted zone already; name that zone in hosted_zone_id, or use a subdomain"
        yield Problem("dns.domain", right.dns.domain, message)


def _stacks_named_twice(regions: Sequence[Region]) -> Iterator[Finding]:
    owners: dict[str, str] = {}
    for region in regions:
        environments = [environment.name for environment in region.environments]
        for environment, file in [
            *[(name, region.file) for name in ("backend", "shared")],
            *[(name, region.file) for name in environments],
        ]:
            for part in PARTS:
                for kind, name in (
                    ("stack", stack_name(region.name, environment, part)),
                    ("state key", state_key(region.name, environment, part)),
                ):
                    if name in owners:
                        message = f"this {kind} exists already, by {owners[name]}; rename the region or environment"
                        yield Finding(file, Problem(f"{environment} {kind}", name, message))
                    owners.setdefault(name, f"{region.file} {environment}")


def _github_providers(regions: Sequence[Region]) -> Iterator[Finding]:
    """An account has exactly one identity provider for GitHub."""
    owners: dict[str, str] = {}
    for region in regions:
        account = region.shared.account_id
        if region.shared.owns_github_provider:
            if account in owners:
                message = f"an account has one, and {owners[account]} owns it; set it to False"
                yield Finding(region.shared_file, Problem("owns_github_provider", True, message))
            owners.setdefault(account, region.name)
    for region in regions:
        if region.shared.account_id not in owners:
            message = "no region of the account owns the identity provider for GitHub; set it to True in exactly one"
            yield Finding(region.shared_file, Problem("owns_github_provider", False, message))


def _clusters_named_twice(regions: Sequence[Region]) -> Iterator[Finding]:
    """EKS knows a cluster's name once a region and account."""
    owners: dict[tuple[str, str], str] = {}
    for region in regions:
        for environment in region.environments:
            name = environment.settings.cluster.name
            if (region.name, name) in owners:
                message = f"used by {owners[region.name, name]} already; EKS knows a name once a region, choose another"
                yield Finding(environment.file, Problem("cluster.name", name, message))
            owners.setdefault((region.name, name), environment.name)


def warnings(owner: Owner, regions: Sequence[Region], today: date) -> Iterator[tuple[str, str]]:
    """What is not wrong yet, with the stack that it concerns.

    Placeholders that are left in place, and Kubernetes versions whose standard support ends within 90 days, or has
    ended: that is told, never refused, so that a synth which passed yesterday passes today.
    """
    left = [
        *_placeholders_of_owner(owner),
        *(line for region in regions for line in _placeholders_of_region(region)),
    ]
    if left:
        explanation = "placeholders are left in the settings; until they are yours, no real account can be reached:"
        yield stack_name(regions[0].name, "backend"), "\n  ".join([explanation, *left])
    for region in regions:
        for environment in region.environments:
            version = environment.settings.cluster.version
            end = EKS_VERSIONS[version].end_of_standard_support
            if end - today <= _WARNING:
                verb = "ends" if end >= today else "ended"
                message = (
                    f"standard support {verb} on {end}, and EKS then upgrades the cluster by itself; upgrade it before"
                )
                problem = Problem("cluster.version", version, message)
                yield (
                    stack_name(region.name, environment.name),
                    str(Finding(environment.file, problem)),
                )


_PLACEHOLDERS = {
    "organisation": "your-org",
    "account_id": "123456789012",
    "domain": "your-domain.com",
    "administrator_role_arn": "arn:aws:iam::123456789012:role/your-admin-role",
    "cost_center": "your-cost-center",
}
_LAST_PLACEHOLDER_ID = 9  # GitHub gave its first numbers away in 2007


def _placeholders_of_owner(owner: Owner) -> Iterator[str]:
    for field, value in _PLACEHOLDERS.items():
        if getattr(owner, field) == value:
            yield f"stacks/owner.py: {field}: {value!r}"
    for field, number in (
        ("owner_id", owner.repository.owner_id),
        ("id", owner.repository.id),
    ):
        if number <= _LAST_PLACEHOLDER_ID:
            yield f"stacks/owner.py: repository.{field}: {number}"


def _placeholders_of_region(region: Region) -> Iterator[str]:
    for index, repository in enumerate(region.shared.image_repositories):
        if repository.pushed_by.id <= _LAST_PLACEHOLDER_ID:
            yield f"{region.shared_file}: image_repositories[{index}].pushed_by.id: {repository.pushed_by.id}"
