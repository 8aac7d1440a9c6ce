"""Validation rules about the VPC of a region and the environments in it.

Of an existing VPC, sizes and gateways are not known: `make preflight` checks them in AWS.
"""

import math
from collections.abc import Iterator, Sequence

from eks_gitops.config import Problem, known_problems
from eks_gitops.existing_vpc import ExistingVpcConfig
from eks_gitops.vpc import VpcConfig
from stacks.rules_of_environments import load_balancers
from stacks.settings import Environment, EnvironmentSettings, Region

PRODUCTION_LOG_DAYS = 365

_RESERVED_BY_AWS = 5  # addresses of each subnet
_ADDRESSES_OF_A_PREFIX = 16
_ADDRESSES_OF_AWS = 32  # network interfaces of a cluster's control plane, mount targets and endpoints


def of_region(region: Region) -> list[tuple[str, Iterator[Problem]]]:
    """The files of a region, each with the problems in it."""
    return [
        (region.shared_file, _of_new_vpc(region)),
        *[(cluster.file, cluster.below(_no_public_subnets(region, cluster))) for cluster in region.clusters],
    ]


def _of_new_vpc(region: Region) -> Iterator[Problem]:
    vpc, environments = region.shared.vpc, region.environments
    if isinstance(vpc, VpcConfig):
        for rule in (
            _too_few_addresses,
            _no_way_to_the_internet,
            _nat_of_production,
            _flow_logs_of_production,
            _too_many_databases,
        ):
            yield from known_problems(rule(vpc, environments))


def _too_few_addresses(vpc: VpcConfig, environments: Sequence[Environment]) -> Iterator[Problem]:
    have = sum(zone.private.num_addresses - _RESERVED_BY_AWS for zone in vpc.zones)
    need = sum(addresses_of_nodes(cluster.settings) for environment in environments for cluster in environment.clusters)
    if have < need:
        message = f"the nodes and Pods of all environments can need {need} addresses; enlarge the private subnets"
        yield Problem("vpc.zones", f"{have} private addresses", message)


def addresses_of_nodes(settings: EnvironmentSettings) -> int:
    """The number of addresses that an environment needs with all node groups at max_size and full of Pods."""
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
    """One for the node, prefixes for its Pods, and one warm prefix of vpc-cni."""
    return 1 + _ADDRESSES_OF_A_PREFIX * (math.ceil(max_pods / _ADDRESSES_OF_A_PREFIX) + 1)


def _no_way_to_the_internet(vpc: VpcConfig, environments: Sequence[Environment]) -> Iterator[Problem]:
    """Interface endpoints cannot replace NAT gateways here: Git, charts and most images are not in AWS.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/private-clusters.html
    """
    if environments and not vpc.reaches_the_internet:
        message = (
            "interface endpoints do not replace the internet: Argo CD fetches Git and charts, nodes pull images from "
            "public registries, and External DNS calls Route 53; use one, or one-per-zone or regional for production, "
            "or connect a transit gateway that leads there (connections)"
        )
        yield Problem("vpc.nat_gateways", "none", message)


def _nat_of_production(vpc: VpcConfig, environments: Sequence[Environment]) -> Iterator[Problem]:
    if vpc.nat_gateways == "one" and any(environment.settings.production for environment in environments):
        message = "production runs in this VPC and must survive the loss of a zone; use one-per-zone or regional"
        yield Problem("vpc.nat_gateways", vpc.nat_gateways, message)


def _flow_logs_of_production(vpc: VpcConfig, environments: Sequence[Environment]) -> Iterator[Problem]:
    days = vpc.flow_log_retention_days
    if days < PRODUCTION_LOG_DAYS and any(environment.settings.production for environment in environments):
        message = f"production runs in this VPC and must keep logs for a year; choose {PRODUCTION_LOG_DAYS} or more"
        yield Problem("vpc.flow_log_retention_days", days, message)


def _too_many_databases(vpc: VpcConfig, environments: Sequence[Environment]) -> Iterator[Problem]:
    """Each instance has an address, and each zone needs a spare one for failover and changes of the instance class.

    Source: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_VPC.WorkingWithRDSInstanceinaVPC.html
    """
    subnets = [zone.database for zone in vpc.zones if zone.database is not None]
    have = sum(subnet.num_addresses - _RESERVED_BY_AWS - 1 for subnet in subnets)
    need = sum(addresses_of_databases(environment.settings) for environment in environments)
    if subnets and have < need:
        message = f"the databases of all environments need {need} addresses; enlarge the database subnets"
        yield Problem("vpc.zones", f"{have} database addresses", message)


def addresses_of_databases(settings: EnvironmentSettings) -> int:
    """The number of addresses that the databases of an environment have."""
    standbys = [int(database.multi_az) for database in settings.databases]
    return sum(1 + others for others in (*standbys, *[database.readers for database in settings.aurora_databases]))


def _no_public_subnets(region: Region, environment: Environment) -> Iterator[Problem]:
    """An internet-facing load balancer is in public subnets.

    Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/userguide/how-elastic-load-balancing-works.html
    """
    vpc = region.shared.vpc
    if not isinstance(vpc, ExistingVpcConfig) or any(zone.public is not None for zone in vpc.zones):
        return
    for field, ingress in load_balancers(environment).items():
        if ingress.scheme == "internet-facing":
            message = f"no zone in {region.shared_file} has a public subnet; add them there, or use internal"
            yield Problem(f"{field}.scheme", ingress.scheme, message)
