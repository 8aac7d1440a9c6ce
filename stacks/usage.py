"""The usage that `make cost` assumes where a price depends on it: what Terraform does not know, such as GB of logs."""

from typing import Annotated

from pydantic import Field

from eks_gitops.config import MAX_INTEGER, Config

Amount = Annotated[int, Field(strict=True, ge=0, le=MAX_INTEGER)]

_HOURS_A_MONTH = 730
"""The hours of a month with which the AWS Pricing Calculator counts.

Source: https://docs.aws.amazon.com/pricing-calculator/latest/userguide/what-is-pricing-calculator.html
"""


class Usage(Config):
    """The usage that `make cost` assumes for each stack, by the month. It changes nothing in AWS."""

    hours: Annotated[int, Field(strict=True, ge=1, le=744)] = _HOURS_A_MONTH
    """The hours that nodes, databases, load balancers and network resources run."""
    logs_gb: Amount = 10
    """The GB of logs that CloudWatch Logs ingests for each stack that has log groups, flow logs included."""
    stored_logs_gb: Amount = 0
    """The GB of logs that these log groups keep."""
    bucket_gb: Amount = 0
    """The GB in each S3 bucket."""
    bucket_requests: Amount = 0
    """The requests that write to or list each S3 bucket."""


class SharedUsage(Usage):
    """The usage of the stacks of a region or account."""

    nat_gb: Amount = 0
    """The GB that all NAT gateways process."""
    endpoint_gb: Amount = 0
    """The GB that all interface endpoints process."""
    image_gb: Amount = 0
    """The GB of images in each ECR repository."""


class EnvironmentUsage(Usage):
    """The usage of the stacks of an environment, and of each of its further clusters."""

    load_balancer_zones: Amount = 3
    """The zones in which a load balancer on the internet has a public address."""
    load_balancer_units: Amount = 0
    """The capacity units (LCU) that each load balancer uses on average."""
    file_system_gb: Amount = 0
    """The GB in the file system, in the class Standard."""
    file_backup_gb: Amount = 0
    """The GB of backups of the file system."""
    database_backup_gb: Amount = 0
    """The GB of backups of each database beyond those that RDS includes."""
    aurora_storage_gb: Amount = 0
    """The GB in each database on Aurora, whose storage grows with its data."""
    aurora_requests: Amount = 0
    """The requests of each database on Aurora to its storage."""
    snapshot_gb: Amount = 0
    """The GB of snapshots of volumes."""
