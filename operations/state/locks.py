"""Who holds the lock of a state, read from what Terraform says or from the lock object itself."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from operations.clients.aws import object_of
from operations.terraform.runner import TerraformError
from operations.terraform.stacks import Stack

_LINE = re.compile(r"^\s*(ID|Operation|Who|Created):\s+(.+?)\s*$", re.MULTILINE)
_FAILED = "Error acquiring the state lock"


@dataclass(frozen=True)
class Lock:
    """Somebody works on a state. Any of it may be empty, where nobody said it."""

    id_: str
    who: str
    operation: str
    created: str

    def describe(self, directory: Path, now: datetime, wait: str = "wait for it") -> str:
        """Who, since when, what for, and what to do; `wait` is how whoever reads it can wait."""
        operation = self.operation.removeprefix("OperationType").lower() or "something"
        return (
            f"{self.who or 'somebody'} holds the lock for {operation}, since {self.created}{self._age(now)}; "
            f"{wait} or, if you are certain that nothing runs there any more, break it: "
            f"terraform -chdir={directory} force-unlock {self.id_}"
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
    """The lock of a stack's state; None if nobody holds it. `client` gives the client of a service."""
    lock = in_bucket(client("s3"), stack)
    table = stack.state.lock_table
    return in_table(client("dynamodb"), stack, table) if lock is None and table else lock


def in_bucket(s3: Any, stack: Stack) -> Lock | None:
    """The lock of the lock object beside the state."""
    body = object_of(s3, stack.state.bucket, f"{stack.state.key}.tflock")
    return None if body is None else of_object(json.loads(body or b"{}"))


def in_table(dynamodb: Any, stack: Stack, table: str) -> Lock | None:
    """The lock of the state's row in a lock table."""
    key = {"LockID": {"S": f"{stack.state.bucket}/{stack.state.key}"}}
    row = dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item", {})
    return of_object(json.loads(row["Info"]["S"])) if "Info" in row else None


def of_object(document: dict[str, Any]) -> Lock:
    """The lock of a lock object's JSON."""
    return Lock(*(str(document.get(name, "")) for name in ("ID", "Who", "Operation", "Created")))


def failure(error: TerraformError, stack: Stack, wait: str = "wait for it") -> str:
    """Why Terraform failed in a stack: the lock, if one stopped it, or what it says itself."""
    lock = of_message(error.details)
    if lock is None:
        return str(error).removeprefix(f"{stack.name}: ")
    return lock.describe(stack.directory, datetime.now(UTC), wait)


def of_message(details: list[str]) -> Lock | None:
    """The lock that stopped Terraform; None if something else did."""
    held = [detail for detail in details if _FAILED in detail]
    if not held or "ID:" not in held[0]:
        return None
    return of_object(dict(_LINE.findall(held[0])))
