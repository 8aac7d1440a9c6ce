"""Rules of single values and of lists of roles and networks, from the grammars of AWS and Kubernetes.

No type accepts `${` or `%{`, which Terraform would evaluate.
"""

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network, collapse_addresses
from typing import Annotated

from pydantic import Field

from eks_gitops.config import Problem, matching

RULES_OF_A_SECURITY_GROUP = 60
"""The default quota of rules per direction of a security group.

Source: https://docs.aws.amazon.com/vpc/latest/userguide/amazon-vpc-limits.html
"""

_LARGEST_PREFIX = 8

# RFC 1918, 6598, 1122 and 3927. EKS rejects reserved addresses for its public endpoint.
# Source: https://docs.aws.amazon.com/eks/latest/userguide/config-cluster-endpoint.html
_NOT_PUBLIC = tuple(
    map(
        IPv4Network,
        ("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
         "192.168.0.0/16", "224.0.0.0/3"),
    )
)  # fmt: skip

_LABEL = r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?"
_DNS_LABEL = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"

TagValue = Annotated[
    str,
    matching(
        r"(?i)(?!aws:)(?=.*\S)[\w .:/=+@-]{1,256}",
        "not a tag value; use 1 to 256 letters, digits, spaces and _.:/=+-@, not starting with aws:",
        is_ascii=False,
    ),
]
"""The value of a tag. All services accept these characters.

Source: https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html, and `tagValueType` of
IAM in botocore 1.43.
"""

LabelKey = Annotated[
    str,
    matching(
        rf"(?=.{{1,63}}$)({_DNS_LABEL}(\.{_DNS_LABEL})*/)?{_LABEL}",
        "not a key; use 1 to 63 letters, digits and -_., optionally after a domain, such as example.com/team",
    ),
]
"""The key of a label or taint of a node group. EKS limits its length including the prefix.

Source: `IsLabelKey` of k8s.io/apimachinery v0.36.0, and `labelKey` and `taintKey` of EKS in botocore 1.43.
"""

LabelValue = Annotated[
    str,
    matching(
        rf"(?=.{{1,63}}$){_LABEL}",
        "not a label value; use 1 to 63 letters, digits and -_., starting and ending with a letter or digit",
    ),
]
"""The value of a label of a node group. EKS does not accept an empty one.

Source: `IsLabelValue` of k8s.io/apimachinery v0.36.0, and `labelValue` of EKS in botocore 1.43.
"""

TaintValue = Annotated[
    str,
    matching(
        rf"(?=.{{0,63}}$)({_LABEL})?",
        "not a taint value; use up to 63 letters, digits and -_., starting and ending with a letter or digit",
    ),
]
"""The value of a taint of a node group, which may be empty.

Source: `IsLabelValue` of k8s.io/apimachinery v0.36.0, and `taintValue` of EKS in botocore 1.43.
"""

AbsolutePath = Annotated[
    str,
    matching(
        r"(/[\w .,@+=~()-]+)+",
        "not an absolute path of one file; use letters, digits, spaces and _.,@+=~()- between slashes",
        is_ascii=False,
    ),
]
"""The absolute path of a file. Its characters need no quoting between the quotation marks of a shell."""

BackupDays = Annotated[int, Field(strict=True, ge=1, le=36_500)]
"""A retention of backups or of old versions of objects in S3, of at most 100 years.

Source: `BackupRuleInput` of AWS Backup in botocore 1.43. S3 has no smaller limit.
"""


def listed_twice(field: str, values: Sequence[object], what: str) -> Iterator[Problem]:
    """A problem for each value that occurs earlier in the same sequence."""
    for index, value in enumerate(values):
        if value in values[:index]:
            yield Problem(f"{field}[{index}]", value, f"duplicate; list each {what} once")


def named_twice(field: str, names: Sequence[str]) -> Iterator[Problem]:
    """A problem for each name that occurs earlier in the same sequence."""
    for index, name in enumerate(names):
        if name in names[:index]:
            yield Problem(f"{field}[{index}].name", name, "duplicate name; choose another name")


def roles_listed_twice(field: str, roles: Sequence[str]) -> Iterator[Problem]:
    """A problem for each role that occurs earlier, also with another path.

    The names of roles are unique in an account, and not case-sensitive.
    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """
    yield from listed_twice(field, roles, "role")
    seen: dict[tuple[str, str], str] = {}
    for index, role in enumerate(roles):
        first = seen.setdefault((account(role), role.rpartition("/")[2].lower()), role)
        if first != role:
            message = f"the same role as {first}, since its name is unique in the account; list it once, with its path"
            yield Problem(f"{field}[{index}]", role, message)


def account(arn: str) -> str:
    """The account ID in an ARN."""
    return arn.split(":")[4]


def id_of_network(cidr: IPv4Network) -> str:
    """A network as a part of a construct ID, from which CDKTF removes dots: `10-0-0-0-16`."""
    return str(cidr).replace(".", "-").replace("/", "-")


def open_to_all(cidrs: Sequence[IPv4Network]) -> Iterator[int]:
    """The indexes of 0.0.0.0/0, or of the networks that together contain all addresses."""
    if any(network.prefixlen == 0 for network in collapse_addresses(cidrs)):
        single = [index for index, cidr in enumerate(cidrs) if cidr.prefixlen == 0]
        yield from single or range(len(cidrs))


def too_large(field: str, cidrs: Sequence[IPv4Network]) -> Iterator[Problem]:
    """A problem for each network that is larger than /8, alone or with its neighbors, but not for 0.0.0.0/0."""
    for network in collapse_addresses(cidr for cidr in cidrs if cidr.prefixlen > 0):
        for index, cidr in enumerate(cidrs):
            if network.prefixlen < _LARGEST_PREFIX and cidr.prefixlen > 0 and cidr.subnet_of(network):
                together = "" if cidr == network else f"part of {network}, which is "
                message = f"{together}larger than /{_LARGEST_PREFIX}; list the networks of your office or runners"
                yield Problem(f"{field}[{index}]", cidr, message)


def not_public(field: str, cidrs: Sequence[IPv4Network]) -> Iterator[Problem]:
    """A problem for each network with addresses that the internet does not route."""
    for index, cidr in enumerate(cidrs):
        for reserved in _NOT_PUBLIC:
            if cidr.prefixlen >= _LARGEST_PREFIX and cidr.overlaps(reserved):
                message = f"overlaps {reserved}, which is not public; list addresses that are routed on the internet"
                yield Problem(f"{field}[{index}]", cidr, message)
