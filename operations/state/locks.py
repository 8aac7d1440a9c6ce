"""State locks and who holds them, read from Terraform errors, lock objects or the lock table."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from operations.clients.aws import object_of
from operations.terraform import program
from operations.terraform.runner import TerraformError
from operations.terraform.stacks import Stack

_LINE = re.compile(r"^\s*(ID|Operation|Who|Created):\s+(.+?)\s*$", re.MULTILINE)
_FAILED = "Error acquiring the state lock"


@dataclass(frozen=True)
class Lock:
    """A held state lock. Fields that are not known are empty."""

    id_: str
    who: str
    operation: str
    created: str

    def describe(self, directory: Path, now: datetime, wait: str = "wait for it", *, recovers: bool = True) -> str:
        """A message: who holds the lock, for what, since when, and the remedy. `wait` says how to wait for it.

        With `recovers`, the stack is to be recovered after an apply; not to destroy it, which is an apply, too.
        """
        operation = self.operation.removeprefix("OperationType").lower() or "an unknown operation"
        then = f", then: make recover STACK={directory.name}" if recovers and operation == "apply" else ""
        return (
            f"{self.who or 'another process'} holds the lock for {operation}, since {self.created}{self._age(now)}; "
            f"{wait} or, if you are certain that nothing is running any more, break it: "
            f"{program.command(directory, 'force-unlock', self.id_)}{then}"
        )

    def _age(self, now: datetime) -> str:
        try:
            since = datetime.fromisoformat(
                re.sub(r"(\.\d{1,6})\d*", r"\1", self.created.replace(" UTC", "").replace(" +0000", ""))
            )
        except ValueError:
            return ""
        minutes = int((now - (since if since.tzinfo else since.replace(tzinfo=UTC))).total_seconds() // 60)
        return f" ({minutes // 60} h {minutes % 60} min ago)"


def held(client: Callable[..., Any], stack: Stack) -> Lock | None:
    """The lock of a stack's state; None if it is not held. `client` returns the client of a service."""
    lock = in_bucket(client("s3"), stack)
    table = stack.state.lock_table
    return in_table(client("dynamodb"), stack, table) if lock is None and table else lock


def in_bucket(s3: Any, stack: Stack) -> Lock | None:
    """The lock in the lock object of the state; None if it is not held."""
    body = object_of(s3, stack.state.bucket, f"{stack.state.key}.tflock")
    return None if body is None else of_object(json.loads(body or b"{}"))


def in_table(dynamodb: Any, stack: Stack, table: str) -> Lock | None:
    """The lock in the state's item of a lock table; None if it is not held."""
    key = {"LockID": {"S": f"{stack.state.bucket}/{stack.state.key}"}}
    row = dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item", {})
    return of_object(json.loads(row["Info"]["S"])) if "Info" in row else None


def of_object(document: dict[str, Any]) -> Lock:
    """The lock that the JSON of a lock object describes."""
    return Lock(*(str(document.get(name, "")) for name in ("ID", "Who", "Operation", "Created")))


def failure(error: TerraformError, stack: Stack, wait: str = "wait for it", *, recovers: bool = True) -> str:
    """Why Terraform failed in a stack: the lock that it could not acquire, or its own message."""
    lock = of_message(error.details)
    if lock is None:
        return str(error).removeprefix(f"{stack.name}: ")
    return lock.describe(stack.directory, datetime.now(UTC), wait, recovers=recovers)


def of_message(details: list[str]) -> Lock | None:
    """The lock that Terraform could not acquire; None if it failed for another reason."""
    refusals = [detail for detail in details if _FAILED in detail]
    if not refusals or "ID:" not in refusals[0]:
        return None
    return of_object(dict(_LINE.findall(refusals[0])))
