"""Every version that the constructs choose, in one place.

Versions of Python and Node packages stand in `Pipfile` and `package.json`; the AWS provider's version comes with its
bindings and is repeated here because the synthesized JSON names it.
"""

from datetime import date
from typing import NamedTuple

# Write-only arguments need 1.11, the S3 lock file is generally available since.
TERRAFORM_CONSTRAINT = ">= 1.11, < 2"

# RDS takes the newest minor version of a major one by itself (auto_minor_version_upgrade).
POSTGRESQL_MAJORS = ("16", "17")


class EksSupport(NamedTuple):
    """When a Kubernetes version of Amazon EKS leaves standard, then extended support."""

    end_of_standard_support: date
    end_of_extended_support: date


# Source: https://docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions.html
# renovate: datasource=endoflife-date depName=amazon-eks versioning=loose
EKS_NEWEST_VERSION = "1.36"
"""What EKS offers; a test asks for a row of it below, with the dates of its support."""

EKS_VERSIONS = {
    "1.34": EksSupport(date(2026, 12, 2), date(2027, 12, 2)),
    "1.35": EksSupport(date(2027, 3, 27), date(2028, 3, 27)),
    "1.36": EksSupport(date(2027, 8, 2), date(2028, 8, 2)),
}
"""The versions that may be chosen: oldest first, each one minor after the one before it."""
