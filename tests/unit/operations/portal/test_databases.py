"""The table of databases, and of certificates and keys that end."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

from operations.portal import databases, ends
from operations.portal.model import Cell, Day, Since, State, Text, Unknown
from operations.terraform.stacks import Stack
from tests.unit.operations.portal.conftest import OFFLINE, Answering, Make

NAME = "ap-northeast-2-dev-shop"
OLD, NEW, END = (
    datetime(2026, 11, 28, tzinfo=UTC),
    datetime(2026, 11, 29, tzinfo=UTC),
    datetime(2027, 5, 1, tzinfo=UTC),
)
DATABASE = {"aws_db_instance": {"one": {"identifier": NAME, "engine": "postgres", "engine_version": 17}}}


def _snapshots(*found: tuple[str, datetime]) -> dict[str, Any]:
    return {"DBSnapshots": [{"Status": status, "SnapshotCreateTime": at} for status, at in found]}


def _described(**more: Any) -> dict[str, Any]:
    found = {"DBInstanceIdentifier": NAME, "Engine": "postgres", "EngineVersion": "17.9", **more}
    return {"DBInstances": [found]}


def _upgrades(*targets: tuple[str, bool]) -> dict[str, Any]:
    found = [{"EngineVersion": version, "IsMajorVersionUpgrade": major} for version, major in targets]
    return {"DBEngineVersions": [{"ValidUpgradeTarget": found}]}


def _row(make: Make, one: Stack, clients: Any) -> list[Cell]:
    sources = make(one, clients=clients)
    (row,) = databases.table(sources, databases.described(sources, one)).rows
    return list(row[3:])


def test_without_aws_only_the_settings_are_known(make: Make, stack: Callable[..., Stack]) -> None:
    assert _row(make, stack(resources=DATABASE), OFFLINE) == ["postgres", "17", OFFLINE, OFFLINE, OFFLINE, OFFLINE]


def test_the_newest_minor_version_and_the_newest_available_backup(
    make: Make, stack: Callable[..., Stack], answering: Answering
) -> None:
    clients = answering(
        ("rds", "describe_db_instances", _described(LatestRestorableTime=NEW)),
        ("rds", "describe_db_engine_versions", _upgrades(("17.10", False), ("17.9", False), ("18.1", True))),
        ("rds", "describe_db_snapshots", _snapshots(("available", OLD), ("creating", END))),
        ("rds", "describe_db_snapshots", _snapshots(("available", NEW))),
    )
    row = _row(make, stack(resources=DATABASE), clients)
    assert row == ["postgres", "17", "17.9", Text("17.10", "warn"), Since(NEW, 2), Since(NEW, 2)]


def test_a_database_without_any_backup_is_marked(make: Make, stack: Callable[..., Stack], answering: Answering) -> None:
    clients = answering(
        ("rds", "describe_db_instances", _described()),
        ("rds", "describe_db_engine_versions", {"DBEngineVersions": [{}]}),
        *[("rds", "describe_db_snapshots", _snapshots())] * 2,
    )
    row = _row(make, stack(resources=DATABASE), clients)
    assert row[2:] == ["17.9", Text("17.9", "good"), Text("-", "bad"), Text("-", "bad")]


def test_a_database_of_aurora_is_its_cluster(make: Make, stack: Callable[..., Stack], answering: Answering) -> None:
    instance = {"identifier": f"{NAME}-1", "cluster_identifier": "${aws_rds_cluster.one.id}"}
    cluster = {"cluster_identifier": NAME, "engine": "aurora-mysql", "engine_version": "8.0"}
    one = stack(resources={"aws_rds_cluster": {"one": cluster}, "aws_rds_cluster_instance": {"one": instance}})
    version, newer = "8.0.mysql_aurora.3.9.1", "8.0.mysql_aurora.3.10.0"
    found = {
        "DBClusterIdentifier": NAME,
        "Engine": "aurora-mysql",
        "EngineVersion": version,
        "LatestRestorableTime": NEW,
    }
    ends_on = {"CertificateDetails": {"CAIdentifier": "rds-ca-rsa2048-g1", "ValidTill": END}}
    snapshots = [{"Status": "available", "SnapshotCreateTime": OLD}]
    clients = answering(
        ("rds", "describe_db_clusters", {"DBClusters": [found]}),
        ("rds", "describe_db_instances", _described(DBInstanceIdentifier=f"{NAME}-1", **ends_on)),
        ("rds", "describe_db_engine_versions", _upgrades((newer, False))),
        ("rds", "describe_db_cluster_snapshots", {"DBClusterSnapshots": snapshots}),
    )
    sources = make(one, clients=clients)
    running = databases.described(sources, one)
    (row,) = databases.table(sources, running).rows
    assert row[2:] == [NAME, "aurora-mysql", "8.0", version, Text(newer, "warn"), Since(OLD, 2), Since(NEW, 2)]
    (end,) = ends.table(sources, running).rows
    assert end[3:] == [f"{NAME}-1", Day(date(2027, 5, 1)), Text("rds-ca-rsa2048-g1")]


def test_what_aws_refuses_is_not_known_while_the_rest_is(
    make: Make, stack: Callable[..., Stack], answering: Answering
) -> None:
    clients = answering(
        ("rds", "describe_db_instances", _described(LatestRestorableTime=NEW)),
        ("rds", "describe_db_engine_versions", "AccessDenied"),
        ("rds", "describe_db_snapshots", "AccessDenied"),
    )
    version, minor, backup, restorable = _row(make, stack(resources=DATABASE), clients)[2:]
    assert (version, restorable) == ("17.9", Since(NEW, 2))
    assert [cell.why for cell in (minor, backup) if isinstance(cell, Unknown)] == ["aws-refuses"] * 2


def test_a_database_that_does_not_exist_is_not_deployed(
    make: Make, stack: Callable[..., Stack], answering: Answering
) -> None:
    clients = answering(("rds", "describe_db_instances", "DBInstanceNotFound"))
    cell = _row(make, stack(resources=DATABASE), clients)[2]
    assert isinstance(cell, Unknown)
    assert cell.why == "not-deployed"


# --- certificates and keys --------------------------------------------------------------------------------------------

CERTIFICATE = {"aws_acm_certificate": {"one": {"domain_name": "dev.example.com"}}}
KEY = {"aws_kms_alias": {"one": {"name": "alias/dev"}}}
RSA = {"CertificateArn": "arn:aws:acm:ap-northeast-2:123456789012:certificate/1", "DomainName": "dev.example.com"}


def _end(make: Make, one: Stack, clients: Any, databases_: Any = None) -> list[Cell]:
    (row,) = ends.table(make(one, clients=clients), databases_ or {}).rows
    return list(row[2:])


@pytest.mark.parametrize(
    ("eligibility", "state"),
    [
        ("ELIGIBLE", State("renews", "good")),
        ("INELIGIBLE", State("renews-not", "warn")),
        (None, State("renews-not", "warn")),
    ],
)
def test_a_certificate_ends_when_the_last_of_its_domain_does(
    make: Make, stack: Callable[..., Stack], answering: Answering, eligibility: str | None, state: State
) -> None:
    last = {**RSA, "NotAfter": END, **({"RenewalEligibility": eligibility} if eligibility else {})}
    others = [{**RSA, "NotAfter": NEW}, {**RSA, "DomainName": "other"}, {**RSA, "Status": "PENDING_VALIDATION"}]
    clients = answering(("acm", "list_certificates", {"CertificateSummaryList": [*others, last]}))
    cells = _end(make, stack(resources=CERTIFICATE), clients)
    assert cells == [State("certificate"), "dev.example.com", Day(date(2027, 5, 1), 30), state]


@pytest.mark.parametrize(
    ("found", "state"), [([], None), ([{**RSA, "Status": "PENDING_VALIDATION"}], State("PENDING_VALIDATION", "warn"))]
)
def test_a_certificate_that_was_not_issued_has_no_end(
    make: Make, stack: Callable[..., Stack], answering: Answering, found: list[Any], state: State | None
) -> None:
    clients = answering(("acm", "list_certificates", {"CertificateSummaryList": found}))
    end, shown = _end(make, stack(resources=CERTIFICATE), clients)[2:]
    assert end == Unknown("not-deployed", "make deploy STACK=ap-northeast-2-dev")
    assert shown == state


@pytest.mark.parametrize(
    ("key", "cells"),
    [
        ({"KeyState": "Enabled"}, [State("never"), State("Enabled", "good")]),
        (
            {"KeyState": "PendingDeletion", "DeletionDate": END},
            [Day(date(2027, 5, 1)), State("PendingDeletion", "bad")],
        ),
        ({"KeyState": "Enabled", "ValidTo": END}, [Day(date(2027, 5, 1)), State("Enabled", "good")]),
    ],
)
def test_a_key_ends_if_it_is_deleted_or_its_material_expires(
    make: Make, stack: Callable[..., Stack], answering: Answering, key: dict[str, Any], cells: list[Cell]
) -> None:
    clients = answering(("kms", "describe_key", {"KeyMetadata": {"KeyId": "1", **key}}))
    assert _end(make, stack(resources=KEY), clients) == [State("key"), "alias/dev", *cells]


@pytest.mark.parametrize(
    ("found", "cells"),
    [
        (OFFLINE, [OFFLINE, OFFLINE]),
        ({}, [None, None]),
        (
            {"CertificateDetails": {"CAIdentifier": "rds-ca-rsa2048-g1", "ValidTill": END}},
            [Day(date(2027, 5, 1)), Text("rds-ca-rsa2048-g1")],
        ),
    ],
)
def test_the_certificate_of_a_database_is_that_of_its_instance(
    make: Make, stack: Callable[..., Stack], found: Any, cells: list[Cell]
) -> None:
    assert _end(make, stack(resources=DATABASE), OFFLINE, {NAME: found})[2:] == cells


@pytest.mark.parametrize("resources", [CERTIFICATE, KEY])
def test_without_aws_no_end_is_known(make: Make, stack: Callable[..., Stack], resources: Any) -> None:
    assert _end(make, stack(resources=resources), OFFLINE)[2:] == [OFFLINE, OFFLINE]
