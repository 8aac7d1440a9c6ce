"""Checks the version of deployed databases: whether RDS can upgrade them to the version of the settings."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from operations.preflight.check import Clients, Line

_RUNBOOK = "docs/runbook/databases.md"
_RECENT = timedelta(minutes=30)
_NOT_FOUND = {"DBInstanceNotFound", "DBInstanceNotFoundFault", "DBClusterNotFoundFault"}


def engine_version(database: Mapping[str, Any], aws: Clients) -> Iterator[Line]:
    """Whether a database runs the major version of the settings, or can be upgraded to it. Nothing if it is new."""
    identifier, wanted = database.get("identifier", database.get("cluster_identifier")), str(database["engine_version"])
    subject = f"version of database {identifier}"
    running = _running(database, aws)
    if running is None:
        return
    version, upgrades = running["EngineVersion"], database.get("allow_major_version_upgrade")
    old, new = (major(running["Engine"], name) for name in (version, wanted))
    differs = f"runs {version}, but the settings say {new}"
    if old == new and upgrades:
        yield Line(subject, "warning", f"runs {version}: the upgrade is done; remove major_upgrade_to, and deploy")
    elif old == new:
        yield Line(subject, "passed", f"runs {version}")
    elif _numbers(old) > _numbers(new):
        remedy = f'set engine_version="{old}", or restore a snapshot: {_RUNBOOK}'
        yield Line(subject, "failed", f"{differs}: RDS cannot lower a version; {remedy}")
    elif not upgrades:
        targets = ", ".join(_targets(running, new, aws)) or f"none, first upgrade to another version than {new}"
        remedy = f"if an upgrade is intended, set major_upgrade_to (possible: {targets}), and follow {_RUNBOOK}"
        yield Line(subject, "failed", f"{differs}; {remedy}")
    else:
        yield from _upgrade(subject, running, wanted, aws)


def _running(database: Mapping[str, Any], aws: Clients) -> dict[str, Any] | None:
    """The deployed instance, or cluster of Aurora, with the members of an instance; None if there is none."""
    try:
        if "cluster_identifier" not in database:
            (found,) = aws("rds").describe_db_instances(DBInstanceIdentifier=database["identifier"])["DBInstances"]
        else:
            (found,) = aws("rds").describe_db_clusters(DBClusterIdentifier=database["cluster_identifier"])["DBClusters"]
            found = {**found, "DBInstanceStatus": found["Status"]}
    except ClientError as error:
        if error.response["Error"]["Code"] not in _NOT_FOUND:
            raise
        return None
    return dict(found)


def _upgrade(subject: str, running: Mapping[str, Any], wanted: str, aws: Clients) -> Iterator[Line]:
    """Whether RDS can upgrade a database now, and takes a snapshot before.

    It takes one if automated backups are enabled
    (https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_UpgradeDBInstance.PostgreSQL.MajorVersion.Process.html
    and https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_UpgradeDBInstance.MySQL.Major.html).
    """
    version, status, failures = running["EngineVersion"], running["DBInstanceStatus"], []
    targets = _targets(running, major(running["Engine"], wanted), aws)
    if wanted not in targets:
        failures.append(f"RDS cannot upgrade {version} to {wanted}; possible: {', '.join(targets) or 'none'}")
    if status != "available":
        failures.append(f"its status is {status}; wait until it is available")
    restorable = running.get("LatestRestorableTime")
    if not running["BackupRetentionPeriod"]:
        failures.append(
            "without automated backups RDS takes no snapshot; set backup_retention_days, deploy, wait a day"
        )
    elif restorable is None or datetime.now(UTC) - restorable > _RECENT:
        failures.append(f"it can be restored to {restorable or 'no time'} at the latest; find out why backups are late")
    yield from (Line(subject, "failed", failure) for failure in failures)
    if waits := running.get("PendingModifiedValues"):
        message = f"the upgrade also applies what waits for the maintenance window: {', '.join(sorted(waits))}"
        yield Line(subject, "warning", message)
    if not failures:
        yield Line(subject, "passed", f"will be upgraded from {version} to {wanted}; can be restored to {restorable}")


def _targets(running: Mapping[str, Any], wanted: str, aws: Clients) -> list[str]:
    """The minor versions of a major version to which RDS can upgrade a database."""
    engine, version = running["Engine"], running["EngineVersion"]
    found = aws("rds").describe_db_engine_versions(Engine=engine, EngineVersion=version, IncludeAll=True)
    targets = [target["EngineVersion"] for known in found["DBEngineVersions"] for target in known["ValidUpgradeTarget"]]
    return [target for target in targets if major(engine, target) == wanted]


def major(engine: str, version: str) -> str:
    """The major version of a version: 17 of 17.6 of PostgreSQL, 8.4 of 8.4.7 of MySQL."""
    return ".".join(version.split(".")[: 2 if engine.endswith("mysql") else 1])


def _numbers(major_version: str) -> list[int]:
    return [int(number) for number in major_version.split(".")]
