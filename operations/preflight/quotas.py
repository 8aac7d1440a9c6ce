"""Checks Service Quotas: the usage, what an apply adds, and the account's limit."""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from operations.clients.aws import paginate
from operations.preflight.check import Check, Clients, Line
from operations.preflight.state import NewResources
from operations.terraform.stacks import Stack

_NEARLY = 0.8


class _Quota(NamedTuple):
    """An AWS quota, the resource types that count against it, and a function that counts the existing resources."""

    what: str
    service: str
    code: str
    kinds: tuple[str, ...]
    in_use: Callable[[Clients], int]


def _count(aws: Clients, service: str, operation: str, member: str) -> int:
    return sum(1 for _ in paginate(aws(service), operation, member))


def _addresses(aws: Clients) -> int:
    return len(aws("ec2").describe_addresses()["Addresses"])


# Source of the codes: https://docs.aws.amazon.com/general/latest/gr/aws-service-information.html
_QUOTAS = (
    _Quota(
        "VPCs", "vpc", "L-F678F1CE", ("aws_vpc",), lambda aws: _count(aws, "ec2", "describe_vpcs", "Vpcs")
    ),
    _Quota("elastic IPs", "ec2", "L-0263D0A3", ("aws_eip",), _addresses),
    _Quota(
        "EKS clusters", "eks", "L-1194D53C", ("aws_eks_cluster",),
        lambda aws: _count(aws, "eks", "list_clusters", "clusters"),
    ),
    _Quota(
        "databases", "rds", "L-7B6409FD", ("aws_db_instance", "aws_rds_cluster_instance"),
        lambda aws: _count(aws, "rds", "describe_db_instances", "DBInstances"),
    ),
    _Quota(
        "database clusters", "rds", "L-952B80B8", ("aws_rds_cluster",),
        lambda aws: _count(aws, "rds", "describe_db_clusters", "DBClusters"),
    ),
    _Quota(
        "file systems", "elasticfilesystem", "L-848C634D", ("aws_efs_file_system",),
        lambda aws: _count(aws, "efs", "describe_file_systems", "FileSystems"),
    ),
)  # fmt: skip

_NAT_GATEWAYS = ("vpc", "L-FE5A380F")  # per Availability Zone

# By instance family: the quotas of running vCPUs, for On-Demand and for Spot instances.
_STANDARD = ("L-1216C47A", "L-34B43A08")
_VCPUS: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys("acdhimrtz", _STANDARD),
    **dict.fromkeys(("g", "gr", "vt"), ("L-DB2E81BA", "L-3819A6DF")),
    "p": ("L-417A185B", "L-7212CCBC"),
    "inf": ("L-1945791B", "L-B5D1601B"),
    "trn": ("L-2C3B7624", "L-6B0D517C"),
    "x": ("L-7295265B", "L-E3A00192"),
}
_RUNNING = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]


def checks(stacks: Sequence[Stack], new: NewResources, aws: Clients) -> Iterator[tuple[str, Check]]:
    """A check for each quota that resources of the stacks count against."""
    held = {kind for stack in stacks for kind, _, _ in stack.resources()}
    for quota in _QUOTAS:
        if not held.isdisjoint(quota.kinds):
            yield f"quota of {quota.what}", partial(_of_resources, quota, new, aws)
    if "aws_nat_gateway" in held:
        yield "quota of NAT gateways", partial(nat_gateways, stacks, new, aws)
    if "aws_eks_node_group" in held:
        yield "quota of vCPUs", partial(vcpus, new, aws)


def _of_resources(quota: _Quota, new: NewResources, aws: Clients) -> Iterator[Line]:
    added = sum(1 for kind in quota.kinds for _ in new.resources(kind))
    yield _line(aws, f"quota of {quota.what}", (quota.service, quota.code), quota.in_use(aws), added)


