import json

import pytest

from tests.template import Json, Template, resolved

DATABASES = [
    ("dev", "bubblepool"),
    ("staging", "bubblepool"),
    ("prod", "bubblepool"),
    ("prod", "guestbook"),
]


@pytest.fixture(params=DATABASES, ids=" ".join)
def database(request: pytest.FixtureRequest, platform: dict[str, Template]) -> Json:
    environment, name = request.param
    return platform[f"ap-northeast-2-{environment}"].resources("aws_db_instance")[f"database-{name}_instance"]


def test_storage_secret_and_performance_insights_are_encrypted_with_the_environments_key(database: Json) -> None:
    key = "${aws_kms_key.key.arn}"
    assert database["storage_encrypted"] is True
    assert database["kms_key_id"] == key
    assert database["master_user_secret_kms_key_id"] == key
    assert database["performance_insights_kms_key_id"] == key


def test_master_password_is_managed_by_rds(database: Json) -> None:
    assert database["manage_master_user_password"] is True
    assert not {"password", "password_wo"} & database.keys()


def test_database_is_not_publicly_accessible(database: Json) -> None:
    assert database["publicly_accessible"] is False


def test_a_final_snapshot_is_taken(database: Json) -> None:
    assert database["skip_final_snapshot"] is False
    assert database["final_snapshot_identifier"] == f"{database['identifier']}-final"


def test_iam_authentication_is_enabled(database: Json) -> None:
    assert database["iam_database_authentication_enabled"] is True


@pytest.mark.parametrize("name", ["bubblepool", "guestbook"])
def test_production_databases_are_multi_az_and_protected(prod: Template, name: str) -> None:
    database = prod.resources("aws_db_instance")[f"database-{name}_instance"]
    assert database["multi_az"] is True
    assert database["deletion_protection"] is True
    assert database["backup_retention_period"] == 35


def test_log_groups_are_created_before_the_database_with_key_and_retention(prod: Template) -> None:
    database = prod.resources("aws_db_instance")["database-bubblepool_instance"]
    for export in database["enabled_cloudwatch_logs_exports"]:
        name = f"database-bubblepool_{export}-log-group"
        group = prod.resources("aws_cloudwatch_log_group")[name]
        assert f"aws_cloudwatch_log_group.{name}" in database["depends_on"]
        assert group["name"] == f"/aws/rds/instance/{database['identifier']}/{export}"
        assert (group["retention_in_days"], group["kms_key_id"]) == (365, "${aws_kms_key.key.arn}")


def test_the_operating_system_is_measured_with_a_role_that_only_rds_of_this_environment_has(prod: Template) -> None:
    database = prod.resources("aws_db_instance")["database-bubblepool_instance"]
    assert (database["monitoring_interval"], database["monitoring_role_arn"]) == (
        60,
        "${aws_iam_role.database-monitoring-role.arn}",
    )
    (trusted,) = json.loads(prod.resources("aws_iam_role")["database-monitoring-role"]["assume_role_policy"])[
        "Statement"
    ]
    assert trusted["Principal"] == {"Service": ["monitoring.rds.amazonaws.com"]}
    assert trusted["Condition"] == {
        "StringEquals": {"aws:SourceAccount": "123456789012"},
        "ArnLike": {"aws:SourceArn": "arn:aws:rds:ap-northeast-2:123456789012:db:ap-northeast-2-prod-*"},
    }
    attached = prod.resources("aws_iam_role_policy_attachment")[
        "database-monitoring-role_AmazonRDSEnhancedMonitoringRole"
    ]
    assert attached["policy_arn"] == "arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"


def test_a_database_that_is_not_measured_names_no_role(alternative: dict[str, Template]) -> None:
    database = alternative["us-gov-west-1-dev"].resources("aws_db_instance")["database-bubblepool_instance"]
    assert database["monitoring_interval"] == 0
    assert "monitoring_role_arn" not in database


def test_only_large_storage_has_a_performance_of_its_own(database: Json, alternative: dict[str, Template]) -> None:
    assert not {"iops", "storage_throughput"} & database.keys()
    large = alternative["us-gov-west-1-dev"].resources("aws_db_instance")["database-bubblepool_instance"]
    assert (large["allocated_storage"], large["iops"], large["storage_throughput"]) == (400, 12000, 500)


def test_only_tls_is_served(prod: Template) -> None:
    database = prod.resources("aws_db_instance")["database-bubblepool_instance"]
    assert database["parameter_group_name"] == "${aws_db_parameter_group.database-bubblepool_parameters.name}"
    parameters = prod.resources("aws_db_parameter_group")["database-bubblepool_parameters"]
    assert parameters["parameter"] == [{"name": "rds.force_ssl", "value": "1"}]


def _running(database: Json) -> str:
    (postcondition,) = database["lifecycle"]["postcondition"]
    return str(postcondition["condition"])


def test_without_an_upgrade_the_version_stays_and_changes_wait_for_the_maintenance_window(database: Json) -> None:
    assert database["engine_version"] == "17"
    assert "allow_major_version_upgrade" not in database
    assert database["apply_immediately"] is False
    assert database["lifecycle"]["ignore_changes"] == ["engine_version"]
    assert _running(database) == '${tonumber(split(".", self.engine_version_actual)[0]) == 17}'


