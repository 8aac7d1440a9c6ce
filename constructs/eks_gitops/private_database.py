"""PrivateDatabase: what the databases of RDS and Aurora have in common, and the rules of their settings."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal

from cdktf import Postcondition, TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.cloudwatch_log_group import CloudwatchLogGroup
from cdktf_cdktf_provider_aws.db_parameter_group import DbParameterGroup
from cdktf_cdktf_provider_aws.db_subnet_group import DbSubnetGroup
from cdktf_cdktf_provider_aws.rds_cluster_parameter_group import RdsClusterParameterGroup
from cdktf_cdktf_provider_aws.secretsmanager_secret import SecretsmanagerSecret
from cdktf_cdktf_provider_aws.security_group import SecurityGroup
from cdktf_cdktf_provider_aws.vpc_security_group_ingress_rule import VpcSecurityGroupIngressRule
from constructs import Construct
from pydantic import Field, StrictBool

from eks_gitops import instance_classes
from eks_gitops.config import Config, LogRetentionDays, Problem, matching
from eks_gitops.context import Context
from eks_gitops.engines import ENGINES, EngineName
from eks_gitops.iam import Role, service_trust
from eks_gitops.location import Location
from eks_gitops.security_group import group_description

BACKUP_WINDOW = "17:00-18:00"
"""In UTC: 02:00 to 03:00 in Seoul."""
MAINTENANCE_WINDOW = "sun:18:30-sun:19:30"


class PrivateDatabaseConfig(Config):
    """A database of one service."""

    name: Annotated[
        str, matching(r"[a-z][a-z0-9]{0,19}", "use 1 to 20 lower-case letters and digits, starting with a letter")
    ]
    """The name of the database and the end of that of its instance or cluster, with MySQL at most 18 characters.
    Services find it by this name. A change replaces the database, which the guard refuses."""
    engine: EngineName
    """The database engine. A change replaces the database, which the guard refuses."""
    engine_version: str
    """The major version of the engine, such as `17` of PostgreSQL or `8.4` of MySQL. RDS raises the minor version in
    maintenance windows, which is no drift. Another major version than that of the deployed database fails the plan: a
    higher one needs `major_upgrade_to`, and RDS cannot lower a version."""
    major_upgrade_to: (
        Annotated[str, matching(r"[1-9][0-9]?(\.[0-9]{1,2}){1,2}", "not a minor version; write one such as 18.4")]
        | None
    ) = None
    """Permits the upgrade of a deployed database to `engine_version`: the minor version to upgrade to, such as `18.4`
    of PostgreSQL or `8.4.11` of MySQL. `make preflight` lists the possible ones. The deploy upgrades immediately, with
    an outage, and also applies changes that wait for the maintenance window. Remove it in the next deploy. Steps:
    docs/runbook/databases.md."""
    instance_class: str
    """The size of the instance, such as `db.t4g.medium`. A change takes effect in the next maintenance window, with a
    short outage."""
    deletion_protection: StrictBool
    """Whether AWS rejects the deletion of the database. Set it to False and deploy that before a destroy."""
    backup_retention_days: int = Field(strict=True, ge=1, le=35)
    """Days that RDS keeps its automated backups, to restore any point in time. They are deleted with the database. A
    change takes effect immediately, with Aurora in the next maintenance window; fewer days delete older backups."""
    final_snapshot_suffix: Annotated[
        str,
        matching(
            r"(?=.{1,63}$)[a-z0-9]+(-[a-z0-9]+)*",
            "use 1 to 63 lower-case letters and digits, separated by single hyphens",
        ),
    ] = "final"
    """The end of the name of the snapshot that is taken when the database is destroyed. Change it after a restore,
    because a snapshot with that name may exist already."""
    log_retention_days: LogRetentionDays = 365
    """Days that CloudWatch Logs keeps the logs: of PostgreSQL and, of RDS, of upgrades; of MySQL, errors and slow
    queries and, of Aurora, who connects. A change to fewer days deletes older ones."""
    monitoring_interval_seconds: Literal[0, 1, 5, 10, 15, 30, 60] = 60
    """Seconds between measurements of the operating system (Enhanced Monitoring), which RDS writes to the log group
    `RDSOSMetrics` of the account; 0 measures nothing. A change takes effect immediately, without an outage."""

    def problems(self) -> Iterator[Problem]:
        """A reserved name, an unsupported version or class, or a wrong upgrade."""
        engine = ENGINES[self.engine]
        if len(self.name) > engine.longest_name:
            most = engine.longest_name
            message = f"too long for {engine.title}, whose users are named after it; use {most} characters"
            yield Problem("name", self.name, message)
        if self.name in engine.reserved:
            message = f"a reserved word, which RDS rejects; choose another, such as {self.name}db"
            yield Problem("name", self.name, message)
        if self.name in engine.present:
            message = f"every {engine.title} instance of RDS has this database; choose another name"
            yield Problem("name", self.name, message)
        versions = {self.engine_version} & engine.majors.keys()
        if not versions:
            supported = ", ".join(engine.majors)
            yield Problem("engine_version", self.engine_version, f"not supported; choose one of {supported}")
        majors = versions or engine.majors
        if self.instance_class not in instance_classes.of_versions(self.engine, majors):
            similar = instance_classes.similar(self.engine, self.instance_class, majors)
            message = f"no instance class for {engine.title} {' or '.join(majors)}; choose one such as {similar}"
            yield Problem("instance_class", self.instance_class, message)
        if versions and self.major_upgrade_to is not None:
            yield from self._upgrade_problems(self.major_upgrade_to, engine.minors(self.engine_version))

    def _upgrade_problems(self, target: str, minors: Mapping[str, Sequence[str]]) -> Iterator[Problem]:
        """Whether the target of an upgrade is a minor version of `engine_version` that RDS still offers."""
        if ENGINES[self.engine].major(target) != self.engine_version:
            message = f"not a minor version of engine_version ({self.engine_version}); change one of them"
            yield Problem("major_upgrade_to", target, message)
        elif target in minors["deprecated"]:
            message = f"RDS no longer offers it; choose a newer one, such as {minors['current'][-1]}"
            yield Problem("major_upgrade_to", target, message)


class PrivateDatabase(Construct):
    """A database in the database subnets: encrypted, TLS only, reachable only from the nodes of one cluster.

    The secret `secret_arn` contains the master password. The service connects as its own user. A Job in the cluster
    creates this user and stores its credentials in the secret `user_secret_name`, which is empty until then. A CronJob
    rotates them.
    """

    address: str
    arn: str
    secret_arn: str

    def __init__(
        self,
        scope: Construct,
        id_: str,
        config: PrivateDatabaseConfig,
        *,
        context: Context,
        vpc_id: str,
        subnet_ids: Mapping[str, str],
        client_security_group_id: str,
        log_group_prefix: str,
    ) -> None:
        super().__init__(scope, id_)
        self.engine = engine = ENGINES[config.engine]
        self._identifier = context.location.name(config.name)
        self._logs = [
            CloudwatchLogGroup(
                self,
                f"{kind}-log-group",
                name=f"{log_group_prefix}{kind}",
                retention_in_days=config.log_retention_days,
                kms_key_id=context.key.arn,
            )
            for kind in engine.logs
        ]
        self._subnets = DbSubnetGroup(self, "subnet-group", name=self._identifier, subnet_ids=list(subnet_ids.values()))
        self._security_group_id = self._security_group(vpc_id)
        self.admit(self, f"{engine.title.lower().replace(' ', '-')}-from-nodes", client_security_group_id)
        self.user_secret_name = user_secret_name(context.location, config.name)
        SecretsmanagerSecret(
            self,
            "user-secret",
            name=self.user_secret_name,
            description=f"The user of the service of {self._identifier}, as JSON",
            kms_key_id=context.key.arn,
            # The Job can create a new password. A recovery window would reserve the name and fail the next deploy.
            recovery_window_in_days=0,
        )

    def _security_group(self, vpc_id: str) -> str:
        group = SecurityGroup(
            self,
            "security-group",
            name=f"{self._identifier}-database",
            description=group_description(f"{self.engine.title} from the nodes of the cluster"),
            vpc_id=vpc_id,
            tags={"Name": f"{self._identifier}-database"},
        )
        return group.id

    def admit(self, scope: Construct, id_: str, client_security_group_id: str) -> None:
        """Admit the nodes of a cluster, by a rule in `scope`."""
        VpcSecurityGroupIngressRule(
            scope,
            id_,
            security_group_id=self._security_group_id,
            description=group_description(f"{self.engine.title} from the nodes of the cluster"),
            ip_protocol="tcp",
            from_port=self.engine.port,
            to_port=self.engine.port,
            referenced_security_group_id=client_security_group_id,
        )

    def _parameters(self, kind: type[DbParameterGroup] | type[RdsClusterParameterGroup], engine_version: str) -> str:
        """The name of a new parameter group."""
        return kind(
            self,
            "parameters",
            # The family cannot change. An upgrade needs both groups, so the name includes the version: Terraform
            # creates the new group, moves the database, and then deletes the old group.
            name=f"{self._identifier}-{self.engine.name}{engine_version.replace('.', '-')}",
            family=f"{self.engine.name}{engine_version}",
            description=f"{self.engine.title} {engine_version} of {self._identifier}: TLS only",
            parameter=[{"name": name, "value": value} for name, value in self.engine.parameters.items()],
            lifecycle=TerraformResourceLifecycle(create_before_destroy=True),
        ).name

    def _lifecycle(self, config: PrivateDatabaseConfig) -> TerraformResourceLifecycle:
        """Only an upgrade changes the version, and a plan fails if another major version runs.

        After an upgrade, an import or a restore, the state has the minor version. Without `ignore_changes`, Terraform
        would ask RDS for the major version again. RDS takes a major version for its default minor version, and refuses
        it if it cannot upgrade to that one (https://github.com/terraform-aws-modules/terraform-aws-rds/issues/627).
        """
        message = (
            f"{self._identifier} runs another major version of {self.engine.title} than {config.engine_version}, "
            "which the settings say. For an upgrade, also set major_upgrade_to. RDS cannot lower a version. "
            "See docs/runbook/databases.md."
        )
        allowed = "<=" if config.major_upgrade_to else "=="
        running = 'tonumber(split(".", self.engine_version_actual)[0])'
        if self.engine.numbers > 1:  # 8.4 of 8.4.7
            numbers = f'slice(split(".", self.engine_version_actual), 0, {self.engine.numbers})'
            running = f'tonumber(join(".", {numbers}))'
        return TerraformResourceLifecycle(
            ignore_changes=None if config.major_upgrade_to else ["engine_version"],
            postcondition=[
                Postcondition(condition=f"${{{running} {allowed} {config.engine_version}}}", error_message=message)
            ],
        )


def monitoring_role(scope: Construct, context: Context) -> Role:
    """The role with which RDS writes the measurements of an environment's databases.

    Source: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_Monitoring.OS.Enabling.html
    """
    return Role(
        scope,
        "database-monitoring-role",
        location=context.location,
        name="database-monitoring",
        description="Writes the measurements of databases to CloudWatch Logs",
        trust=[
            service_trust(
                "monitoring.rds.amazonaws.com",
                # The conditions prevent another account from using the service as a confused deputy.
                conditions={
                    "StringEquals": {"aws:SourceAccount": context.location.account_id},
                    "ArnLike": {"aws:SourceArn": context.location.arn("rds", f"db:{context.location.name('*')}")},
                },
            )
        ],
        permissions_boundary=context.permissions_boundary,
        managed_policies=["service-role/AmazonRDSEnhancedMonitoringRole"],
    )


def user_secret_name(location: Location, database: str) -> str:
    """The name of the secret with the credentials of the user of a database's service."""
    return f"{location.secret_prefix}{database}/database"
