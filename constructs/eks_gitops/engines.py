"""The database engines of RDS that an environment can have, and what differs between them."""

from collections.abc import Collection, Mapping
from datetime import date
from typing import Any, Literal, NamedTuple

from eks_gitops import aws_data, mysql_words, postgresql_words
from eks_gitops.versions import MYSQL_MAJORS, POSTGRESQL_MAJORS

EngineName = Literal["postgres", "mysql"]
"""The name of an engine in RDS."""


class Engine(NamedTuple):
    """An engine: how RDS calls it, how it is reached, which logs and parameters it has, and which names it rejects."""

    name: EngineName
    title: str
    port: int
    master: str
    """The name of the master user."""
    logs: tuple[str, ...]
    """The logs that RDS exports to CloudWatch Logs."""
    parameters: Mapping[str, str]
    """The parameters that accept connections only with TLS, and write the logs."""
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
    """The instance classes without Performance Insights."""

    def minors(self, major: str) -> Mapping[str, list[str]]:
        """The minor versions of a major version: those that can be created, and those that are deprecated."""
        versions: Mapping[str, Any] = aws_data.content()[f"{self.name}_versions"]
        found: Mapping[str, list[str]] = versions[major]
        return found


ENGINES: Mapping[EngineName, Engine] = {
    "postgres": Engine(
        name="postgres",
        title="PostgreSQL",
        port=5432,
        master="postgres",
        logs=("postgresql", "upgrade"),
        parameters={"rds.force_ssl": "1"},
        majors=POSTGRESQL_MAJORS,
        longest_name=20,
        present=("postgres", "rdsadmin", "template0", "template1"),
        reserved=postgresql_words.RESERVED,
        keywords=postgresql_words.KEYWORDS,
        unmeasured_classes=(),
    ),
    # Sources:
    # - https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/mysql-ssl-connections.require-ssl.html
    # - https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_LogAccess.MySQLDB.PublishtoCloudWatchLogs.html. The
    #   audit log needs an option group of its own, and the general log would contain every statement.
    # - https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_DatabaseInsights.Engines.html (classes)
    # - https://dev.mysql.com/doc/refman/8.4/en/user-names.html: at most 32 characters
    "mysql": Engine(
        name="mysql",
        title="MySQL",
        port=3306,
        master="admin",
        logs=("error", "slowquery"),
        parameters={"log_output": "FILE", "require_secure_transport": "1", "slow_query_log": "1"},
        majors=MYSQL_MAJORS,
        longest_name=18,
        present=("mysql", "sys"),
        reserved=mysql_words.RESERVED,
        keywords=(),
        unmeasured_classes=("db.t3.micro", "db.t3.small", "db.t4g.micro", "db.t4g.small"),
    ),
}
"""The engines by their name in RDS."""
