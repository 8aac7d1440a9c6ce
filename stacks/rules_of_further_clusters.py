"""Validation rules on the further clusters of an environment, beside the first."""

from collections.abc import Iterator

from eks_gitops.config import Problem
from eks_gitops.delivery import apply_environment_policy
from eks_gitops.iam import LONGEST_POLICY, policy_length
from stacks.names import RESERVED_FOR_FIRST
from stacks.rules_of_environments import LONGEST_ROLE, too_long
from stacks.settings import Environment, Region


def of_region(region: Region) -> list[tuple[str, Iterator[Problem]]]:
    """The files of a region, each with the problems in it."""
    found: list[tuple[str, Iterator[Problem]]] = []
    for environment in region.environments:
        if environment.further:
            found += [
                (environment.file, _names(region, environment)),
                (environment.file, _domains_of_argo_cd(environment)),
                (environment.file, _weights(environment)),
                (environment.file, _long_policies(region, environment)),
            ]
    return found


def _names(region: Region, environment: Environment) -> Iterator[Problem]:
    """The name of a further cluster begins those of its resources, which nothing else of the environment may have."""
    for cluster in environment.further:
        field, name = f"{cluster.path}.name", cluster.cluster
        if name in RESERVED_FOR_FIRST:
            message = "names of other resources of the environment begin with it; choose another name, such as blue"
            yield Problem(field, name, message)
        for index, group in enumerate(environment.settings.node_groups):
            if name and group.name.startswith(f"{name}-"):
                message = f"the name of node_groups[{index}] ({group.name}) begins with it; choose another name"
                yield Problem(field, name, message)
        location = region.location(cluster.name, name)
        yield from too_long(location, LONGEST_ROLE, field, name, "longest role")


def _domains_of_argo_cd(environment: Environment) -> Iterator[Problem]:
    """External DNS of each cluster writes the record of its Argo CD, and the first one keeps it."""
    seen: set[str] = set()
    for cluster in environment.clusters:
        domain = cluster.settings.gitops.argo_cd.domain
        if domain in seen:
            first, _, rest = domain.partition(".")
            message = f"also that of another cluster of {environment.name}; write {first}-{cluster.cluster}.{rest}"
            yield Problem("gitops.argo_cd.domain", domain, message).below(cluster.path)
        seen.add(domain)


def _weights(environment: Environment) -> Iterator[Problem]:
    """Route 53 has no simple record beside weighted ones, and takes weights that are all 0 for equal ones.

    Source: `ResourceRecordSet` of Route 53 in botocore, on Weight and SetIdentifier, and
    https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/resource-record-sets-values-weighted.html
    """
    weights = [cluster.settings.gitops.dns_weight for cluster in environment.clusters]
    for cluster, weight in zip(environment.clusters, weights, strict=True):
        if weight is None:
            message = "the environment has several clusters, whose records need weights; set one from 0 to 255"
            yield Problem("gitops.dns_weight", None, message).below(cluster.path)
    if not any(weights) and None not in weights:
        message = f"0 in all clusters of {environment.name}, which Route 53 takes for equal weights; raise one"
        yield Problem("gitops.dns_weight", 0, message)


def _long_policies(region: Region, environment: Environment) -> Iterator[Problem]:
    """The policies of the apply role name all clusters, and a managed policy has a limit."""
    location = region.location(environment.name)
    policies = apply_environment_policy.statements(
        location,
        environment.cluster_names,
        domain=region.shared.dns.of_environment(environment.name),
        parent_zone_arn=location.arn("route53", "hostedzone/Z0123456789ABCDEFGHIJ"),
        aurora=bool(environment.settings.aurora_databases),
    )
    for name in ("cluster", "data"):
        length = policy_length(*policies[name])
        if length > LONGEST_POLICY:
            message = (
                f"the policy {name} of the apply role would have {length} characters; IAM allows {LONGEST_POLICY}, "
                "use fewer clusters, or shorter cluster names"
            )
            yield Problem("further_clusters", f"{len(environment.further)} clusters", message)
