"""Checks the state bucket and the state locks, and finds the resources that are not in the state yet."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from threading import Lock
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from operations.clients.aws import object_of
from operations.preflight.check import Clients, Line, without_backend
from operations.state.locks import held
from operations.terraform.plans import at
from operations.terraform.runner import Terraform
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
    """The locks that are held on the states of these stacks: by whom, and since when. And states that are not saved."""
    no_lock_held = True
    for stack in without_backend(stacks):
        if unsaved := Terraform(stack.directory).unsaved_state:
            yield Line(f"state of {stack.name}", "failed", unsaved)
        lock = held(aws, stack)
        if lock is not None:
            no_lock_held = False
            yield Line(f"lock of {stack.name}", "failed", lock.describe(stack.directory, datetime.now(UTC)))
    if no_lock_held:
        yield Line("locks", "passed", "no lock is held")


class New(NamedTuple):
    """A resource that is not in the state yet."""

    kind: str
    name: str
    arguments: Mapping[str, Any]

    @property
    def address(self) -> str:
        """Its address in Terraform."""
        return f"{self.kind}.{self.name}"


class NewResources:
    """The resources that are not in the state yet, which an apply would create. Each state is read once."""

    def __init__(self, stacks: Sequence[Stack], aws: Clients) -> None:
        self._stacks = [stack for stack in stacks if not stack.is_in_cluster]
        self._reading = Lock()
        self._read = cache(lambda bucket, key: json.loads(object_of(aws("s3"), bucket, key) or b"{}"))

    def resources(self, kind: str) -> Iterator[tuple[Stack, str, Mapping[str, Any]]]:
        """The stack, address and arguments of each new resource of this type."""
        for stack in self._stacks:
            yield from ((stack, one.address, one.arguments) for one in self.of(stack) if one.kind == kind)

    def of(self, stack: Stack) -> list[New]:
        """The new resources of a stack."""
        known = self._known(stack)
        resources = [New(kind, name, arguments) for kind, name, arguments in stack.resources()]
        return [one for one in resources if one.address not in known]

    def values(self, stack: Stack, one: New, found: Mapping[str, str]) -> dict[str, Any]:
        """The arguments of a new resource that are known, with `tags_all`. `found` are import IDs by address."""
        with_tags = {**one.arguments, "tags_all": {**stack.tags, **one.arguments.get("tags", {})}}
        resolved = {name: self._resolved(stack, value, found) for name, value in with_tags.items()}
        return {name: value for name, value in resolved.items() if "${" not in json.dumps(value)}

    def _resolved(self, stack: Stack, value: Any, found: Mapping[str, str]) -> Any:
        """A value in which each reference is replaced that is known: `${TYPE.NAME.ATTRIBUTE}`, also of a producer."""
        if isinstance(value, dict):
            return {name: self._resolved(stack, item, found) for name, item in value.items()}
        if isinstance(value, list):
            return [self._resolved(stack, item, found) for item in value]
        if not isinstance(value, str):
            return value
        return _REFERENCE.sub(lambda match: str(self._referenced(stack, match, found)), value)

    def _referenced(self, stack: Stack, match: re.Match[str], found: Mapping[str, str]) -> Any:
        kind, name, path = match.groups()
        if kind == "data.terraform_remote_state":
            config = stack.configuration["data"]["terraform_remote_state"][name]["config"]
            outputs = self._state(config["bucket"], config["key"]).get("outputs", {})
            return outputs.get(path.removeprefix("outputs."), {}).get("value", match[0])
        address = f"{kind}.{name}"
        attributes = self._known(stack).get(address, {})
        if attributes:
            return at(attributes, path, match[0])
        if address in found and path in _IDS and (path != "arn" or found[address].startswith("arn:")):
            return found[address]
        argument = stack.configuration.get("resource", {}).get(kind, {}).get(name, {}).get(path, match[0])
        return self._resolved(stack, argument, found) if argument != match[0] else argument

    def _known(self, stack: Stack) -> dict[str, dict[str, Any]]:
        """The attributes of the resources in the state of a stack, by address."""
        return {
            f"{resource['type']}.{resource['name']}": (resource.get("instances") or [{}])[0].get("attributes", {})
            for resource in self._state(stack.state.bucket, stack.state.key).get("resources", [])
            if resource["mode"] == "managed"
        }

    def _state(self, bucket: str, key: str) -> dict[str, Any]:
        with self._reading:
            state: dict[str, Any] = self._read(bucket, key)
        return state


_REFERENCE = re.compile(r"\$\{(data\.terraform_remote_state|aws_\w+)\.([\w-]+)\.([\w.\[\]-]+)\}")
_IDS = {"arn", "id", "key_id", "zone_id"}
"""The attributes that are equal to the import ID of a resource. Its ARN is equal if the import ID is an ARN."""
