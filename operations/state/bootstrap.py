"""Creates the state bucket, which also stores its own state, and destroys it again.

Both work in a copy of the backend stack below `.bootstrap/`, with local state: after an interruption, the next run
continues from that state.
"""

import copy
import json
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache, partial
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from operations.clients.aws import object_of, paginate
from operations.errors import OperationError
from operations.output.report import counted
from operations.state import existing
from operations.terraform import program
from operations.terraform.runner import UNSAVED_STATE, Terraform
from operations.terraform.stacks import Stack

if TYPE_CHECKING:
    import boto3

_STATE = "terraform.tfstate"
_MAX_STATE_BYTES = 64 * 2**20
_BUCKET_SETTINGS = "aws_s3_bucket_"
_REPLICATION = "aws_s3_bucket_replication_configuration"
_NOT_FOUND = {"404", "NoSuchBucket", "NotFoundException", "ResourceNotFoundException"}


def bootstrap(stack: Stack, home: Path, say: Callable[[str], None], log: Path | None = None) -> None:
    """Create the state bucket of `stack` with local state below `home`, then move that state into the bucket.

    Raises:
        OperationError: if the credentials or the bucket belong to another account, the stack's folder holds a state
            that could not be saved, or Terraform failed.
    """
    Terraform(stack.directory).refuse_unsaved_state()
    session = stack.aws_session()
    _check_owner(session, stack)
    work = home / stack.name
    if object_of(session.client("s3"), stack.state.bucket, stack.state.key) is None:
        say(f"{stack.name}: creating s3://{stack.state.bucket}, with local state in {work}")
        local = _prepare(work, stack.configuration, log)
        _adopt(session, stack, local)
        for address in _tainted(work):  # the creation was interrupted; an apply would replace what exists
            local.run("untaint", address)
        local.run("apply", "-auto-approve")
        say(f"{stack.name}: moving the state into the bucket")
        remote = Terraform(stack.directory, log)
        remote.run("init", "-reconfigure")
        remote.run("state", "push", str((work / _STATE).absolute()))
    _forget_copy(session, stack, work)
    say(f"{stack.name}: its state is stored in s3://{stack.state.bucket}/{stack.state.key}")


def unbootstrap(stack: Stack, home: Path, say: Callable[[str], None], log: Path | None = None) -> None:
    """Copy the state to `home`, then destroy the bucket with all objects in it, then its key.

    Raises:
        OperationError: if the bucket belongs to another account or holds a lock, a state with resources, or an object
            that is not a state, or a stack's folder holds a state that could not be saved, and nothing was changed; or
            if Terraform failed.
    """
    folders = sorted(stack.directory.parent.glob(f"*/{UNSAVED_STATE}"))
    if unsaved := [Terraform(file.parent).unsaved_state for file in folders]:
        raise OperationError("\n".join(unsaved))
    session = stack.aws_session()
    _check_owner(session, stack)
    work = home / stack.name
    in_bucket = object_of(session.client("s3"), stack.state.bucket, stack.state.key)
    if in_bucket is None and not _has_state(work):
        say(f"{stack.name}: nothing to destroy: s3://{stack.state.bucket} has no state of this stack")
        return
    if in_bucket is not None:
        _refuse_while_used(session, stack)
        say(f"{stack.name}: copying its state to {work}")
        work.mkdir(parents=True, exist_ok=True)
        (work / _STATE).write_bytes(in_bucket)
    local = _prepare(work, without_protection(stack.configuration), log)
    local.run("apply", "-auto-approve")  # sets `force_destroy`, so that the bucket can be emptied
    say(f"{stack.name}: emptying and destroying s3://{stack.state.bucket}, then its key")
    # Versioning, encryption and access block must last until the bucket is deleted, so Terraform forgets them. The
    # replication must end before: it would write into a copy that is being emptied.
    for address in local.output("state", "list").split():
        if address.startswith(_BUCKET_SETTINGS) and not address.startswith(_REPLICATION):
            local.run("state", "rm", address)
    local.run("destroy", "-auto-approve")
    shutil.rmtree(work)


def without_protection(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a stack's configuration without protection: all of its resources can be destroyed."""
    lifted = copy.deepcopy(dict(configuration))
    for kind, resources in lifted["resource"].items():
        for arguments in resources.values():
            arguments.get("lifecycle", {}).pop("prevent_destroy", None)
            for protection in {"deletion_protection", "deletion_protection_enabled"} & arguments.keys():
                arguments[protection] = False
            if kind == "aws_s3_bucket":
                arguments["force_destroy"] = True
    return lifted


def _prepare(work: Path, configuration: Mapping[str, Any], log: Path | None) -> Terraform:
    """Initialize Terraform in `work` with `configuration` and local state, which is kept between runs."""
    work.mkdir(parents=True, exist_ok=True)
    local = {**configuration, "terraform": {**configuration["terraform"], "backend": {"local": {"path": _STATE}}}}
    (work / "cdk.tf.json").write_text(json.dumps(local, indent=2), encoding="utf-8")
    terraform = Terraform(work, log)
    terraform.run("init", "-reconfigure")
    return terraform


def _check_owner(session: "boto3.Session", stack: Stack) -> None:
    s3 = session.client("s3")
    for bucket in [arguments["bucket"] for arguments in stack.resources_of("aws_s3_bucket").values()]:
        try:
            s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=stack.account_id)
        except ClientError as error:
            if error.response["Error"]["Code"] == "403":
                message = f"{stack.name}: s3://{bucket} is owned by another account; choose another name"
                raise OperationError(message) from error
            if error.response["Error"]["Code"] not in _NOT_FOUND:
                raise


