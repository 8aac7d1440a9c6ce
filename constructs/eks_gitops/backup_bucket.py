"""BackupBucket: the S3 bucket for an environment's Argo CD backups."""

from cdktf_cdktf_provider_aws.s3_bucket import S3Bucket
from constructs import Construct

from eks_gitops.context import Context
from eks_gitops.location import Location
from eks_gitops.private_bucket import keep_private


class BackupBucket(Construct):
    """A private bucket in which every backup is a version of the same object, so the latest one never expires.

    A version expires `retention_days` after it was replaced. With `force_destroy`, the bucket is deleted together with
    its objects.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        context: Context,
        organisation: str,
        retention_days: int,
        force_destroy: bool,
    ) -> None:
        super().__init__(scope, id_)
        bucket = S3Bucket(
            self, "bucket", bucket=backup_bucket_name(context.location, organisation), force_destroy=force_destroy
        )
        keep_private(
            self,
            bucket,
            location=context.location,
            key=context.key,
            noncurrent_version_retention_days=retention_days,
        )
        self.bucket_name: str = bucket.bucket


def backup_bucket_name(location: Location, organisation: str) -> str:
    """`<organisation>-<region>-<environment>-backups`. Bucket names are global in AWS."""
    return f"{organisation}{backup_bucket_suffix(location)}"


def backup_bucket_suffix(location: Location) -> str:
    """The suffix of the name of an environment's backup bucket, which the policies of its roles match."""
    return f"-{location.region}-{location.environment}-backups"
