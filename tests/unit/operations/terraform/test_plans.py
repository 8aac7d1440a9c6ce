"""Reading Terraform's plans, of documents as `terraform show -json` writes them."""

from typing import Any

import pytest

from operations.errors import OperationError
from operations.terraform.plans import Plan


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
def test_what_does_nothing_is_no_change(actions: tuple[str, ...]) -> None:
    assert _plan(_change("aws_vpc.vpc", *actions)).is_empty


def test_an_action_that_nobody_knows_is_no_silence() -> None:
    with pytest.raises(OperationError, match=r"aws_vpc.vpc: \['frobnicate'\]: no action that is known here"):
        _ = _plan(_change("aws_vpc.vpc", "frobnicate")).changes


def test_reason_of_a_replacement_is_the_argument() -> None:
    paths = [["vpc_config", 0, "subnet_ids"], ["name"]]
    (change,) = _plan(_change("aws_eks_cluster.cluster", "delete", "create", replace_paths=paths)).changes
    assert change.replaced_for == ("vpc_config[0].subnet_ids", "name")


def test_changed_arguments_are_those_that_differ_or_become_known() -> None:
    change = _change(
        "aws_vpc.vpc", "update", before={"a": 1, "b": 1}, after={"a": 1, "b": 2}, after_unknown={"c": True}
    )
    assert _plan(change).changes[0].changed == ["b", "c"]


def test_an_output_that_changes_is_a_change() -> None:
    plan = _plan(output_changes={"vpc_id": {"actions": ["update"], "before": "a", "after": "b"}})
    assert not plan.is_empty
    assert list(plan.outputs) == ["vpc_id"]


def test_hash_is_that_of_what_is_done_and_of_nothing_else() -> None:
    change = _change("aws_vpc.vpc", "update")
    other = _change("aws_eip.eip", "create")
    known = _plan(change, other, timestamp="2026-01-01T00:00:00Z").hash
    assert _plan(other, change, timestamp="2026-02-02T00:00:00Z", prior_state={"serial": 7}).hash == known
    assert _plan(change).hash != known
    assert _plan(_change("aws_vpc.vpc", "update", after={"name": "c"}), other).hash != known


def test_hash_is_the_same_where_what_stays_differs_by_the_minute() -> None:
    def database(*, restorable: str, retention: int) -> dict[str, Any]:
        before = {"retention": 7, "latest_restorable_time": restorable}
        return _change("aws_db_instance.main", "update", before=before, after={**before, "retention": retention})

    known = _plan(database(restorable="09:00", retention=14)).hash
    assert _plan(database(restorable="09:05", retention=14)).hash == known
    assert _plan(database(restorable="09:00", retention=1)).hash != known
    for actions, said in ((["delete"], {}), (["no-op"], {"previous_address": "aws_db_instance.old"})):
        hashes = set()
        for time in ("09:00", "09:05"):
            same = {"latest_restorable_time": time}
            hashes.add(_plan(_change("aws_db_instance.main", *actions, before=same, after=same) | said).hash)
        assert len(hashes) == 1


@pytest.mark.parametrize(
    ("said", "action", "why"),
    [
        ({"previous_address": "aws_vpc.old"}, "move", "from aws_vpc.old"),
        ({"importing": {"id": "vpc-1"}}, "import", "exists already"),
    ],
)
def test_what_is_moved_or_imported_is_a_change(said: dict[str, Any], action: str, why: str) -> None:
    """Terraform calls it no-op; the state is another afterwards."""
    entry = _change("aws_vpc.vpc", "no-op", after={"name": "a"})
    (entry["change"] if "importing" in said else entry).update(said)
    plan = _plan(entry)
    (change,) = plan.changes
    assert (change.action, change.why) == (action, why)
    assert not plan.is_empty
    assert plan.summary == f"1 to {action}"
    assert plan.hash != _plan(_change("aws_eip.eip", "no-op")).hash


def test_what_was_changed_outside_is_told_apart() -> None:
    plan = _plan(resource_drift=[_change("aws_vpc.vpc", "update")])
    assert plan.is_empty
    assert [change.address for change in plan.drift] == ["aws_vpc.vpc"]
