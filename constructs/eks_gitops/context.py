"""Context: what the resources of one stack share."""

from dataclasses import dataclass

from eks_gitops.key import Key
from eks_gitops.location import Location


@dataclass(frozen=True)
class Context:
    """Where resources live, the KMS key that encrypts them, and the ARN of the boundary that limits their roles."""

    location: Location
    key: Key
    permissions_boundary: str
