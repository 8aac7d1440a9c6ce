"""The versions that the emulated EKS offers, and the changes of versions that it refuses, from AWS's documentation.

EKS has more versions: here are those that the settings support. Add-ons have the versions of `addon_versions.json`.
"""

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

_ADDON_VERSIONS = Path(__file__).parents[2] / "constructs" / "eks_gitops" / "addon_versions.json"

VERSIONS = {
    "1.34": (date(2026, 12, 2), date(2027, 12, 2)),
    "1.35": (date(2027, 3, 27), date(2028, 3, 27)),
    "1.36": (date(2027, 8, 2), date(2028, 8, 2)),
}
"""The ends of standard and extended support of each Kubernetes version, oldest first.

Source: https://docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions.html
"""

ADDONS = ("aws-ebs-csi-driver", "aws-efs-csi-driver", "coredns", "eks-pod-identity-agent", "kube-proxy", "vpc-cni")
"""The add-ons that DescribeAddonVersions describes if the request names none."""

_EXAMPLE = "v1.0.0-eksbuild.1"
"""The version of an add-on for which AWS publishes no versions outside of its API."""

# https://docs.aws.amazon.com/eks/latest/userguide/rollback-cluster.html
_ROLLBACK_DAYS = timedelta(days=7)
# https://kubernetes.io/releases/version-skew-policy/#kubelet
_KUBELET_SKEW = 3


class Upgrade(NamedTuple):
    """The last upgrade of a control plane in place."""

    version: str
    """The version before it."""
    at: datetime


class Running(NamedTuple):
    """What determines the possible versions of a cluster. `nodes` are the versions of its node groups, by name."""

    version: str
    nodes: Mapping[str, str]
    support_type: str
    upgrade: Upgrade | None


class Refusal(NamedTuple):
    """An error code of EKS, and a message."""

    code: str
    message: str


def cluster_versions(today: date) -> list[dict[str, Any]]:
    """The answer of DescribeClusterVersions, newest first."""
    return [
        {
            "clusterVersion": version,
            "clusterType": "eks",
            "versionStatus": _status(version, today),
            "endOfStandardSupportDate": _timestamp(standard),
            "endOfExtendedSupportDate": _timestamp(extended),
        }
        for version, (standard, extended) in reversed(VERSIONS.items())
    ]


def _status(version: str, today: date) -> str:
    standard, extended = VERSIONS[version]
    if today <= standard:
        return "STANDARD_SUPPORT"
    return "EXTENDED_SUPPORT" if today <= extended else "UNSUPPORTED"


def _timestamp(day: date) -> float:
    return datetime.combine(day, time(), UTC).timestamp()


def addon_versions(addon: str) -> dict[str, list[str]]:
    """The Kubernetes versions that each version of an add-on is the default for."""
    found: dict[str, list[str]] = {}
    for kubernetes in VERSIONS:
        found.setdefault(default_addon_version(addon, kubernetes), []).append(kubernetes)
    return found


def default_addon_version(addon: str, kubernetes: str) -> str:
    """The version that EKS creates an add-on with if none is given."""
    version: str = _addon_sets().get(kubernetes, {}).get("versions", {}).get(addon, _EXAMPLE)
    return version


@cache
def _addon_sets() -> dict[str, Any]:
    sets: dict[str, Any] = json.loads(_ADDON_VERSIONS.read_text(encoding="utf-8"))
    return sets


def refused_creation(version: str) -> Refusal | None:
    """Why a cluster of a version cannot be created. Source: `CreateCluster` of EKS in botocore 1.43."""
    if version in VERSIONS:
        return None
    return Refusal("InvalidParameterException", f"unsupported Kubernetes version: {version}")


def refused_update(running: Running, version: str, now: datetime, *, force: bool) -> Refusal | None:
    """Why UpdateClusterVersion refuses a version.

    Sources: https://docs.aws.amazon.com/eks/latest/userguide/update-cluster.html and rollback-cluster.html, and
    `UpdateClusterVersion` and `InvalidStateException` of EKS in botocore 1.43.
    """
    if refused := refused_creation(version):
        return refused
    step = _minor(version) - _minor(running.version)
    if step == 1:
        others = {name: node for name, node in running.nodes.items() if node != running.version}
        if others:
            message = f"Nodegroups {others} must be updated to match cluster version {running.version}"
            return Refusal("InvalidParameterException", message)
    elif step != -1:
        message = f"Unsupported Kubernetes minor version update from {running.version} to {version}"
        return Refusal("InvalidParameterException", message)
    elif refused := _refused_rollback(running, version, now):
        return refused
    elif not force and _skewed(running.nodes, version):
        return Refusal("InvalidStateException", f"Rollback readiness: {_skewed(running.nodes, version)}")
    return None


def _refused_rollback(running: Running, version: str, now: datetime) -> Refusal | None:
    if running.upgrade is None or running.upgrade.version != version or now - running.upgrade.at > _ROLLBACK_DAYS:
        message = f"The cluster was not upgraded from {version} in the last {_ROLLBACK_DAYS.days} days"
        return Refusal("InvalidParameterException", message)
    if _status(version, now.date()) == "EXTENDED_SUPPORT" and running.support_type != "EXTENDED":
        message = f"{version} is in extended support: change the upgrade policy to EXTENDED first"
        return Refusal("InvalidParameterException", message)
    return None


def refused_nodes(cluster: str, version: str) -> Refusal | None:
    """Why a node group of a cluster cannot have a version: a kubelet may not be newer, nor three versions older."""
    if skewed := _skewed({"the node group": version}, cluster):
        return Refusal("InvalidParameterException", skewed)
    return None


def _skewed(nodes: Mapping[str, str], version: str) -> str:
    bad = {name: node for name, node in nodes.items() if not 0 <= _minor(version) - _minor(node) <= _KUBELET_SKEW}
    return ", ".join(f"{name} with {node} cannot join a control plane of {version}" for name, node in bad.items())


def insights(arn: str, running: Running, now: datetime) -> list[dict[str, Any]]:
    """The insights of a cluster: the version skew of its nodes after an upgrade and, if it is possible, a rollback.

    Real clusters have more: deprecated APIs, add-ons, and the health of the cluster.
    """
    major, _, minor = running.version.partition(".")
    targets = {"UPGRADE_READINESS": f"{major}.{int(minor) + 1}"}
    if running.upgrade and now - running.upgrade.at <= _ROLLBACK_DAYS:
        targets["ROLLBACK_READINESS"] = running.upgrade.version
    return [_insight(arn, category, version, running.nodes, now) for category, version in targets.items()]


def _insight(arn: str, category: str, version: str, nodes: Mapping[str, str], now: datetime) -> dict[str, Any]:
    skewed = _skewed(nodes, version)
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{arn} {category}")),
        "name": "Kubelet version skew",
        "category": category,
        "kubernetesVersion": version,
        "lastRefreshTime": now.timestamp(),
        "lastTransitionTime": now.timestamp(),
        "description": "Checks the version of the kubelet of each node.",
        "insightStatus": {"status": "ERROR" if skewed else "PASSING", "reason": skewed or "All nodes can join."},
        "recommendation": "Update the nodes.",
    }


def is_older(version: str, other: str) -> bool:
    """Whether a Kubernetes version is older than another."""
    return _minor(version) < _minor(other)


def _minor(version: str) -> int:
    return int(version.split(".")[1])