def nat_gateways(stacks: Sequence[Stack], new: NewResources, aws: Clients) -> Iterator[Line]:
    """NAT gateways. The quota is per Availability Zone, so the zone with the most gateways is checked.

    A regional gateway is counted in each zone in which it has an address.
    """
    subnets = {subnet["SubnetId"]: subnet["AvailabilityZone"] for subnet in aws("ec2").describe_subnets()["Subnets"]}
    gateways = [
        gateway
        for gateway in paginate(aws("ec2"), "describe_nat_gateways", "NatGateways")
        if gateway["State"] in {"available", "pending"}
    ]
    used = Counter(
        zone
        for gateway in gateways
        for zone in (
            {address.get("AvailabilityZone", "") for address in gateway["NatGatewayAddresses"]}
            if gateway.get("AvailabilityMode") == "regional"
            else {subnets.get(gateway["SubnetId"], "")}
        )
    )
    planned = {
        f"${{aws_subnet.{name}.id}}": arguments["availability_zone"]
        for stack in stacks
        for kind, name, arguments in stack.resources()
        if kind == "aws_subnet"
    }
    added = Counter(
        zone
        for _, _, arguments in new.resources("aws_nat_gateway")
        for zone in (
            {address["availability_zone"] for address in arguments["availability_zone_address"]}
            if arguments.get("availability_mode") == "regional"
            else {planned[arguments["subnet_id"]]}
        )
    )
    zone = max({*used, *added}, key=lambda zone: used[zone] + added[zone], default="any zone")
    yield _line(aws, f"quota of NAT gateways in {zone}", _NAT_GATEWAYS, used[zone], added[zone])


def vcpus(new: NewResources, aws: Clients) -> Iterator[Line]:
    """VCPUs of the instance families in the node groups, first at the desired size and then at the maximum size."""
    desired, largest = Counter[str](), Counter[str]()
    groups = [arguments for _, _, arguments in new.resources("aws_eks_node_group")]
    types = sorted({name for group in groups for name in group["instance_types"]})
    of_type = _vcpus_of_types(aws, types)
    for group in groups:
        spot = group["capacity_type"] == "SPOT"
        biggest = max(group["instance_types"], key=lambda name: of_type[name])
        code = _code(biggest, spot=spot)
        desired[code] += group["scaling_config"]["desired_size"] * of_type[biggest]
        largest[code] += group["scaling_config"]["max_size"] * of_type[biggest]
    used = _vcpus_that_run(aws) if desired else Counter[str]()
    for code in sorted(desired):
        subject = f"quota of vCPUs ({code})"
        line = _line(aws, subject, ("ec2", code), used[code], desired[code])
        if line.outcome == "passed":
            at_most = _line(aws, subject, ("ec2", code), used[code], largest[code])
            if at_most.outcome == "failed":
                line = at_most._replace(
                    outcome="warning", message=f"with all node groups at max_size: {at_most.message}"
                )
        yield line


def _code(instance_type: str, *, spot: bool) -> str:
    letters = re.match(r"[a-z]+", instance_type)
    family = letters[0] if letters else ""
    codes = _VCPUS.get(family) or _VCPUS.get(family[:1]) or _STANDARD
    return codes[1] if spot else codes[0]


def _vcpus_of_types(aws: Clients, types: Sequence[str]) -> dict[str, int]:
    if not types:
        return {}
    found = aws("ec2").describe_instance_types(InstanceTypes=list(types))["InstanceTypes"]
    return {entry["InstanceType"]: entry["VCpuInfo"]["DefaultVCpus"] for entry in found}


def _vcpus_that_run(aws: Clients) -> Counter[str]:
    used = Counter[str]()
    for reservation in paginate(aws("ec2"), "describe_instances", "Reservations", Filters=_RUNNING):
        for instance in reservation["Instances"]:
            options = instance.get("CpuOptions", {})
            code = _code(instance["InstanceType"], spot=instance.get("InstanceLifecycle") == "spot")
            used[code] += options.get("CoreCount", 1) * options.get("ThreadsPerCore", 1)
    return used


def _line(aws: Clients, subject: str, quota: tuple[str, str], used: int, added: int) -> Line:
    (service, code), need = quota, used + added
    limit = _limit(aws("service-quotas"), service, code)
    counts = f"{used} in use, {added} added, {limit} allowed"
    raised = (
        f"aws service-quotas request-service-quota-increase --service-code {service} --quota-code {code} "
        f"--desired-value {math.ceil(need / _NEARLY)}"
    )
    if need > limit:
        return Line(subject, "failed", f"{counts}; request an increase, which takes hours: {raised}")
    if added and need > _NEARLY * limit:
        return Line(subject, "warning", f"{counts}: nearly used up; request an increase in time: {raised}")
    return Line(subject, "passed", counts)


def _limit(quotas: Any, service: str, code: str) -> int:
    asked = {"ServiceCode": service, "QuotaCode": code}
    try:
        return int(quotas.get_service_quota(**asked)["Quota"]["Value"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchResourceException":
            raise
        return int(quotas.get_aws_default_service_quota(**asked)["Quota"]["Value"])
