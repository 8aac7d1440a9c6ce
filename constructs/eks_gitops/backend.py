"""StateBackend: the S3 bucket for Terraform state, with its KMS key and an optional DynamoDB lock table."""

from collections.abc import Iterator, Mapping
from typing import Literal

from cdktf import TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.dynamodb_table import (
    DynamodbTable,
    DynamodbTableAttribute,
    DynamodbTablePointInTimeRecovery,
    DynamodbTableServerSideEncryption,
)
from cdktf_cdktf_provider_aws.s3_bucket import S3Bucket
from constructs import Construct

from eks_gitops.config import Config, Problem
from eks_gitops.key import Key
from eks_gitops.location import Location
from eks_gitops.private_bucket import LONGEST_BUCKET_NAME, BucketName, keep_private
from eks_gitops.state_copy import StateCopy
from eks_gitops.values import BackupDays


class StateBackendConfig(Config):
    """How Terraform state is stored and locked."""

    bucket: BucketName
    """The bucket of the states. `make bootstrap` creates it. Terraform refuses to replace it (`prevent_destroy`)."""
    lock: Literal["lockfile", "both", "dynamodb"]
    """`lockfile` is an S3 object next to the state, `dynamodb` a table, which is deprecated since Terraform 1.11.
    `both` is for a migration from one to the other."""
    noncurrent_version_retention_days: BackupDays = 90
    """Days after which S3 deletes a replaced version of a state. `make restore-state` can restore it until then."""
    copy_region: str | None = None
    """Another region, in which S3 keeps a copy of each new state in a bucket `<bucket>-copy`. States that exist already
    are copied at their next apply, or by hand. How to do that, to restore a state, and to change or remove the region:
    docs/disaster-recovery.md."""

    @property
    def lock_table(self) -> str | None:
        """The name of the DynamoDB table, or None if none is used."""
        return None if self.lock == "lockfile" else f"{self.bucket}-lock"

    @property
    def copy_bucket(self) -> str | None:
        """The name of the bucket of the copy in another region, or None if there is no copy."""
        return None if self.copy_region is None else f"{self.bucket}-copy"

    @property
    def buckets(self) -> set[str]:
        """The names of all buckets of the states."""
        return {name for name in (self.bucket, self.copy_bucket) if name is not None}

    def problems(self) -> Iterator[Problem]:
        """A name of the copy that is too long."""
        copy = self.copy_bucket or ""
        if len(copy) > LONGEST_BUCKET_NAME:
            message = (
                f"its copy {copy!r} has {len(copy)} characters; S3 allows {LONGEST_BUCKET_NAME}, choose a shorter one"
            )
            yield Problem("bucket", self.bucket, message)


class StateBackend(Construct):
    """A versioned, encrypted, private bucket for state. `prevent_destroy` protects the bucket and its key.

    `tags` are those of the copy in another region, if there is one.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        config: StateBackendConfig,
        *,
        location: Location,
        tags: Mapping[str, str],
    ) -> None:
        super().__init__(scope, id_)
        self.key = Key(
            self, "key", location=location, description="Terraform state", services=["dynamodb"], prevent_destroy=True
        )
        bucket = S3Bucket(
            self,
            "bucket",
            bucket=config.bucket,
            # Terraform then deletes the bucket before the key, so that no object loses its key.
            depends_on=self.key.resources,
            lifecycle=TerraformResourceLifecycle(prevent_destroy=True),
        )
        versioning = keep_private(
            self,
            bucket,
            location=location,
            key=self.key,
            noncurrent_version_retention_days=config.noncurrent_version_retention_days,
        )
        if config.copy_region is not None and config.copy_bucket is not None:
            # The region is in the ids, so that Terraform does not look for the copy in a region that it is not in.
            copy = StateCopy(
                self,
                f"copy-{config.copy_region}",
                bucket=config.copy_bucket,
                region=config.copy_region,
                location=location,
                noncurrent_version_retention_days=config.noncurrent_version_retention_days,
                tags=tags,
            )
            copy.replicate(bucket, self.key, versioning=versioning)
        if config.lock_table is not None:
            self._lock_table(config.lock_table)
        self.bucket_arn: str = bucket.arn
        self.bucket_name: str = bucket.bucket

    def _lock_table(self, name: str) -> None:
        DynamodbTable(
            self,
            "lock-table",
            name=name,
            billing_mode="PAY_PER_REQUEST",
            hash_key="LockID",
            attribute=[DynamodbTableAttribute(name="LockID", type="S")],
            deletion_protection_enabled=True,
            point_in_time_recovery=DynamodbTablePointInTimeRecovery(enabled=True),
            server_side_encryption=DynamodbTableServerSideEncryption(enabled=True, kms_key_arn=self.key.arn),
        )