def _adopt(session: "boto3.Session", stack: Stack, local: Terraform) -> None:
    """Import existing resources that are not in the local state, such as those of a run that lost its state."""
    known = set(local.output("state", "list").split()) if _has_state(local.directory) else set()
    for address, id_ in _existing(session, stack, known):
        if address not in known:
            local.run("import", address, id_)
            known.add(address)


def _has_state(work: Path) -> bool:
    """Whether Terraform has saved a local state; its lock creates an empty file."""
    file = work / _STATE
    return file.is_file() and file.stat().st_size > 0


def _tainted(work: Path) -> list[str]:
    """The addresses in the local state of what exists, but whose creation did not end."""
    state = json.loads((work / _STATE).read_bytes()) if _has_state(work) else {}
    return [
        f"{resource['type']}.{resource['name']}"
        for resource in state.get("resources", [])
        if any(instance.get("status") == "tainted" for instance in resource["instances"])
    ]


def _existing(session: "boto3.Session", stack: Stack, known: Collection[str]) -> Iterator[tuple[str, str]]:
    """The resources of the backend stack that exist already: addresses and import ids.

    They are found by their names, a key that is not yet `known` also by its tags: its alias may be missing. A copy is
    in another region.

    Raises:
        OperationError: if several keys have its tags.
    """
    account = stack.account_id
    for kind, name, arguments in sorted(stack.resources(), key=itemgetter(0)):  # aliases before keys
        client = cache(partial(session.client, region_name=stack.region_of(kind, name)))
        try:
            if kind == "aws_s3_bucket":
                client("s3").head_bucket(Bucket=arguments["bucket"], ExpectedBucketOwner=account)
                yield f"{kind}.{name}", arguments["bucket"]
            elif kind == "aws_kms_alias":
                key = client("kms").describe_key(KeyId=arguments["name"])["KeyMetadata"]
                key_address = arguments["target_key_id"].removeprefix("${").removesuffix(".key_id}")
                yield key_address, key["KeyId"]
                yield f"{kind}.{name}", arguments["name"]
            elif kind in {"aws_iam_role", "aws_kms_key"} and f"{kind}.{name}" not in known:
                values = {**arguments, "tags_all": {**stack.tags, **arguments.get("tags", {})}}
                ids = existing.find(existing.Account(client), kind, values)
                if len(ids) > 1:
                    raise OperationError(f"{stack.name}: {existing.ambiguous(f'{kind}.{name}', ids)}")
                yield from ((f"{kind}.{name}", id_) for id_ in ids)
            elif kind == "aws_dynamodb_table":
                client("dynamodb").describe_table(TableName=arguments["name"])
                yield f"{kind}.{name}", arguments["name"]
        except ClientError as error:
            if error.response["Error"]["Code"] not in _NOT_FOUND:
                raise


def _refuse_while_used(session: "boto3.Session", stack: Stack) -> None:
    """Check every object in the bucket by its content: a state may be stored under any key."""
    s3 = session.client("s3")
    problems = []
    for entry in paginate(s3, "list_objects_v2", "Contents", Bucket=stack.state.bucket):
        key, size = entry["Key"], entry["Size"]
        where = f"s3://{stack.state.bucket}/{key}"
        if key.endswith(".tflock"):
            problems.append(f"{where}: the lock is held; wait for it, or break it")
        elif key != stack.state.key and size:  # the console creates empty objects as folders
            body = object_of(s3, stack.state.bucket, key) if size <= _MAX_STATE_BYTES else None
            managed = _managed_resources(body or b"")
            if managed is None:
                problems.append(f"{where}: cannot be read as a Terraform state; move or delete it first")
            elif managed:
                problems.append(f"{where}: {counted(managed, 'resource')}; destroy that stack first")
    if problems:
        raise OperationError("\n".join(problems))


def _managed_resources(content: bytes) -> int | None:
    """The number of managed resources in a state; None if the content is not a state."""
    try:
        modes = [str(resource["mode"]) for resource in json.loads(content)["resources"]]
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    return modes.count("managed")


def _forget_copy(session: "boto3.Session", stack: Stack, work: Path) -> None:
    """Remove the local state after a check that the state in the bucket contains all of its resources."""
    if not work.is_dir():
        return
    here = _identities((work / _STATE).read_bytes()) if _has_state(work) else set()
    there = _identities(object_of(session.client("s3"), stack.state.bucket, stack.state.key) or b"{}")
    if not here <= there:
        missing = ", ".join(sorted(f"{kind}.{name} ({id_})" for kind, name, id_ in here - there))
        message = f"{work / _STATE}: s3://{stack.state.bucket}/{stack.state.key} does not contain {missing}"
        command = program.command(stack.directory, "import ADDRESS ID")
        raise OperationError(f"{message}; import those that exist: {command}, then remove the local file")
    shutil.rmtree(work)


def _identities(state: bytes) -> set[tuple[str, str, str]]:
    """Type, name and id of every resource in a state."""
    return {
        (resource["type"], resource["name"], instance["attributes"]["id"])
        for resource in json.loads(state).get("resources", [])
        for instance in resource["instances"]
    }
