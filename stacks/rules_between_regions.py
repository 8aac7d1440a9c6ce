"""Validation rules between regions, for resources that are unique per account or globally."""

from collections.abc import Iterator, Sequence
from itertools import combinations, product

from eks_gitops.config import Problem, known_problems
from eks_gitops.existing_vpc import ExistingVpcConfig
from stacks import rules_of_accounts
from stacks.names import RESERVED, cluster_part
from stacks.settings import Environment, Finding, Region, SharedSettings


def broken(regions: Sequence[Region]) -> Iterator[Finding]:
    """The rules between regions that the settings violate, as far as their fields are known."""
    first = {region.name: region for region in reversed(regions)}
    for region in regions:
        if region is not first[region.name]:
            message = f"already the region of {first[region.name].file}; write the region of this folder"
            yield Finding(region.file, Problem("REGION", region.name, message))
    regions = [region for region in regions if region is first[region.name]]
    for left, right in combinations(regions, 2):
        for rule in (
            _overlapping_vpcs,
            _duplicate_hosted_zones,
            _two_zones_of_a_domain,
            _same_replica_region,
        ):
            for problem in known_problems(rule(left.name, left.shared, right.shared)):
                yield Finding(right.shared_file, problem)
        yield from known_problems(_same_zones_of_environments(left, right))
    accounts = [account for region in regions for account in region.accounts]
    for left, right in combinations(accounts, 2):
        for rule in (_duplicate_buckets, _same_cost_tags):
            for problem in known_problems(rule(left.place, left.shared, right.shared)):
                yield Finding(right.shared_file, problem.below(right.path))
    yield from rules_of_accounts.between(accounts)
    further = [(account, account) for account in accounts if account.account]
    yield from known_problems(_services_in_a_vpc([*product(regions, regions), *further]))
    yield from known_problems(_github_providers(accounts))
    yield from known_problems(_duplicate_clusters(regions))


def _overlapping_vpcs(region: str, left: SharedSettings, right: SharedSettings) -> Iterator[Problem]:
    if isinstance(left.vpc, ExistingVpcConfig) and isinstance(right.vpc, ExistingVpcConfig):
        return  # nobody can change their networks
    for number, ours in enumerate(right.vpc.cidrs):
        for theirs in left.vpc.cidrs:
            if ours.overlaps(theirs):
                field = f"vpc.secondary_cidrs[{number - 1}]" if number else "vpc.cidr"
                yield Problem(field, ours, f"overlaps the VPC of {region} ({theirs}); choose another network")


def _same_replica_region(region: str, left: SharedSettings, right: SharedSettings) -> Iterator[Problem]:
    """A registry has one template for all repositories that replication creates in it."""
    for index, replica in enumerate(right.image_replica_regions):
        if left.account_id == right.account_id and replica in left.image_replica_regions:
            message = f"already a replica region of {region}, which owns the template there; choose another region"
            yield Problem(f"image_replica_regions[{index}]", replica, message)


def _services_in_a_vpc(pairs: Sequence[tuple[Region, Region]]) -> Iterator[Finding]:
    """EKS rejects addresses of Services in the cluster's VPC. Pods could not reach those in a connected VPC.

    Source: `KubernetesNetworkConfigRequest` of EKS in botocore 1.43.
    """
    for region, other in pairs:
        for cluster in region.clusters:
            cidr = cluster.settings.cluster.service_ipv4_cidr
            for vpc in other.shared.vpc.cidrs:
                if cidr is not None and cidr.overlaps(vpc):
                    message = f"overlaps the VPC of {other.place} ({vpc}); choose another network"
                    problem = Problem("cluster.service_ipv4_cidr", cidr, message)
                    yield Finding(cluster.file, problem.below(cluster.path))


def _same_cost_tags(region: str, left: SharedSettings, right: SharedSettings) -> Iterator[Problem]:
    """The status of a tag belongs to the account: a region that no longer lists it would deactivate it for others."""
    for index, tag in enumerate(right.cost_allocation_tags):
        if left.account_id == right.account_id and tag in left.cost_allocation_tags:
            yield Problem(f"cost_allocation_tags[{index}]", tag, f"already activated by {region}; remove it here")


