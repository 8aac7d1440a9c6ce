"""BackupPlan: daily and monthly backups of an environment's data by AWS Backup, in a locked vault."""

from collections.abc import Iterator, Mapping
from typing import Annotated

from cdktf_cdktf_provider_aws.backup_plan import (
    BackupPlan as AwsBackupPlan,
)
from cdktf_cdktf_provider_aws.backup_plan import (
    BackupPlanRule,
    BackupPlanRuleCopyAction,
    BackupPlanRuleCopyActionLifecycle,
    BackupPlanRuleLifecycle,
)
from cdktf_cdktf_provider_aws.backup_selection import BackupSelection
from cdktf_cdktf_provider_aws.backup_vault import BackupVault
from cdktf_cdktf_provider_aws.backup_vault_lock_configuration import BackupVaultLockConfiguration
from constructs import Construct
from pydantic import StrictBool

from eks_gitops.config import Config, Problem, matching
from eks_gitops.context import Context
from eks_gitops.iam import Role, service_trust
from eks_gitops.values import BackupDays

# UTC. RDS rejects a backup during its backup and maintenance windows (see private_database.py) and in the hour before.
_DAILY = "cron(0 20 * * ? *)"
_MONTHLY = "cron(0 20 1 * ? *)"
_START_WINDOW_MINUTES = 60
_COMPLETION_WINDOW_MINUTES = 24 * 60

BackupVaultArn = Annotated[
    str,
    matching(
        r"arn:(aws|aws-cn|aws-us-gov):backup:[a-z0-9-]+:\d{12}:backup-vault:[A-Za-z0-9_-]{2,50}",
        "not the ARN of a backup vault; write arn:aws:backup:<region>:<account id>:backup-vault:<name>",
    ),
]
"""The ARN of an AWS Backup vault."""


class BackupConfig(Config):
    """What is backed up, and the retention of daily and monthly backups and of the Argo CD backups."""

    daily_retention_days: BackupDays = 35
    """Days that daily backups of files and databases are kept, and the least that the vault lock permits. A change
    affects new backups."""
    monthly_retention_days: BackupDays = 365
    """Days that monthly backups are kept, and the most that the vault lock permits. A change affects new backups."""
    argo_cd_retention_days: BackupDays = 90
    """Days that a backup of Argo CD is kept after a newer one replaced it. The newest never expires."""
    copy_to_vault: BackupVaultArn | None = None
    """A vault in another region that receives a copy of every backup of files and databases. Without it, these backups
    are lost if the region is lost."""

    clusters: StrictBool = False
    """Whether AWS Backup also backs up all clusters of the environment: the objects of Kubernetes, and the volumes and
    files of their claims. The account must have opted in to EKS (`make preflight`), and an administrator deploys
    `shared` first."""

    def problems(self) -> Iterator[Problem]:
        """Monthly backups that expire before the daily ones."""
        if self.monthly_retention_days < self.daily_retention_days:
            message = f"below daily_retention_days; choose {self.daily_retention_days} or more"
            yield Problem("monthly_retention_days", self.monthly_retention_days, message)


class BackupPlan(Construct):
    """A backup plan for `resources`, a mapping of names to ARNs.

    Each resource is selected by ARN, so no account-level setting can exclude it. The vault lock is in governance mode:
    a backup can be deleted before its retention ends only by a principal that is allowed to remove the lock. With
    `force_destroy`, the vault is deleted together with its backups.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        config: BackupConfig,
        *,
        context: Context,
        resources: Mapping[str, str],
        force_destroy: bool,
    ) -> None:
        super().__init__(scope, id_)
        name = context.location.name("data")
        vault = BackupVault(self, "vault", name=name, kms_key_arn=context.key.arn, force_destroy=force_destroy)
        BackupVaultLockConfiguration(
            self,
            "lock",
            backup_vault_name=vault.name,
            min_retention_days=config.daily_retention_days,
            max_retention_days=config.monthly_retention_days,
        )
        plan = AwsBackupPlan(
            self,
            "plan",
            name=name,
            rule=[
                _rule("daily", _DAILY, config.daily_retention_days, vault.name, config.copy_to_vault),
                _rule("monthly", _MONTHLY, config.monthly_retention_days, vault.name, config.copy_to_vault),
            ],
        )
        role = Role(
            self,
            "role",
            location=context.location,
            name="backup",
            description="Backs up files and databases, and restores them",
            trust=[service_trust("backup.amazonaws.com")],
            permissions_boundary=context.permissions_boundary,
            managed_policies=[
                "service-role/AWSBackupServiceRolePolicyForBackup",
                "service-role/AWSBackupServiceRolePolicyForRestores",
            ],
        )
        for resource, arn in resources.items():
            BackupSelection(
                self,
                f"selection-{resource}",
                name=resource,
                plan_id=plan.id,
                iam_role_arn=role.arn,
                resources=[arn],
                depends_on=role.permissions,
            )
        self.vault_name: str = vault.name


def _rule(name: str, schedule: str, retention_days: int, vault_name: str, copy_to_vault: str | None) -> BackupPlanRule:
    copies = [
        BackupPlanRuleCopyAction(
            destination_vault_arn=vault, lifecycle=BackupPlanRuleCopyActionLifecycle(delete_after=retention_days)
        )
        for vault in filter(None, [copy_to_vault])
    ]
    return BackupPlanRule(
        rule_name=name,
        target_vault_name=vault_name,
        schedule=schedule,
        start_window=_START_WINDOW_MINUTES,
        completion_window=_COMPLETION_WINDOW_MINUTES,
        lifecycle=BackupPlanRuleLifecycle(delete_after=retention_days),
        copy_action=copies,
    )
