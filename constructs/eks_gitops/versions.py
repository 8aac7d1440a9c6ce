"""The versions of Terraform, Kubernetes, PostgreSQL, MySQL, Aurora and Helm charts that the constructs use.

The versions of Python and Node.js packages are in `Pipfile` and `package.json`. They include the provider bindings,
which determine the provider versions.
"""

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import NamedTuple

# 1.11 introduced write-only arguments, and made S3 lock files generally available.
TERRAFORM_CONSTRAINT = ">= 1.11, < 2"

# Source: https://docs.aws.amazon.com/AmazonRDS/latest/PostgreSQLReleaseNotes/postgresql-release-calendar.html
POSTGRESQL_MAJORS = {
    "16": date(2029, 2, 28),
    "17": date(2030, 2, 28),
    "18": date(2031, 2, 28),
}
"""The supported major versions, each with the date when its standard support in RDS ends.

RDS upgrades to the newest minor version automatically (auto_minor_version_upgrade).
"""

# Source: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/MySQL.Concepts.VersionMgmt.html
MYSQL_MAJORS = {
    "8.0": date(2026, 7, 31),
    "8.4": date(2029, 7, 31),
}
"""The same of MySQL, whose major versions have two numbers. 8.0 is there for existing databases, to upgrade them."""

# Source:
# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraPostgreSQLReleaseNotes/aurorapostgresql-release-calendar.html
AURORA_POSTGRESQL_MAJORS = {
    "16": date(2029, 2, 28),
    "17": date(2030, 2, 28),
    "18": date(2031, 2, 28),
}
"""The same of Aurora PostgreSQL."""

# Source: https://docs.aws.amazon.com/AmazonRDS/latest/AuroraMySQLReleaseNotes/AuroraMySQL.release-calendars.html
AURORA_MYSQL_MAJORS = {
    "8.0": date(2028, 4, 30),
    "8.4": date(2032, 4, 30),
}
"""The same of Aurora MySQL, by the version of MySQL: 8.0 is version 3 of Aurora MySQL."""


class EksSupport(NamedTuple):
    """The dates when standard and extended support of a Kubernetes version end in Amazon EKS, and their source."""

    end_of_standard_support: date
    end_of_extended_support: date
    source: str


# renovate: datasource=endoflife-date depName=amazon-eks versioning=loose
EKS_NEWEST_VERSION = "1.36"
"""The newest version of EKS. A test requires an entry for it below, with the dates of its support."""

_RELEASE_CALENDAR = "https://docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions.html"

EKS_VERSIONS = {
    "1.34": EksSupport(date(2026, 12, 2), date(2027, 12, 2), _RELEASE_CALENDAR),
    "1.35": EksSupport(date(2027, 3, 27), date(2028, 3, 27), _RELEASE_CALENDAR),
    "1.36": EksSupport(date(2027, 8, 2), date(2028, 8, 2), _RELEASE_CALENDAR),
}
"""The supported versions, oldest first, without gaps."""


class AddonSet(NamedTuple):
    """The versions of EKS add-ons for a Kubernetes version, by add-on name; when and where they were looked up."""

    versions: Mapping[str, str]
    looked_up: date
    source: str


def _addon_sets() -> dict[str, AddonSet]:
    rows = json.loads(Path(__file__).with_name("addon_versions.json").read_text(encoding="utf-8"))
    return {
        kubernetes: AddonSet(row["versions"], date.fromisoformat(row["looked_up"]), row["source"])
        for kubernetes, row in rows.items()
    }


ADDON_SETS = _addon_sets()
"""The tested add-ons by Kubernetes version, such as `1.36`. `make addon-versions` writes `addon_versions.json`.

AWS publishes the versions of some add-ons in its documentation, and those of all in its API DescribeAddonVersions only.
An add-on that is not in the set keeps the version with which EKS created it.
"""


def addon_version(addon: str, kubernetes: str) -> str | None:
    """The version of an add-on in the set of a Kubernetes version; None if the set does not have it."""
    tested = ADDON_SETS.get(kubernetes)
    return tested.versions.get(addon) if tested else None


class Chart(NamedTuple):
    """A Helm chart version, and the range (first, last) of Kubernetes versions that its application is tested with."""

    name: str
    repository: str
    version: str
    kubernetes: tuple[str, str]

    def supports(self, version: str) -> bool:
        """Whether a Kubernetes version, such as `1.36`, is in the range."""
        first, last = (_minor(bound) for bound in self.kubernetes)
        return first <= _minor(version) <= last


def _minor(version: str) -> int:
    return int(version.partition(".")[2])


# renovate: datasource=helm depName=aws-load-balancer-controller registryUrl=https://aws.github.io/eks-charts
LOAD_BALANCER_CONTROLLER_VERSION = "3.5.0"

LOAD_BALANCER_CONTROLLER_CHART = Chart(
    name="aws-load-balancer-controller",
    repository="https://aws.github.io/eks-charts",
    version=LOAD_BALANCER_CONTROLLER_VERSION,
    kubernetes=("1.22", EKS_NEWEST_VERSION),
)

# renovate: datasource=helm depName=argocd-apps registryUrl=https://argoproj.github.io/argo-helm
ARGOCD_APPS_VERSION = "2.0.5"

_ARGO_HELM = "https://argoproj.github.io/argo-helm"

# Source: https://argo-cd.readthedocs.io/en/stable/operator-manual/tested-kubernetes-versions/
ARGO_CD_CHARTS = {
    # Argo CD 3.4 and 3.5
    "10.1.3": Chart("argo-cd", _ARGO_HELM, "10.1.3", ("1.32", "1.35")),
    "10.4.1": Chart("argo-cd", _ARGO_HELM, "10.4.1", ("1.33", "1.36")),
}
"""The supported versions of the chart. Add an entry for a new one, with the Kubernetes versions it is tested with."""

ARGOCD_APPS_CHART = Chart("argocd-apps", _ARGO_HELM, ARGOCD_APPS_VERSION, ("1.22", EKS_NEWEST_VERSION))
