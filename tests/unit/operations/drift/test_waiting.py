"""Telling changes that wait for the maintenance window of RDS from those that were not applied yet."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from operations.drift import drift
from operations.drift.waiting import Waiting, waiting
from operations.output.progress import Progress
from operations.terraform.plans import Plan
from operations.terraform.runner import Terraform
from operations.terraform.stacks import Stack
from tests.stacks import make_stack

_WINDOW = "waits for the maintenance window sun:18:30-sun:19:30 (UTC)"
_OLD = {"identifier": "shop", "instance_class": "db.t4g.medium", "allocated_storage": 20, "multi_az": False}


def _plan(action: str = "update", **new: Any) -> Plan:
    change = {"actions": [action], "before": _OLD, "after": _OLD | new}
    return Plan(
        "dev", {"resource_changes": [{"address": "aws_db_instance.db", "type": "aws_db_instance", "change": change}]}
    )


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return make_stack(directory=tmp_path, name="dev")


@pytest.fixture
def rds(aws: boto3.Session) -> Iterator[Any]:
    client = aws.client("rds")
    client.create_db_instance(
        DBInstanceIdentifier="shop", DBInstanceClass="db.t4g.medium", Engine="postgres", MasterUsername="someone",
        MasterUserPassword="a-password", AllocatedStorage=20, PreferredMaintenanceWindow="sun:18:30-sun:19:30",
    )  # fmt: skip
    yield client
    client.delete_db_instance(DBInstanceIdentifier="shop", SkipFinalSnapshot=True)


def test_an_applied_change_waits_until_the_maintenance_window(rds: Any, stack: Stack) -> None:
    plan = _plan(instance_class="db.t4g.large", multi_az=True)
    assert list(waiting(plan, stack)) == []
    rds.modify_db_instance(DBInstanceIdentifier="shop", DBInstanceClass="db.t4g.large", MultiAZ=True)
    changes = "instance_class db.t4g.medium -> db.t4g.large; multi_az False -> True"
    assert list(waiting(plan, stack)) == [Waiting("aws_db_instance.db", changes, _WINDOW, is_all=True)]
    rds.modify_db_instance(DBInstanceIdentifier="shop", DeletionProtection=False, ApplyImmediately=True)
    assert list(waiting(plan, stack)) == []


def test_a_change_of_a_cluster_of_aurora_waits_as_well(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The emulated AWS applies every change of a cluster at once."""

    class _Rds:
        def describe_db_clusters(self, DBClusterIdentifier: str) -> Any:  # noqa: N803 (as in boto3)
            assert DBClusterIdentifier == "shop"
            pending = {"BackupRetentionPeriod": 14}
            return {
                "DBClusters": [{"PendingModifiedValues": pending, "PreferredMaintenanceWindow": "sun:18:30-sun:19:30"}]
            }

    monkeypatch.setattr(Stack, "aws_session", lambda _: type("_", (), {"client": lambda *_: _Rds()})())
    before = {"cluster_identifier": "shop", "backup_retention_period": 3}
    change = {"actions": ["update"], "before": before, "after": {**before, "backup_retention_period": 14}}
    entry = {"address": "aws_rds_cluster.db", "type": "aws_rds_cluster", "change": change}
    changes = "backup_retention_period 3 -> 14"
    assert list(waiting(Plan("dev", {"resource_changes": [entry]}), stack)) == [
        Waiting("aws_rds_cluster.db", changes, _WINDOW, is_all=True)
    ]


def test_other_changes_of_the_database_are_still_pending(rds: Any, stack: Stack) -> None:
    rds.modify_db_instance(DBInstanceIdentifier="shop", DBInstanceClass="db.t4g.large", AllocatedStorage=40)
    (found,) = waiting(_plan(instance_class="db.t4g.xlarge", allocated_storage=39, multi_az=True), stack)
    assert (found.changes, found.is_all) == ("allocated_storage 20 -> 39", False)


@pytest.mark.usefixtures("rds")
def test_aws_is_not_called_without_a_change_of_a_database(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stack, "aws_session", lambda _: pytest.fail("AWS was called"))
    assert list(waiting(_plan("delete"), stack)) == []


@pytest.mark.parametrize(("multi_az", "pending"), [(False, []), (True, ["update aws_db_instance.db"])])
def test_drift_reports_what_waits_apart_from_what_is_pending(
    rds: Any, stack: Stack, monkeypatch: pytest.MonkeyPatch, *, multi_az: bool, pending: list[str]
) -> None:
    rds.modify_db_instance(DBInstanceIdentifier="shop", DBInstanceClass="db.t4g.large")
    document = _plan(instance_class="db.t4g.large", multi_az=multi_az).document
    monkeypatch.setattr(drift, "_add_untracked", lambda *_: [])
    monkeypatch.setattr(Terraform, "stream_plan", lambda *_, **__: document)
    report = drift.drift([stack], [stack], [], Progress(), parallelism=1, logs=stack.directory / "logs")
    entry = report.data["stacks"]["dev"]
    assert (entry["status"], entry["drift"], entry["errors"], entry["pending"]) == ("pending", [], [], pending)
    assert [one["until"] for one in entry["waiting"]] == [_WINDOW]
