"""Backing up what Argo CD knows, encrypted before it leaves this process, and restoring it into a cluster.

Git holds most of it; the rest is the credentials of repositories and clusters, and what people set by hand. Each backup
is a version of one object in the environment's backup bucket, whose lifecycle says how long it is kept.
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
from operations.output.report import Report, Status, Table
from operations.terraform.stacks import Stack

if TYPE_CHECKING:
    import boto3

OBJECT = "argo-cd/export"
_CHECKSUM = "sha256"
_ABSENT = {"InvalidArgument", "NoSuchKey", "NoSuchVersion"}  # the first, of a version that cannot be one


@dataclass(frozen=True)
class BackupLocation:
    """Where an environment's backups lie, the alias of the key that they are encrypted with, and whose they are."""

    session: "boto3.Session"
    bucket: str
    key_alias: str
    cluster: str

    @property
    def context(self) -> dict[str, str]:
        """The encryption context: a backup of another cluster, or another object, does not decrypt in its place."""
        return {"cluster": self.cluster, "purpose": OBJECT}

    @property
    def url(self) -> str:
        """The object, for people."""
        return f"s3://{self.bucket}/{OBJECT}"


def find_location(stacks: Sequence[Stack], environment: str | None) -> BackupLocation:
    """The place of `environment` (such as `dev`, or the name of its stack), whose cluster kubectl must speak with.

    Without a name it is the environment of that cluster.

    Raises:
        OperationError: there is no such environment, or kubectl speaks with another cluster.
    """
    known = [stack for stack in stacks if stack.backups is not None]
    chosen = [stack for stack in known if environment in {None, stack.name, stack.environment}]
    if not chosen:
        names = ", ".join(stack.name for stack in known)
        raise OperationError(f"{environment}: no environment of that name; choose one of {names}")
    if environment is not None and len(chosen) > 1:
        names = ", ".join(stack.name for stack in chosen)
        raise OperationError(f"{environment}: an environment of several regions; choose one of {names}")
    current = server()
    trials = {(stack.region, stack.environment) for stack in stacks if stack.is_in_cluster and stack.kubeconfig}
    for stack in chosen:
        found = _location(stack)
        if (stack.region, stack.environment) in trials or _endpoint(found) == current:
            return found
    clusters = ", ".join(stack.cluster.name for stack in chosen if stack.cluster is not None)
    message = (
        f"kubectl: the current cluster is {current or 'none'}, and not {clusters}; choose it with "
        "`aws eks update-kubeconfig --name CLUSTER --role-arn ROLE`"
    )
    raise OperationError(message)


def _location(stack: Stack) -> BackupLocation:
    assert stack.backups is not None
    assert stack.cluster is not None
    return BackupLocation(
        session=stack.aws_session(),
        bucket=stack.backups.bucket,
        key_alias=stack.backups.key_alias,
        cluster=stack.cluster.name,
    )


def _endpoint(at: BackupLocation) -> str | None:
    try:
        return at.session.client("eks").describe_cluster(name=at.cluster)["cluster"].get("endpoint")
    except ClientError:  # not deployed yet, or out of reach
        return None


def backup(at: BackupLocation, argo_cd: ArgoCdAdmin) -> Report:
    """Export what Argo CD knows, seal it, and put it into the bucket.

    Raises:
        OperationError: Argo CD could not be asked, or AWS refused.
    """
    export = argo_cd.export()
    kinds = argo_cd_export.parse_export(export).kinds
    with _refusals_of_aws(at):
        encrypted = encrypt(at.session, at.key_alias, at.context, export)
        checksum = hashlib.sha256(encrypted).hexdigest()
        put = at.session.client("s3").put_object(
            Bucket=at.bucket,
            Key=OBJECT,
            Body=encrypted,
            ChecksumAlgorithm="SHA256",
            Metadata={_CHECKSUM: checksum, "cluster": at.cluster},
        )
    if "VersionId" not in put:
        raise OperationError(f"{at.bucket}: keeps no versions, so the next backup would replace this one; deploy it")
    return Report(
        title=f"{at.cluster}: {sum(kinds.values())} objects of Argo CD backed up",
        status=Status.FINE,
        data={"bucket": at.bucket, "key": OBJECT, "version": put["VersionId"], "sha256": checksum, "objects": kinds},
        tables=[Table("Backed up", ["kind", "objects"], [[kind, str(count)] for kind, count in kinds.items()])],
        notes=[f"{at.url} version {put['VersionId']}"],
    )


