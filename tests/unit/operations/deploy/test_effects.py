"""What changes do to what runs, in words."""

from typing import Any

import pytest

from operations.deploy.effects import effects, effects_table
from operations.output.report import Table
from operations.terraform.plans import Plan


def _plan(kind: str, *actions: str, before: Any = None, after: Any = None, **others: Any) -> Plan:
    change = {"actions": list(actions), "before": before, "after": after, "after_unknown": {}, **others}
    return Plan("dev", {"resource_changes": [{"address": f"{kind}.one", "type": kind, "change": change}]})


def _table(plan: Plan) -> Table:
    return effects_table({plan.stack: effects(plan)})


def _texts(*arguments: Any, **others: Any) -> str:
    return "\n".join(effects(_plan(*arguments, **others)))


def test_a_node_group_is_replaced_before_or_after_the_new_one() -> None:
    assert "new ones first" in _texts("aws_eks_node_group", "create", "delete", before={}, after={})
    assert "removes all its nodes before" in _texts("aws_eks_node_group", "delete", "create", before={}, after={})


@pytest.mark.parametrize(
    ("kind", "argument", "part"),
    [
        ("aws_eks_node_group", "release_version", "a third at a time"),
        ("aws_eks_node_group", "labels", "labels or taints"),
        ("aws_eks_cluster", "version", "the control plane"),
        ("aws_db_instance", "engine_version", "the database is down"),
        ("aws_db_instance", "instance_class", "maintenance window"),
        ("aws_db_instance", "allocated_storage", "without an outage"),
        ("aws_rds_cluster", "engine_version", "the database is down"),
        ("aws_rds_cluster_instance", "instance_class", "a reader takes its place"),
    ],
)
def test_an_update_has_the_effect_of_its_arguments(kind: str, argument: str, part: str) -> None:
    assert part in _texts(kind, "update", before={argument: "1"}, after={argument: "2"})
    assert _texts(kind, "update", before={"tags": {"a": "1"}}, after={"tags": {"a": "2"}}) == ""


def test_only_a_shorter_retention_deletes_logs() -> None:
    short, long = {"retention_in_days": 30}, {"retention_in_days": 90}
    assert "deletes logs" in _texts("aws_cloudwatch_log_group", "update", before=long, after=short)
    assert _texts("aws_cloudwatch_log_group", "update", before=short, after=long) == ""


def test_resources_have_their_names_in_aws() -> None:
    table = _table(_plan("aws_eks_node_group", "delete", before={"node_group_name": "main"}))
    assert [row[2] for row in table.rows] == ["aws_eks_node_group main"]
    (row,) = _table(_plan("aws_nat_gateway", "delete", before={"tags": {"Name": "vpc-a"}})).rows
    assert row[2] == "aws_nat_gateway vpc-a"


def test_changes_without_an_effect_are_not_listed() -> None:
    assert _table(_plan("aws_iam_role", "create", after={"name": "a"})).rows == []
