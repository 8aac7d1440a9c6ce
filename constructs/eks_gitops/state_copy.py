"""StateCopy: a bucket in another region to which S3 copies every new version of a Terraform state."""

from collections.abc import Mapping, Sequence

from cdktf import ITerraformDependable, TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.provider import AwsProvider, AwsProviderDefaultTags
from cdktf_cdktf_provider_aws.s3_bucket import S3Bucket
from cdktf_cdktf_provider_aws.s3_bucket_replication_configuration import (
    S3BucketReplicationConfigurationA,
    S3BucketReplicationConfigurationRule,
    S3BucketReplicationConfigurationRuleDeleteMarkerReplication,
    S3BucketReplicationConfigurationRuleDestination,
    S3BucketReplicationConfigurationRuleDestinationEncryptionConfiguration,
    S3BucketReplicationConfigurationRuleFilter,
    S3BucketReplicationConfigurationRuleSourceSelectionCriteria,
    S3BucketReplicationConfigurationRuleSourceSelectionCriteriaSseKmsEncryptedObjects,
)
from constructs import Construct

from eks_gitops.iam import Role, Statement, policy_document, service_trust
from eks_gitops.key import Key
from eks_gitops.location import Location
from eks_gitops.private_bucket import keep_private

_WRITE = ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey")


class StateCopy(Construct):
    """A bucket like that of the states, in `region`, with a key of its own. `prevent_destroy` protects both.

    Its resources have the tags of the stack and the name of its region, because they belong to it. Delete markers are
    not replicated: whoever deletes a state, or the lock of an apply, deletes nothing in the copy.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        bucket: str,
        region: str,
        location: Location,
        noncurrent_version_retention_days: int,
        tags: Mapping[str, str],
    ) -> None:
        super().__init__(scope, id_)
        self._location, self._region = location, region
        provider = AwsProvider(
            self,
            "aws",
            alias=region,
            region=region,
            allowed_account_ids=[location.account_id],
            default_tags=[AwsProviderDefaultTags(tags=dict(tags))],
        )
        self._key = Key(
            self,
            "key",
            location=location,
            description="Copies of Terraform state",
            prevent_destroy=True,
            provider=provider,
        )
        self._bucket = S3Bucket(
            self,
            "bucket",
            bucket=bucket,
            depends_on=self._key.resources,
            lifecycle=TerraformResourceLifecycle(prevent_destroy=True),
            provider=provider,
        )
        self._versioning = keep_private(
            self,
            self._bucket,
            location=location,
            key=self._key,
            noncurrent_version_retention_days=noncurrent_version_retention_days,
            provider=provider,
        )

    def replicate(self, source: S3Bucket, source_key: Key, *, versioning: ITerraformDependable) -> None:
        """Replicate `source`, whose objects are encrypted with `source_key`. `versioning` is that of `source`.

        S3 replicates no objects that exist already, and none with a KMS key unless they are selected.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-config-for-kms-objects.html
        """
        role = self._role(source, source_key)
        S3BucketReplicationConfigurationA(
            self,
            "replication",
            bucket=source.id,
            role=role.arn,
            rule=[
                S3BucketReplicationConfigurationRule(
                    id="copy-states",
                    status="Enabled",
                    filter=S3BucketReplicationConfigurationRuleFilter(prefix=""),
                    delete_marker_replication=S3BucketReplicationConfigurationRuleDeleteMarkerReplication(
                        status="Disabled"
                    ),
                    source_selection_criteria=S3BucketReplicationConfigurationRuleSourceSelectionCriteria(
                        sse_kms_encrypted_objects=(
                            S3BucketReplicationConfigurationRuleSourceSelectionCriteriaSseKmsEncryptedObjects(
                                status="Enabled"
                            )
                        )
                    ),
                    destination=S3BucketReplicationConfigurationRuleDestination(
                        bucket=self._bucket.arn,
                        encryption_configuration=(
                            S3BucketReplicationConfigurationRuleDestinationEncryptionConfiguration(
                                replica_kms_key_id=self._key.arn
                            )
                        ),
                    ),
                )
            ],
            depends_on=[versioning, self._versioning, *role.permissions],
        )

    def _role(self, source: S3Bucket, source_key: Key) -> Role:
        """The role with which S3 reads `source` and writes the copy.

        The copy is written with a bucket key, which S3 also decrypts with the role. Then the encryption context is the
        bucket, otherwise the object.
        Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/setting-repl-config-perm-overview.html, and the
        page above. `s3:ReplicateDelete` is left out, because no delete marker is replicated.
        """
        location = self._location
        ours, copy = location.arn("s3", source.bucket), location.arn("s3", self._bucket.bucket)
        return Role(
            self,
            "role",
            location=location,
            name="state-copy",
            description="S3: copy Terraform state to another region",
            trust=[service_trust("s3.amazonaws.com")],
            permissions_boundary=None,  # the stack is the first one in its account
            policies={
                "replicate": policy_document(
                    Statement(actions=["s3:GetReplicationConfiguration", "s3:ListBucket"], resources=[ours]),
                    Statement(
                        actions=[
                            "s3:GetObjectVersionAcl",
                            "s3:GetObjectVersionForReplication",
                            "s3:GetObjectVersionTagging",
                        ],
                        resources=[f"{ours}/*"],
                    ),
                    Statement(actions=["s3:ReplicateObject", "s3:ReplicateTags"], resources=[f"{copy}/*"]),
                    self._use_key("ReadStates", source_key, ["kms:Decrypt"], location.region, ours),
                    self._use_key("WriteCopies", self._key, _WRITE, self._region, copy),
                )
            },
        )

    def _use_key(self, sid: str, key: Key, actions: Sequence[str], region: str, bucket: str) -> Statement:
        """Use a key for the objects of a bucket only."""
        return Statement(
            sid=sid,
            actions=actions,
            resources=[key.arn],
            conditions={
                "StringEquals": {"kms:ViaService": f"s3.{region}.{self._location.dns_suffix}"},
                "StringLike": {"kms:EncryptionContext:aws:s3:arn": [bucket, f"{bucket}/*"]},
            },
        )
