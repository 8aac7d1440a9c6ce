"""Validation rules about the accounts of a region, and between all accounts."""

from collections.abc import Iterator, Sequence
from itertools import combinations

from eks_gitops.config import Problem, known_problems
from eks_gitops.vpc import VpcConfig
from stacks.settings import Environment, Finding, Region


def of_region(region: Region) -> list[tuple[str, Iterator[Problem]]]:
    """The files of a region, each with the problems in it."""
    return [
        (region.shared_file, _listed_twice(region)),
        (region.shared_file, _without_environments(region)),
        *[(environment.file, _unknown_account(region, environment)) for environment in region.environments],
    ]


def between(accounts: Sequence[Region]) -> Iterator[Finding]:
    """The rules between accounts, of one region or of several, at least one of which is a further account."""
    for left, right in combinations(accounts, 2):
        if left.account or right.account:
            for problem in known_problems(_overlapping(left, right)):
                yield Finding(right.shared_file, problem.below(right.path))


def _listed_twice(region: Region) -> Iterator[Problem]:
    known = {region.shared.account_id: "the region"}
    for index, account in enumerate(region.shared.accounts):
        if account.account_id in known:
            message = f"already the account of {known[account.account_id]}; list each account once"
            yield Problem(f"accounts[{index}].account_id", account.account_id, message)
        known.setdefault(account.account_id, account.name)


def _without_environments(region: Region) -> Iterator[Problem]:
    named = {environment.settings.account_id for environment in region.environments}
    for index, account in enumerate(region.shared.accounts):
        if account.account_id not in named:
            message = "no environment names this account; set account_id of one, or remove the account"
            yield Problem(f"accounts[{index}].account_id", account.account_id, message)


def _unknown_account(region: Region, environment: Environment) -> Iterator[Problem]:
    known = [region.shared.account_id, *[account.account_id for account in region.shared.accounts]]
    if environment.settings.account_id not in known:
        message = f"not an account of the region; use {' or '.join(known)}, or add it to accounts of "
        message += region.shared_file
        yield Problem("account_id", environment.settings.account_id, message)


def _overlapping(left: Region, right: Region) -> Iterator[Problem]:
    """Networks that the same transit gateway or peering connects need addresses of their own."""
    theirs, ours = left.shared.vpc, right.shared.vpc
    if not isinstance(theirs, VpcConfig) or not isinstance(ours, VpcConfig):
        return
    shared = {one.id for one in theirs.connections} & {one.id for one in ours.connections}
    if shared and any(one.overlaps(other) for one in ours.cidrs for other in theirs.cidrs):
        message = f"overlaps the VPC of {left.place}, and {min(shared)} connects both; choose another network"
        yield Problem("vpc.cidr", ours.cidr, message)
