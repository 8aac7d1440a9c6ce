"""Who holds a lock."""

from datetime import UTC, datetime
from pathlib import Path

from operations.state import locks
from operations.terraform.runner import TerraformError
from tests.stacks import make_stack

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


def test_the_holder_is_read_from_what_terraform_says() -> None:
    lock = locks.of_message(["another error", _MESSAGE])
    assert lock == locks.Lock(
        "6f1c2d3e", "minji@laptop", "OperationTypeApply", "2026-01-01 00:00:00.123456789 +0000 UTC"
    )


def test_another_error_is_no_lock() -> None:
    assert locks.of_message(["Error acquiring the state lock\nAccessDenied"]) is None
    assert locks.of_message([]) is None


def test_it_is_told_who_since_when_and_what_to_do() -> None:
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
        "or, if you are certain that nothing runs there any more, break it: "
        "terraform -chdir=cdktf.out/stacks/dev force-unlock 6f1c"
    )


def test_a_command_that_can_wait_says_how() -> None:
    error = TerraformError("dev", [{"summary": _MESSAGE}], Path("log"))
    told = locks.failure(error, make_stack(directory=Path("dev"), name="dev"), "wait (--so-long)")
    assert "; wait (--so-long) or, if you are certain" in told


def test_another_failure_is_told_in_terraforms_words() -> None:
    error = TerraformError("dev", [{"summary": "no such bucket"}], Path("log"))
    assert locks.failure(error, make_stack(directory=Path("dev"), name="dev")) == "no such bucket"


def test_a_time_that_nobody_can_read_has_no_age() -> None:
    told = locks.Lock("6f1c", "", "", "yesterday").describe(Path("dev"), _NOW)
    assert told.startswith("somebody holds the lock for something, since yesterday; ")
