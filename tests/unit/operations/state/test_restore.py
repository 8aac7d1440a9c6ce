"""`restore-state` on the emulated S3 and DynamoDB, with a script in place of Terraform."""

import hashlib
import json
import os
import uuid
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from operations.errors import OperationError
from operations.output.report import Report, Status
from operations.state import locks, restore
from operations.terraform.stacks import Stack, State
from tests.stacks import REGION, make_stack

pytestmark = pytest.mark.slow

KEY = "dev.tfstate"
LOCK = f"{KEY}.tflock"
HOLDER = {"ID": "6f1c", "Who": "minji@laptop", "Operation": "OperationTypeApply", "Created": "2026-01-01T00:00:00Z"}
EMPTY_PLAN: dict[str, Any] = {"resource_changes": []}
VPC = {
    "address": "aws_vpc.vpc",
    "type": "aws_vpc",
    "change": {"actions": ["create"], "before": None, "after": {"cidr_block": "10.0.0.0/16"}, "after_unknown": {}},
}


@pytest.fixture
def stack(tmp_path: Path, aws: boto3.Session) -> Stack:
    """A stack in a versioned bucket of the test."""
    bucket = f"state-{uuid.uuid4().hex[:8]}"
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})  # type: ignore[typeddict-item]
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return make_stack(directory=tmp_path, name="dev", state=State(bucket, KEY, REGION, None, "backend"))


