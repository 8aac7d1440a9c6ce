"""Deployed databases over the years, on RDS and Aurora: minor versions, changes that wait, another major version."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.e2e.clone import synthesize
from tests.e2e.region import Calls
from tests.e2e.tamperings import without_hash

pytestmark = pytest.mark.e2e

_STACK = "ap-northeast-2-dev"
_DATABASE, _MYSQL_DATABASE = "ap-northeast-2-dev-bubblepool", "ap-northeast-2-dev-orders"
_CLUSTER = "ap-northeast-2-dev-ledger"
_ADDRESS, _MYSQL_ADDRESS = (f"aws_db_instance.database-{name}_instance" for name in ("bubblepool", "orders"))
_CLUSTER_ADDRESS = "aws_rds_cluster.database-ledger_cluster"
_UPGRADE = ["rds:CreateDBParameterGroup", "rds:ModifyDBInstance", "rds:DeleteDBParameterGroup"]
"""The old parameter group is deleted when no instance uses it any more."""
_CLUSTER_UPGRADE = ["rds:CreateDBClusterParameterGroup", "rds:ModifyDBCluster", "rds:DeleteDBClusterParameterGroup"]


def _set(clone: Path, *changes: tuple[str, str]) -> None:
    """Change texts in the settings of `dev`, and synthesize them."""
    settings = clone / "stacks/ap_northeast_2/dev.py"
    text = settings.read_text()
    for old, new in changes:
        assert text.count(old) == 1
        text = text.replace(old, new)
    settings.write_text(text)
    synthesize(clone / "cdktf.out")


def _run(command: str, *options: str) -> tuple[int, dict[str, Any], str]:
    """The exit status, the report and the messages of a command for the stack of `dev`."""
    finished = subprocess.run(
        [sys.executable, "-m", "operations", command, _STACK, *options, "--json"],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert finished.stdout, finished.stderr
    return finished.returncode, json.loads(finished.stdout), finished.stdout + finished.stderr


def _drift() -> dict[str, Any]:
    status, report, output = _run("drift")
    assert status == 0, output
    return dict(report["stacks"][_STACK])


def _deploy() -> list[tuple[str, str, str]]:
    """The findings of the guard: verdict, address and reason."""
    status, report, output = _run("deploy", "--yes")
    assert report["stacks"][_STACK]["outcome"] == "applied", output
    findings = [(one["verdict"], without_hash(one["address"]), one["why"]) for one in report["findings"]]
    assert status == 0, output
    return findings


_MYSQL = """DatabaseConfig(
            name="orders",
            engine="mysql",
            engine_version="8.0",
            instance_class="db.t4g.medium",
            allocated_storage_gib=20,
            max_allocated_storage_gib=50,
            multi_az=False,
            deletion_protection=False,
            backup_retention_days=3,
        ),
        """
_FIRST = 'DatabaseConfig(\n            name="bubblepool",\n'
_POSTGRESQL = f'{_FIRST}            engine_version="17",\n            instance_class="db.t4g.medium",\n'


_AURORA = """    aurora_databases=(
        {
            "name": "ledger",
            "engine_version": "17",
            "instance_class": "db.t4g.medium",
            "readers": 0,
            "deletion_protection": False,
            "backup_retention_days": 3,
        },
    ),
