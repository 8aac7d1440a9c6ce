"""Checks the state bucket and the state locks, and finds the resources that are not in the state yet."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from threading import Lock
from typing import Any

from botocore.exceptions import ClientError

from operations.clients.aws import object_of
from operations.preflight.check import Clients, Line, without_backend
from operations.state.locks import held
from operations.terraform.stacks import Stack

_NOT_FOUND = {"404", "NoSuchBucket"}
_ACCESS_DENIED = {"403", "AccessDenied", "Forbidden"}


def bucket(stacks: Sequence[Stack], aws: Clients) -> Iterator[Line]:
    """Whether the state bucket exists, belongs to the account, and is versioned."""
    account, s3 = stacks[0].account_id, aws("s3")
    for name, backend in sorted({(stack.state.bucket, stack.state.backend) for stack in without_backend(stacks)}):
        subject = f"state bucket {name}"
        try:
            s3.head_bucket(Bucket=name, ExpectedBucketOwner=account)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _NOT_FOUND:
                yield Line(subject, "failed", "does not exist; run: make bootstrap")
            elif code in _ACCESS_DENIED:
                message = f"access denied, or not of account {account}; ask for s3:ListBucket, or choose another name"
                yield Line(subject, "failed", message)
            else:
                raise
            continue
        if s3.get_bucket_versioning(Bucket=name).get("Status") == "Enabled":
            yield Line(subject, "passed", "exists, belongs to the account, and is versioned")
        else:
            remedy = f"deploy its stack: make deploy STACK={backend}"
            yield Line(subject, "failed", f"not versioned, so a lost state cannot be restored; {remedy}")


def locks(stacks: Sequence[Stack], aws: Clients) -> Iterator[Line]:
    """The locks that are held on the states of these stacks: by whom, and since when."""
    no_lock_held = True
    for stack in without_backend(stacks):
        lock = held(aws, stack)
        if lock is not None:
            no_lock_held = False
            yield Line(f"lock of {stack.name}", "failed", lock.describe(stack.directory, datetime.now(UTC)))
    if no_lock_held:
        yield Line("locks", "passed", "no lock is held")


class NewResources:
    """The resources that are not in the state yet, which an apply would create. Each state is read once."""

    def __init__(self, stacks: Sequence[Stack], aws: Clients) -> None:
        self._stacks = [stack for stack in stacks if not stack.is_in_cluster]
        self._reading = Lock()
        self._known = cache(lambda bucket, key: _addresses(object_of(aws("s3"), bucket, key)))

    def resources(self, kind: str) -> Iterator[tuple[Stack, str, dict[str, Any]]]:
        """The stack, address and arguments of each new resource of this type."""
        for stack in self._stacks:
            with self._reading:
                known = self._known(stack.state.bucket, stack.state.key)
            for found, name, arguments in stack.resources():
                if found == kind and f"{kind}.{name}" not in known:
                    yield stack, f"{kind}.{name}", arguments


def _addresses(state: bytes | None) -> set[str]:
    resources = json.loads(state or b"{}").get("resources", [])
    return {f"{resource['type']}.{resource['name']}" for resource in resources if resource["mode"] == "managed"}
