"""Validation rules between regions, for resources that are unique per account or globally."""

from collections.abc import Iterator, Sequence
from itertools import combinations

from eks_gitops.config import Problem, known_problems
from stacks.names import PARTS, stack_name, state_key
from stacks.settings import Finding, Region, SharedSettings


def broken(regions: Sequence[Region]) -> Iterator[Finding]:
    """The rules between regions that the settings violate, as far as their fields are known."""
    yield from _duplicate_stacks(regions)
    for left, right in combinations(regions, 2):
        for rule in (_overlapping_vpcs, _duplicate_buckets, _duplicate_hosted_zones):
            for problem in known_problems(rule(left.name, left.shared, right.shared)):
                yield Finding(right.shared_file, problem)
    yield from known_problems(_github_providers(regions))
    yield from known_problems(_duplicate_clusters(regions))


def _overlapping_vpcs(region: str, left: SharedSettings, right: SharedSettings) -> Iterator[Problem]:
    if left.vpc.cidr.overlaps(right.vpc.cidr):
        message = f"overlaps the VPC of {region} ({left.vpc.cidr}); choose another network"
        yield Problem("vpc.cidr", right.vpc.cidr, message)


def _duplicate_buckets(region: str, left: SharedSettings, right: SharedSettings) -> Iterator[Problem]:
    if left.state.bucket == right.state.bucket:
        message = f"already used by {region}; bucket names are global in AWS; choose another name"
        yield Problem("state.bucket", right.state.bucket, message)


def _duplicate_hosted_zones(region: str, left: SharedSettings, right: SharedSettings) -> Iterator[Problem]:
    if left.dns.domain == right.dns.domain and left.dns.hosted_zone_id is None and right.dns.hosted_zone_id is None:
        message = f"{region} already creates this zone; set hosted_zone_id to the ID of that zone, or use a subdomain"
        yield Problem("dns.domain", right.dns.domain, message)


def _duplicate_stacks(regions: Sequence[Region]) -> Iterator[Finding]:
    owners: dict[str, str] = {}
    for region in regions:
        stacks = [("backend", ""), ("shared", "")]
        stacks += [(environment.name, part) for environment in region.environments for part in PARTS]
        for environment, part in stacks:
            for kind, name in (
                ("stack", stack_name(region.name, environment, part)),
                ("state key", state_key(region.name, environment, part)),
            ):
                if name in owners:
                    message = f"already defined by {owners[name]}; rename the region or environment"
                    yield Finding(region.file, Problem(f"{environment} {kind}", name, message))
                owners.setdefault(name, f"{region.file} {environment}")


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
        for environment in region.environments:
            name = environment.settings.cluster.name
            if (region.name, name) in owners:
                message = (
                    f"already used by {owners[region.name, name]}; cluster names are unique per region; "
                    "choose another name"
                )
                yield Finding(environment.file, Problem("cluster.name", name, message))
            owners.setdefault((region.name, name), environment.name)
