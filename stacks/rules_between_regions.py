"""Validation rules between regions, for resources that are unique per account or globally."""

from collections.abc import Iterator, Sequence
from itertools import combinations, product

from eks_gitops.config import Problem, known_problems
from stacks.names import RESERVED
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
            _duplicate_buckets,
            _duplicate_hosted_zones,
            _two_zones_of_a_domain,
            _same_replica_region,
        ):
            for problem in known_problems(rule(left.name, left.shared, right.shared)):
                yield Finding(right.shared_file, problem)
        yield from known_problems(_same_hosts_of_services(left, right))
        yield from known_problems(_same_owner_of_records(left, right))
    yield from known_problems(_services_in_a_vpc(regions))
    yield from known_problems(_github_providers(regions))
    yield from known_problems(_duplicate_clusters(regions))
    yield from known_problems(_duplicate_hosts_of_argo_cd(regions))


def _overlapping_vpcs(region: str, left: SharedSettings, right: SharedSettings) -> Iterator[Problem]:
    if left.vpc.cidr.overlaps(right.vpc.cidr):
        message = f"overlaps the VPC of {region} ({left.vpc.cidr}); choose another network"
        yield Problem("vpc.cidr", right.vpc.cidr, message)


def _same_replica_region(region: str, left: SharedSettings, right: SharedSettings) -> Iterator[Problem]:
    """A registry has one template for all repositories that replication creates in it."""
    for index, replica in enumerate(right.image_replica_regions):
        if left.account_id == right.account_id and replica in left.image_replica_regions:
            message = f"already a replica region of {region}, which owns the template there; choose another region"
            yield Problem(f"image_replica_regions[{index}]", replica, message)


def _services_in_a_vpc(regions: Sequence[Region]) -> Iterator[Finding]:
    """EKS rejects addresses of Services in the cluster's VPC. Pods could not reach those in a connected VPC.

    Source: `KubernetesNetworkConfigRequest` of EKS in botocore 1.43.
    """
    for region, other in product(regions, regions):
        for environment in region.environments:
            cidr, vpc = environment.settings.cluster.service_ipv4_cidr, other.shared.vpc.cidr
            if cidr is not None and cidr.overlaps(vpc):
                message = f"overlaps the VPC of {other.name} ({vpc}); choose another network"
                yield Finding(environment.file, Problem("cluster.service_ipv4_cidr", cidr, message))


def _duplicate_buckets(region: str, left: SharedSettings, right: SharedSettings) -> Iterator[Problem]:
    if left.state.bucket == right.state.bucket:
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


def _same_hosts_of_services(left: Region, right: Region) -> Iterator[Finding]:
    """Hosts of services are set per environment, in `service/<service>/overlays/<environment>`."""
    names = [environment.name for environment in left.environments]
    for index, environment in enumerate(right.environments):
        if left.shared.dns.domain == right.shared.dns.domain and environment.name in names:
            message = (
                f"also an environment of {left.name}, so that its services have the same hosts below "
                f"{right.shared.dns.domain}; rename it, or use a subdomain in dns.domain of this region"
            )
            yield Finding(right.file, Problem(f"ENVIRONMENTS[{index}]", environment.name, message))


def _same_owner_of_records(left: Region, right: Region) -> Iterator[Finding]:
    """External DNS deletes the records of its owner, the cluster's name, that its own cluster does not need."""
    ours, theirs = right.shared.dns, left.shared.dns
    same_id = ours.hosted_zone_id is not None and ours.hosted_zone_id == theirs.hosted_zone_id
    names = [environment.settings.cluster.name for environment in left.environments]
    for environment in right.environments:
        name = environment.settings.cluster.name
        if (same_id or ours.domain == theirs.domain) and name in names:
            message = (
                f"also a cluster of {left.name} with the same hosted zone, and External DNS of each would delete the "
                "records of the other; choose another name"
            )
            yield Finding(environment.file, Problem("cluster.name", name, message))


def _duplicate_hosts_of_argo_cd(regions: Sequence[Region]) -> Iterator[Finding]:
    owners: dict[str, str] = {}
    for region in regions:
        for environment in _environments(region):
            domain = environment.settings.gitops.argo_cd.domain
            if domain in owners:
                message = f"already the domain of Argo CD in {owners[domain]}; choose another one"
                yield Finding(environment.file, Problem("gitops.argo_cd.domain", domain, message))
            owners.setdefault(domain, environment.file)


def _environments(region: Region) -> list[Environment]:
    """The environments of a region without a second one of the same name and reserved ones, which `rules` reports."""
    named = {environment.name: environment for environment in region.environments}
    return [environment for name, environment in named.items() if name not in RESERVED]


def _github_providers(regions: Sequence[Region]) -> Iterator[Finding]:
    """An account has exactly one identity provider for GitHub Actions."""
    owners: dict[str, str] = {}
    for region in regions:
        account = region.shared.account_id
        if region.shared.owns_github_provider:
            if account in owners:
                message = f"{owners[account]} already owns the account's identity provider for GitHub; set it to False"
                yield Finding(region.shared_file, Problem("owns_github_provider", True, message))
            owners.setdefault(account, region.name)
    for region in regions:
        if region.shared.account_id not in owners:
            message = (
                "no region of the account owns the identity provider for GitHub; set it to True in exactly one region"
            )
            yield Finding(region.shared_file, Problem("owns_github_provider", False, message))


def _duplicate_clusters(regions: Sequence[Region]) -> Iterator[Finding]:
    """Cluster names are unique per region and account."""
    owners: dict[tuple[str, str], str] = {}
    for region in regions:
        for environment in _environments(region):
            name = environment.settings.cluster.name
            if (region.name, name) in owners:
                message = (
                    f"already used by {owners[region.name, name]}; cluster names are unique per region; "
                    "choose another name"
                )
                yield Finding(environment.file, Problem("cluster.name", name, message))
            owners.setdefault((region.name, name), environment.name)
