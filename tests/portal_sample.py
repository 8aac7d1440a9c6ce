"""A portal of the example with everything known: AWS, Argo CD, reports and a Git history that a test makes up."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from operations.delivery.images import Image, Overlay
from operations.portal import argo_cd, exceptions, portal
from operations.portal.aws import Aws
from operations.portal.model import Portal
from operations.portal.reports import read_reports
from operations.portal.sources import Sources
from operations.terraform.stacks import Platform
from tests import ROOT

NOW = datetime(2026, 11, 30, 18, 40, tzinfo=UTC)
HOSTILE = "</script><b>not bold</b>"

_GUARD = f"""
[[override]]
stack = "ap-northeast-2-dev"
address = "aws_efs_file_system.file-system_8B7C1A2F"
who = "minji"
why = "moved to its own account {HOSTILE}"
until = 2026-12-15
"""
_DRIFT = """
[[ignored]]
stack = "ap-northeast-2-prod"
finding = "aws_db_instance.database-guestbook_instance_5A6B7C8D"
attributes = ["engine_version"]
who = "junho"
why = "RDS upgraded the minor version; the settings follow with the next change"
until = 2026-11-20
"""
_ADDONS = {
    "aws-ebs-csi-driver": ("v1.60.0-eksbuild.1", "v1.62.1-eksbuild.1"),
    "coredns": ("v1.14.3-eksbuild.3", "v1.14.3-eksbuild.3"),
    "kube-proxy": ("v1.36.0-eksbuild.14", "v1.36.0-eksbuild.14"),
    "vpc-cni": ("v1.22.0-eksbuild.1", "v1.22.2-eksbuild.1"),
}
_NIGHT = NOW - timedelta(hours=9)


class _Client:
    """A client of AWS that answers every call of an operation by a function of its arguments."""

    def __init__(self, answers: dict[str, Callable[..., dict[str, Any]]]) -> None:
        self._answers = answers

    def __getattr__(self, operation: str) -> Callable[..., dict[str, Any]]:
        return self._answers[operation]

    def get_paginator(self, operation: str) -> Any:
        return mock.Mock(paginate=lambda **arguments: [self._answers[operation](**arguments)])


def _eks() -> _Client:
    def cluster(name: str) -> dict[str, Any]:
        version = "1.35" if name.endswith("prod") else "1.36"
        return {"cluster": {"version": version, "endpoint": f"https://{name}.eks.amazonaws.com"}}

    def group(clusterName: str, nodegroupName: str) -> dict[str, Any]:  # noqa: N803 (names of AWS)
        version = cluster(clusterName)["cluster"]["version"]
        issue = {
            "code": "AsgInstanceLaunchFailures",
            "message": "You have requested more vCPUs than your limit",
        }
        health = {"issues": [issue] if clusterName.endswith("staging") else []}
        release = f"{version}.2-20261112"
        found = {"version": version, "releaseVersion": release, "status": "ACTIVE", "health": health}
        return {"nodegroup": {"nodegroupName": nodegroupName, **found}}

    def addon(clusterName: str, addonName: str) -> dict[str, Any]:  # noqa: N803
        old, new = _ADDONS[addonName]
        return {"addon": {"addonVersion": old if clusterName.endswith("prod") else new}}

    def offered(addonName: str, kubernetesVersion: str) -> dict[str, Any]:  # noqa: N803
        compatible = [{"clusterVersion": kubernetesVersion, "defaultVersion": True}]
        return {"addons": [{"addonVersions": [
            {"addonVersion": version, "compatibilities": compatible} for version in _ADDONS[addonName]
        ]}]}  # fmt: skip

    return _Client({
        "describe_cluster": cluster,
        "list_addons": lambda **_: {"addons": list(_ADDONS)},
        "describe_addon": addon,
        "describe_addon_versions": offered,
        "list_nodegroups": lambda **_: {"nodegroups": ["main-20261001120000000100000001"]},
        "describe_nodegroup": group,
    })  # fmt: skip


def _rds() -> _Client:
    def database(DBInstanceIdentifier: str) -> dict[str, Any]:  # noqa: N803
        found = {
            "DBInstanceIdentifier": DBInstanceIdentifier,
            "Engine": "postgres",
            "EngineVersion": "17.6" if "prod" in DBInstanceIdentifier else "17.7",
            "LatestRestorableTime": NOW - timedelta(minutes=6),
            "CertificateDetails": {"CAIdentifier": "rds-ca-rsa2048-g1", "ValidTill": datetime(2027, 11, 2, tzinfo=UTC)},
        }
        return {"DBInstances": [found]}

    def versions(EngineVersion: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        newer = [{"EngineVersion": "17.7", "IsMajorVersionUpgrade": False}] if EngineVersion == "17.6" else []
        return {"DBEngineVersions": [
            {"ValidUpgradeTarget": [*newer, {"EngineVersion": "18.1", "IsMajorVersionUpgrade": True}]}
        ]}  # fmt: skip

    def snapshots(DBInstanceIdentifier: str, SnapshotType: str = "") -> dict[str, Any]:  # noqa: N803
        age = timedelta(days=4) if DBInstanceIdentifier.endswith("guestbook") else timedelta(hours=14)
        made = [{"Status": "available", "SnapshotCreateTime": NOW - age}] if not SnapshotType else []
        return {"DBSnapshots": made}

    return _Client({
        "describe_db_instances": database,
        "describe_db_engine_versions": versions,
        "describe_db_snapshots": snapshots,
    })  # fmt: skip


def _acm() -> _Client:
    domains = {"dev": 310, "staging": 41, "prod": 220}
    certificates = [
        {
            "DomainName": f"{name}.platform.your-domain.com",
            "NotAfter": NOW + timedelta(days=left),
            "RenewalEligibility": "INELIGIBLE" if name == "staging" else "ELIGIBLE",
        }
        for name, left in domains.items()
    ]
    return _Client({"list_certificates": lambda: {"CertificateSummaryList": certificates}})


def _kms() -> _Client:
    return _Client({"describe_key": lambda **_: {"KeyMetadata": {"KeyState": "Enabled"}}})


def _s3() -> _Client:
    def states(Prefix: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        at = NOW - timedelta(days=30 if "shared" in Prefix or "backend" in Prefix else 2, hours=len(Prefix))
        return {"Contents": [{"Key": Prefix, "LastModified": at}]}

    return _Client({"list_objects_v2": states})


def _kubectl(*arguments: str) -> str:
    """Contexts for all clusters, and an Application for each service and environment."""
    if "view" in arguments:
        names = [f"gitops-cluster-{name}" for name in ("dev", "staging", "prod")]
        return json.dumps({
            "clusters": [{"name": name, "cluster": {"server": f"https://{name}.eks.amazonaws.com"}} for name in names],
            "contexts": [{"name": name, "context": {"cluster": name}} for name in names],
        })  # fmt: skip
    environment = arguments[0].rpartition("-")[2]
    states = {"guestbook-prod": ("OutOfSync", "Healthy"), "bubblepool-staging": ("Synced", "Degraded")}
    names = [f"{service}-{environment}" for service in ("bubblepool", "guestbook", "hello")]
    found = {name: states.get(name, ("Synced", "Healthy")) for name in names}
    return json.dumps({"items": [
        {"metadata": {"name": name}, "status": {"sync": {"status": sync}, "health": {"status": health}}}
        for name, (sync, health) in found.items()
    ]})  # fmt: skip


def repository(folder: Path) -> Path:
    """A repository with the services of this one, of which newer images are in dev than in staging and prod."""
    root = folder / "repository"
    shutil.copytree(ROOT / "service", root / "service")
    shutil.copytree(ROOT / "operations/cost/prices", root / "operations/cost/prices")
    shutil.copy(ROOT / "scanner-exceptions.toml", root)
    (root / "guard-overrides.toml").write_text(_GUARD)
    (root / "drift-ignored.toml").write_text(_DRIFT)
    git(root, "init", "--quiet", "--initial-branch=main")
    delivered = (
        (40, "bubblepool", "dev", 1), (39, "bubblepool", "staging", 1), (38, "bubblepool", "prod", 1),
        (30, "guestbook", "dev", 2), (29, "guestbook", "staging", 2), (25, "guestbook", "prod", 2),
        (9, "bubblepool", "dev", 3), (5, "bubblepool", "dev", 4), (4, "bubblepool", "staging", 3),
        (3, "bubblepool", "dev", 5), (2, "hello", "dev", 6),
    )  # fmt: skip
    for days_ago, service, environment, number in delivered:
        deliver(root, service, environment, number, NOW - timedelta(days=days_ago))
    return root


def deliver(root: Path, service: str, environment: str, number: int, at: datetime) -> None:
    """Commit an image of a service, which is made of a number."""
    digits = f"{number:x}c0ffee"
    image = Image((digits * 40)[:40], f"sha256:{(digits * 64)[:64]}")
    Overlay(root, service, environment).set_image(image)
    git(root, "add", "--all")
    git(root, "commit", "--quiet", f"--message=Run {image.tag[:12]} of {service} in {environment}", at=at)


def git(root: Path, *arguments: str, at: datetime = NOW) -> None:
    """Run Git as somebody, at a time."""
    who = {"NAME": "minji", "EMAIL": "minji@example.com", "DATE": at.isoformat()}
    variables = {f"GIT_{role}_{name}": value for role in ("AUTHOR", "COMMITTER") for name, value in who.items()}
    environment = {**os.environ, **variables, "GIT_CONFIG_GLOBAL": os.devnull}
    subprocess.run(["git", *arguments], cwd=root, env=environment, check=True, capture_output=True)


def reports(folder: Path, stacks: list[str]) -> Path:
    """Reports of the last night: drift in staging, and a change of prod that is not applied yet."""
    clean: dict[str, Any] = {"status": "clean", "drift": [], "ignored": [], "pending": [], "waiting": [], "errors": []}
    found = {name: dict(clean) for name in stacks}
    changed = {"kind": "changed", "name": "aws_eks_cluster.cluster_A4C38409", "attributes": ["tags"]}
    found["ap-northeast-2-staging"] |= {
        "status": "drift",
        "drift": [{**changed, "details": [f'tags: .Owner "platform" -> "{HOSTILE}"']}],
    }
    found["ap-northeast-2-prod"] |= {
        "status": "pending",
        "pending": [
            "update aws_eks_cluster.cluster_A4C38409",
            "update aws_eks_node_group.node-group-main_node-group_BA8582CF",
        ],
    }
    total = {name: {"total": "1,100.00"} for name in stacks}
    contents: dict[str, dict[str, Any]] = {
        "drift": {"stacks": found, "notes": []},
        "preflight": {"checks": [
            {"subject": "ap-northeast-2: quotas", "outcome": "warning", "message": "59 of 64 vCPUs are used"},
            {"subject": "settings", "outcome": "passed", "message": "no placeholders remain"},
        ]},
        "cost": {
            "base": "origin/main", "currency": "USD", "stacks": total,
            "base_stacks": total | {"ap-northeast-2-prod": {"total": "1,056.93"}},
        },
        "plan": {"stacks": {"ap-northeast-2-dev": {"plan": "no changes", "hash": ""}}, "changes": {}, "errors": []},
    }  # fmt: skip
    folder = folder / "reports"
    folder.mkdir()
    for name, content in contents.items():
        file = folder / f"{name}.json"
        file.write_text(json.dumps(content))
        os.utime(file, (_NIGHT.timestamp(), _NIGHT.timestamp() - (name == "plan")))
    return folder


def portal_of(platform: Platform, folder: Path) -> Portal:
    """The portal of the synthesized example, with what this module makes up."""
    clients = {"eks": _eks(), "rds": _rds(), "acm": _acm(), "kms": _kms(), "s3": _s3()}
    aws: Any = clients.__getitem__
    root = repository(folder)
    sources = Sources(
        platform=platform,
        root=root,
        reports=read_reports(reports(folder, [stack.name for stack in platform.stacks])),
        aws={stack.place: Aws(aws) for stack in platform.stacks},
        argo_cd={},
        today=NOW.date(),
    )
    with mock.patch.object(argo_cd, "kubectl", _kubectl):
        return portal.collected(sources, exceptions.table(root), NOW)
