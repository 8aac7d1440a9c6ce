"""Context: the location, key and permissions boundary that the resources of one stack share."""

from dataclasses import dataclass

from eks_gitops.key import Key
from eks_gitops.location import Location


@dataclass(frozen=True)
class Context:
    """The location of resources, the KMS key that encrypts them, and the ARN of their roles' permissions boundary."""

    location: Location
    key: Key
    permissions_boundary: str
