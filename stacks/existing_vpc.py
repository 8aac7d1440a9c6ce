"""The description of an existing VPC for `platform.json`, from which `make preflight` checks it."""

from collections.abc import Iterator

from eks_gitops.controller_tags import DISCOVERY_TAG, SUBNET_TAGS
from eks_gitops.existing_vpc import ExistingVpcConfig, tag_of
from stacks import platform
from stacks.rules_of_environments import load_balancers
from stacks.rules_of_vpc import addresses_of_databases, addresses_of_nodes
from stacks.settings import Environment, Region

_KINDS = {"internal": "private", "internet-facing": "public"}
"""The kind of the subnets of a load balancer, by its scheme."""


def describe(region: Region, environment: Environment | None = None) -> platform.ExistingVpc | None:
    """The existing VPC of a region, and what an environment needs in it; None if the platform creates the VPC."""
    vpc = region.shared.vpc
    if not isinstance(vpc, ExistingVpcConfig):
        return None
    subnets: list[platform.Subnet] = [
        {"kind": kind, "zone": zone.name, "id": None if tag_of(subnet) else subnet, "tags": dict(tag_of(subnet))}
        for zone in vpc.zones
        for kind, subnet in zone.subnets.items()
    ]
    found: platform.ExistingVpc = {
        "id": vpc.id, "cidr": str(vpc.cidr), "subnets": subnets, "addresses": {}, "tags": {},
    }  # fmt: skip
    if environment is not None:
        found["addresses"] = {
            "private": addresses_of_nodes(environment.settings),
            "database": addresses_of_databases(environment.settings),
        }
        for kind, tag, value in _tags(vpc, environment):
            found["tags"].setdefault(kind, {})[tag] = value
    return found


def _tags(vpc: ExistingVpcConfig, environment: Environment) -> Iterator[tuple[str, str, str]]:
    for ingress in load_balancers(environment).values():
        yield _KINDS[ingress.scheme], SUBNET_TAGS[ingress.scheme], "1"
    if environment.settings.karpenter is not None:
        yield "private", DISCOVERY_TAG, vpc.name
