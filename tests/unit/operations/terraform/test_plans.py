"""Terraform plans, read from documents in the format of `terraform show -json`."""

from typing import Any

import pytest

from operations.errors import OperationError
from operations.terraform.plans import Plan, changes_table


def _plan(*changes: dict[str, Any], **others: Any) -> Plan:
    return Plan("ap-northeast-2-dev", {"resource_changes": list(changes), **others})


def _change(address: str, *actions: str, **change: Any) -> dict[str, Any]:
    rest = {"before": {"name": "a"}, "after": {"name": "b"}, "after_unknown": {}, **change}
    return {"address": address, "type": address.partition(".")[0], "change": {"actions": list(actions), **rest}}


@pytest.mark.parametrize(
    ("actions", "action"),
    [
        (("create",), "create"),
        (("update",), "update"),
        (("delete", "create"), "replace"),
        (("create", "delete"), "replace"),
        (("delete",), "destroy"),
        (("forget",), "forget"),
    ],
)
def test_each_change_has_one_action(actions: tuple[str, ...], action: str) -> None:
    (change,) = _plan(_change("aws_vpc.vpc", *actions)).changes
    assert (change.address, change.kind, change.action) == ("aws_vpc.vpc", "aws_vpc", action)


@pytest.mark.parametrize("actions", [("no-op",), ("read",)])
def test_no_op_and_read_are_no_changes(actions: tuple[str, ...]) -> None:
    assert _plan(_change("aws_vpc.vpc", *actions)).is_empty


def test_rejects_unknown_actions() -> None:
    with pytest.raises(OperationError, match=r"aws_vpc.vpc: \['frobnicate'\]: unknown actions; use the Terraform"):
        _ = _plan(_change("aws_vpc.vpc", "frobnicate")).changes


def test_replacement_names_the_arguments_that_force_it() -> None:
    paths = [["vpc_config", 0, "subnet_ids"], ["name"]]
    (change,) = _plan(_change("aws_eks_cluster.cluster", "delete", "create", replace_paths=paths)).changes
    assert change.replaced_for == ("vpc_config[0].subnet_ids", "name")


def test_changed_arguments_differ_or_are_known_only_after_the_apply() -> None:
    change = _change(
        "aws_vpc.vpc", "update", before={"a": 1, "b": 1}, after={"a": 1, "b": 2}, after_unknown={"c": True}
    )
    assert _plan(change).changes[0].changed == ["b", "c"]


def test_a_plan_that_changes_an_output_is_not_empty() -> None:
    plan = _plan(output_changes={"vpc_id": {"actions": ["update"], "before": "a", "after": "b"}})
    assert not plan.is_empty
    assert list(plan.outputs) == ["vpc_id"]


def test_hash_depends_on_the_changes_only() -> None:
    change = _change("aws_vpc.vpc", "update")
    other = _change("aws_eip.eip", "create")
    known = _plan(change, other, timestamp="2026-01-01T00:00:00Z").hash
    assert _plan(other, change, timestamp="2026-02-02T00:00:00Z", prior_state={"serial": 7}).hash == known
    assert _plan(change).hash != known
    assert _plan(_change("aws_vpc.vpc", "update", after={"name": "c"}), other).hash != known


def test_hash_ignores_unchanged_arguments_that_differ_between_plans() -> None:
    def database(*, restorable: str, retention: int) -> dict[str, Any]:
        before = {"retention": 7, "latest_restorable_time": restorable}
        return _change("aws_db_instance.main", "update", before=before, after={**before, "retention": retention})

    known = _plan(database(restorable="09:00", retention=14)).hash
    assert _plan(database(restorable="09:05", retention=14)).hash == known
    assert _plan(database(restorable="09:00", retention=1)).hash != known
    for actions, fields in ((["delete"], {}), (["no-op"], {"previous_address": "aws_db_instance.old"})):
        hashes = set()
        for time in ("09:00", "09:05"):
            same = {"latest_restorable_time": time}
            hashes.add(_plan(_change("aws_db_instance.main", *actions, before=same, after=same) | fields).hash)
        assert len(hashes) == 1


@pytest.mark.parametrize(
    ("fields", "action", "why"),
    [
        ({"previous_address": "aws_vpc.old"}, "move", "from aws_vpc.old"),
        ({"importing": {"id": "vpc-1"}}, "import", "exists already"),
    ],
)
def test_moves_and_imports_are_changes(fields: dict[str, Any], action: str, why: str) -> None:
    """Their action is no-op, but they change the state."""
    entry = _change("aws_vpc.vpc", "no-op", after={"name": "a"})
    (entry["change"] if "importing" in fields else entry).update(fields)
    plan = _plan(entry)
    (change,) = plan.changes
    assert (change.action, change.why) == (action, why)
    assert not plan.is_empty
    assert plan.summary == f"1 to {action}"
    assert plan.hash != _plan(_change("aws_eip.eip", "no-op")).hash


def test_drift_is_separate_from_changes() -> None:
    plan = _plan(resource_drift=[_change("aws_vpc.vpc", "update")])
    assert plan.is_empty
    assert [change.address for change in plan.drift] == ["aws_vpc.vpc"]


@pytest.mark.parametrize(
    ("reason", "why"),
    [
        ("replace_because_tainted", "tainted by a failed apply"),
        ("replace_by_request", "requested with -replace"),
        ("delete_because_no_resource_config", "no longer in the configuration"),
        ("a_reason_of_a_later_version", "a_reason_of_a_later_version"),
    ],
)
def test_reasons_of_terraform_are_explained(reason: str, why: str) -> None:
    (change,) = _plan(_change("aws_vpc.vpc", "delete", "create") | {"action_reason": reason}).changes
    assert change.why == why


def test_table_and_data_name_the_changes_without_their_values() -> None:
    replaced = _change("aws_eks_cluster.cluster", "delete", "create", replace_paths=[["name"]])
    updated = _change(
        "aws_db_instance.database",
        "update",
        before={"password": "hunter2", "size": 1},
        after={"password": "hunter3", "size": 2},
        before_sensitive={"password": True},
    )
    plan = _plan(replaced, updated)
    table = changes_table([plan])
    assert list(table.rows) == [
        ["ap-northeast-2-dev", "update", "aws_db_instance.database", "password, size"],
        ["ap-northeast-2-dev", "replace", "aws_eks_cluster.cluster", "forced by name"],
    ]
    assert [change.data() for change in plan.changes] == [
        {"address": "aws_db_instance.database", "action": "update", "why": "password, size"},
        {"address": "aws_eks_cluster.cluster", "action": "replace", "why": "forced by name"},
    ]
    assert plan.changes[0].sensitive == {"password": True}


@pytest.mark.parametrize(
    ("changes", "outputs", "summary"),
    [
        ([], {}, "no changes"),
        ([], {"vpc_id": {"actions": ["update"]}}, "outputs change"),
        ([], {"vpc_id": {"actions": ["no-op"]}}, "no changes"),
        ([("create",), ("create",), ("delete",), ("delete", "create")], {}, "2 to create, 1 to replace, 1 to destroy"),
    ],
)
def test_summary_counts_the_changes_by_action(
    changes: list[tuple[str, ...]], outputs: dict[str, Any], summary: str
) -> None:
    entries = [_change(f"aws_vpc.vpc{number}", *actions) for number, actions in enumerate(changes)]
    assert _plan(*entries, output_changes=outputs).summary == summary
