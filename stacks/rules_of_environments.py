"""Validation rules of one environment within its region, and on the order of promotion."""

from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Network

from eks_gitops.config import Problem
from eks_gitops.engines import ENGINES
from eks_gitops.in_cluster.load_balancer_controller import IngressClassConfig
from eks_gitops.location import Location
from eks_gitops.versions import ARGO_CD_CHARTS, EKS_VERSIONS
from stacks.settings import Environment, Region

OrderRule = Callable[[Environment, Environment], Iterator[Problem]]
"""A rule on an environment and a later one."""

LONGEST_ROLE = "aws-load-balancer-controller"
"""The longest role name that every cluster has."""

_PRIVATE = tuple(map(IPv4Network, ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16")))
"""The private networks of RFC 1918 and the shared ones of RFC 6598, which the internet does not route."""


def is_private(cidr: IPv4Network) -> bool:
    """Whether the internet does not route any address of a network."""
    return any(cidr.subnet_of(network) for network in _PRIVATE)


def too_long(location: Location, suffix: str, field: str, value: str, kind: str) -> Iterator[Problem]:
    """A value with which the name of a resource, of this kind and suffix, has more characters than IAM allows."""
    try:
        location.name(suffix)
    except ValueError as error:
        yield Problem(field, value, f"{kind} {error}")


def load_balancers(environment: Environment) -> dict[str, IngressClassConfig]:
    """The load balancers of an environment, by field."""
    gitops = environment.settings.gitops
    return {"gitops.ingress": gitops.ingress, "gitops.argo_cd.ingress": gitops.argo_cd.ingress}


def web_acl_elsewhere(region: Region, environment: Environment) -> Iterator[Problem]:
    """A load balancer can be associated with a web ACL of its own region and account only.

    Source: https://docs.aws.amazon.com/waf/latest/developerguide/web-acl-associating-aws-resource.html
    """
    arn, prefix = environment.settings.gitops.argo_cd.web_acl_arn, region.location(environment.name).arn("wafv2", "")
    if arn is not None and not arn.startswith(prefix):
        message = f"not a web ACL of {region.name} in {region.shared.account_id}; use one of this region and account"
        yield Problem("gitops.argo_cd.web_acl_arn", arn, message)


def unreachable_from_the_internet(environment: Environment) -> Iterator[Problem]:
    """An internet-facing load balancer has public addresses, which no client reaches from a private address.

    Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/userguide/how-elastic-load-balancing-works.html
    """
    for field, ingress in load_balancers(environment).items():
        cidrs = ingress.allowed_cidrs
        if ingress.scheme == "internet-facing" and cidrs and all(map(is_private, cidrs)):
            message = "no client of an internet-facing load balancer has a private address; "
            message += "list public networks, or set scheme to internal"
            yield Problem(f"{field}.allowed_cidrs", ", ".join(map(str, cidrs)), message)


def order(rule: OrderRule, lower: Environment, upper: Environment) -> Iterator[Problem]:
    """The problems of a cluster of a later environment, if none of the clusters of the earlier one permits it."""
    found = [list(rule(one, upper)) for one in lower.clusters]
    if all(found):
        yield from found[0]


def kubernetes_order(lower: Environment, upper: Environment) -> Iterator[Problem]:
    """A later environment must not be newer, nor more than one minor version older."""
    versions, field = list(EKS_VERSIONS), "cluster.version"
    ours, theirs = upper.settings.cluster.version, lower.settings.cluster.version
    yield from _newer(lower, field, ours, theirs, versions)
    if ours in versions and theirs in versions and versions.index(theirs) - versions.index(ours) > 1:
        message = (
            f"more than one minor version apart from {lower.name} ({theirs}); upgrade one environment after the other"
        )
        yield Problem(field, ours, message)


def chart_order(lower: Environment, upper: Environment) -> Iterator[Problem]:
    """A later environment must not have a newer chart of Argo CD."""
    ours, theirs = upper.settings.gitops.argo_cd.chart_version, lower.settings.gitops.argo_cd.chart_version
    yield from _newer(lower, "gitops.argo_cd.chart_version", ours, theirs, list(ARGO_CD_CHARTS))


def engine_order(lower: Environment, upper: Environment) -> Iterator[Problem]:
    """A later environment must not have another engine or a newer version of the same database."""
    theirs = {database.name: database for database in lower.settings.every_database.values()}
    for field, ours in upper.settings.every_database.items():
        other = theirs.get(ours.name, ours)
        if ours.engine != other.engine:
            message = f"another engine than in {lower.name} ({other.engine}), which is promoted first; use the same"
            yield Problem(f"{field}.engine", ours.engine, message)
        majors = list(ENGINES[ours.engine].majors)
        yield from _newer(lower, f"{field}.engine_version", ours.engine_version, other.engine_version, majors)


def _newer(lower: Environment, field: str, ours: str, theirs: str, oldest_first: Sequence[str]) -> Iterator[Problem]:
    known = ours in oldest_first and theirs in oldest_first
    if known and oldest_first.index(ours) > oldest_first.index(theirs):
        message = f"newer than in {lower.name} ({theirs}), which is promoted first; upgrade {lower.name} before"
        yield Problem(field, ours, message)
