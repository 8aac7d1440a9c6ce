"""AuroraDatabase: a private Aurora cluster for PostgreSQL or MySQL, with its writer and readers in several zones."""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar

from cdktf import TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.rds_cluster import RdsCluster, RdsClusterServerlessv2ScalingConfiguration
from cdktf_cdktf_provider_aws.rds_cluster_instance import RdsClusterInstance
from cdktf_cdktf_provider_aws.rds_cluster_parameter_group import RdsClusterParameterGroup
from constructs import Construct
from pydantic import Field

from eks_gitops.config import Config, Problem, matching
from eks_gitops.context import Context
from eks_gitops.engines import AuroraEngineName
from eks_gitops.iam import Role
from eks_gitops.private_database import (
    BACKUP_WINDOW,
    MAINTENANCE_WINDOW,
    PrivateDatabase,
    PrivateDatabaseConfig,
)

SERVERLESS = "db.serverless"
"""The class of instances whose size Aurora changes with the load."""
_MOST_READERS = 15
_LARGEST_ACU = 256


class AuroraCapacity(Config):
    """The limits of the size of `db.serverless`, in Aurora capacity units (ACU) of about 2 GiB of memory.

    Source: `ServerlessV2ScalingConfiguration` of RDS in botocore 1.43.
    """

    min_acu: float = Field(strict=True, ge=0, le=_LARGEST_ACU, multiple_of=0.5)
    """The least, in steps of 0.5. With 0, an instance pauses without connections, and the next one waits about 15
    seconds. A change takes effect immediately, without an outage."""
    max_acu: float = Field(strict=True, ge=1, le=_LARGEST_ACU, multiple_of=0.5)
    """The most, in steps of 0.5. It limits memory and connections, and what an instance costs."""

    def problems(self) -> Iterator[Problem]:
        """A minimum above the maximum."""
        if self.min_acu > self.max_acu:
            yield Problem("min_acu", self.min_acu, f"above max_acu; choose {self.max_acu:g} or less")


class AuroraConfig(PrivateDatabaseConfig):
    """A database of one service on Aurora: storage in three zones, one writer, and readers that can take its place."""

    absent: ClassVar[Mapping[str, str]] = {
        "allocated_storage_gib": "the storage of Aurora grows by itself; remove it",
        "max_allocated_storage_gib": "the storage of Aurora grows by itself; remove it",
        "multi_az": "the storage of Aurora is in three zones; set readers to 1 or more for an instance in another one",
    }

    engine: AuroraEngineName = "aurora-postgresql"
    """The database engine: Aurora for PostgreSQL or MySQL. A change replaces the database, which the guard refuses."""
    major_upgrade_to: (
        Annotated[
            str,
            matching(
                r"[1-9][0-9]?\.[0-9]{1,2}(\.mysql_aurora(\.[0-9]{1,2}){3,4})?",
                "not a minor version; write one such as 18.4 or 8.4.mysql_aurora.8.4.7",
            ),
        ]
        | None
    ) = None
    """Permits the upgrade of a deployed database to `engine_version`: the minor version to upgrade to, such as `18.4`
    of PostgreSQL or `8.4.mysql_aurora.8.4.7` of MySQL. `make preflight` lists the possible ones. The deploy upgrades
    immediately, with an outage of the writer and all readers, and also applies changes that wait for the maintenance
    window. Remove it in the next deploy. Steps: docs/runbook/databases.md."""
    instance_class: str
    """The size of the writer and the readers, such as `db.r8g.large`, or `db.serverless`, which needs `capacity`. A
    change takes effect in the next maintenance window, with a short outage of each instance."""
    capacity: AuroraCapacity | None = None
    """The limits of the size of `db.serverless`."""
    readers: int = Field(strict=True, ge=0, le=_MOST_READERS)
    """Instances besides the writer, in other zones as long as there are any. Services read from them by the reader
    endpoint, and one becomes the writer if that fails. A change takes effect immediately, without an outage of the
    others."""

    def problems(self) -> Iterator[Problem]:
        """Those of each database, or a capacity without the class that has one."""
        yield from super().problems()
        if self.instance_class == SERVERLESS and self.capacity is None:
            message = f'{SERVERLESS} needs it; write capacity={{"min_acu": 0.5, "max_acu": 4}}'
            yield Problem("capacity", self.capacity, message)
        elif self.instance_class != SERVERLESS and self.capacity is not None:
            shown = f"{self.capacity.min_acu:g} to {self.capacity.max_acu:g} ACU"
            yield Problem("capacity", shown, f'only for instance_class="{SERVERLESS}"; remove it, or choose that')


