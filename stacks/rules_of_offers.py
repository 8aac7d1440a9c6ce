"""Validation rules about what AWS offers in a region."""

from collections.abc import Iterator

from eks_gitops import aws_data, instance_classes, instance_types
from eks_gitops.config import Problem
from eks_gitops.location import partition_of
from stacks.settings import EnvironmentSettings, Region, SharedSettings


def of_region(region: Region) -> list[tuple[str, Iterator[Problem]]]:
    """The files of a region, each with the problems in it."""
    return [
        (region.file, _region(region)),
        (region.shared_file, _zones(region.name, region.shared)),
        (region.shared_file, _replica_regions(region.name, region.shared)),
        (region.shared_file, _copy_of_state(region.name, region.shared)),
        (region.shared_file, _access_host(region.name, region.shared)),
        *[(cluster.file, cluster.below(_instance_types(region.name, cluster.settings))) for cluster in region.clusters],
        *[(environment.file, _databases(region.name, environment.settings)) for environment in region.environments],
    ]


def _region(region: Region) -> Iterator[Problem]:
    found = aws_data.region(region.name)
    if found is None:
        similar = aws_data.similar(region.name, aws_data.content()["regions"])
        yield Problem("REGION", region.name, f"no AWS region; choose one such as {similar}")
    elif found.partition != partition_of(region.name):
        message = f"partition {found.partition} is not supported; choose a region of aws, aws-cn or aws-us-gov"
        yield Problem("REGION", region.name, message)


def _zones(region: str, shared: SharedSettings) -> Iterator[Problem]:
    found = aws_data.region(region)
    published = found.zones if found else ()
    for index, name in enumerate(zone.name for zone in shared.vpc.zones):
        if published and name not in published:
            message = f"not an Availability Zone of {region}; choose one of {', '.join(published)}"
            yield Problem(f"vpc.zones[{index}].name", name, message)


def _replica_regions(region: str, shared: SharedSettings) -> Iterator[Problem]:
    """ECR replicates to regions of the same partition.

    Source: https://docs.aws.amazon.com/AmazonECR/latest/userguide/replication.html
    """
    for index, name in enumerate(shared.image_replica_regions):
        yield from _of_the_partition(region, f"image_replica_regions[{index}]", name)


def _copy_of_state(region: str, shared: SharedSettings) -> Iterator[Problem]:
    """A key of KMS and an ARN of S3 belong to one partition, and a copy in the same region is lost with it."""
    name = shared.state.copy_region
    if name == region:
        yield Problem("state.copy_region", name, "the region of the states themselves; choose another region")
    elif name is not None:
        yield from _of_the_partition(region, "state.copy_region", name)


def _of_the_partition(region: str, field: str, name: str) -> Iterator[Problem]:
    partition = partition_of(region)
    offered = [name for name, of in aws_data.content()["regions"].items() if of["partition"] == partition]
    if name not in offered:
        message = f"no region of the partition {partition}; choose one such as {aws_data.similar(name, offered)}"
        yield Problem(field, name, message)


def _access_host(region: str, shared: SharedSettings) -> Iterator[Problem]:
    if shared.access_host is not None:
        yield from _instance_type(region, "access_host.instance_type", shared.access_host.instance_type)


def _instance_types(region: str, settings: EnvironmentSettings) -> Iterator[Problem]:
    for number, group in enumerate(settings.node_groups):
        for index, name in enumerate(group.instance_types):
            yield from _instance_type(region, f"node_groups[{number}].instance_types[{index}]", name)


def _instance_type(region: str, field: str, name: str) -> Iterator[Problem]:
    if instance_types.is_known(name) and not instance_types.offered(name, region):
        message = f"not offered in {region}; choose one such as {instance_types.alternatives(name, region)}"
        yield Problem(field, name, message)


def _databases(region: str, settings: EnvironmentSettings) -> Iterator[Problem]:
    for field, database in settings.every_database.items():
        engine, name, version = database.engine, database.instance_class, database.engine_version
        known = name in instance_classes.of_versions(engine, [version])
        if known and not instance_classes.offered(engine, name, region):
            alternatives = instance_classes.alternatives(engine, name, version, region)
            message = f"not offered in {region}; choose one such as {alternatives}"
            yield Problem(f"{field}.instance_class", name, message)
