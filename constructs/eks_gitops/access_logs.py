"""AccessLogsBucket: the S3 bucket to which Elastic Load Balancing writes the access logs of an environment."""

from cdktf_cdktf_provider_aws.s3_bucket import S3Bucket
from constructs import Construct

from eks_gitops.config import Config
from eks_gitops.context import Context
from eks_gitops.iam import Statement
from eks_gitops.location import Location
from eks_gitops.private_bucket import keep_private
from eks_gitops.values import BackupDays

_WRITER = "logdelivery.elasticloadbalancing.amazonaws.com"
_NONCURRENT_DAYS = 30


class AccessLogsConfig(Config):
    """The access logs of the load balancer of the services: a line for each request, in a bucket."""

    retention_days: BackupDays = 365
    """Days until S3 deletes a log. A change also concerns the logs that exist."""


class AccessLogsBucket(Construct):
    """A private bucket, encrypted with keys of S3: Elastic Load Balancing writes to no other.

    It writes below `AWSLogs/<account>/`, a path that it gives to the load balancers of that account only. With
    `force_destroy`, the bucket is deleted together with the logs.
    Source: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/enable-access-logging.html
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        config: AccessLogsConfig,
        *,
        context: Context,
        organisation: str,
        force_destroy: bool,
    ) -> None:
        super().__init__(scope, id_)
        location, name = context.location, access_logs_bucket_name(context.location, organisation)
        bucket = S3Bucket(self, "bucket", bucket=name, force_destroy=force_destroy)
        keep_private(
            self,
            bucket,
            location=location,
            key=None,
            noncurrent_version_retention_days=_NONCURRENT_DAYS,
            retention_days=config.retention_days,
            allowed=[
                Statement(
                    sid="AccessLogs",
                    actions=["s3:PutObject"],
                    resources=[location.arn("s3", f"{name}/AWSLogs/{location.account_id}/*")],
                    principals={"Service": [_WRITER]},
                )
            ],
        )


def access_logs_bucket_name(location: Location, organisation: str) -> str:
    """`<organisation>-<region>-<environment>-access-logs`. Bucket names are global in AWS."""
    return f"{organisation}{access_logs_suffix(location)}"


def access_logs_suffix(location: Location) -> str:
    """The suffix of the name of an environment's bucket of access logs, which the policies of its roles match."""
    return f"-{location.region}-{location.environment}-access-logs"
