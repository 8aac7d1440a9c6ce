"""Backs up the objects of Argo CD, encrypted in this process, and restores them into a cluster.

Most of them are also in Git. The others are the credentials of repositories and clusters, and manual settings. Each
backup is a version of one S3 object in the environment's backup bucket, whose lifecycle rules expire old versions. A
further cluster has an object of its own.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from operations.backup import argo_cd_export
from operations.backup.argo_cd_export import ArgoCdAdmin, Difference
from operations.backup.envelope import decrypt, encrypt
from operations.clients import aws
from operations.clients.kubectl import server
from operations.errors import OperationError
from operations.output.report import Report, Status, Table, counted
from operations.terraform.stacks import Stack, environment_stacks

if TYPE_CHECKING:
    import boto3

OBJECT = "argo-cd/export"
_CHECKSUM = "sha256"
_ABSENT = {"InvalidArgument", "NoSuchKey", "NoSuchVersion"}  # InvalidArgument: a malformed version id


@dataclass(frozen=True)
class BackupLocation:
    """Where the backups of an environment are stored, the alias or ARN of their KMS key, and the cluster's name."""

    session: "boto3.Session"
    bucket: str
    key_id: str
    cluster: str
    object: str = OBJECT

    @property
    def context(self) -> dict[str, str]:
        """The encryption context, which prevents decrypting the backup of another cluster or another object instead."""
        return {"cluster": self.cluster, "purpose": OBJECT}

    @property
    def url(self) -> str:
        """The S3 URL of the object, for messages."""
        return f"s3://{self.bucket}/{self.object}"


def find_location(stacks: Sequence[Stack], environment: str | None) -> BackupLocation:
    """The backup location of `environment` (such as `dev`, or the name of its stack).

    The current cluster of `kubectl` must belong to the environment. If None, the environment of that cluster is used.

    Raises:
        OperationError: if the environment does not exist or has no Argo CD, or the current cluster is a different one.
    """
    named = environment_stacks(stacks, environment)
    chosen = [stack for stack in named if not stack.hub]
    if not chosen:
        hub = named[0].hub
        raise OperationError(f"{environment}: its Argo CD is that of {hub}, whose backup has all; name {hub}")
    current = server()
    trials = {(stack.region, stack.environment) for stack in stacks if stack.is_in_cluster and stack.kubeconfig}
    for stack in chosen:
        found = _location(stack)
        if (stack.region, stack.environment) in trials or _endpoint(found) == current:
            return found
    clusters = ", ".join(stack.cluster.name for stack in chosen if stack.cluster is not None)
    message = (
        f"kubectl: the current cluster is {current or 'none'}, not {clusters}; select it with "
        "`aws eks update-kubeconfig --name CLUSTER --role-arn ROLE`"
    )
    raise OperationError(message)


def _location(stack: Stack) -> BackupLocation:
    assert stack.backups is not None
    assert stack.cluster is not None
    return BackupLocation(
        session=stack.aws_session(),
        bucket=stack.backups.bucket,
        key_id=stack.backups.key_id,
        cluster=stack.cluster.name,
        object=f"argo-cd/{stack.further}/export" if stack.further else OBJECT,
    )


def _endpoint(at: BackupLocation) -> str | None:
    try:
        return at.session.client("eks").describe_cluster(name=at.cluster)["cluster"].get("endpoint")
    except ClientError:  # not deployed yet, or not accessible
        return None


def backup(at: BackupLocation, argo_cd: ArgoCdAdmin) -> Report:
    """Export the objects of Argo CD, encrypt them, and upload them to the bucket.

    Raises:
        OperationError: if the export fails, or AWS returns an error.
    """
    export = argo_cd.export()
    kinds = argo_cd_export.parse_export(export).kinds
    with _aws_errors(at):
        encrypted = encrypt(at.session, at.key_id, at.context, export)
        checksum = hashlib.sha256(encrypted).hexdigest()
        put = at.session.client("s3").put_object(
            Bucket=at.bucket,
            Key=at.object,
            Body=encrypted,
            ChecksumAlgorithm="SHA256",
            Metadata={_CHECKSUM: checksum, "cluster": at.cluster},
        )
    if "VersionId" not in put:
        raise OperationError(f"{at.bucket}: not versioned, so the next backup would replace this; deploy the stack")
    return Report(
        title=f"{at.cluster}: {counted(sum(kinds.values()), 'object')} of Argo CD backed up",
        status=Status.FINE,
        data={"bucket": at.bucket, "key": at.object, "version": put["VersionId"], "sha256": checksum, "objects": kinds},
        tables=[Table("Backed up", ["kind", "objects"], [[kind, str(count)] for kind, count in kinds.items()])],
        notes=[f"{at.url} version {put['VersionId']}"],
    )


