"""`restore-state`: lists the versions of a stack's state, and makes an older one the current one again.

Nothing is lost: the restored state is written as a new version of the object. Terraform's lock is held meanwhile.
"""

import base64
import getpass
import hashlib
import json
import socket
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError

from operations.clients.aws import paginate
from operations.errors import OperationError
from operations.output.report import Report, Status, Table, counted
from operations.state import locks
from operations.state.locks import Lock
from operations.terraform import plans
from operations.terraform.plans import Plan
from operations.terraform.runner import Terraform, plan_folder
from operations.terraform.stacks import Stack

if TYPE_CHECKING:
    import boto3

_PARALLELISM = 8


class State(NamedTuple):
    """A summary of a state."""

    serial: int
    resources: int
    lineage: str


@dataclass(frozen=True)
class Version:
    """One version of a state object. `state` is None if it cannot be read as a state."""

    id_: str
    when: datetime
    is_latest: bool
    state: State | None

    @property
    def row(self) -> list[str]:
        """The version as a table row."""
        name, when = f"{self.id_}{' (in use)' if self.is_latest else ''}", f"{self.when:%Y-%m-%d %H:%M:%S} UTC"
        return [name, when, *(str(value) for value in self.state or ("", "", "not a state"))]

    @property
    def data(self) -> dict[str, Any]:
        """The version as JSON data."""
        data = {"id": self.id_, "when": self.when.isoformat(), "in_use": self.is_latest}
        return data | (self.state._asdict() if self.state else {})


def versions(session: "boto3.Session", stack: Stack, at_most: int | None = None) -> tuple[list[Version], int]:
    """The versions of the stack's state, newest first and `at_most` many, and the number of all versions.

    Raises:
        OperationError: if there is no version, or no bucket.
    """
    s3, at = session.client("s3"), stack.state

    def read(entry: Any) -> Version:
        state = _state(_body(s3, stack, entry["VersionId"]))
        summary = State(state["serial"], _resources(state), state["lineage"]) if state else None
        return Version(entry["VersionId"], entry["LastModified"].astimezone(UTC), entry["IsLatest"], summary)

    found = paginate(s3, "list_object_versions", "Versions", Bucket=at.bucket, Prefix=at.key)
    try:
        entries = [entry for entry in found if entry["Key"] == at.key]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucket":
            raise
        raise OperationError(f"{stack.name}: s3://{at.bucket}: no such bucket; create it: make bootstrap") from error
    if not entries:
        raise OperationError(f"{stack.name}: s3://{at.bucket}/{at.key}: no version exists; deploy the stack first")
    entries.sort(key=lambda entry: (entry["IsLatest"], entry["LastModified"]), reverse=True)
    with ThreadPoolExecutor(_PARALLELISM) as pool:
        return list(pool.map(read, entries[:at_most])), len(entries)


def show_versions(session: "boto3.Session", stack: Stack, at_most: int | None = None) -> Report:
    """A report of the newest versions."""
    found, count = versions(session, stack, at_most)
    older = [f"{counted(count - len(found), 'older version')} not listed: add --all"] if len(found) < count else []
    rows = [version.row for version in found]
    return Report(
        title=f"{stack.name}: {counted(count, 'version')} of its state",
        status=Status.FINE,
        data={"versions": [version.data for version in found], "count": count},
        tables=[Table("Versions", ["version", "written", "serial", "resources", "lineage"], rows)],
        notes=[*older, f"to restore one: python -m operations restore-state {stack.name} --version ID"],
    )


def restore(session: "boto3.Session", stack: Stack, version: str, log: Path, lineage: str | None = None) -> Report:
    """Make a version the current one again, then plan: the plan shows how that state differs from the real resources.

    `lineage` is the lineage of the version, if a state of another lineage was written over it.

    Raises:
        OperationError: if there is no such version, it is not a state of this stack, the lock is held, or the folder of
            the stack holds a newer state that could not be saved.
    """
    Terraform(stack.directory).refuse_unsaved_state()
    with _locked(session, stack):
        found, _ = versions(session, stack)
        chosen = next((candidate for candidate in found if candidate.id_ == version), None)
        if chosen is None or chosen.state is None:
            remedy = f"choose another: python -m operations restore-state {stack.name}"
            what = "no such version" if chosen is None else "cannot be read as a state"
            raise OperationError(f"{stack.name}: {version}: {what}; {remedy}")
        states = [candidate.state for candidate in found if candidate.state]
        own, expected = chosen.state.lineage, lineage or states[0].lineage
        if own != expected:
            source = "--lineage is" if lineage else "the newest version has"
            message = f"{stack.name}: {version}: lineage {own}, but {source} {expected}: it is not the same state"
            remedy = f"choose a version of lineage {expected} or, if {own} is this stack's, add --lineage {own}"
            raise OperationError(f"{message}; {remedy}")
        # Greater than every earlier serial, so that plans saved before cannot be applied.
        serial = max(state.serial for state in states) + 1
        content = {**json.loads(_body(session.client("s3"), stack, version)), "serial": serial}
        written = _write(session, stack, json.dumps(content, indent=2).encode() + b"\n")
    return _difference(stack, version, written, serial, log)


