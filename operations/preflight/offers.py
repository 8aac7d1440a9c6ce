"""Checks what a region offers: instance types in the zones, database instance classes, versions of EKS and add-ons."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from operations.clients.aws import paginate
from operations.preflight import databases
from operations.preflight.check import Check, Clients, Line
from operations.terraform.stacks import Stack

_SOON = timedelta(days=60)


def checks(stacks: Sequence[Stack], aws: Clients) -> Iterator[tuple[str, Check]]:
    """A check for each node group, database, cluster, and add-on with a version."""
    vpcs = [stack.existing_vpc for stack in stacks if stack.existing_vpc is not None]
    zones = sorted(
        {arguments["availability_zone"] for _, arguments in _all(stacks, "aws_subnet")}
        | {subnet.zone for vpc in vpcs for subnet in vpc.subnets}
    )
    for stack, group in _all(stacks, "aws_eks_node_group"):
        subject = f"node group {group['node_group_name_prefix'].removesuffix('-')} of {stack}"
        yield subject, partial(instance_types, subject, group["instance_types"], zones, aws)
    for _, database in _all(stacks, "aws_db_instance"):
        yield f"database {database['identifier']}", partial(database_class, database, aws)
        yield f"version of database {database['identifier']}", partial(databases.engine_version, database, aws)
    yield from (one for stack in stacks for one in _clusters_of_aurora(stack, aws))
    for _, cluster in _all(stacks, "aws_eks_cluster"):
        yield f"cluster {cluster['name']}", partial(cluster_version, cluster["name"], str(cluster["version"]), aws)
    yield from (one for stack in stacks for one in _addons(stack, aws))


def _clusters_of_aurora(stack: Stack, aws: Clients) -> Iterator[tuple[str, Check]]:
    """A check of the version of each cluster, and of the class of its instances, which have no version of their own."""
    clusters = {name: arguments for kind, name, arguments in stack.resources() if kind == "aws_rds_cluster"}
    for name, cluster in clusters.items():
        identifier = cluster["cluster_identifier"]
        yield f"version of database {identifier}", partial(databases.engine_version, cluster, aws)
        for kind, _, instance in stack.resources():
            if kind == "aws_rds_cluster_instance" and f"aws_rds_cluster.{name}." in instance["cluster_identifier"]:
                yield f"database {identifier}", partial(aurora_class, cluster, instance["instance_class"], aws)
                break


def _addons(stack: Stack, aws: Clients) -> Iterator[tuple[str, Check]]:
    for _, cluster in _all([stack], "aws_eks_cluster"):
        for _, addon in _all([stack], "aws_eks_addon"):
            if "addon_version" in addon:
                subject = f"add-on {addon['addon_name']} of {stack.name}"
                yield subject, partial(addon_version, subject, addon, str(cluster["version"]), aws)


def _all(stacks: Sequence[Stack], wanted: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for stack in stacks:
        for kind, _, arguments in stack.resources():
            if kind == wanted:
                yield stack.name, arguments


def instance_types(subject: str, types: Sequence[str], zones: Sequence[str], aws: Clients) -> Iterator[Line]:
    """Whether a node group's instance types are offered in every zone of the VPC or, without `zones`, in the region."""
    offers = paginate(
        aws("ec2"), "describe_instance_type_offerings", "InstanceTypeOfferings",
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": list(types)}],
    )  # fmt: skip
    offered = {(offer["InstanceType"], offer["Location"]) for offer in offers}
    nowhere = sorted({*types} - {name for name, _ in offered})
    without = [zone for zone in zones if not any((name, zone) in offered for name in types)]
    if nowhere:
        yield Line(subject, "failed", f"{', '.join(nowhere)}: not offered in this region; choose another instance type")
    elif without:
        message = f"{', '.join(types)}: not offered in {', '.join(without)}; add a type that is, or remove the zone"
        yield Line(subject, "failed", message)
    else:
        yield Line(subject, "passed", f"{', '.join(types)} offered in {', '.join(zones) or 'the region'}")


def database_class(database: dict[str, Any], aws: Clients) -> Iterator[Line]:
    """Whether a database's instance class is offered for its engine version, storage type and Multi-AZ setting."""
    subject, class_ = f"database {database['identifier']}", database["instance_class"]
    offers = paginate(
        aws("rds"), "describe_orderable_db_instance_options", "OrderableDBInstanceOptions",
        Engine=database["engine"], DBInstanceClass=class_,
    )  # fmt: skip
    version = str(database["engine_version"])
    options = [
        option
        for option in offers
        if _is_of(database["engine"], version, option)
        and option.get("StorageType") == database["storage_type"]
        and (option.get("MultiAZCapable") or not database["multi_az"])
    ]
    wanted = f"{class_} with {database['engine']} {version} and {database['storage_type']}"
    wanted += " with Multi-AZ" if database["multi_az"] else ""
    if options:
        yield Line(subject, "passed", wanted)
    else:
        yield Line(subject, "failed", f"{wanted}: not offered in this region; choose another instance class")


