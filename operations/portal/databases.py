"""The table of databases: their minor version, and the age of their backups."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from operations.clients.aws import paginate
from operations.portal.model import Cell, Since, Table, Text, Unknown
from operations.portal.sources import Row, Sources, place_of
from operations.preflight.check import Clients
from operations.terraform.stacks import Stack

Described = Mapping[str, Any]

_OLD_DAYS = 2
"""RDS makes a backup a day."""
_NO_BACKUP = Text("-", "bad")


class _Kind(NamedTuple):
    """How RDS is asked about a type of resource: its argument with the identifier, and that of RDS; operations, keys.

    `snapshot_types` are those for which snapshots are listed. Without one, RDS lists automated and manual ones.
    """

    identifier: str
    argument: str
    describe: str
    key: str
    snapshots: str = ""
    snapshots_key: str = ""
    snapshot_types: Sequence[str | None] = (None,)


_INSTANCE = _Kind(
    "identifier", "DBInstanceIdentifier", "describe_db_instances", "DBInstances", "describe_db_snapshots",
    "DBSnapshots", (None, "awsbackup"),
)  # fmt: skip
_CLUSTER = _Kind(
    "cluster_identifier", "DBClusterIdentifier", "describe_db_clusters", "DBClusters", "describe_db_cluster_snapshots",
    "DBClusterSnapshots",
)  # fmt: skip
_DATABASES = {"aws_db_instance": _INSTANCE, "aws_rds_cluster": _CLUSTER}
_DESCRIBED = {**_DATABASES, "aws_rds_cluster_instance": _INSTANCE}


def described(sources: Sources, stack: Stack) -> dict[str, Described | Unknown]:
    """What RDS says of each database and instance of an environment, by its identifier."""

    def read(kind: _Kind, name: str, clients: Clients) -> Described:
        (found,) = getattr(clients("rds"), kind.describe)(**{kind.argument: name})[kind.key]
        return dict(found)

    return {
        database[kind.identifier]: sources.aws[stack.place].read(stack, partial(read, kind, database[kind.identifier]))
        for resource, kind in _DESCRIBED.items()
        for database in stack.resources_of(resource).values()
    }


def table(sources: Sources, running: Mapping[str, Described | Unknown]) -> Table:
    """A row for each database; `running` is what RDS says of each, by its identifier."""
    columns = ["region", "environment", "database", "engine", "version", "running", "newest-minor", "last-backup",
               "restorable"]  # fmt: skip
    rows = [row for stack in sources.environments for row in _rows(sources, stack, running)]
    return Table("databases", columns, rows)


def _rows(sources: Sources, stack: Stack, running: Mapping[str, Described | Unknown]) -> Iterator[Row]:
    for resource, kind in _DATABASES.items():
        for database in stack.resources_of(resource).values():
            name = database[kind.identifier]
            found = running[name]
            yield [
                *place_of(stack), name, database["engine"], str(database["engine_version"]),
                *([found] * 4 if isinstance(found, Unknown) else _running(sources, stack, kind, found)),
            ]  # fmt: skip


def _running(sources: Sources, stack: Stack, kind: _Kind, database: Described) -> list[Cell]:
    aws, engine, version = sources.aws[stack.place], database["Engine"], database["EngineVersion"]

    def newest(clients: Clients) -> str:
        known = clients("rds").describe_db_engine_versions(Engine=engine, EngineVersion=version, IncludeAll=True)
        targets = [target for one in known["DBEngineVersions"] for target in one.get("ValidUpgradeTarget", [])]
        minors = [one["EngineVersion"] for one in targets if not one["IsMajorVersionUpgrade"]]
        return str(max([version, *minors], key=_numbers))

    def last_backup(clients: Clients) -> Cell:
        chosen = {kind.argument: database[kind.argument]}
        times = [
            one["SnapshotCreateTime"]
            for type_ in kind.snapshot_types
            for one in paginate(
                clients("rds"), kind.snapshots, kind.snapshots_key, **chosen,
                **({"SnapshotType": type_} if type_ is not None else {}),
            )
            if one["Status"] == "available"
        ]  # fmt: skip
        return Since(max(times), _OLD_DAYS) if times else _NO_BACKUP

    target = aws.read(stack, newest)
    shown = target if isinstance(target, Unknown) else Text(target, "warn" if target != version else "good")
    at = database.get("LatestRestorableTime")
    return [version, shown, aws.read(stack, last_backup), Since(at, _OLD_DAYS) if at else _NO_BACKUP]


def _numbers(version: str) -> list[int]:
    """The numbers of a version such as `17.6` or, of Aurora MySQL, `8.0.mysql_aurora.3.10.1`."""
    return [int(part) for part in version.split(".") if part.isdigit()]