class AuroraDatabase(PrivateDatabase):
    """A database on an Aurora cluster. `address` is that of the writer, `reader_address` that of the readers.

    The instances are named by number, because a failover changes which of them is the writer. They have no parameters
    of their own, so those of the cluster apply, and an upgrade changes the cluster alone.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        config: AuroraConfig,
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
            log_group_prefix=aurora_log_group_prefix(context.location.name(config.name)),
        )
        engine, capacity = self.engine, config.capacity
        cluster = RdsCluster(
            self,
            "cluster",
            cluster_identifier=self._identifier,
            engine=engine.name,
            engine_version=config.major_upgrade_to or config.engine_version,
            allow_major_version_upgrade=True if config.major_upgrade_to else None,
            database_name=config.name,
            master_username=engine.master,
            manage_master_user_password=True,
            master_user_secret_kms_key_id=context.key.arn,
            iam_database_authentication_enabled=True,
            storage_encrypted=True,
            kms_key_id=context.key.arn,
            serverlessv2_scaling_configuration=RdsClusterServerlessv2ScalingConfiguration(
                min_capacity=capacity.min_acu, max_capacity=capacity.max_acu
            )
            if capacity is not None
            else None,
            db_subnet_group_name=self._subnets.name,
            vpc_security_group_ids=[self._security_group_id],
            db_cluster_parameter_group_name=self._parameters(RdsClusterParameterGroup, config.engine_version),
            enabled_cloudwatch_logs_exports=list(engine.logs),
            backup_retention_period=config.backup_retention_days,
            preferred_backup_window=BACKUP_WINDOW,
            preferred_maintenance_window=MAINTENANCE_WINDOW,
            copy_tags_to_snapshot=True,
            deletion_protection=config.deletion_protection,
            skip_final_snapshot=False,
            final_snapshot_identifier=f"{self._identifier}-{config.final_snapshot_suffix}",
            # Terraform deletes the old parameter group at the end of the apply, when the cluster may not use it.
            apply_immediately=config.major_upgrade_to is not None,
            depends_on=self._logs,
            lifecycle=self._lifecycle(config),
        )
        zones, is_measured = sorted(subnet_ids), engine.measures(config.instance_class)
        for number in range(config.readers + 1):
            RdsClusterInstance(
                self,
                f"instance-{number + 1}",
                identifier=f"{self._identifier}-{number + 1}",
                cluster_identifier=cluster.id,
                engine=engine.name,
                instance_class=config.instance_class,
                availability_zone=zones[number % len(zones)],
                db_subnet_group_name=self._subnets.name,
                publicly_accessible=False,
                auto_minor_version_upgrade=True,
                performance_insights_enabled=is_measured,
                performance_insights_kms_key_id=context.key.arn if is_measured else None,
                monitoring_interval=config.monitoring_interval_seconds,
                monitoring_role_arn=monitoring_role.arn if config.monitoring_interval_seconds else None,
                preferred_maintenance_window=MAINTENANCE_WINDOW,
                copy_tags_to_snapshot=True,
                apply_immediately=config.major_upgrade_to is not None,
                depends_on=monitoring_role.permissions,
                # Another zone of the VPC would replace instances: docs/runbook/network.md.
                lifecycle=TerraformResourceLifecycle(ignore_changes=["availability_zone"]),
            )
        self.address: str = cluster.endpoint
        self.reader_address: str = cluster.reader_endpoint
        self.arn: str = cluster.arn
        self.secret_arn: str = cluster.master_user_secret.get(0).secret_arn


def aurora_log_group_prefix(identifier: str) -> str:
    """The prefix of the names of a cluster's log groups. RDS determines the names."""
    return f"/aws/rds/cluster/{identifier}/"