"""
_DATABASES = "    databases=(\n"
_AURORA_17, _AURORA_18 = '"engine_version": "17",', '"engine_version": "18",'


class _Rds:
    """What RDS knows of the databases."""

    def __init__(self, aws: boto3.Session) -> None:
        self._client = aws.client("rds")

    def database(self, identifier: str) -> dict[str, Any]:
        return dict(self._client.describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"][0])

    def cluster(self) -> dict[str, Any]:
        return dict(self._client.describe_db_clusters(DBClusterIdentifier=_CLUSTER)["DBClusters"][0])

    def instances(self) -> dict[str, bool]:
        """The instances of the cluster, each with whether it is the writer."""
        return {one["DBInstanceIdentifier"]: one["IsClusterWriter"] for one in self.cluster()["DBClusterMembers"]}

    def versions(self) -> list[str]:
        databases = [self.database(name) for name in (_DATABASE, _MYSQL_DATABASE)]
        return [one["EngineVersion"] for one in (*databases, self.cluster())]

    def change(self, identifier: str, **changes: Any) -> None:
        self._client.modify_db_instance(DBInstanceIdentifier=identifier, ApplyImmediately=True, **changes)

    def raise_minor_versions(self) -> None:
        self.change(_DATABASE, EngineVersion="17.10")
        self.change(_MYSQL_DATABASE, EngineVersion="8.0.46")
        self._client.modify_db_cluster(DBClusterIdentifier=_CLUSTER, EngineVersion="17.10", ApplyImmediately=True)


@pytest.mark.usefixtures("region")
def test_databases_change_over_the_years(aws: boto3.Session, clone: Path, calls: Calls) -> None:
    """PostgreSQL, MySQL and Aurora: each deploy changes all of them, because a deploy takes half a minute."""
    rds = _Rds(aws)
    _set(clone, (_FIRST, _MYSQL + _FIRST), (_DATABASES, _AURORA + _DATABASES))
    assert {(verdict, address) for verdict, address, _ in _deploy()} == {
        ("for review", "aws_iam_role_policy.controllers_database-users_role_database-users"),  # its master password
        ("for review", "aws_kms_key.key"),  # its logs
    }
    assert rds.versions()[1:] == ["8.0.42", "17.4"]
    created, aurora = rds.database(_MYSQL_DATABASE), rds.cluster()
    assert (created["Engine"], aurora["Engine"]) == ("mysql", "aurora-postgresql")
    assert sorted(created["EnabledCloudwatchLogsExports"]) == ["error", "slowquery"]
    assert aurora["EnabledCloudwatchLogsExports"] == ["postgresql"]
    assert ":secret:rds!cluster-" in aurora["MasterUserSecret"]["SecretArn"]
    assert rds.instances() == {f"{_CLUSTER}-1": True}

    # RDS raises the minor versions, which is no drift. Another class waits for the maintenance window, no reader.
    rds.raise_minor_versions()
    _set(clone, (_POSTGRESQL, _POSTGRESQL.replace("medium", "large")), ('"readers": 0', '"readers": 1'))
    assert _deploy() == []
    assert rds.instances() == {f"{_CLUSTER}-1": True, f"{_CLUSTER}-2": False}
    found = _drift()
    assert (found["status"], found["pending"], found["drift"]) == ("pending", [], [])
    (waits,) = found["waiting"]
    assert waits["changes"] == "instance_class db.t4g.medium -> db.t4g.large"
    assert waits["until"] == "waits for the maintenance window sun:18:30-sun:19:30 (UTC)"
    rds.change(_DATABASE, DeletionProtection=False)
    assert rds.database(_DATABASE)["DBInstanceClass"] == "db.t4g.large"

    # Another major version is refused, unless the settings permit the upgrade.
    _set(
        clone,
        ('engine_version="17"', 'engine_version="18"'),
        ('engine_version="8.0"', 'engine_version="8.4"'),
        (_AURORA_17, _AURORA_18),
    )
    status, _, output = _run("deploy", "--yes")
    assert status == 1
    words = " ".join(output.replace("\\n", " ").split())
    for name, wanted in ((_DATABASE, "PostgreSQL than 18"), (_MYSQL_DATABASE, "MySQL than 8.4"),
                         (_CLUSTER, "Aurora PostgreSQL than 18")):  # fmt: skip
        assert f"{name} runs another major version of {wanted}, which the settings say." in words
    assert rds.versions() == ["17.10", "8.0.46", "17.10"]
    permissions = [
        ('engine_version="18",', 'engine_version="18", major_upgrade_to="18.4",'),
        ('engine_version="8.4",', 'engine_version="8.4", major_upgrade_to="8.4.10",'),
        (_AURORA_18, f'{_AURORA_18} "major_upgrade_to": "18.4",'),
    ]
    _set(clone, *permissions)
    calls.new_in_order()
    assert {(verdict, address, why.partition(" outage")[0]) for verdict, address, why in _deploy()} == {
        ("for review", _ADDRESS, "engine_version: 17 becomes 18.4: an"),
        ("for review", _MYSQL_ADDRESS, "engine_version: 8.0 becomes 8.4.10: an"),
        ("for review", _CLUSTER_ADDRESS, "engine_version: 17 becomes 18.4: an"),
    }
    made = calls.new_in_order()
    of_aurora = ["rds:ModifyDBInstance"] * 2  # the next changes of its instances are applied immediately, too
    assert sorted(action for action in made if action in _UPGRADE) == sorted([*_UPGRADE, *_UPGRADE, *of_aurora])
    assert [action for action in made if action in _CLUSTER_UPGRADE] == _CLUSTER_UPGRADE
    assert rds.versions() == ["18.4", "8.4.10", "18.4"]
    assert rds.database(_DATABASE)["DBInstanceClass"] == "db.t4g.large"
    assert _groups(rds.database(_DATABASE)) == [f"{_DATABASE}-postgres18"]
    assert _groups(rds.database(_MYSQL_DATABASE)) == [f"{_MYSQL_DATABASE}-mysql8-4"]
    assert rds.cluster()["DBClusterParameterGroup"] == f"{_CLUSTER}-aurora-postgresql18"
    assert _drift()["status"] == "clean"

    # The permission is removed, and RDS raises the minor version again.
    _set(clone, *[(permission, version) for version, permission in permissions])
    assert _deploy() == []
    rds.change(_DATABASE, EngineVersion="18.6")
    assert _drift()["status"] == "clean"
    _refuses_to_destroy_aurora(clone, rds)


def _refuses_to_destroy_aurora(clone: Path, rds: _Rds) -> None:
    settings = clone / "stacks/ap_northeast_2/dev.py"
    text = settings.read_text()
    start = text.index("    aurora_databases=(\n")
    settings.write_text(text[:start] + text[text.index(_DATABASES, start) :])
    synthesize(clone / "cdktf.out")
    status, report, output = _run("deploy", "--yes")
    assert (status, report["stacks"][_STACK]["outcome"]) == (2, "refused"), output
    refused = {without_hash(one["address"]) for one in report["findings"] if one["verdict"] == "refused"}
    assert refused == {_CLUSTER_ADDRESS}
    assert rds.instances() == {f"{_CLUSTER}-1": True, f"{_CLUSTER}-2": False}
    settings.write_text(text)
    synthesize(clone / "cdktf.out")


def _groups(database: dict[str, Any]) -> list[str]:
    return [group["DBParameterGroupName"] for group in database["DBParameterGroups"]]
