"""The state bucket, the locks that are held in it, and what the state does not know yet."""

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

_NOBODYS = {"404", "NoSuchBucket"}
_SOMEBODY_ELSES = {"403", "AccessDenied", "Forbidden"}


def bucket(stacks: Sequence[Stack], aws: Clients) -> Iterator[Line]:
    """The state bucket: there, ours, and versioned."""
    account, s3 = stacks[0].account_id, aws("s3")
    for name, backend in sorted({(stack.state.bucket, stack.state.backend) for stack in without_backend(stacks)}):
        subject = f"state bucket {name}"
        try:
            s3.head_bucket(Bucket=name, ExpectedBucketOwner=account)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _NOBODYS:
                yield Line(subject, "failed", "does not exist; run: make bootstrap")
            elif code in _SOMEBODY_ELSES:
                message = f"closed to you, or not of account {account}; ask for s3:ListBucket, or choose another name"
                yield Line(subject, "failed", message)
            else:
                raise
            continue
        if s3.get_bucket_versioning(Bucket=name).get("Status") == "Enabled":
            yield Line(subject, "passed", "there, ours and versioned")
        else:
            remedy = f"deploy its stack: make deploy STACK={backend}"
            yield Line(subject, "failed", f"keeps no versions, so a lost state is lost; {remedy}")


def locks(stacks: Sequence[Stack], aws: Clients) -> Iterator[Line]:
    """Who holds a lock of these stacks, and since when."""
    held_by_nobody = True
    for stack in without_backend(stacks):
        lock = held(aws, stack)
        if lock is not None:
            held_by_nobody = False
            yield Line(f"lock of {stack.name}", "failed", lock.describe(stack.directory, datetime.now(UTC)))
    if held_by_nobody:
        yield Line("locks", "passed", "nobody holds one")


class NewResources:
    """The resources of stacks that are in no state yet: what an apply would make. It reads each state once."""

    def __init__(self, stacks: Sequence[Stack], aws: Clients) -> None:
        self._stacks = [stack for stack in stacks if not stack.is_in_cluster]
        self._reading = Lock()
        self._known = cache(lambda bucket, key: _addresses(object_of(aws("s3"), bucket, key)))

    def resources(self, kind: str) -> Iterator[tuple[Stack, str, dict[str, Any]]]:
        """Stack, address and arguments of each new resource of this type."""
        for stack in self._stacks:
            with self._reading:
                known = self._known(stack.state.bucket, stack.state.key)
            for found, name, arguments in stack.resources():
                if found == kind and f"{kind}.{name}" not in known:
                    yield stack, f"{kind}.{name}", arguments


def _addresses(state: bytes | None) -> set[str]:
    resources = json.loads(state or b"{}").get("resources", [])
    return {f"{resource['type']}.{resource['name']}" for resource in resources if resource["mode"] == "managed"}
