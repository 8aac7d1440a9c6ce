"""The database engines of RDS and Aurora that an environment can have, and what differs between them."""

from collections.abc import Collection, Mapping
from datetime import date
from typing import Any, Literal, NamedTuple

from eks_gitops import aws_data, mysql_words, postgresql_words
from eks_gitops.versions import (
    AURORA_MYSQL_MAJORS,
    AURORA_POSTGRESQL_MAJORS,
    MYSQL_MAJORS,
    POSTGRESQL_MAJORS,
)

RdsEngineName = Literal["postgres", "mysql"]
AuroraEngineName = Literal["aurora-postgresql", "aurora-mysql"]
EngineName = RdsEngineName | AuroraEngineName
"""The name of an engine in RDS."""


class Engine(NamedTuple):
    """An engine: how RDS calls it, how it is reached, which logs and parameters it has, and which names it rejects."""

    name: EngineName
    title: str
    protocol: RdsEngineName
    """What its clients speak."""
    port: int
    master: str
    """The name of the master user."""
    logs: tuple[str, ...]
    """The logs that RDS exports to CloudWatch Logs."""
    parameters: Mapping[str, str]
    """The parameters that accept connections only with TLS, and write the logs."""
    numbers: int
    """The numbers in a major version: 8.4 of MySQL has two."""
    majors: Mapping[str, date]
    """The supported major versions, oldest first, each with the end of its standard support."""
    longest_name: int
    """The characters that the name of a database may have: its users are named after it, with `_service_clone`."""
    present: Collection[str]
    """The databases that each instance has."""
    reserved: Collection[str]
    """The words that cannot be the name of a database."""
    keywords: Collection[str]
    """The words that RDS may reject as the name of a database."""
    unmeasured_classes: Collection[str]
    """The beginnings of the names of the instance classes without Performance Insights."""

    def measures(self, instance_class: str) -> bool:
        """Whether an instance class has Performance Insights."""
        return not instance_class.startswith(tuple(self.unmeasured_classes))

    def major(self, version: str) -> str:
        """The major version of a minor one: 17 of 17.6, 8.4 of 8.4.7, and 8.4 of 8.4.mysql_aurora.8.4.7."""
        of_mysql, is_aurora, _ = version.partition(".mysql_aurora.")
        return of_mysql if is_aurora else version.rpartition(".")[0]

    def minors(self, major: str) -> Mapping[str, list[str]]:
        """The minor versions of a major version: those that can be created, and those that are deprecated."""
        versions: Mapping[str, Any] = aws_data.content()[f"{self.name}_versions"]
        found: Mapping[str, list[str]] = versions[major]
        return found


_POSTGRES = Engine(
    name="postgres",
    title="PostgreSQL",
    protocol="postgres",
    port=5432,
    master="postgres",
    logs=("postgresql", "upgrade"),
    parameters={"rds.force_ssl": "1"},
    numbers=1,
    majors=POSTGRESQL_MAJORS,
    longest_name=20,
    present=("postgres", "rdsadmin", "template0", "template1"),
    reserved=postgresql_words.RESERVED,
    keywords=postgresql_words.KEYWORDS,
    unmeasured_classes=(),
)
# Sources:
# - https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/mysql-ssl-connections.require-ssl.html
# - https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_LogAccess.MySQLDB.PublishtoCloudWatchLogs.html. The
#   audit log needs an option group of its own, and the general log would contain every statement.
# - https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_DatabaseInsights.Engines.html (classes)
# - https://dev.mysql.com/doc/refman/8.4/en/user-names.html: at most 32 characters
_MYSQL = Engine(
    name="mysql",
    title="MySQL",
    protocol="mysql",
    port=3306,
    master="admin",
    logs=("error", "slowquery"),
    parameters={"log_output": "FILE", "require_secure_transport": "1", "slow_query_log": "1"},
    numbers=2,
    majors=MYSQL_MAJORS,
    longest_name=18,
    present=("mysql", "sys"),
    reserved=mysql_words.RESERVED,
    keywords=(),
    unmeasured_classes=("db.t3.micro", "db.t3.small", "db.t4g.micro", "db.t4g.small"),
)
# Source: CreateDBCluster of RDS in botocore 1.43, EnableCloudwatchLogsExports: Aurora has no log of upgrades.
_AURORA_POSTGRESQL = _POSTGRES._replace(
    name="aurora-postgresql",
    title="Aurora PostgreSQL",
    logs=("postgresql",),
    majors=AURORA_POSTGRESQL_MAJORS,
)
# Sources:
# - https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/AuroraMySQL.Reference.ParameterGroups.html
# - https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/AuroraMySQL.Auditing.html: the audit log says who
#   connects. Its other events would contain statements.
# - https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/USER_DatabaseInsights.Engines.html (classes)
_AURORA_MYSQL = _MYSQL._replace(
    name="aurora-mysql",
    title="Aurora MySQL",
    logs=("audit", "error", "slowquery"),
    parameters={
        "log_output": "FILE",
        "require_secure_transport": "ON",
        "server_audit_events": "CONNECT",
        "server_audit_logging": "1",
        "slow_query_log": "1",
    },
    majors=AURORA_MYSQL_MAJORS,
    unmeasured_classes=("db.t2.", "db.t3.", "db.t4g.micro", "db.t4g.small"),
)

ENGINES: Mapping[EngineName, Engine] = {
    engine.name: engine for engine in (_POSTGRES, _MYSQL, _AURORA_POSTGRESQL, _AURORA_MYSQL)
}
"""The engines by their name in RDS."""
