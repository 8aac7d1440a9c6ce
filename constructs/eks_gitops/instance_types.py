"""The supported EC2 instance types and RDS instance classes, with their architecture and vCPUs.

Sizes are regular within these families, so each family is one entry. Add missing types here.
Source: https://docs.aws.amazon.com/ec2/latest/instancetypes/
"""

from typing import Literal

Architecture = Literal["x86_64", "arm64"]

_BURSTABLE = {"medium": 2, "large": 2, "xlarge": 4, "2xlarge": 8}
_X86 = {"large": 2, "xlarge": 4, "2xlarge": 8, "4xlarge": 16, "8xlarge": 32, "12xlarge": 48, "16xlarge": 64}
_ARM = {"medium": 1, **_X86}

_FAMILIES: dict[str, tuple[Architecture, dict[str, int]]] = {
    "t3": ("x86_64", _BURSTABLE),
    "t3a": ("x86_64", _BURSTABLE),
    "t4g": ("arm64", _BURSTABLE),
    **{f"{use}{generation}": ("x86_64", _X86) for use in "cmr" for generation in ("5", "6a", "6i", "7a", "7i")},
    **{f"{use}{generation}": ("arm64", _ARM) for use in "cmr" for generation in ("6g", "7g", "8g")},
}

_PODS_OF_A_SMALL_NODE = 110
_PODS_OF_A_LARGE_NODE = 250
_LARGE_NODE_VCPUS = 30


def split(instance_type: str) -> tuple[str, str]:
    """The family and size of an instance type: `("t3", "medium")` for `t3.medium`."""
    family, _, size = instance_type.partition(".")
    return family, size


def is_known(instance_type: str) -> bool:
    """Whether the instance type is supported."""
    family, size = split(instance_type)
    return family in _FAMILIES and size in _FAMILIES[family][1]


def families() -> list[str]:
    """The supported families."""
    return sorted(_FAMILIES)


def architecture(instance_type: str) -> Architecture:
    """The CPU architecture of a supported instance type."""
    return _FAMILIES[split(instance_type)[0]][0]


def vcpus(instance_type: str) -> int:
    """The number of vCPUs of a supported instance type."""
    family, size = split(instance_type)
    return _FAMILIES[family][1][size]


def max_pods(instance_type: str) -> int:
    """The maximum number of Pods that EKS recommends for a node with prefix delegation.

    With prefix delegation, IP addresses do not limit it.

    Source: https://docs.aws.amazon.com/eks/latest/userguide/cni-increase-ip-addresses.html
    """
    return _PODS_OF_A_LARGE_NODE if vcpus(instance_type) >= _LARGE_NODE_VCPUS else _PODS_OF_A_SMALL_NODE