def test_an_upgrade_is_immediate_and_replaces_the_parameter_group_after_the_instance(
    alternative: dict[str, Template],
) -> None:
    dev = alternative["us-gov-west-1-dev"]
    database = dev.resources("aws_db_instance")["database-bubblepool_instance"]
    assert database["engine_version"] == "18.4"
    assert database["allow_major_version_upgrade"] is True
    assert database["apply_immediately"] is True
    assert "ignore_changes" not in database["lifecycle"]
    assert _running(database) == '${tonumber(split(".", self.engine_version_actual)[0]) <= 18}'
    parameters = dev.resources("aws_db_parameter_group")["database-bubblepool_parameters"]
    assert (parameters["name"], parameters["family"]) == ("us-gov-west-1-dev-bubblepool-postgres18", "postgres18")
    assert parameters["lifecycle"] == {"create_before_destroy": True}


def test_only_the_nodes_of_the_cluster_have_access(prod: Template) -> None:
    database = prod.resources("aws_db_instance")["database-bubblepool_instance"]
    assert database["vpc_security_group_ids"] == ["${aws_security_group.database-bubblepool_security-group.id}"]
    rule = prod.resources("aws_vpc_security_group_ingress_rule")["database-bubblepool_postgresql-from-nodes"]
    assert rule["security_group_id"] == database["vpc_security_group_ids"][0]
    assert rule["referenced_security_group_id"] == "${aws_eks_cluster.cluster.vpc_config[0].cluster_security_group_id}"
    assert (rule["from_port"], rule["to_port"]) == (5432, 5432)


@pytest.mark.parametrize(("stack", "kind"), [("ap-northeast-2-prod", "database"), ("us-gov-west-1-dev", "private")])
def test_database_uses_the_database_subnets_or_the_private_ones(
    platform: dict[str, Template], alternative: dict[str, Template], stack: str, kind: str
) -> None:
    stacks = {**platform, **alternative}
    group = stacks[stack].resources("aws_db_subnet_group")["database-bubblepool_subnet-group"]
    region = stack.rpartition("-")[0]
    assert [resolved(subnet, stacks) for subnet in group["subnet_ids"]] == [
        f"${{aws_subnet.vpc_{kind}-{region}{zone}.id}}" for zone in "abc"
    ]


def test_service_user_has_an_empty_secret_with_the_environments_prefix(prod: Template) -> None:
    secrets = prod.resources("aws_secretsmanager_secret")
    assert {secret["name"] for secret in secrets.values()} == {
        "ap-northeast-2/prod/bubblepool/database",
        "ap-northeast-2/prod/guestbook/database",
    }
    for secret in secrets.values():
        assert secret["kms_key_id"] == "${aws_kms_key.key.arn}"
        # The name must be available again after a teardown. The Job can create a new password.
        assert secret["recovery_window_in_days"] == 0
    assert not prod.resources("aws_secretsmanager_secret_version")


def _of_mysql(alternative: dict[str, Template], kind: str, part: str) -> Json:
    return alternative["us-gov-west-1-dev"].resources(kind)[f"database-orders_{part}"]


def test_mysql_has_its_own_port_master_logs_and_parameters(alternative: dict[str, Template]) -> None:
    database = _of_mysql(alternative, "aws_db_instance", "instance")
    assert (database["engine"], database["username"]) == ("mysql", "admin")
    assert database["enabled_cloudwatch_logs_exports"] == ["error", "slowquery"]
    for export in database["enabled_cloudwatch_logs_exports"]:
        group = _of_mysql(alternative, "aws_cloudwatch_log_group", f"{export}-log-group")
        assert group["name"] == f"/aws/rds/instance/us-gov-west-1-dev-orders/{export}"
    rule = _of_mysql(alternative, "aws_vpc_security_group_ingress_rule", "mysql-from-nodes")
    assert (rule["from_port"], rule["to_port"]) == (3306, 3306)
    parameters = _of_mysql(alternative, "aws_db_parameter_group", "parameters")
    assert (parameters["name"], parameters["family"]) == ("us-gov-west-1-dev-orders-mysql8-4", "mysql8.4")
    assert {one["name"]: one["value"] for one in parameters["parameter"]} == {
        "log_output": "FILE",
        "require_secure_transport": "1",
        "slow_query_log": "1",
    }


def test_a_major_version_of_mysql_has_two_numbers(alternative: dict[str, Template]) -> None:
    database = _of_mysql(alternative, "aws_db_instance", "instance")
    assert database["engine_version"] == "8.4.11"
    major = 'tonumber(join(".", slice(split(".", self.engine_version_actual), 0, 2)))'
    assert _running(database) == f"${{{major} <= 8.4}}"


def test_small_classes_of_mysql_have_no_performance_insights(alternative: dict[str, Template]) -> None:
    database = _of_mysql(alternative, "aws_db_instance", "instance")
    assert database["instance_class"] == "db.t4g.small"
    assert database["performance_insights_enabled"] is False
    assert "performance_insights_kms_key_id" not in database


def test_output_has_the_arn_of_the_master_secret(prod: Template) -> None:
    assert prod.json["output"]["database_secret_arns"]["value"] == {
        name: f"${{aws_db_instance.database-{name}_instance.master_user_secret[0].secret_arn}}"
        for name in ("bubblepool", "guestbook")
    }
