"""Changes of databases that were applied, but wait for the maintenance window.

RDS keeps its old values until then, so that Terraform plans the same change again.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from operations.terraform.plans import Change, Plan
from operations.terraform.stacks import Stack

_ARGUMENTS: Mapping[str, str] = {
    "AllocatedStorage": "allocated_storage",
    "BackupRetentionPeriod": "backup_retention_period",
    "CACertificateIdentifier": "ca_cert_identifier",
    "DBInstanceClass": "instance_class",
    "EngineVersion": "engine_version",
    "IAMDatabaseAuthenticationEnabled": "iam_database_authentication_enabled",
    "Iops": "iops",
    "MultiAZ": "multi_az",
    "StorageThroughput": "storage_throughput",
    "StorageType": "storage_type",
}
"""The arguments of Terraform, by the member of RDS's `PendingModifiedValues`."""

_KINDS = ("aws_db_instance", "aws_rds_cluster", "aws_rds_cluster_instance")


class Waiting(NamedTuple):
    """The changes of one database that wait, and when RDS applies them. `is_all`: no others are planned for it."""

    address: str
    changes: str
    until: str
    is_all: bool


def waiting(plan: Plan, stack: Stack) -> Iterator[Waiting]:
    """The planned changes of databases that wait already. AWS is called only if the plan changes a database."""
    changes = [change for change in plan.changes if change.kind in _KINDS and change.action == "update"]
    rds: Any = stack.aws_session().client("rds") if changes else None
    for change in changes:
        before, after = change.before or {}, change.after or {}
        if change.kind == "aws_rds_cluster":
            described = rds.describe_db_clusters(DBClusterIdentifier=before["cluster_identifier"])["DBClusters"]
        else:
            described = rds.describe_db_instances(DBInstanceIdentifier=before["identifier"])["DBInstances"]
        (database,) = described
        names = list(_waiting(change, database.get("PendingModifiedValues", {})))
        if names:
            text = "; ".join(f"{name} {before.get(name)} -> {after.get(name)}" for name in names)
            until = f"waits for the maintenance window {database['PreferredMaintenanceWindow']} (UTC)"
            yield Waiting(change.address, text, until, is_all=set(change.changed) <= set(names))


def _waiting(change: Change, values: Mapping[str, Any]) -> Iterator[str]:
    """The changed arguments whose new value RDS will set. RDS rounds storage up to 10 % above the present size."""
    for member, value in values.items():
        name = _ARGUMENTS.get(member, "")
        wanted = (change.after or {}).get(name)
        if name in change.changed and (value == wanted or (name == "allocated_storage" and value >= wanted)):
            yield name
