"""EC2 instance types: architecture, vCPUs, maximum number of Pods, and the regions that offer them."""

from typing import Literal, NamedTuple

from eks_gitops import aws_data

Architecture = Literal["x86_64", "arm64"]

_PODS_OF_A_SMALL_NODE = 110
_PODS_OF_A_LARGE_NODE = 250
_LARGE_NODE_VCPUS = 30
_ADDRESSES_OF_A_PREFIX = 16
_PODS_WITH_THE_ADDRESS_OF_THE_NODE = 2  # aws-node and kube-proxy


class _InstanceType(NamedTuple):
    """A row of the data file.

    `interfaces` is the limit of the default network card, `addresses` that of IPv4 addresses per interface, and
    `regions` the set of regions that offer the type. Only types of the Nitro System have prefixes of addresses.
    """

    architecture: Architecture
    vcpus: int
    interfaces: int
    addresses: int
    has_prefixes: bool
    regions: int


def _rows() -> dict[str, list[object]]:
    rows: dict[str, list[object]] = aws_data.content()["instance_types"]
    return rows


def _details(instance_type: str) -> _InstanceType:
    return _InstanceType._make(_rows()[instance_type])


def is_known(instance_type: str) -> bool:
    """Whether AWS has the instance type in any region, and Kubernetes nodes can have its architecture."""
    return instance_type in _rows()


def architecture(instance_type: str) -> Architecture:
    """The CPU architecture of a known instance type."""
    return _details(instance_type).architecture


def vcpus(instance_type: str) -> int:
    """The number of vCPUs of a known instance type."""
    return _details(instance_type).vcpus


def offered(instance_type: str, region: str) -> bool:
    """Whether a region offers a known instance type. True if AWS does not publish the offers of the region."""
    return aws_data.offered(_details(instance_type).regions, region)


def similar(instance_type: str, needed: Architecture) -> str:
    """Known instance types of an architecture with names similar to an unknown one, of the same family if possible."""
    names = [name for name in _rows() if architecture(name) == needed]
    family = instance_type.partition(".")[0]
    return aws_data.similar(instance_type, [name for name in names if name.partition(".")[0] == family] or names)


def alternatives(instance_type: str, region: str) -> str:
    """Instance types that a region offers instead of a known one: of the same architecture, if possible also size."""
    needed = architecture(instance_type)
    names = [name for name in _rows() if architecture(name) == needed and offered(name, region)]
    size = instance_type.partition(".")[2]
    return aws_data.similar(instance_type, [name for name in names if name.partition(".")[2] == size] or names)


def max_pods(instance_type: str) -> int:
    """The maximum number of Pods that EKS recommends for a node with prefix delegation.

    It is the number of addresses that the node can have for Pods, but at most 110, or 250 for at least 30 vCPUs. EKS
    enforces that maximum for managed node groups.

    Sources: "How maxPods is determined" in https://docs.aws.amazon.com/eks/latest/userguide/choosing-instance-type.html
    and `templates/al2/runtime/max-pods-calculator.sh` in https://github.com/awslabs/amazon-eks-ami
    """
    details = _details(instance_type)
    per_address = _ADDRESSES_OF_A_PREFIX if details.has_prefixes else 1
    addresses = details.interfaces * (details.addresses - 1) * per_address + _PODS_WITH_THE_ADDRESS_OF_THE_NODE
    large = details.vcpus >= _LARGE_NODE_VCPUS
    return min(addresses, _PODS_OF_A_LARGE_NODE if large else _PODS_OF_A_SMALL_NODE)
