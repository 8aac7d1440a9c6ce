"""Databases on Aurora, in the alternative settings: `shop` on PostgreSQL, serverless, and `stock` on MySQL."""

from typing import Any

import pytest

from eks_gitops.aurora import AuroraConfig
from tests.template import Json, Template
from tests.unit.eks_gitops.accepts import accepts

KEY = "${aws_kms_key.key.arn}"


@pytest.fixture(scope="module")
def dev(alternative: dict[str, Template]) -> Template:
    return alternative["us-gov-west-1-dev"]


def _cluster(dev: Template, name: str) -> Json:
    return dev.resources("aws_rds_cluster")[f"database-{name}_cluster"]


def _instances(dev: Template, name: str) -> list[Json]:
    known = dev.resources("aws_rds_cluster_instance").items()
    return [one for address, one in known if address.startswith(f"database-{name}_")]


@pytest.mark.parametrize("name", ["shop", "stock"])
def test_storage_secret_and_performance_insights_are_encrypted_with_the_environments_key(
    dev: Template, name: str
) -> None:
    cluster = _cluster(dev, name)
    assert cluster["storage_encrypted"] is True
    assert cluster["kms_key_id"] == cluster["master_user_secret_kms_key_id"] == KEY
    assert cluster["manage_master_user_password"] is True
    assert not {"master_password", "master_password_wo"} & cluster.keys()
    for instance in _instances(dev, name):
        assert instance.get("performance_insights_kms_key_id", KEY) == KEY


@pytest.mark.parametrize("name", ["shop", "stock"])
def test_a_cluster_keeps_backups_and_leaves_a_tagged_snapshot(dev: Template, name: str) -> None:
    cluster = _cluster(dev, name)
    assert (cluster["skip_final_snapshot"], cluster["copy_tags_to_snapshot"]) == (False, True)
    assert cluster["final_snapshot_identifier"] == f"us-gov-west-1-dev-{name}-final"
    assert (cluster["deletion_protection"], cluster["backup_retention_period"]) == {
        "shop": (True, 14),
        "stock": (False, 1),
    }[name]


def test_writer_and_readers_are_in_different_zones_as_long_as_there_are_any(dev: Template) -> None:
    instances = _instances(dev, "shop")
    assert [(one["identifier"], one["availability_zone"]) for one in instances] == [
        ("us-gov-west-1-dev-shop-1", "us-gov-west-1a"),
        ("us-gov-west-1-dev-shop-2", "us-gov-west-1b"),
        ("us-gov-west-1-dev-shop-3", "us-gov-west-1c"),
        ("us-gov-west-1-dev-shop-4", "us-gov-west-1a"),
    ]
    for one in instances:
        assert one["cluster_identifier"] == "${aws_rds_cluster.database-shop_cluster.id}"
        assert one["publicly_accessible"] is False
        assert one["lifecycle"] == {"ignore_changes": ["availability_zone"]}  # a new zone of the VPC replaces nothing
    assert len(_instances(dev, "stock")) == 1


def test_serverless_instances_have_limits_and_others_a_class(dev: Template) -> None:
    limits = {"min_capacity": 0.5, "max_capacity": 4}
    assert _cluster(dev, "shop")["serverlessv2_scaling_configuration"] == limits
    assert {one["instance_class"] for one in _instances(dev, "shop")} == {"db.serverless"}
    assert "serverlessv2_scaling_configuration" not in _cluster(dev, "stock")
    assert {one["instance_class"] for one in _instances(dev, "stock")} == {"db.t3.medium"}


@pytest.mark.parametrize(
    ("name", "family", "port", "parameters"),
    [
        ("shop", "aurora-postgresql17", 5432, {"rds.force_ssl": "1"}),
        (
            "stock",
            "aurora-mysql8.4",
            3306,
            {
                "log_output": "FILE",
                "require_secure_transport": "ON",
                "server_audit_events": "CONNECT",
                "server_audit_logging": "1",
                "slow_query_log": "1",
            },
        ),
    ],
)
def test_only_tls_from_the_nodes_is_served(
    dev: Template, name: str, family: str, port: int, parameters: dict[str, str]
) -> None:
    cluster = _cluster(dev, name)
    group = dev.resources("aws_rds_cluster_parameter_group")[f"database-{name}_parameters"]
    assert cluster["db_cluster_parameter_group_name"] == (
        f"${{aws_rds_cluster_parameter_group.database-{name}_parameters.name}}"
    )
    assert group["family"] == family
    assert group["name"] == f"us-gov-west-1-dev-{name}-{family.replace('.', '-')}"
    assert {one["name"]: one["value"] for one in group["parameter"]} == parameters
    rules = dev.resources("aws_vpc_security_group_ingress_rule").items()
    (rule,) = [one for address, one in rules if address.startswith(f"database-{name}_")]
    assert cluster["vpc_security_group_ids"] == [rule["security_group_id"]]
    assert (rule["from_port"], rule["to_port"]) == (port, port)
    assert "cluster_security_group_id" in rule["referenced_security_group_id"]


