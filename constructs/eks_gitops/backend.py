"""StateBackend: the S3 bucket for Terraform state, with its KMS key and an optional DynamoDB lock table."""

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

from eks_gitops.config import Config
from eks_gitops.key import Key
from eks_gitops.location import Location
from eks_gitops.private_bucket import BucketName, keep_private
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

    @property
    def lock_table(self) -> str | None:
        """The name of the DynamoDB table, or None if none is used."""
        return None if self.lock == "lockfile" else f"{self.bucket}-lock"


class StateBackend(Construct):
    """A versioned, encrypted, private bucket for state. `prevent_destroy` protects the bucket and its key."""

    def __init__(self, scope: Construct, id_: str, config: StateBackendConfig, *, location: Location) -> None:
        super().__init__(scope, id_)
        self.key = Key(
            self, "key", location=location, description="Terraform state", services=["dynamodb"], prevent_destroy=True
        )
        bucket = S3Bucket(
            self,
            "bucket",
            bucket=config.bucket,
            # Terraform then deletes the bucket before the key, so that no object loses its key.
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
