"""StateBackend: the bucket that holds Terraform's state, with its key and, on demand, a DynamoDB lock table."""

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

from eks_gitops.config import Config, Count
from eks_gitops.key import Key
from eks_gitops.location import Location
from eks_gitops.private_bucket import BucketName, keep_private


class StateBackendConfig(Config):
    """How Terraform's state is kept.

    `lock` is `lockfile` (an object beside the state), `dynamodb` (a table, deprecated by Terraform since 1.11), or
    `both` while a team moves from one to the other.
    """

    bucket: BucketName
    lock: Literal["lockfile", "both", "dynamodb"]
    noncurrent_version_retention_days: Count = 90

    @property
    def lock_table(self) -> str | None:
        """The name of the DynamoDB table, where one is used."""
        return None if self.lock == "lockfile" else f"{self.bucket}-lock"


class StateBackend(Construct):
    """A versioned, encrypted, private bucket for state; neither it nor its key can be destroyed by a plain apply."""

    def __init__(self, scope: Construct, id_: str, config: StateBackendConfig, *, location: Location) -> None:
        super().__init__(scope, id_)
        self.key = Key(
            self, "key", location=location, description="Terraform state", services=["dynamodb"], prevent_destroy=True
        )
        bucket = S3Bucket(
            self,
            "bucket",
            bucket=config.bucket,
            # A full bucket must never outlive its key: this makes Terraform remove the bucket first.
            depends_on=[self.key.resource],
            lifecycle=TerraformResourceLifecycle(prevent_destroy=True),
        )
        keep_private(
            self,
            bucket,
            location=location,
            key=self.key,
            noncurrent_version_retention_days=config.noncurrent_version_retention_days,
        )
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