@pytest.mark.parametrize(("name", "exports"), [("shop", ["postgresql"]), ("stock", ["audit", "error", "slowquery"])])
def test_log_groups_are_created_before_the_cluster_with_key_and_retention(
    dev: Template, name: str, exports: list[str]
) -> None:
    cluster = _cluster(dev, name)
    assert cluster["enabled_cloudwatch_logs_exports"] == exports
    for export in exports:
        address = f"database-{name}_{export}-log-group"
        group = dev.resources("aws_cloudwatch_log_group")[address]
        assert f"aws_cloudwatch_log_group.{address}" in cluster["depends_on"]
        assert group["name"] == f"/aws/rds/cluster/us-gov-west-1-dev-{name}/{export}"
        assert (group["retention_in_days"], group["kms_key_id"]) == (365, KEY)


def test_the_key_encrypts_the_logs_of_clusters_only_if_there_are_any(dev: Template, prod: Template) -> None:
    assert ":log-group:/aws/rds/cluster/us-gov-west-1-dev-*/*" in str(dev.only("aws_kms_key")["policy"])
    assert "/aws/rds/cluster/" not in str(prod.only("aws_kms_key")["policy"])


def test_instances_are_measured_unless_their_class_or_the_settings_exclude_it(dev: Template) -> None:
    for one in _instances(dev, "shop"):
        assert (one["performance_insights_enabled"], one["monitoring_interval"]) == (True, 60)
        assert one["monitoring_role_arn"] == "${aws_iam_role.database-monitoring-role.arn}"
    (stock,) = _instances(dev, "stock")
    assert (stock["performance_insights_enabled"], stock["monitoring_interval"]) == (False, 0)
    assert not {"performance_insights_kms_key_id", "monitoring_role_arn"} & stock.keys()


def test_only_an_upgrade_changes_the_version(dev: Template) -> None:
    shop, stock = _cluster(dev, "shop"), _cluster(dev, "stock")
    assert (shop["engine_version"], shop["lifecycle"]["ignore_changes"]) == ("17", ["engine_version"])
    assert shop["lifecycle"]["postcondition"][0]["condition"] == (
        '${tonumber(split(".", self.engine_version_actual)[0]) == 17}'
    )
    assert (stock["engine_version"], stock["allow_major_version_upgrade"]) == ("8.4.mysql_aurora.8.4.7", True)
    assert "ignore_changes" not in stock["lifecycle"]
    assert stock["lifecycle"]["postcondition"][0]["condition"] == (
        '${tonumber(join(".", slice(split(".", self.engine_version_actual), 0, 2))) <= 8.4}'
    )
    for one, is_immediate in ((shop, False), (stock, True)):
        assert one["apply_immediately"] is is_immediate
    assert not any("engine_version" in one for one in dev.resources("aws_rds_cluster_instance").values())


def test_services_find_writer_and_readers_and_the_job_the_master_secret(dev: Template) -> None:
    outputs = dev.json["output"]
    assert outputs["database_reader_addresses"]["value"] == {
        name: f"${{aws_rds_cluster.database-{name}_cluster.reader_endpoint}}" for name in ("shop", "stock")
    }
    cluster = "aws_rds_cluster.database-shop_cluster"
    assert outputs["database_addresses"]["value"]["shop"] == f"${{{cluster}.endpoint}}"
    assert outputs["database_secret_arns"]["value"]["shop"] == f"${{{cluster}.master_user_secret[0].secret_arn}}"
    names = {secret["name"] for secret in dev.resources("aws_secretsmanager_secret").values()}
    assert {"us-gov-west-1/dev/shop/database", "us-gov-west-1/dev/stock/database"} <= names


def test_without_aurora_there_is_no_output_of_readers(prod: Template) -> None:
    assert "database_reader_addresses" not in prod.json["output"]


_VALID: dict[str, Any] = {
    "name": "shop", "engine_version": "17", "instance_class": "db.r8g.large", "readers": 1,
    "deletion_protection": True, "backup_retention_days": 14,
}  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"instance_class": "db.serverless", "capacity": {"min_acu": 0, "max_acu": 256}},
        {"engine": "aurora-mysql", "engine_version": "8.0", "major_upgrade_to": "8.0.mysql_aurora.3.10.4"},
        {"major_upgrade_to": "17.9"},
        {"readers": 15},
    ],
)
def test_accepts(changes: dict[str, Any]) -> None:
    assert accepts(AuroraConfig, _VALID | changes)