def _is_of(engine: str, version: str, option: Mapping[str, Any]) -> bool:
    """Whether an option is of a minor version, or of any of a major one."""
    return version in {option["EngineVersion"], databases.major(engine, option["EngineVersion"])}


def aurora_class(cluster: Mapping[str, Any], class_: str, aws: Clients) -> Iterator[Line]:
    """Whether an instance class is offered for the engine version of a cluster of Aurora."""
    offers = paginate(
        aws("rds"), "describe_orderable_db_instance_options", "OrderableDBInstanceOptions",
        Engine=cluster["engine"], DBInstanceClass=class_,
    )  # fmt: skip
    version = str(cluster["engine_version"])
    subject, wanted = f"database {cluster['cluster_identifier']}", f"{class_} with {cluster['engine']} {version}"
    if any(_is_of(cluster["engine"], version, option) for option in offers):
        yield Line(subject, "passed", wanted)
    else:
        yield Line(subject, "failed", f"{wanted}: not offered in this region; choose another instance class")


def offered_addons(addon: str, kubernetes: str, eks: Any) -> dict[str, bool]:
    """The versions of an add-on that EKS offers for a Kubernetes version, each with whether it is the default."""
    described = paginate(eks, "describe_addon_versions", "addons", addonName=addon, kubernetesVersion=kubernetes)
    return {
        entry["addonVersion"]: any(
            one["clusterVersion"] == kubernetes and one.get("defaultVersion") for one in entry["compatibilities"]
        )
        for found in described
        for entry in found["addonVersions"]
    }


def default_version(offered: Mapping[str, bool]) -> str | None:
    """The version of an add-on that EKS installs by default; None if it names none."""
    return next((version for version, is_default in offered.items() if is_default), None)


def addon_version(subject: str, addon: dict[str, Any], kubernetes: str, aws: Clients) -> Iterator[Line]:
    """Whether EKS offers the version of an add-on for the Kubernetes version of its cluster."""
    version, offered = addon["addon_version"], offered_addons(addon["addon_name"], kubernetes, aws("eks"))
    if version in offered:
        yield Line(subject, "passed", version)
    else:
        default = default_version(offered) or "one of DescribeAddonVersions"
        message = f"{version}: not offered for Kubernetes {kubernetes}; set addons.versions to {default}"
        yield Line(subject, "failed", message)


def cluster_version(name: str, version: str, aws: Clients) -> Iterator[Line]:
    """Whether EKS supports a cluster's version, and can upgrade to it from the running version. AWS gives the dates."""
    subject = f"cluster {name}"
    yield supported(subject, version, aws)
    running = _running_version(name, aws)
    if running is None or running == version:
        return
    ahead = _minor(version) - _minor(running)
    if ahead < 0:
        message = (
            f"runs {running}, but the settings say {version}: a deploy would take the control plane back; EKS upgrades "
            f'automatically when standard support ends: set version="{running}", or plan the way back with make upgrade'
        )
        yield Line(subject, "failed", message)
    elif ahead > 1:
        message = (
            f"runs {running}, but the settings say {version}: EKS upgrades one minor version at a time; "
            "choose the next minor version"
        )
        yield Line(subject, "failed", message)
    else:
        yield Line(subject, "passed", f"will be upgraded from {running} to {version}")


def supported(subject: str, version: str, aws: Clients) -> Line:
    """Whether a Kubernetes version is in standard support, and how long."""
    known = aws("eks").describe_cluster_versions(clusterVersions=[version], includeAll=True)["clusterVersions"]
    found = next((entry for entry in known if entry["clusterVersion"] == version), None)
    if found is None:
        return Line(subject, "failed", f"{version}: not offered by EKS; choose another version")
    status, end = found.get("versionStatus"), found.get("endOfStandardSupportDate")
    if status != "STANDARD_SUPPORT":
        return Line(subject, "failed", f"{version}: out of standard support; choose a newer version")
    if end is not None and end - datetime.now(UTC) < _SOON:
        message = f"{version}: standard support ends on {end:%Y-%m-%d}, then EKS upgrades automatically; upgrade before"
        return Line(subject, "warning", message)
    return Line(subject, "passed", f"{version} is in standard support")


def _running_version(name: str, aws: Clients) -> str | None:
    try:
        return str(aws("eks").describe_cluster(name=name)["cluster"]["version"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return None


def _minor(version: str) -> int:
    return int(version.split(".")[1])
