"""Making the state bucket, whose own state lies in itself, and the way back.

Both work on a copy of the backend's stack below `.bootstrap/`, with its state beside it: a run that was interrupted
anywhere finds what the one before it reached, and goes on.
"""

import copy
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from operations.clients.aws import object_of, paginate
from operations.errors import OperationError
from operations.terraform.runner import Terraform
from operations.terraform.stacks import Stack

if TYPE_CHECKING:
    import boto3

_STATE = "terraform.tfstate"
_SETTINGS_OF_A_BUCKET = "aws_s3_bucket_"


def bootstrap(stack: Stack, home: Path, say: Callable[[str], None], log: Path | None = None) -> None:
    """Make the state bucket of `stack` with local state below `home`, then move that state into the bucket.

    Raises:
        OperationError: the credentials are of another account, or Terraform failed.
    """
    session = stack.aws_session()
    work = home / stack.name
    if object_of(session.client("s3"), stack.state.bucket, stack.state.key) is None:
        say(f"{stack.name}: making s3://{stack.state.bucket}, with local state in {work}")
        local = _prepare(work, stack.configuration, log)
        _adopt(session, stack, local)
        local.run("apply", "-auto-approve")
        say(f"{stack.name}: moving the state into the bucket")
        remote = Terraform(stack.directory, log)
        remote.run("init", "-reconfigure")
        remote.run("state", "push", str((work / _STATE).absolute()))
    _forget_copy(session, stack, work)
    say(f"{stack.name}: its state lies in s3://{stack.state.bucket}/{stack.state.key}")


def unbootstrap(stack: Stack, home: Path, say: Callable[[str], None], log: Path | None = None) -> None:
    """Bring the state home, then destroy the bucket with all that is in it, then its key.

    Raises:
        OperationError: another stack still has resources or somebody holds a lock, and nothing was touched; or
            Terraform failed.
    """
    session = stack.aws_session()
    work = home / stack.name
    in_bucket = object_of(session.client("s3"), stack.state.bucket, stack.state.key)
    if in_bucket is None and not (work / _STATE).is_file():
        say(f"{stack.name}: nothing to destroy: s3://{stack.state.bucket} holds no state of it")
        return
    if in_bucket is not None:
        _refuse_while_used(session, stack)
        say(f"{stack.name}: bringing its state home, to {work}")
        work.mkdir(parents=True, exist_ok=True)
        (work / _STATE).write_bytes(in_bucket)
    local = _prepare(work, without_protection(stack.configuration), log)
    local.run("apply", "-auto-approve")  # the bucket learns that it may be emptied
    say(f"{stack.name}: emptying and destroying s3://{stack.state.bucket}, then its key")
    # The bucket's versioning, encryption and closure must last until the bucket goes, so Terraform forgets them.
    for address in local.output("state", "list").split():
        if address.startswith(_SETTINGS_OF_A_BUCKET):
            local.run("state", "rm", address)
    local.run("destroy", "-auto-approve")
    shutil.rmtree(work)


def without_protection(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a stack's configuration of which everything can be destroyed."""
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
    """Terraform in `work` on `configuration` with local state, which stays there between runs."""
    work.mkdir(parents=True, exist_ok=True)
    local = {**configuration, "terraform": {**configuration["terraform"], "backend": {"local": {"path": _STATE}}}}
    (work / "cdk.tf.json").write_text(json.dumps(local, indent=2), encoding="utf-8")
    terraform = Terraform(work, log)
    terraform.run("init", "-reconfigure")
    return terraform


def _adopt(session: "boto3.Session", stack: Stack, local: Terraform) -> None:
    """Take into the local state what an earlier run made, and lost its state before it could say so."""
    known = set(local.output("state", "list").split()) if (local.directory / _STATE).is_file() else set()
    for address, id_ in _existing(session, stack):
        if address not in known:
            local.run("import", address, id_)


def _existing(session: "boto3.Session", stack: Stack) -> Iterator[tuple[str, str]]:
    """The resources of the backend's stack that exist under their names already: addresses and import ids."""
    account = stack.account_id
    for kind, name, arguments in stack.resources():
        try:
            if kind == "aws_s3_bucket":
                session.client("s3").head_bucket(Bucket=arguments["bucket"], ExpectedBucketOwner=account)
                yield f"{kind}.{name}", arguments["bucket"]
            elif kind == "aws_kms_alias":
                key = session.client("kms").describe_key(KeyId=arguments["name"])["KeyMetadata"]
                key_address = arguments["target_key_id"].removeprefix("${").removesuffix(".key_id}")
                yield key_address, key["KeyId"]
                yield f"{kind}.{name}", arguments["name"]
            elif kind == "aws_dynamodb_table":
                session.client("dynamodb").describe_table(TableName=arguments["name"])
                yield f"{kind}.{name}", arguments["name"]
        except ClientError as error:
            if error.response["Error"]["Code"] in {"403", "AccessDenied"}:
                message = f"{stack.name}: s3://{arguments['bucket']} belongs to somebody else; choose another name"
                raise OperationError(message) from error
            if error.response["Error"]["Code"] not in {
                "404",
                "NoSuchBucket",
                "NotFoundException",
                "ResourceNotFoundException",
            }:
                raise


def _refuse_while_used(session: "boto3.Session", stack: Stack) -> None:
    s3 = session.client("s3")
    problems = []
    for entry in paginate(s3, "list_objects_v2", "Contents", Bucket=stack.state.bucket):
        key = entry["Key"]
        if key.endswith(".tflock"):
            problems.append(f"s3://{stack.state.bucket}/{key}: somebody holds this lock; wait, or break it")
        elif key != stack.state.key and key.endswith(_STATE):
            resources = json.loads(object_of(s3, stack.state.bucket, key) or b"{}").get("resources", [])
            managed = sum(resource["mode"] == "managed" for resource in resources)
            if managed:
                problems.append(f"s3://{stack.state.bucket}/{key}: {managed} resources; destroy that stack first")
    if problems:
        raise OperationError("\n".join(problems))


def _forget_copy(session: "boto3.Session", stack: Stack, work: Path) -> None:
    """Remove the local state once the bucket's is seen to know every resource of it."""
    if not (work / _STATE).is_file():
        return
    here = _identities((work / _STATE).read_bytes())
    there = _identities(object_of(session.client("s3"), stack.state.bucket, stack.state.key) or b"{}")
    if not here <= there:
        missing = ", ".join(sorted(f"{kind}.{name} ({id_})" for kind, name, id_ in here - there))
        message = (
            f"{work / _STATE}: s3://{stack.state.bucket}/{stack.state.key} does not know {missing}; "
            "import what is real with `terraform import`, then remove the local file"
        )
        raise OperationError(message)
    shutil.rmtree(work)


def _identities(state: bytes) -> set[tuple[str, str, str]]:
    """Type, name and id of every resource of a state."""
    return {
        (resource["type"], resource["name"], instance["attributes"]["id"])
        for resource in json.loads(state).get("resources", [])
        for instance in resource["instances"]
    }
