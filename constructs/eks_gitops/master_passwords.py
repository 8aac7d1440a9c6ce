"""The secrets in which RDS keeps the master passwords of databases: their names, and the tags that say whose they are.

Sources: https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/rds-secrets-manager.html, and for the tags
https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AmazonRDSServiceRolePolicy.html.
"""

from typing import NamedTuple


class MasterPasswords(NamedTuple):
    """The master passwords of the databases of a product."""

    product: str
    """The product in the IDs of statements."""
    secrets: str
    """The resources of Secrets Manager."""
    tag: str
    """The condition key of the tag that RDS adds, with the ARN of the database."""
    kind: str
    """The type of resource in this ARN."""


RDS = MasterPasswords("", "secret:rds!db-*", "aws:ResourceTag/aws:rds:primaryDBInstanceArn", "db")
_AURORA = MasterPasswords("Aurora", "secret:rds!cluster-*", "aws:ResourceTag/aws:rds:primaryDBClusterArn", "cluster")

OWNED = "aws:ResourceTag/aws:secretsmanager:owningService"
"""The condition key of the tag of each secret that a service of AWS manages."""


def master_passwords(*, aurora: bool) -> tuple[MasterPasswords, ...]:
    """Those of RDS, and also of Aurora."""
    return (RDS, _AURORA) if aurora else (RDS,)
