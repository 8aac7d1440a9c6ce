"""The rules between regions: what AWS knows once an account, or once in the world."""

from collections.abc import Iterator, Sequence
from itertools import combinations

from eks_gitops.config import Problem, known_problems
from stacks.names import PARTS, stack_name, state_key
from stacks.settings import Finding, Region, SharedSettings


def broken(regions: Sequence[Region]) -> Iterator[Finding]:
    """Every rule between regions that the settings break, as far as they are known."""
    yield from _stacks_named_twice(regions)
    for left, right in combinations(regions, 2):
        for rule in (_vpcs_that_overlap, _buckets_named_twice, _zones_made_twice):
            for problem in known_problems(rule(left.name, left.shared, right.shared)):
                yield Finding(right.shared_file, problem)
    yield from known_problems(_github_providers(regions))
    yield from known_problems(_clusters_named_twice(regions))


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
