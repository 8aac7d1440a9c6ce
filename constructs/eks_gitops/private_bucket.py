"""Private S3 buckets: versioned, encrypted, without public access, TLS only. Also validates names."""

from collections.abc import Sequence
from typing import Annotated

from cdktf import TerraformProvider
from cdktf_cdktf_provider_aws.s3_bucket import S3Bucket
from cdktf_cdktf_provider_aws.s3_bucket_lifecycle_configuration import (
    S3BucketLifecycleConfiguration,
    S3BucketLifecycleConfigurationRule,
    S3BucketLifecycleConfigurationRuleAbortIncompleteMultipartUpload,
    S3BucketLifecycleConfigurationRuleExpiration,
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

from eks_gitops.config import matching
from eks_gitops.iam import Statement, policy_document
from eks_gitops.key import Key
from eks_gitops.location import Location

BucketName = Annotated[
    str,
    matching(
        # Dots are valid, but break TLS for virtual-hosted-style requests.
        r"(?!xn--|sthree-|amzn-s3-demo-)[a-z0-9][a-z0-9-]{1,61}[a-z0-9](?<!-s3alias)(?<!--ol-s3)(?<!--x-s3)(?<!--table-s3)",
        "not a valid bucket name; use 3 to 63 lower-case letters, digits and hyphens, and no reserved prefix or suffix",
    ),
]
"""The name of a bucket, which must be unique among all AWS accounts.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
"""

LONGEST_BUCKET_NAME = 63
"""Characters. Source: the page above."""


def keep_private(
    scope: Construct,
    bucket: S3Bucket,
    *,
    location: Location,
    key: Key | None,
    noncurrent_version_retention_days: int,
    retention_days: int | None = None,
    allowed: Sequence[Statement] = (),
    provider: TerraformProvider | None = None,
) -> S3BucketVersioningA:
    """Make `bucket` private, and return its versioning. Noncurrent versions expire after that many days.

    Without a `key`, S3 encrypts with its own. Objects expire after `retention_days`; with None, they are kept.
    `allowed` are the statements of its policy that permit something. `provider` is that of a bucket in another region
    than that of the stack.
    """
    _encrypt(scope, bucket, key, provider)
    _block_public_access(scope, bucket, provider)
    versioning = _keep_versions(scope, bucket, noncurrent_version_retention_days, retention_days, provider)
    _add_policy(scope, bucket, location, allowed, provider, requires_kms=key is not None)
    return versioning


def _encrypt(scope: Construct, bucket: S3Bucket, key: Key | None, provider: TerraformProvider | None) -> None:
    S3BucketServerSideEncryptionConfigurationA(
        scope,
        "encryption",
        bucket=bucket.id,
        provider=provider,
        rule=[
            S3BucketServerSideEncryptionConfigurationRuleA(
                bucket_key_enabled=True if key is not None else None,
                apply_server_side_encryption_by_default=(
                    S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA(
                        sse_algorithm="AES256" if key is None else "aws:kms",
                        kms_master_key_id=None if key is None else key.arn,
                    )
                ),
            )
        ],
    )


def _block_public_access(scope: Construct, bucket: S3Bucket, provider: TerraformProvider | None) -> None:
    S3BucketPublicAccessBlock(
        scope,
        "public-access-block",
        bucket=bucket.id,
        provider=provider,
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
    )
    S3BucketOwnershipControls(
        scope,
        "ownership",
        bucket=bucket.id,
        provider=provider,
        rule=S3BucketOwnershipControlsRule(object_ownership="BucketOwnerEnforced"),
    )


def _keep_versions(
    scope: Construct,
    bucket: S3Bucket,
    noncurrent_days: int,
    days: int | None,
    provider: TerraformProvider | None,
) -> S3BucketVersioningA:
    versioning = S3BucketVersioningA(
        scope,
        "versioning",
        bucket=bucket.id,
        provider=provider,
        versioning_configuration=S3BucketVersioningVersioningConfiguration(status="Enabled"),
    )
    S3BucketLifecycleConfiguration(
        scope,
        "lifecycle",
        bucket=bucket.id,
        provider=provider,
        rule=[
            S3BucketLifecycleConfigurationRule(
                id="expire-noncurrent-versions",
                status="Enabled",
                filter=[S3BucketLifecycleConfigurationRuleFilter(prefix="")],
                expiration=None if days is None else [S3BucketLifecycleConfigurationRuleExpiration(days=days)],
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
    return versioning


def _add_policy(
    scope: Construct,
    bucket: S3Bucket,
    location: Location,
    allowed: Sequence[Statement],
    provider: TerraformProvider | None,
    *,
    requires_kms: bool,
) -> None:
    arn = location.arn("s3", bucket.bucket)
    everything = [arn, f"{arn}/*"]
    other_encryption = Statement(
        sid="DenyOtherEncryption",
        effect="Deny",
        actions=["s3:PutObject"],
        resources=[f"{arn}/*"],
        principals="*",
        # Requests without the header use the bucket's default encryption. They need the Null condition, because
        # StringNotEquals also matches if the key is absent.
        conditions={
            "Null": {"s3:x-amz-server-side-encryption": "false"},
            "StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"},
        },
    )
    S3BucketPolicy(
        scope,
        "policy",
        bucket=bucket.id,
        provider=provider,
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
            *([other_encryption] if requires_kms else []),
            *allowed,
        ),
    )