def versions(at: BackupLocation) -> Report:
    """The backups that exist, newest first."""
    with _aws_errors(at):
        s3 = at.session.client("s3")
        found = [
            {"version": version["VersionId"], "made": version["LastModified"].isoformat(), "bytes": version["Size"]}
            for version in aws.paginate(s3, "list_object_versions", "Versions", Bucket=at.bucket, Prefix=at.object)
        ]
    rows = [[str(version[name]) for name in ("made", "version", "bytes")] for version in found]
    return Report(
        title=f"{at.cluster}: {counted(len(found), 'backup')} of Argo CD",
        status=Status.FINE if found else Status.ATTENTION,
        data={"versions": found},
        tables=[Table(at.url, ["made", "version", "bytes"], rows)],
    )


def restore(at: BackupLocation, argo_cd: ArgoCdAdmin, version: str | None, confirm: Callable[[Report], bool]) -> Report:
    """Import the newest backup, or the one of `version`, after `confirm` accepts the difference.

    Extra objects in the cluster are kept, and so is the Secret that Terraform writes for the cluster itself.

    Raises:
        OperationError: if the backup does not exist, was modified, or the import fails.
    """
    saved = argo_cd_export.parse_export(fetch(at, version))
    difference = argo_cd_export.compare(saved, argo_cd_export.parse_export(argo_cd.export()))
    if not difference.to_import:
        return _difference_report(at, difference, "the cluster has all objects of the backup", Status.FINE)
    asked = _difference_report(
        at, difference, f"{counted(len(difference.to_import), 'object')} to restore", Status.ATTENTION
    )
    if not confirm(asked):
        return _difference_report(at, difference, "nothing was restored", Status.ATTENTION)
    argo_cd.import_(saved.text(difference.to_import))
    left = argo_cd_export.compare(saved, argo_cd_export.parse_export(argo_cd.export()))
    if left.to_import:
        return _difference_report(
            at, left, f"{counted(len(left.to_import), 'object')} not as in the backup", Status.ERROR
        )
    return _difference_report(at, difference, f"{counted(len(difference.to_import), 'object')} restored", Status.FINE)


def _difference_report(at: BackupLocation, difference: Difference, outcome: str, status: Status) -> Report:
    found = {name: getattr(difference, name) for name in ("missing", "different", "extra", "kept")}
    meaning = {"extra": "extra: kept", "kept": "different: kept as written by Terraform"}
    rows = [[meaning.get(what, what), id_.kind, id_.namespace, id_.name] for what, ids in found.items() for id_ in ids]
    return Report(
        title=f"{at.cluster}: {outcome}",
        status=status,
        data={what: [f"{id_.kind}/{id_.namespace}/{id_.name}" for id_ in ids] for what, ids in found.items()},
        tables=[Table("Cluster compared with the backup", ["difference", "kind", "namespace", "name"], rows)],
    )


def fetch(at: BackupLocation, version: str | None) -> bytes:
    """A decrypted backup, in memory.

    Raises:
        OperationError: if the backup does not exist, or was modified.
    """
    wanted: dict[str, Any] = {"Bucket": at.bucket, "Key": at.object, **({"VersionId": version} if version else {})}
    with _aws_errors(at):
        got = at.session.client("s3").get_object(**wanted)
        encrypted = got["Body"].read()
    subject = f"{at.url} version {got.get('VersionId')}"
    if hashlib.sha256(encrypted).hexdigest() != got["Metadata"].get(_CHECKSUM):
        raise OperationError(f"{subject}: its SHA-256 differs from the one in its metadata; choose another version")
    try:
        return decrypt(at.session, at.key_id, encrypted, at.context)
    except OperationError as error:
        raise OperationError(f"{subject}: {error}; choose another version") from error


@contextmanager
def _aws_errors(at: BackupLocation) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] in _ABSENT and error.operation_name == "GetObject":
            raise OperationError(f"{at.url}: no such backup; `restore --list` shows the existing ones") from error
        raise OperationError(f"{at.url}: {error}") from error
    except BotoCoreError as error:
        raise OperationError(f"{at.url}: {error}") from error