def versions(at: BackupLocation) -> Report:
    """Every backup that is kept, the newest first."""
    with _refusals_of_aws(at):
        s3 = at.session.client("s3")
        found = [
            {"version": version["VersionId"], "made": version["LastModified"].isoformat(), "bytes": version["Size"]}
            for version in aws.paginate(s3, "list_object_versions", "Versions", Bucket=at.bucket, Prefix=OBJECT)
        ]
    rows = [[str(version[name]) for name in ("made", "version", "bytes")] for version in found]
    return Report(
        title=f"{at.cluster}: {len(found)} backups of Argo CD",
        status=Status.FINE if found else Status.ATTENTION,
        data={"versions": found},
        tables=[Table(at.url, ["made", "version", "bytes"], rows)],
    )


def restore(at: BackupLocation, argo_cd: ArgoCdAdmin, version: str | None, confirm: Callable[[Report], bool]) -> Report:
    """Import the newest backup, or the one of `version`, once `confirm` agreed to the difference.

    What the cluster has besides stays; so does what Terraform tells Argo CD about its own cluster.

    Raises:
        OperationError: there is no such backup, it was changed, or Argo CD could not be asked.
    """
    saved = argo_cd_export.parse_export(fetch(at, version))
    difference = argo_cd_export.compare(saved, argo_cd_export.parse_export(argo_cd.export()))
    if not difference.to_import:
        return _difference_report(at, difference, "the cluster has all that the backup holds", Status.FINE)
    asked = _difference_report(at, difference, f"{len(difference.to_import)} objects to restore", Status.ATTENTION)
    if not confirm(asked):
        return _difference_report(at, difference, "nothing was restored", Status.ATTENTION)
    argo_cd.import_(saved.text(difference.to_import))
    left = argo_cd_export.compare(saved, argo_cd_export.parse_export(argo_cd.export()))
    if left.to_import:
        return _difference_report(
            at, left, f"{len(left.to_import)} objects are not as in the backup after all", Status.ERROR
        )
    return _difference_report(at, difference, f"{len(difference.to_import)} objects restored", Status.FINE)


def _difference_report(at: BackupLocation, difference: Difference, outcome: str, status: Status) -> Report:
    found = {name: getattr(difference, name) for name in ("missing", "different", "extra", "kept")}
    meaning = {"extra": "extra: stays", "kept": "different: stays as Terraform wrote it"}
    rows = [[meaning.get(what, what), id_.kind, id_.namespace, id_.name] for what, ids in found.items() for id_ in ids]
    return Report(
        title=f"{at.cluster}: {outcome}",
        status=status,
        data={what: [f"{id_.kind}/{id_.namespace}/{id_.name}" for id_ in ids] for what, ids in found.items()},
        tables=[Table("Cluster, against the backup", ["what", "kind", "namespace", "name"], rows)],
    )


def fetch(at: BackupLocation, version: str | None) -> bytes:
    """A backup as it was exported, in memory.

    Raises:
        OperationError: there is no such backup, or a bit of it changed.
    """
    wanted: dict[str, Any] = {"Bucket": at.bucket, "Key": OBJECT, **({"VersionId": version} if version else {})}
    with _refusals_of_aws(at):
        got = at.session.client("s3").get_object(**wanted)
        encrypted = got["Body"].read()
    subject = f"{at.url} version {got.get('VersionId')}"
    if hashlib.sha256(encrypted).hexdigest() != got["Metadata"].get(_CHECKSUM):
        raise OperationError(f"{subject}: its SHA-256 is not the one that was written with it; choose another version")
    try:
        return decrypt(at.session, encrypted, at.context)
    except OperationError as error:
        raise OperationError(f"{subject}: {error}; choose another version") from error


@contextmanager
def _refusals_of_aws(at: BackupLocation) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] in _ABSENT and error.operation_name == "GetObject":
            raise OperationError(f"{at.url}: no such backup; `restore --list` shows those there are") from error
        raise OperationError(f"{at.url}: {error}") from error
    except BotoCoreError as error:
        raise OperationError(f"{at.url}: {error}") from error
