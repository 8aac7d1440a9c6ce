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


def test_storage_secret_and_insights_are_encrypted_with_the_environments_key(database: Json) -> None:
    key = "${aws_kms_key.key.arn}"
    assert database["storage_encrypted"] is True
    assert database["kms_key_id"] == key
    assert database["master_user_secret_kms_key_id"] == key
    assert database["performance_insights_kms_key_id"] == key


def test_master_password_is_known_to_secrets_manager_alone(database: Json) -> None:
    assert database["manage_master_user_password"] is True
    assert not {"password", "password_wo"} & database.keys()


def test_nobody_reaches_it_from_the_internet(database: Json) -> None:
    assert database["publicly_accessible"] is False


def test_a_snapshot_is_left_behind(database: Json) -> None:
    assert database["skip_final_snapshot"] is False
    assert database["final_snapshot_identifier"] == f"{database['identifier']}-final"


def test_roles_may_log_in(database: Json) -> None:
    assert database["iam_database_authentication_enabled"] is True


@pytest.mark.parametrize("name", ["bubblepool", "guestbook"])
def test_production_survives_a_zone_and_a_mistake(prod: Template, name: str) -> None:
    database = prod.resources("aws_db_instance")[f"database-{name}_instance"]
    assert database["multi_az"] is True
    assert database["deletion_protection"] is True
    assert database["backup_retention_period"] == 35


def test_logs_have_key_and_retention_before_rds_writes_them(prod: Template) -> None:
    database = prod.resources("aws_db_instance")["database-bubblepool_instance"]
    for export in database["enabled_cloudwatch_logs_exports"]:
        name = f"database-bubblepool_{export}-log-group"
        group = prod.resources("aws_cloudwatch_log_group")[name]
        assert f"aws_cloudwatch_log_group.{name}" in database["depends_on"]
        assert group["name"] == f"/aws/rds/instance/{database['identifier']}/{export}"
        assert (group["retention_in_days"], group["kms_key_id"]) == (90, "${aws_kms_key.key.arn}")


def test_only_tls_is_served(prod: Template) -> None:
    database = prod.resources("aws_db_instance")["database-bubblepool_instance"]
    assert database["parameter_group_name"] == "${aws_db_parameter_group.database-bubblepool_parameters.name}"
    parameters = prod.resources("aws_db_parameter_group")["database-bubblepool_parameters"]
    assert parameters["parameter"] == [{"name": "rds.force_ssl", "value": "1"}]


def test_nodes_of_the_cluster_alone_reach_it(prod: Template) -> None:
    database = prod.resources("aws_db_instance")["database-bubblepool_instance"]
    assert database["vpc_security_group_ids"] == ["${aws_security_group.database-bubblepool_security-group.id}"]
    rule = prod.resources("aws_vpc_security_group_ingress_rule")["database-bubblepool_postgresql-from-nodes"]
    assert rule["security_group_id"] == database["vpc_security_group_ids"][0]
    assert rule["referenced_security_group_id"] == "${aws_eks_cluster.cluster.vpc_config[0].cluster_security_group_id}"
    assert (rule["from_port"], rule["to_port"]) == (5432, 5432)


@pytest.mark.parametrize(("stack", "kind"), [("ap-northeast-2-prod", "database"), ("us-gov-west-1-dev", "private")])
def test_it_lies_in_the_database_subnets_or_else_in_the_private_ones(
    platform: dict[str, Template], otherwise: dict[str, Template], stack: str, kind: str
) -> None:
    stacks = {**platform, **otherwise}
    group = stacks[stack].resources("aws_db_subnet_group")["database-bubblepool_subnet-group"]
    region = stack.rpartition("-")[0]
    assert [resolved(subnet, stacks) for subnet in group["subnet_ids"]] == [
        f"${{aws_subnet.vpc_{kind}-{region}{zone}.id}}" for zone in "abc"
    ]


def test_user_of_the_service_has_an_empty_secret_below_the_environments_prefix(prod: Template) -> None:
    secrets = prod.resources("aws_secretsmanager_secret")
    assert {secret["name"] for secret in secrets.values()} == {
        "ap-northeast-2/prod/bubblepool/database",
        "ap-northeast-2/prod/guestbook/database",
    }
    for secret in secrets.values():
        assert secret["kms_key_id"] == "${aws_kms_key.key.arn}"
        # Made again after a teardown, the name is free at once; nothing is lost, the job makes another password.
        assert secret["recovery_window_in_days"] == 0
    assert not prod.resources("aws_secretsmanager_secret_version")


def test_secret_is_told_without_being_read(prod: Template) -> None:
    assert prod.json["output"]["database_secret_arns"]["value"] == {
        name: f"${{aws_db_instance.database-{name}_instance.master_user_secret[0].secret_arn}}"
        for name in ("bubblepool", "guestbook")
    }
