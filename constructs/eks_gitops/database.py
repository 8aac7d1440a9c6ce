"""Database: a private PostgreSQL or MySQL database on RDS, which manages its master password in AWS Secrets Manager."""

import math
from collections.abc import Iterator, Mapping
from typing import ClassVar

from cdktf_cdktf_provider_aws.db_instance import DbInstance
from cdktf_cdktf_provider_aws.db_parameter_group import DbParameterGroup
from constructs import Construct
from pydantic import Field, StrictBool

from eks_gitops.config import Problem
from eks_gitops.context import Context
from eks_gitops.engines import RdsEngineName
from eks_gitops.iam import Role
from eks_gitops.private_database import (
    BACKUP_WINDOW,
    MAINTENANCE_WINDOW,
    PrivateDatabase,
    PrivateDatabaseConfig,
)

_LARGEST_STORAGE_GIB = 65536
_LARGE_STORAGE_GIB = 400
_LARGE_STORAGE_IOPS = 12_000
_LARGE_STORAGE_MIBPS = 500


class DatabaseConfig(PrivateDatabaseConfig):
    """A database of one service on RDS."""

    absent: ClassVar[Mapping[str, str]] = {
        "read_replicas": "RDS creates none of a database whose master password it manages; remove it, or move the "
        "database to aurora_databases, which have readers"
    }

    engine: RdsEngineName = "postgres"
    """The database engine: PostgreSQL or MySQL. A change replaces the database, which the guard refuses."""
    allocated_storage_gib: int = Field(strict=True, ge=20, le=_LARGEST_STORAGE_GIB)
    """The initial storage in GiB. A higher number takes effect in the next maintenance window, without an outage. A
    lower one has no effect, because RDS cannot reduce storage."""
    max_allocated_storage_gib: int = Field(strict=True, ge=20, le=_LARGEST_STORAGE_GIB)
    """The size in GiB up to which RDS enlarges the storage when it runs out. A change takes effect immediately. It must
    stay 10 % above the storage that RDS has allocated by then."""
    multi_az: StrictBool
    """Whether a standby in another zone takes over after a failure. A change takes effect in the next maintenance
    window, without an outage."""

    def problems(self) -> Iterator[Problem]:
        """Those of each database, or too little room for storage to grow."""
        yield from super().problems()
        # Source: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_PIOPS.Autoscaling.html
        least = math.ceil(self.allocated_storage_gib * 11 / 10)
        if self.max_allocated_storage_gib < least:
            message = f"less than 10 % above allocated_storage_gib; choose {least} or more"
            if least > _LARGEST_STORAGE_GIB:
                most = _LARGEST_STORAGE_GIB * 10 // 11
                message = f"less than 10 % above allocated_storage_gib; lower that to {most} or less"
            yield Problem("max_allocated_storage_gib", self.max_allocated_storage_gib, message)


class Database(PrivateDatabase):
    """A database on one RDS instance, and its standby in another zone.

    It has no read replicas: RDS creates none of an instance whose master password it keeps in Secrets Manager
    (https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-secrets-manager.html#rds-secrets-manager-limitations).
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        config: DatabaseConfig,
        *,
        context: Context,
        vpc_id: str,
        subnet_ids: Mapping[str, str],
        client_security_group_id: str,
        monitoring_role: Role,
    ) -> None:
        super().__init__(
            scope,
            id_,
            config,
            context=context,
            vpc_id=vpc_id,
            subnet_ids=subnet_ids,
            client_security_group_id=client_security_group_id,
            log_group_prefix=database_log_group_prefix(context.location.name(config.name)),
        )
        engine, is_measured = self.engine, self.engine.measures(config.instance_class)
        is_large = config.allocated_storage_gib >= _LARGE_STORAGE_GIB
        instance = DbInstance(
            self,
            "instance",
            identifier=self._identifier,
            engine=engine.name,
            engine_version=config.major_upgrade_to or config.engine_version,
            allow_major_version_upgrade=True if config.major_upgrade_to else None,
            auto_minor_version_upgrade=True,
            instance_class=config.instance_class,
            db_name=config.name,
            username=engine.master,
            manage_master_user_password=True,
            master_user_secret_kms_key_id=context.key.arn,
            iam_database_authentication_enabled=True,
            storage_type="gp3",
            allocated_storage=config.allocated_storage_gib,
            max_allocated_storage=config.max_allocated_storage_gib,
            # Large storage has at least this performance. Without it, Terraform would send the old, lower one when the
            # storage grows to that size, and RDS would refuse it.
            # Source: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Storage.html#gp3-storage
            iops=_LARGE_STORAGE_IOPS if is_large else None,
            storage_throughput=_LARGE_STORAGE_MIBPS if is_large else None,
            storage_encrypted=True,
            kms_key_id=context.key.arn,
            multi_az=config.multi_az,
            db_subnet_group_name=self._subnets.name,
            vpc_security_group_ids=[self._security_group_id],
            publicly_accessible=False,
            parameter_group_name=self._parameters(DbParameterGroup, config.engine_version),
            enabled_cloudwatch_logs_exports=list(engine.logs),
            performance_insights_enabled=is_measured,
            performance_insights_kms_key_id=context.key.arn if is_measured else None,
            monitoring_interval=config.monitoring_interval_seconds,
            monitoring_role_arn=monitoring_role.arn if config.monitoring_interval_seconds else None,
            backup_retention_period=config.backup_retention_days,
            backup_window=BACKUP_WINDOW,
            maintenance_window=MAINTENANCE_WINDOW,
            copy_tags_to_snapshot=True,
            deletion_protection=config.deletion_protection,
            skip_final_snapshot=False,
            final_snapshot_identifier=f"{self._identifier}-{config.final_snapshot_suffix}",
            # Terraform deletes the old parameter group at the end of the apply, when no instance may use it any more.
            apply_immediately=config.major_upgrade_to is not None,
            depends_on=[*self._logs, *monitoring_role.permissions],
            lifecycle=self._lifecycle(config),
        )
        self.address: str = instance.address
        self.arn: str = instance.arn
        self.secret_arn: str = instance.master_user_secret.get(0).secret_arn


def database_log_group_prefix(identifier: str) -> str:
    """The prefix of the names of a database's log groups. RDS determines the names."""
    return f"/aws/rds/instance/{identifier}/"
