"""State locks and who holds them."""

import json
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest

from operations.state import locks
from operations.terraform.runner import TerraformError
from operations.terraform.stacks import State
from tests.stacks import REGION, make_stack

_NOW = datetime(2026, 1, 1, 1, 30, tzinfo=UTC)
_MESSAGE = """Error acquiring the state lock
Error message: operation error S3: PutObject, https response error StatusCode: 412
Lock Info:
  ID:        6f1c2d3e
  Path:      bucket/dev.tfstate
  Operation: OperationTypeApply
  Who:       minji@laptop
  Version:   1.11.4
  Created:   2026-01-01 00:00:00.123456789 +0000 UTC
  Info:

Terraform acquires a state lock to protect the state from being written
by multiple users at the same time."""


def test_reads_the_holder_from_the_message_of_terraform() -> None:
    lock = locks.of_message(["another error", _MESSAGE])
    assert lock == locks.Lock(
        "6f1c2d3e", "minji@laptop", "OperationTypeApply", "2026-01-01 00:00:00.123456789 +0000 UTC"
    )


def test_another_error_is_no_lock() -> None:
    assert locks.of_message(["Error acquiring the state lock\nAccessDenied"]) is None
    assert locks.of_message([]) is None


def test_message_says_who_holds_the_lock_since_when_and_the_remedy() -> None:
    lock = locks.of_object(
        {
            "ID": "6f1c",
            "Who": "minji@laptop",
            "Operation": "OperationTypePlan",
            "Created": "2026-01-01T00:00:00.1234567Z",
        }
    )
    assert lock.describe(Path("cdktf.out/stacks/dev"), _NOW) == (
        "minji@laptop holds the lock for plan, since 2026-01-01T00:00:00.1234567Z (1 h 29 min ago); wait for it "
        "or, if you are certain that nothing is running any more, break it: "
        "terraform -chdir=cdktf.out/stacks/dev force-unlock 6f1c"
    )


def test_message_says_how_to_wait() -> None:
    error = TerraformError("dev", [{"summary": _MESSAGE}], Path("log"))
    message = locks.failure(error, make_stack(directory=Path("dev"), name="dev"), "wait (--so-long)")
    assert "; wait (--so-long) or, if you are certain" in message


def test_another_failure_has_the_message_of_terraform() -> None:
    error = TerraformError("dev", [{"summary": "no such bucket"}], Path("log"))
    assert locks.failure(error, make_stack(directory=Path("dev"), name="dev")) == "no such bucket"


def test_a_lock_with_an_unreadable_time_has_no_age() -> None:
    message = locks.Lock("6f1c", "", "", "yesterday").describe(Path("dev"), _NOW)
    assert message.startswith("another process holds the lock for an unknown operation, since yesterday; ")


@pytest.mark.parametrize("service", ["s3", "dynamodb"])
def test_a_held_lock_is_read_from_its_object_or_from_the_lock_table(aws: boto3.Session, service: str) -> None:
    state = State(f"locks-{service}", "dev.tfstate", REGION, f"locks-{service}", "backend")
    stack = make_stack(state=state)
    s3, dynamodb = aws.client("s3"), aws.client("dynamodb")
    s3.create_bucket(Bucket=state.bucket, CreateBucketConfiguration={"LocationConstraint": REGION})  # type: ignore[typeddict-item]
    dynamodb.create_table(
        TableName=f"locks-{service}",
        AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    assert locks.held(aws.client, stack) is None
    info = json.dumps({"ID": "6f1c", "Who": "minji@laptop", "Operation": "OperationTypeApply", "Created": "now"})
    if service == "s3":
        s3.put_object(Bucket=state.bucket, Key="dev.tfstate.tflock", Body=info)
    else:
        item = {"LockID": {"S": f"{state.bucket}/dev.tfstate"}, "Info": {"S": info}}
        dynamodb.put_item(TableName=f"locks-{service}", Item=item)
    assert locks.held(aws.client, stack) == locks.Lock("6f1c", "minji@laptop", "OperationTypeApply", "now")