def _difference(stack: Stack, version: str, written: str, serial: int, log: Path) -> Report:
    restored = f"{stack.name}: version {version} of its state was restored as version {written}, serial {serial}"
    data: dict[str, Any] = {"version": version, "written": written, "serial": serial}
    with plan_folder() as folder:
        try:
            terraform = Terraform(stack.directory)
            plan = Plan(stack.name, terraform.stream_plan(folder / "plan", log, lambda _: None, "-lock=false"))
        except OperationError as error:
            return Report(restored, Status.ERROR, data | {"error": str(error)}, notes=[f"the plan failed: {error}"])
    hint = "resources that it would create may exist already: import them, or restore another version"
    return Report(
        title=f"{restored}; plan: {plan.summary}",
        status=Status.FINE if plan.is_empty else Status.ATTENTION,
        data=data | {"changes": [change.data() for change in plan.changes]},
        tables=[] if plan.is_empty else [plans.changes_table([plan])],
        notes=[] if plan.is_empty else [hint],
    )


@contextmanager
def _locked(session: "boto3.Session", stack: Stack) -> Iterator[None]:
    """Hold Terraform's lock of the stack: the lock object and, with a lock table, its item there."""
    at, table = stack.state, stack.state.lock_table
    path, key = f"{at.bucket}/{at.key}", f"{at.key}.tflock"
    info = {
        "ID": str(uuid.uuid4()),
        "Operation": "restore-state",
        "Info": "",
        "Who": f"{getpass.getuser()}@{socket.gethostname()}",
        "Version": "",
        "Created": datetime.now(UTC).isoformat(),
        "Path": path,
    }
    body, s3 = json.dumps(info), session.client("s3")
    try:
        s3.put_object(Bucket=at.bucket, Key=key, Body=body, ContentType="application/json", IfNoneMatch="*")
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"PreconditionFailed", "ConditionalRequestConflict"}:
            raise
        raise _held(stack, locks.in_bucket(s3, stack)) from error
    try:
        with _lock_item(session, stack, table, path, body):
            yield
    finally:
        s3.delete_object(Bucket=at.bucket, Key=key)


@contextmanager
def _lock_item(session: "boto3.Session", stack: Stack, table: str | None, path: str, body: str) -> Iterator[None]:
    if table is None:
        yield
        return
    dynamodb = session.client("dynamodb")
    item, is_free = {"LockID": {"S": path}, "Info": {"S": body}}, "attribute_not_exists(LockID)"
    try:
        dynamodb.put_item(TableName=table, Item=item, ConditionExpression=is_free)
    except dynamodb.exceptions.ConditionalCheckFailedException as error:
        raise _held(stack, locks.in_table(dynamodb, stack, table)) from error
    try:
        yield
    finally:
        dynamodb.delete_item(TableName=table, Key={"LockID": {"S": path}})


def _held(stack: Stack, lock: Lock | None) -> OperationError:
    released = "another process held the lock a moment ago; try again"
    message = lock.describe(stack.directory, datetime.now(UTC), recovers=False) if lock else released
    return OperationError(f"{stack.name}: {message}")


def _write(session: "boto3.Session", stack: Stack, content: bytes) -> str:
    at, table = stack.state, stack.state.lock_table
    put = session.client("s3").put_object(
        Bucket=at.bucket,
        Key=at.key,
        Body=content,
        ContentType="application/json",
        ContentMD5=base64.b64encode(_md5(content).digest()).decode(),
    )
    if table:  # Terraform rejects a state with another digest
        item = {"LockID": {"S": f"{at.bucket}/{at.key}-md5"}, "Digest": {"S": _md5(content).hexdigest()}}
        session.client("dynamodb").put_item(TableName=table, Item=item)
    return put["VersionId"]


def _body(s3: Any, stack: Stack, version: str) -> bytes:
    content: bytes = s3.get_object(Bucket=stack.state.bucket, Key=stack.state.key, VersionId=version)["Body"].read()
    return content


def _md5(content: bytes) -> Any:
    return hashlib.md5(content, usedforsecurity=False)


def _state(body: bytes) -> Mapping[str, Any] | None:
    try:
        state = json.loads(body)
    except ValueError:
        return None
    is_state = isinstance(state, dict) and {"version", "serial", "lineage", "resources"} <= state.keys()
    return state if is_state else None


def _resources(state: Mapping[str, Any]) -> int:
    return sum(len(resource["instances"]) for resource in state["resources"] if resource["mode"] == "managed")