def _duplicate_buckets(region: str, left: SharedSettings, right: SharedSettings) -> Iterator[Problem]:
    if left.state.buckets & right.state.buckets:
        message = f"already used by {region}; bucket names are global in AWS; choose another name"
        yield Problem("state.bucket", right.state.bucket, message)


def _duplicate_hosted_zones(region: str, left: SharedSettings, right: SharedSettings) -> Iterator[Problem]:
    if left.dns.domain == right.dns.domain and left.dns.hosted_zone_id is None and right.dns.hosted_zone_id is None:
        message = f"{region} already creates this zone; set hosted_zone_id to the ID of that zone, or use a subdomain"
        yield Problem("dns.domain", right.dns.domain, message)


def _two_zones_of_a_domain(region: str, left: SharedSettings, right: SharedSettings) -> Iterator[Problem]:
    ours, theirs = right.dns.hosted_zone_id, left.dns.hosted_zone_id
    if left.dns.domain == right.dns.domain and ours is not None and theirs is not None and ours != theirs:
        message = (
            f"{region} has another zone of {right.dns.domain} ({theirs}), and resolvers ask only one; "
            "use the same zone, or a subdomain"
        )
        yield Problem("dns.hosted_zone_id", ours, message)


def _same_zones_of_environments(left: Region, right: Region) -> Iterator[Finding]:
    """The zone of an environment is named after it and the domain of its region."""
    zones = {left.shared.dns.of_environment(environment.name): environment.name for environment in left.environments}
    for index, environment in enumerate(right.environments):
        zone = right.shared.dns.of_environment(environment.name)
        if zone in zones:
            message = (
                f"{left.name} already has the zone {zone}; rename it, or use a subdomain in dns.domain of this region"
            )
            yield Finding(right.file, Problem(f"ENVIRONMENTS[{index}]", environment.name, message))
    for one, other in ((left, right), (right, left)):
        for environment in other.environments:
            if one.shared.dns.domain == other.shared.dns.of_environment(environment.name):
                message = f"the zone of {environment.name} in {other.name}; choose another domain"
                yield Finding(one.shared_file, Problem("dns.domain", one.shared.dns.domain, message))


def _environments(region: Region) -> list[Environment]:
    """The environments of a region without a second one of the same name and reserved ones, which `rules` reports."""
    named = {environment.name: environment for environment in region.environments}
    return [environment for name, environment in named.items() if name not in RESERVED]


def _github_providers(regions: Sequence[Region]) -> Iterator[Finding]:
    """An account has exactly one identity provider for GitHub Actions: that of a region, or an existing one."""
    owners: dict[str, str] = {}
    existing = {region.shared.account_id: region.place for region in regions if region.shared.github_provider_exists}
    for region in regions:
        account = region.shared.account_id
        if region.shared.owns_github_provider:
            if account in existing:
                message = f"exists already (github_provider_exists of {existing[account]}); set it to False"
                yield _provider(region, value=True, message=message)
            elif account in owners:
                message = f"{owners[account]} already owns the account's identity provider for GitHub; set it to False"
                yield _provider(region, value=True, message=message)
            owners.setdefault(account, region.place)
    for region in regions:
        if region.shared.account_id not in {*owners, *existing}:
            message = (
                "no region of the account owns the identity provider for GitHub; set it to True in exactly one region, "
                "or set github_provider_exists"
            )
            yield _provider(region, value=False, message=message)


def _provider(region: Region, *, value: bool, message: str) -> Finding:
    return Finding(region.shared_file, Problem("owns_github_provider", value, message).below(region.path))


def _duplicate_clusters(regions: Sequence[Region]) -> Iterator[Finding]:
    """Cluster names are unique per region and account."""
    owners: dict[tuple[str, str], str] = {}
    for region in regions:
        for cluster in [cluster for environment in _environments(region) for cluster in environment.clusters]:
            name, place = cluster.settings.cluster.name, cluster_part(cluster.name, cluster.cluster)
            if (region.name, name) in owners:
                message = (
                    f"already used by {owners[region.name, name]}; cluster names are unique per region; "
                    "choose another name"
                )
                yield Finding(cluster.file, Problem("cluster.name", name, message).below(cluster.path))
            owners.setdefault((region.name, name), place)
