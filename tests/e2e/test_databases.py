"""Deployed databases over the years: minor versions by RDS, changes that wait, and another major version."""

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
_DATABASE = "ap-northeast-2-dev-bubblepool"
_ADDRESS = "aws_db_instance.database-bubblepool_instance"
_UPGRADE = ["rds:CreateDBParameterGroup", "rds:ModifyDBInstance", "rds:DeleteDBParameterGroup"]
"""The old parameter group is deleted when no instance uses it any more."""


def _set(clone: Path, old: str, new: str) -> None:
    """Change the settings of `dev`, and synthesize them."""
    settings = clone / "stacks/ap_northeast_2/dev.py"
    text = settings.read_text()
    assert text.count(old) == 1
    settings.write_text(text.replace(old, new))
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


@pytest.mark.usefixtures("region")
def test_a_database_changes_over_the_years(aws: boto3.Session, clone: Path, calls: Calls) -> None:
    rds = aws.client("rds")

    def database() -> dict[str, Any]:
        return dict(rds.describe_db_instances(DBInstanceIdentifier=_DATABASE)["DBInstances"][0])

    # RDS raises the minor version.
    rds.modify_db_instance(DBInstanceIdentifier=_DATABASE, EngineVersion="17.10", ApplyImmediately=True)
    assert _drift()["status"] == "clean"

    # Another class waits for the maintenance window.
    _set(clone, "db.t4g.medium", "db.t4g.large")
    assert _deploy() == []
    found = _drift()
    assert (found["status"], found["pending"], found["drift"]) == ("pending", [], [])
    (waits,) = found["waiting"]
    assert waits["changes"] == "instance_class db.t4g.medium -> db.t4g.large"
    assert waits["until"] == "waits for the maintenance window sun:18:30-sun:19:30 (UTC)"
    rds.modify_db_instance(DBInstanceIdentifier=_DATABASE, ApplyImmediately=True, DeletionProtection=False)
    assert database()["DBInstanceClass"] == "db.t4g.large"
    assert _drift()["status"] == "clean"

    # Another major version is refused, unless the settings permit the upgrade.
    _set(clone, 'engine_version="17"', 'engine_version="18"')
    status, _, output = _run("deploy", "--yes")
    assert status == 1
    message = f"{_DATABASE} runs another major version of PostgreSQL than 18, which the settings say."
    assert message in " ".join(output.replace("\\n", " ").split())
    assert database()["EngineVersion"] == "17.10"
    _set(clone, 'engine_version="18"', 'engine_version="18", major_upgrade_to="18.4"')
    calls.new_in_order()
    ((verdict, address, why),) = _deploy()
    assert (verdict, address) == ("for review", _ADDRESS)
    assert why.startswith("engine_version: 17 becomes 18.4: an outage")
    assert [action for action in calls.new_in_order() if action in _UPGRADE] == _UPGRADE
    upgraded = database()
    assert (upgraded["EngineVersion"], upgraded["DBInstanceClass"]) == ("18.4", "db.t4g.large")
    (group,) = upgraded["DBParameterGroups"]
    assert group["DBParameterGroupName"] == f"{_DATABASE}-postgres18"
    assert _drift()["status"] == "clean"

    # The permission is removed, and RDS raises the minor version again.
    _set(clone, ', major_upgrade_to="18.4"', "")
    assert _deploy() == []
    rds.modify_db_instance(DBInstanceIdentifier=_DATABASE, EngineVersion="18.6", ApplyImmediately=True)
    assert _drift()["status"] == "clean"


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


@pytest.mark.usefixtures("region")
def test_a_mysql_database_is_created_and_upgraded(aws: boto3.Session, clone: Path) -> None:
    rds, identifier = aws.client("rds"), "ap-northeast-2-dev-orders"

    def database() -> dict[str, Any]:
        return dict(rds.describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"][0])

    before = (clone / "stacks/ap_northeast_2/dev.py").read_text()
    _set(
        clone,
        'DatabaseConfig(\n            name="bubblepool"',
        f'{_MYSQL}DatabaseConfig(\n            name="bubblepool"',
    )
    assert _deploy() == []
    created = database()
    assert (created["Engine"], created["EngineVersion"]) == ("mysql", "8.0.42")
    assert sorted(created["EnabledCloudwatchLogsExports"]) == ["error", "slowquery"]
    rds.modify_db_instance(DBInstanceIdentifier=identifier, EngineVersion="8.0.46", ApplyImmediately=True)
    assert _drift()["status"] == "clean"

    _set(clone, 'engine_version="8.0"', 'engine_version="8.4", major_upgrade_to="8.4.10"')
    ((verdict, _, why),) = _deploy()
    assert (verdict, why.partition(":")[2][:30]) == ("for review", " 8.0 becomes 8.4.10: an outage")
    upgraded = database()
    assert upgraded["EngineVersion"] == "8.4.10"
    assert [group["DBParameterGroupName"] for group in upgraded["DBParameterGroups"]] == [f"{identifier}-mysql8-4"]
    _set(clone, ', major_upgrade_to="8.4.10"', "")
    assert _deploy() == []
    assert _drift()["status"] == "clean"

    # It is removed, as the guard asks for, so that the other tests find the settings of the repository.
    (clone / "stacks/ap_northeast_2/dev.py").write_text(before)
    synthesize(clone / "cdktf.out")
    status, report, _ = _run("deploy", "--yes")
    assert (status, report["stacks"][_STACK]["outcome"]) == (2, "refused")
    refused = [one["address"] for one in report["findings"] if one["verdict"] == "refused"]
    overrides = clone / "guard-overrides.toml"
    overrides.write_text("".join(_override(address) for address in refused))
    _deploy()
    overrides.unlink()
    rds.delete_db_snapshot(DBSnapshotIdentifier=f"{identifier}-final")
    assert _drift()["status"] == "clean"


def _override(address: str) -> str:
    return (
        f'[[override]]\nstack = "{_STACK}"\naddress = "{address}"\n'
        'who = "minji"\nwhy = "the orders are elsewhere now"\nuntil = 2999-01-01\n'
    )
