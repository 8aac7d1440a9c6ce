"""Backups: the vault, plan and role of AWS Backup, and the bucket for backups of Argo CD."""

import pytest

from tests.edited_settings import EditedSettings
from tests.template import Template, every_stack

ENVIRONMENTS = ["dev", "staging", "prod"]
KEY = "${aws_kms_key.key.arn}"


@pytest.fixture(params=ENVIRONMENTS)
def environment(request: pytest.FixtureRequest, platform: dict[str, Template]) -> tuple[str, Template]:
    return request.param, platform[f"ap-northeast-2-{request.param}"]


def test_every_file_system_and_database_is_selected_by_arn(environment: tuple[str, Template]) -> None:
    _, stack = environment
    selected = [selection["resources"] for selection in stack.resources("aws_backup_selection").values()]
    assert sorted(selected) == sorted(
        [f"${{{kind}.{name}.arn}}"]
        for kind in ("aws_db_instance", "aws_efs_file_system")
        for name in stack.resources(kind)
    )


def test_a_cluster_of_aurora_is_selected_and_not_its_instances(alternative: dict[str, Template]) -> None:
    selections = alternative["us-gov-west-1-dev"].resources("aws_backup_selection").values()
    selected = [arn for selection in selections for arn in selection["resources"] if "aws_rds" in arn]
    assert selected == [f"${{aws_rds_cluster.database-{name}_cluster.arn}}" for name in ("shop", "stock")]


@pytest.mark.parametrize(("name", "daily", "monthly"), [("dev", 7, 31), ("staging", 7, 31), ("prod", 35, 365)])
def test_backups_run_daily_and_monthly(platform: dict[str, Template], name: str, daily: int, monthly: int) -> None:
    rules = platform[f"ap-northeast-2-{name}"].only("aws_backup_plan")["rule"]
    assert [(rule["rule_name"], rule["schedule"], rule["lifecycle"]) for rule in rules] == [
        ("daily", "cron(0 20 * * ? *)", {"delete_after": daily}),
        ("monthly", "cron(0 20 1 * ? *)", {"delete_after": monthly}),
    ]


def test_backups_do_not_overlap_the_backup_and_maintenance_windows_of_rds(prod: Template) -> None:
    for database in prod.resources("aws_db_instance").values():
        assert database["backup_window"] == "17:00-18:00"
        assert database["maintenance_window"] == "sun:18:30-sun:19:30"


def test_vault_has_the_environments_key_and_a_lock_in_governance_mode(environment: tuple[str, Template]) -> None:
    name, stack = environment
    vault = stack.only("aws_backup_vault")
    assert (vault["name"], vault["kms_key_arn"]) == (f"ap-northeast-2-{name}-data", KEY)
    assert vault["force_destroy"] is False
    lock = stack.only("aws_backup_vault_lock_configuration")
    daily, monthly = stack.only("aws_backup_plan")["rule"]
    assert lock["min_retention_days"] == daily["lifecycle"]["delete_after"]
    assert lock["max_retention_days"] == monthly["lifecycle"]["delete_after"]
    assert "changeable_for_days" not in lock


def test_role_can_back_up_and_restore_and_has_the_boundary(environment: tuple[str, Template]) -> None:
    _, stack = environment
    role = stack.resources("aws_iam_role")["backup-plan_role"]
    assert "boundary" in role["permissions_boundary"]
    attached = [
        attachment["policy_arn"]
        for attachment in stack.resources("aws_iam_role_policy_attachment").values()
        if attachment["role"] == "${aws_iam_role.backup-plan_role.name}"
    ]
    assert attached == [
        "arn:aws:iam::aws:policy/service-role/AWSBackupServiceRolePolicyForBackup",
        "arn:aws:iam::aws:policy/service-role/AWSBackupServiceRolePolicyForRestores",
    ]
    for selection in stack.resources("aws_backup_selection").values():
        assert len(selection["depends_on"]) == len(attached)


def test_backups_are_copied_to_another_vault_only_if_set(prod: Template, alternative: dict[str, Template]) -> None:
    assert not [rule for rule in prod.only("aws_backup_plan")["rule"] if rule.get("copy_action")]
    for rule in alternative["us-gov-west-1-dev"].only("aws_backup_plan")["rule"]:
        assert rule["copy_action"] == [
            {
                "destination_vault_arn": "arn:aws-us-gov:backup:us-gov-east-1:123456789012:backup-vault:copies",
                "lifecycle": rule["lifecycle"],
            }
        ]


def test_argo_cd_backups_have_a_private_versioned_bucket(environment: tuple[str, Template]) -> None:
    name, stack = environment
    bucket = stack.only("aws_s3_bucket")
    assert bucket["bucket"] == f"your-org-ap-northeast-2-{name}-backups"
    assert bucket["force_destroy"] is False
    assert stack.only("aws_s3_bucket_versioning")["versioning_configuration"] == {"status": "Enabled"}
    (rule,) = stack.only("aws_s3_bucket_server_side_encryption_configuration")["rule"]
    assert rule["apply_server_side_encryption_by_default"] == {"kms_master_key_id": KEY, "sse_algorithm": "aws:kms"}
    public = stack.only("aws_s3_bucket_public_access_block")
    assert [value for value in public.values() if isinstance(value, bool)] == [True] * 4


def test_only_replaced_backups_of_argo_cd_expire(prod: Template) -> None:
    (rule,) = prod.only("aws_s3_bucket_lifecycle_configuration")["rule"]
    assert rule["noncurrent_version_expiration"] == [{"noncurrent_days": 90}]
    assert "expiration" not in rule


def test_teardown_deletes_backups_with_their_vault_and_bucket(
    edited: EditedSettings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    edited.replace("ap_northeast_2/dev.py", "production=False,", "production=False, teardown=True,")
    edited.replace("ap_northeast_2/dev.py", "databases=(", "databases=() and (")
    dev = every_stack(edited.load(), tmp_path_factory.mktemp("teardown"))["ap-northeast-2-dev"]
    assert len(dev.resources("aws_backup_selection")) == 1
    assert dev.only("aws_backup_vault")["force_destroy"] is True
    assert dev.only("aws_s3_bucket")["force_destroy"] is True


def test_outputs_name_the_backup_bucket_and_vault(prod: Template) -> None:
    assert prod.json["output"]["backup_bucket"]["value"] == "${aws_s3_bucket.backup-bucket.bucket}"
    assert prod.json["output"]["backup_vault"]["value"] == "${aws_backup_vault.backup-plan_vault.name}"
