"""Warnings about the settings, which never fail the synth."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from ipaddress import IPv4Network
from pathlib import Path

from eks_gitops.config import Problem
from eks_gitops.engines import ENGINES
from eks_gitops.location import partition_of
from eks_gitops.values import account
from eks_gitops.versions import EKS_VERSIONS
from eks_gitops.vpc import VpcConfig
from stacks import files_of_environments
from stacks.names import stack_name
from stacks.rules_of_environments import is_private, load_balancers
from stacks.settings import Environment, EnvironmentSettings, Finding, Owner, Region, SharedSettings

_ROOT = Path(__file__).parent.parent
_FILE_IN_GIT = "management/monitoring/manifests/alerts/kustomization.yaml"
"""The only file of Argo CD with a placeholder of the owner."""
_CODE_OWNERS = ".github/CODEOWNERS"

_WARNING = timedelta(days=90)

_COUNTRY = 2  # letters
_CATEGORIES = {"ac", "co", "com", "edu", "go", "gov", "ne", "net", "or", "org"}

# Source: https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html
_NETWORK_OF_DOCKER = IPv4Network("172.17.0.0/16")


def found(owner: Owner, regions: Sequence[Region], today: date) -> Iterator[tuple[str, str]]:
    """The name of a stack and the text of each warning.

    Warns about remaining placeholders, about versions of Kubernetes and databases whose standard support ends within
    90 days or has ended, about upgrades of databases, about environments with `teardown`, about administrators of
    another account, about a VPC that Docker can conflict with, about a domain that is no subdomain, about names of
    databases that RDS may reject, about what AWS may not offer in the region, about combinations that run, but seldom
    as intended, and about environments without their files in the rest of the repository. None of these is an error:
    the result of a synth does not depend on the date, and the others can be intended.
    """
    remaining = [*placeholders(owner, regions), *_placeholders_in_git()]
    if remaining:
        explanation = "placeholders remain in the settings; replace them before you deploy to a real account:"
        yield stack_name(regions[0].name, "backend"), "\n  ".join([explanation, *remaining])
    for region_name, name, warning in files_of_environments.missing(_ROOT, regions):
        yield stack_name(region_name, name), warning
    for region in [one for every in regions for one in every.accounts]:
        for problem in (*_of_shared(region.shared), *_of_offers(region)):
            # Of the domain, which all accounts have from the region, only once.
            if not (region.account and problem.field.startswith("dns.")):
                finding = Finding(region.shared_file, problem.below(region.path))
                yield stack_name(region.name, "shared", region.account), str(finding)
        for cluster in region.clusters:
            for problem in (*_of_environment(cluster.settings, today), *_of_combinations(region, cluster)):
                finding = Finding(cluster.file, problem.below(cluster.path))
                yield stack_name(region.name, cluster.name, cluster.cluster), str(finding)


def placeholders(owner: Owner, regions: Sequence[Region]) -> Iterator[str]:
    """The values of the settings that have not been replaced yet, each with its file and field."""
    yield from _placeholders_of_owner(owner)
    for region in regions:
        yield from _placeholders_of_region(region)


def _of_environment(settings: EnvironmentSettings, today: date) -> Iterator[Problem]:
    version = settings.cluster.version
    support = _end_of_support(EKS_VERSIONS[version].end_of_standard_support, today)
    if support:
        message = f"{support}, then EKS upgrades the cluster automatically; upgrade it yourself"
        yield Problem("cluster.version", version, message)
    for field, database in settings.every_database.items():
        support = _end_of_support(ENGINES[database.engine].majors[database.engine_version], today)
        if support:
            message = f"{support}, then RDS charges for Extended Support; upgrade the database"
            yield Problem(f"{field}.engine_version", database.engine_version, message)
        if database.major_upgrade_to is not None:
            message = (
                f"permits the upgrade to {database.engine_version}, and applies every change immediately; "
                "remove it after the deploy"
            )
            yield Problem(f"{field}.major_upgrade_to", database.major_upgrade_to, message)
    if settings.teardown:
        yield Problem("teardown", True, "environment is not protected; set it to False unless you destroy it now")
    for field, database in settings.every_database.items():
        engine = ENGINES[database.engine]
        if database.name in engine.keywords:
            message = f"a keyword of {engine.title}, which RDS may reject; choose another name for a new database"
            yield Problem(f"{field}.name", database.name, message)
    yield from _of_another_account("cluster.administrators", settings.cluster.administrators, settings.account_id)


def _of_shared(settings: SharedSettings) -> Iterator[Problem]:
    if settings.vpc.cidr.overlaps(_NETWORK_OF_DOCKER):
        message = f"contains addresses of {_NETWORK_OF_DOCKER}, which Docker and some AWS services use; choose another"
        yield Problem("vpc.cidr", settings.vpc.cidr, message)
    if settings.dns.hosted_zone_id is None and _is_registrable(settings.dns.domain):
        message = (
            "not a subdomain: whoever points it to the new zone's name servers loses its mail and web; "
            f"use one such as platform.{settings.dns.domain}, or set hosted_zone_id to its existing zone"
        )
        yield Problem("dns.domain", settings.dns.domain, message)
    yield from _of_another_account("cluster_administrators", settings.cluster_administrators, settings.account_id)


def _of_offers(region: Region) -> Iterator[Problem]:
    """Regional NAT gateways, which AWS announced on 2025-11-19 for all regions but those of GovCloud and China."""
    vpc = region.shared.vpc
    if isinstance(vpc, VpcConfig) and vpc.nat_gateways == "regional" and partition_of(region.name) != "aws":
        message = f"announced without GovCloud and China; make sure that {region.name} offers it, or use one-per-zone"
        yield Problem("vpc.nat_gateways", vpc.nat_gateways, message)


def _is_registrable(domain: str) -> bool:
    """Whether a domain looks like one that a registrar sells: two labels, or three as in example.co.kr.

    Of the registries with a second level, only the most common ones are recognized: a category below a country.
    Source: https://publicsuffix.org/list/
    """
    labels = domain.split(".")
    below_category = len(labels[-1]) == _COUNTRY and labels[-2] in _CATEGORIES
    return len(labels) == (3 if below_category else 2)


def _of_another_account(field: str, roles: Sequence[str], account_id: str) -> Iterator[Problem]:
    for index, role in enumerate(roles):
        if account(role) != account_id:
            message = f"a role of account {account(role)}, not of {account_id}; make sure that you trust it"
            yield Problem(f"{field}[{index}]", role, message)


def _end_of_support(end: date, today: date) -> str | None:
    verb = "ends" if end >= today else "ended"
    return f"standard support {verb} on {end}" if end - today <= _WARNING else None


def _of_combinations(region: Region, environment: Environment) -> Iterator[Problem]:
    settings, argo_cd = environment.settings, environment.settings.gitops.argo_cd
    if settings.teardown:
        if settings.cluster.deletion_protection:
            message = "teardown is set, but this cluster stops the destroy; set it to False as well"
            yield Problem("cluster.deletion_protection", True, message)
        for field, database in settings.every_database.items():
            if database.deletion_protection:
                message = "teardown is set, but this database stops the destroy; set it to False as well"
                yield Problem(f"{field}.deletion_protection", True, message)
    if settings.production and argo_cd.availability == "single-node":
        message = "Argo CD of production stops while its node is replaced; use high-availability"
        yield Problem("gitops.argo_cd.availability", argo_cd.availability, message)
    groups = settings.open_node_groups
    if settings.production and groups and all(group.capacity_type == "SPOT" for group in groups):
        message = "AWS can reclaim all nodes of production at once; add a group with ON_DEMAND and without taints"
        yield Problem("node_groups", "SPOT only", message)
    yield from _images_for_arm(settings)
    yield from _services_of_a_connected_network(region, settings)
    keys = {"shared": region.shared.key_arn, **{one.name: one.settings.key_arn for one in region.environments}}
    same = [name for name, arn in keys.items() if arn and arn == settings.key_arn and name != environment.name]
    for name in same if not environment.cluster else ():
        message = f"also the key of {name}: roles of both can decrypt what it encrypts in the other; use one for each"
        yield Problem("key_arn", settings.key_arn, message)
    for field, ingress in load_balancers(environment).items():
        own, cidrs = region.shared.vpc.cidrs, ingress.allowed_cidrs
        # A network that contains all addresses overlaps the VPC, too.
        if ingress.scheme == "internal" and not any(
            is_private(cidr) or any(cidr.overlaps(vpc) for vpc in own) for cidr in cidrs
        ):
            message = (
                f"neither in the VPC ({', '.join(map(str, own))}) nor private networks, but this load balancer is "
                "internal; add the networks that are connected to the VPC, or set scheme to internet-facing"
            )
            yield Problem(f"{field}.allowed_cidrs", ", ".join(map(str, cidrs)), message)


def _services_of_a_connected_network(region: Region, settings: EnvironmentSettings) -> Iterator[Problem]:
    services, vpc = settings.cluster.service_ipv4_cidr, region.shared.vpc
    for connection in vpc.connections if isinstance(vpc, VpcConfig) else ():
        for network in connection.cidrs:
            if services is not None and network.prefixlen > 0 and network.overlaps(services):
                message = f"overlaps {network} behind {connection.id}: Pods do not reach these addresses there"
                yield Problem("cluster.service_ipv4_cidr", services, f"{message}; choose another network")


def _images_for_arm(settings: EnvironmentSettings) -> Iterator[Problem]:
    message = (
        "build-service builds images for linux/amd64 unless its input platforms names linux/arm64, too; "
        "set it in the workflow of each service, or use "
    )
    for index, group in enumerate(settings.node_groups):
        if group in settings.open_node_groups and "ARM_64" in group.ami_type:
            yield Problem(f"node_groups[{index}].ami_type", group.ami_type, f"{message}an AMI type for x86_64")
    if settings.karpenter is not None and "arm64" in settings.karpenter.architectures:
        yield Problem("karpenter.architectures", settings.karpenter.architectures, f"{message}amd64 only")


_PLACEHOLDERS = {
    "organisation": "your-org",
    "account_id": "123456789012",
    "domain": "platform.your-domain.com",
    "administrator_role_arn": "arn:aws:iam::123456789012:role/your-admin-role",
    "cost_center": "your-cost-center",
}
_LAST_PLACEHOLDER_ID = 9  # GitHub assigned its first IDs in 2007


def _placeholders_of_owner(owner: Owner) -> Iterator[str]:
    for field, value in _PLACEHOLDERS.items():
        if getattr(owner, field) == value:
            yield f"stacks/owner.py: {field}: {value!r}"
    for field, number in (("owner_id", owner.repository.owner_id), ("id", owner.repository.id)):
        if number <= _LAST_PLACEHOLDER_ID:
            yield f"stacks/owner.py: repository.{field}: {number}"


def _placeholders_in_git() -> Iterator[str]:
    """The placeholders of the owner in files that Argo CD or GitHub read, and that no setting reaches."""
    for number, line in enumerate(_read(_FILE_IN_GIT).splitlines(), start=1):
        if _PLACEHOLDERS["organisation"] in line:
            yield f"{_FILE_IN_GIT}:{number}: {line.strip(' -')}"
    owner = f"@{_PLACEHOLDERS['organisation']}/"
    if owner in _read(_CODE_OWNERS):
        yield f"{_CODE_OWNERS}: {owner}"


def _read(name: str) -> str:
    file = _ROOT / name
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def _placeholders_of_region(region: Region) -> Iterator[str]:
    for index, repository in enumerate(region.shared.image_repositories):
        if repository.pushed_by.id <= _LAST_PLACEHOLDER_ID:
            yield f"{region.shared_file}: image_repositories[{index}].pushed_by.id: {repository.pushed_by.id}"