@pytest.fixture
def locked_in_table(aws: boto3.Session, stack: Stack) -> Stack:
    """The stack, whose locks are in a table, too."""
    table = f"{stack.state.bucket}-lock"
    aws.client("dynamodb").create_table(
        TableName=table,
        AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return replace(stack, state=replace(stack.state, lock_table=table))


@pytest.fixture(autouse=True)
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file with the plan that `terraform show` prints. Without it, `terraform plan` fails."""
    program, document = tmp_path / "bin/terraform", tmp_path / "plan.json"
    program.parent.mkdir()
    error = json.dumps({"@message": "Error", "diagnostic": {"severity": "error", "summary": "no such subnet"}})
    program.write_text(
        f"""#!/bin/sh
echo "$*" >> {tmp_path}/calls
case $1 in
plan) [ -f {document} ] || {{ echo '{error}'; exit 1; }} ;;
show) cat {document} ;;
esac
"""
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    document.write_text(json.dumps(EMPTY_PLAN))
    return document


def _state(serial: int, resources: int, lineage: str = "own") -> bytes:
    vpc = {"mode": "managed", "type": "aws_vpc", "name": "vpc", "instances": [{}] * resources}
    data = {"mode": "data", "type": "aws_region", "name": "current", "instances": [{}]}
    return json.dumps({"version": 4, "serial": serial, "lineage": lineage, "resources": [vpc, data]}).encode()


def _put(aws: boto3.Session, stack: Stack, *bodies: bytes, key: str = KEY) -> list[str]:
    """Write versions of an object, and return their ids."""
    s3 = aws.client("s3")
    return [s3.put_object(Bucket=stack.state.bucket, Key=key, Body=body)["VersionId"] for body in bodies]


def _current(aws: boto3.Session, stack: Stack) -> bytes:
    return aws.client("s3").get_object(Bucket=stack.state.bucket, Key=KEY)["Body"].read()


def _keys(aws: boto3.Session, stack: Stack) -> list[str]:
    return [entry["Key"] for entry in aws.client("s3").list_objects_v2(Bucket=stack.state.bucket).get("Contents", [])]


def _restore(aws: boto3.Session, stack: Stack, version: str, lineage: str | None = None) -> Report:
    return restore.restore(aws, stack, version, stack.directory / "log", lineage)


def test_versions_are_listed_newest_first_with_their_contents(aws: boto3.Session, stack: Stack) -> None:
    old, broken, new = _put(aws, stack, _state(1, 1), b'{"version": 4', _state(2, 5))
    _put(aws, stack, b"{}", key=LOCK)
    report = restore.show_versions(aws, stack)
    assert (report.title, report.status) == ("dev: 3 versions of its state", Status.FINE)
    listed = report.data["versions"]
    assert [version["id"] for version in listed] == [new, broken, old]
    assert [version["in_use"] for version in listed] == [True, False, False]
    assert [version.get("serial") for version in listed] == [2, None, 1]
    assert [version.get("resources") for version in listed] == [5, None, 1]  # data sources do not count
    rows = report.tables[0].rows
    assert rows[0][0] == f"{new} (in use)"
    assert list(rows[1][2:]) == ["", "", "not a state"]
    assert list(rows[2][2:]) == ["1", "1", "own"]
    assert report.notes == ["to restore one: python -m operations restore-state dev --version ID"]


def test_older_versions_are_listed_on_demand(aws: boto3.Session, stack: Stack) -> None:
    _, _, new = _put(aws, stack, _state(1, 1), _state(2, 2), _state(3, 3))
    report = restore.show_versions(aws, stack, at_most=1)
    assert [version["id"] for version in report.data["versions"]] == [new]
    assert report.data["count"] == 3
    assert report.notes[0] == "2 older versions not listed: add --all"


def test_times_are_utc(aws: boto3.Session, stack: Stack) -> None:
    _put(aws, stack, _state(1, 1))
    ((version,), _) = restore.versions(aws, stack)
    assert version.when.tzinfo is UTC
    assert version.row[1] == f"{version.when:%Y-%m-%d %H:%M:%S} UTC"


def test_rejects_a_stack_without_a_state(aws: boto3.Session, stack: Stack) -> None:
    _put(aws, stack, b"{}", key=f"{KEY}.backup")
    none = replace(stack, state=replace(stack.state, bucket="no-such-bucket"))
    with pytest.raises(OperationError, match=r"^dev: s3://no-such-bucket: no such bucket; create it: make bootstrap$"):
        restore.versions(aws, none)
    message = rf"^dev: s3://{stack.state.bucket}/dev.tfstate: no version exists; deploy the stack first$"
    with pytest.raises(OperationError, match=message):
        restore.show_versions(aws, stack)


def test_an_older_version_becomes_the_current_one_with_a_new_serial(
    aws: boto3.Session, stack: Stack, tmp_path: Path
) -> None:
    old, new = _put(aws, stack, _state(4, 1), _state(9, 2))
    report = _restore(aws, stack, old)
    assert json.loads(_current(aws, stack)) == json.loads(_state(10, 1))
    versions, count = restore.versions(aws, stack)
    assert [version.id_ for version in versions] == [report.data["written"], new, old]
    assert count == 3
    title = f"dev: version {old} of its state was restored as version {report.data['written']}, serial 10; plan: "
    assert (report.title, report.status, report.notes) == (f"{title}no changes", Status.FINE, [])
    assert _keys(aws, stack) == [KEY]  # the lock is released
    assert "plan -json -input=false" in (tmp_path / "calls").read_text()


def test_a_plan_shows_how_the_restored_state_differs_from_the_resources(
    aws: boto3.Session, stack: Stack, plan: Path
) -> None:
    old, _ = _put(aws, stack, _state(1, 0), _state(2, 1))
    plan.write_text(json.dumps({"resource_changes": [VPC]}))
    report = _restore(aws, stack, old)
    assert report.status is Status.ATTENTION
    assert report.title.endswith("; plan: 1 to create")
    assert report.data["changes"] == [{"address": "aws_vpc.vpc", "action": "create", "why": ""}]
    assert list(report.tables[0].rows) == [["dev", "create", "aws_vpc.vpc", ""]]
    assert report.notes == ["resources that it would create may exist already: import them, or restore another version"]


def test_a_failed_plan_is_reported_and_the_state_stays_restored(aws: boto3.Session, stack: Stack, plan: Path) -> None:
    old, _ = _put(aws, stack, _state(1, 1), _state(2, 2))
    plan.unlink()
    report = _restore(aws, stack, old)
    assert report.status is Status.ERROR
    assert "no such subnet" in report.data["error"]
    assert report.notes[0].startswith("the plan failed: ")
    assert json.loads(_current(aws, stack))["serial"] == 3


def test_a_deleted_state_is_restored(aws: boto3.Session, stack: Stack) -> None:
    (version,) = _put(aws, stack, _state(7, 3))
    aws.client("s3").delete_object(Bucket=stack.state.bucket, Key=KEY)
    assert [one["in_use"] for one in restore.show_versions(aws, stack).data["versions"]] == [False]
    assert _restore(aws, stack, version).status is Status.FINE
    assert json.loads(_current(aws, stack)) == json.loads(_state(8, 3))


def test_a_broken_state_is_restored(aws: boto3.Session, stack: Stack) -> None:
    good, _ = _put(aws, stack, _state(7, 3), b"")
    assert _restore(aws, stack, good).status is Status.FINE
    assert json.loads(_current(aws, stack)) == json.loads(_state(8, 3))


def _assert_unchanged(aws: boto3.Session, stack: Stack, before: bytes) -> None:
    """Nothing was written, and the lock is released."""
    assert _current(aws, stack) == before
    assert _keys(aws, stack) == [KEY]


def test_a_newer_state_that_could_not_be_saved_comes_first(aws: boto3.Session, stack: Stack) -> None:
    (version,) = _put(aws, stack, _state(1, 2))
    (stack.directory / "errored.tfstate").touch()
    with pytest.raises(OperationError, match="the state of an apply that could not be saved"):
        _restore(aws, stack, version)
    assert _current(aws, stack) == _state(1, 2)


def test_rejects_an_unknown_version(aws: boto3.Session, stack: Stack) -> None:
    _put(aws, stack, _state(1, 1))
    message = r"^dev: v9: no such version; choose another: python -m operations restore-state dev$"
    with pytest.raises(OperationError, match=message):
        _restore(aws, stack, "v9")
    _assert_unchanged(aws, stack, _state(1, 1))


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b'{"version": 4, "serial": 1, "lineage": "own"}'])
def test_rejects_a_version_that_is_not_a_state(aws: boto3.Session, stack: Stack, body: bytes) -> None:
    broken, _ = _put(aws, stack, body, _state(1, 1))
    with pytest.raises(OperationError, match=rf"^dev: {broken}: cannot be read as a state; choose another"):
        _restore(aws, stack, broken)
    _assert_unchanged(aws, stack, _state(1, 1))


def test_rejects_a_version_of_another_lineage(aws: boto3.Session, stack: Stack) -> None:
    foreign, _ = _put(aws, stack, _state(5, 2, "foreign"), _state(1, 1))
    message = (
        rf"^dev: {foreign}: lineage foreign, but the newest version has own: it is not the same state; "
        r"choose a version of lineage own or, if foreign is this stack's, add --lineage foreign$"
    )
    with pytest.raises(OperationError, match=message):
        _restore(aws, stack, foreign)
    _assert_unchanged(aws, stack, _state(1, 1))


def test_a_state_that_was_overwritten_with_another_lineage_is_restored_by_lineage(
    aws: boto3.Session, stack: Stack
) -> None:
    own, _ = _put(aws, stack, _state(5, 2, "own"), _state(90, 1, "foreign"))
    with pytest.raises(OperationError, match=rf"{own}: lineage own, but --lineage is typo"):
        _restore(aws, stack, own, "typo")
    assert _restore(aws, stack, own, "own").status is Status.FINE
    assert json.loads(_current(aws, stack)) == json.loads(_state(91, 2, "own"))


def test_is_refused_while_the_lock_object_exists(aws: boto3.Session, stack: Stack, tmp_path: Path) -> None:
    old, _ = _put(aws, stack, _state(1, 1), _state(2, 2))
    _put(aws, stack, json.dumps(HOLDER).encode(), key=LOCK)
    with pytest.raises(OperationError, match=r"^dev: minji@laptop holds the lock for apply, since 2026-01-01T.* 6f1c$"):
        _restore(aws, stack, old)
    assert _current(aws, stack) == _state(2, 2)
    assert _keys(aws, stack) == [KEY, LOCK]  # the lock of the other user is kept
    assert not (tmp_path / "calls").exists()


def test_a_lock_that_was_released_meanwhile_is_reported(
    aws: boto3.Session, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, _ = _put(aws, stack, _state(1, 1), _state(2, 2))
    _put(aws, stack, json.dumps(HOLDER).encode(), key=LOCK)
    monkeypatch.setattr(locks, "in_bucket", lambda *_: None)
    with pytest.raises(OperationError, match=r"^dev: another process held the lock a moment ago; try again$"):
        _restore(aws, stack, old)


def test_the_lock_names_its_holder_while_the_state_is_written(
    aws: boto3.Session, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, _ = _put(aws, stack, _state(1, 1), _state(2, 2))
    held: list[locks.Lock | None] = []
    write = restore._write

    def observed(session: boto3.Session, *arguments: Any) -> str:
        held.append(locks.in_bucket(session.client("s3"), stack))
        return write(session, *arguments)

    monkeypatch.setattr(restore, "_write", observed)
    monkeypatch.setattr("getpass.getuser", lambda: "minji")
    monkeypatch.setattr("socket.gethostname", lambda: "laptop")
    _restore(aws, stack, old)
    (lock,) = held
    assert lock is not None
    assert (lock.who, lock.operation) == ("minji@laptop", "restore-state")


def test_errors_of_aws_are_raised(aws: boto3.Session, stack: Stack) -> None:
    missing = replace(stack, state=replace(stack.state, bucket="missing"))
    with pytest.raises(ClientError, match="NoSuchBucket"):
        _restore(aws, missing, "v1")


def _items(aws: boto3.Session, stack: Stack) -> dict[str, str]:
    """The values in the lock table, by their key."""
    items = aws.client("dynamodb").scan(TableName=stack.state.lock_table or "")["Items"]
    return {item["LockID"]["S"]: (item.get("Digest") or item["Info"])["S"] for item in items}


def test_a_lock_table_gets_the_digest_of_the_restored_state(aws: boto3.Session, locked_in_table: Stack) -> None:
    """Terraform rejects a state with another digest."""
    stack = locked_in_table
    old, _ = _put(aws, stack, _state(1, 1), _state(2, 2))
    assert _restore(aws, stack, old).status is Status.FINE
    digest = hashlib.md5(_current(aws, stack), usedforsecurity=False).hexdigest()
    assert _items(aws, stack) == {f"{stack.state.bucket}/{KEY}-md5": digest}
    assert _keys(aws, stack) == [KEY]


def test_is_refused_while_the_lock_table_has_a_lock(aws: boto3.Session, locked_in_table: Stack) -> None:
    stack = locked_in_table
    old, _ = _put(aws, stack, _state(1, 1), _state(2, 2))
    path, info = f"{stack.state.bucket}/{KEY}", json.dumps(HOLDER)
    aws.client("dynamodb").put_item(
        TableName=stack.state.lock_table or "", Item={"LockID": {"S": path}, "Info": {"S": info}}
    )
    with pytest.raises(OperationError, match=r"^dev: minji@laptop holds the lock for apply"):
        _restore(aws, stack, old)
    assert _items(aws, stack) == {path: info}
    _assert_unchanged(aws, stack, _state(2, 2))
