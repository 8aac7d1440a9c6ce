"""StateBackend: the bucket that holds Terraform's state, with its key and, on demand, a DynamoDB lock table."""

from typing import Annotated, Literal

from cdktf import TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.dynamodb_table import (
    DynamodbTable,
    DynamodbTableAttribute,
    DynamodbTablePointInTimeRecovery,
    DynamodbTableServerSideEncryption,
)
from cdktf_cdktf_provider_aws.s3_bucket import S3Bucket
from cdktf_cdktf_provider_aws.s3_bucket_lifecycle_configuration import (
    S3BucketLifecycleConfiguration,
    S3BucketLifecycleConfigurationRule,
    S3BucketLifecycleConfigurationRuleAbortIncompleteMultipartUpload,
    S3BucketLifecycleConfigurationRuleFilter,
    S3BucketLifecycleConfigurationRuleNoncurrentVersionExpiration,
)
from cdktf_cdktf_provider_aws.s3_bucket_ownership_controls import (
    S3BucketOwnershipControls,
    S3BucketOwnershipControlsRule,
)
from cdktf_cdktf_provider_aws.s3_bucket_policy import S3BucketPolicy
from cdktf_cdktf_provider_aws.s3_bucket_public_access_block import S3BucketPublicAccessBlock
from cdktf_cdktf_provider_aws.s3_bucket_server_side_encryption_configuration import (
    S3BucketServerSideEncryptionConfigurationA,
    S3BucketServerSideEncryptionConfigurationRuleA,
    S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA,
)
from cdktf_cdktf_provider_aws.s3_bucket_versioning import (
    S3BucketVersioningA,
    S3BucketVersioningVersioningConfiguration,
)
from constructs import Construct

from eks_gitops.config import Config, Count, matching
from eks_gitops.iam import Statement, policy_document
from eks_gitops.key import Key
from eks_gitops.location import Location

BucketName = Annotated[
    str,
    matching(
        # Dots are legal, but break TLS for virtual-hosted names.
        r"(?!xn--|sthree-|amzn-s3-demo-)[a-z0-9][a-z0-9-]{1,61}[a-z0-9](?<!-s3alias)(?<!--ol-s3)(?<!--x-s3)",
        "not a bucket's name; use 3 to 63 lower-case letters, digits and hyphens, and no prefix or suffix of AWS's own",
    ),
]
"""A bucket's name, global among all AWS accounts.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
"""


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
        self._bucket = S3Bucket(
            self,
            "bucket",
            bucket=config.bucket,
            # A full bucket must never outlive its key: this makes Terraform remove the bucket first.
            depends_on=[self.key.resource],
            lifecycle=TerraformResourceLifecycle(prevent_destroy=True),
        )
        self._encrypt()
        self._close_to_the_public()
        self._keep_versions(config.noncurrent_version_retention_days)
        self._demand_tls_and_kms(location)
        if config.lock_table is not None:
            self._lock_table(config.lock_table)
        self.bucket_arn: str = self._bucket.arn
        self.bucket_name: str = self._bucket.bucket

    def _encrypt(self) -> None:
        S3BucketServerSideEncryptionConfigurationA(
            self,
            "encryption",
            bucket=self._bucket.id,
            rule=[
                S3BucketServerSideEncryptionConfigurationRuleA(
                    bucket_key_enabled=True,
                    apply_server_side_encryption_by_default=(
                        S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA(
                            sse_algorithm="aws:kms", kms_master_key_id=self.key.arn
                        )
                    ),
                )
            ],
        )

    def _close_to_the_public(self) -> None:
        S3BucketPublicAccessBlock(
            self,
            "public-access-block",
            bucket=self._bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
        )
        S3BucketOwnershipControls(
            self,
            "ownership",
            bucket=self._bucket.id,
            rule=S3BucketOwnershipControlsRule(object_ownership="BucketOwnerEnforced"),
        )

    def _keep_versions(self, noncurrent_days: int) -> None:
        versioning = S3BucketVersioningA(
            self,
            "versioning",
            bucket=self._bucket.id,
            versioning_configuration=S3BucketVersioningVersioningConfiguration(status="Enabled"),
        )
        S3BucketLifecycleConfiguration(
            self,
            "lifecycle",
            bucket=self._bucket.id,
            rule=[
                S3BucketLifecycleConfigurationRule(
                    id="expire-noncurrent-versions",
                    status="Enabled",
                    filter=[S3BucketLifecycleConfigurationRuleFilter(prefix="")],
                    noncurrent_version_expiration=[
                        S3BucketLifecycleConfigurationRuleNoncurrentVersionExpiration(noncurrent_days=noncurrent_days)
                    ],
                    abort_incomplete_multipart_upload=[
                        S3BucketLifecycleConfigurationRuleAbortIncompleteMultipartUpload(days_after_initiation=7)
                    ],
                )
            ],
            depends_on=[versioning],
        )

    def _demand_tls_and_kms(self, location: Location) -> None:
        bucket = location.arn("s3", self._bucket.bucket)
        everything = [bucket, f"{bucket}/*"]
        S3BucketPolicy(
            self,
            "policy",
            bucket=self._bucket.id,
            policy=policy_document(
                Statement(
                    sid="DenyPlainHttp",
                    effect="Deny",
                    actions=["s3:*"],
                    resources=everything,
                    principals="*",
                    conditions={"Bool": {"aws:SecureTransport": "false"}},
                ),
                Statement(
                    sid="DenyOldTls",
                    effect="Deny",
                    actions=["s3:*"],
                    resources=everything,
                    principals="*",
                    conditions={"NumericLessThan": {"s3:TlsVersion": "1.2"}},
                ),
                Statement(
                    sid="DenyOtherEncryption",
                    effect="Deny",
                    actions=["s3:PutObject"],
                    resources=[f"{bucket}/*"],
                    principals="*",
                    # Who asks for nothing gets the bucket's default; a negated test holds for an absent key too.
                    conditions={
                        "Null": {"s3:x-amz-server-side-encryption": "false"},
                        "StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"},
                    },
                ),
            ),
        )

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
