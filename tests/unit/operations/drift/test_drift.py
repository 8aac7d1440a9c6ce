"""Telling drift apart from what waits to be applied, of plans as `terraform show -json` writes them."""

import threading
import time
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from operations.clients import aws
from operations.drift import drift
from operations.drift.drift import Finding, Seen
from operations.drift.ignored import Ignored
from operations.errors import OperationError
from operations.output.progress import Progress
from operations.output.report import Report, Status
from operations.terraform.plans import Plan
from tests.stacks import make_stack

_STACK = "ap-northeast-2-dev"


def _change(address: str, *actions: str, **change: Any) -> dict[str, Any]:
    rest = {"before": {}, "after": {}, "after_unknown": {}, **change}
    return {"address": address, "type": address.partition(".")[0], "change": {"actions": list(actions), **rest}}


def _told_apart(
    drifted: list[dict[str, Any]], changes: list[dict[str, Any]], **document: Any
) -> tuple[list[Finding], list[str]]:
    return drift.told_apart(Plan(_STACK, {"resource_drift": drifted, "resource_changes": changes, **document}))


def test_what_an_apply_would_put_back_is_drift() -> None:
    found = _change("aws_kms_key.key", "update", before={"rotation": True}, after={"rotation": False})
    back = _change("aws_kms_key.key", "update", before={"rotation": False}, after={"rotation": True})
    ((finding,), pending) = _told_apart([found], [back])
    assert (finding.kind, finding.name, finding.attributes) == ("changed", "aws_kms_key.key", ["rotation"])
    assert finding.details == ["rotation: true -> false"]
    assert pending == []


def test_what_is_gone_is_drift() -> None:
    gone = _change("aws_route.out", "delete", before={"id": "r"}, after=None)
    ((finding,), pending) = _told_apart([gone], [_change("aws_route.out", "create", before=None)])
    assert (finding.kind, finding.name, pending) == ("deleted", "aws_route.out", [])


def test_a_change_in_git_is_none_and_waits() -> None:
    change = _change("aws_kms_key.key", "update", before={"days": 7}, after={"days": 30})
    assert _told_apart([], [change]) == ([], ["update aws_kms_key.key"])


def test_a_change_in_git_of_what_differs_otherwise_waits() -> None:
    """The provider reads tags that are empty as absent: noise on a resource that Git changes."""
    noise = _change("aws_kms_key.key", "update", before={"tags": None}, after={"tags": {}})
    change = _change("aws_kms_key.key", "update", before={"days": 7}, after={"days": 30})
    assert _told_apart([noise], [change]) == ([], ["update aws_kms_key.key"])


def test_what_no_apply_would_put_back_is_none() -> None:
    noise = _change("aws_eks_node_group.main", "update", before={"desired": 2}, after={"desired": 5})
    assert _told_apart([noise], []) == ([], [])


def test_what_opens_something_is_drift_though_terraform_would_leave_it() -> None:
    opened = _change("aws_secretsmanager_secret.user", "update", before={"policy": ""}, after={"policy": "anyone"})
    ((finding,), _) = _told_apart([opened], [])
    assert finding.attributes == ["policy"]


def test_a_change_that_follows_from_drift_is_told_with_it() -> None:
    found = _change("aws_launch_template.main", "update", before={"latest_version": 1}, after={"latest_version": 2})
    follows = _change("aws_eks_node_group.main", "update", before={"launch": "1"}, after={"launch": "2"})
    further = _change("aws_thing.main", "update", before={"group": "1"}, after={"group": "2"})
    expressions = {
        "aws_eks_node_group.main": {"launch": [{"version": {"references": ["aws_launch_template.main"]}}]},
        "aws_thing.main": {"group": {"references": ["aws_eks_node_group.main.id", "aws_eks_node_group.main"]}},
    }
    resources = [{"address": address, "expressions": asks} for address, asks in expressions.items()]
    ((finding,), pending) = _told_apart(
        [found],
        [follows, further],
        relevant_attributes=[{"resource": "aws_launch_template.main", "attribute": ["latest_version"]}],
        configuration={"root_module": {"resources": resources}},
    )
    assert finding.name == "aws_launch_template.main"
    assert finding.details[1:] == ["and with it update aws_eks_node_group.main", "and with it update aws_thing.main"]
    assert pending == []


def test_a_sensitive_value_is_not_shown() -> None:
    marks = {"before_sensitive": {"password": True}}
    found = _change("aws_db.db", "update", before={"password": "a"}, after={"password": "b"}, **marks)
    back = _change("aws_db.db", "update", before={"password": "b"}, after={"password": "a"})
    ((finding,), _) = _told_apart([found], [back])
    assert finding.details == ["password: another value, which is not shown"]


def test_the_parts_that_differ_are_shown_policies_included() -> None:
    before = {"vpc": [{"cidrs": [], "public": False}], "policy": '{"Action": ["a", "b"], "Effect": "Deny"}'}
    after = {"vpc": [{"cidrs": ["0.0.0.0/0"], "public": True}], "policy": '{"Action": ["a", "b"], "Effect": "Allow"}'}
    marks = {"before_sensitive": {"vpc": [{"cidrs": []}]}, "after_sensitive": {"vpc": [{"cidrs": [False]}]}}
    found = _change("aws_eks_cluster.c", "update", before=before, after=after, **marks)
    ((finding,), _) = _told_apart([found], [_change("aws_eks_cluster.c", "update", before=after, after=before)])
    assert finding.details == [
        'policy: Effect "Deny" -> "Allow"',
        'vpc: [0].cidrs [] -> null; [0].cidrs[0] null -> "0.0.0.0/0"; [0].public false -> true',
    ]


def _ignored(finding: str, until: date = date(2026, 6, 1), attributes: tuple[str, ...] = ()) -> Ignored:
    return Ignored("ap-northeast-2-*", finding, "minji", "on trial", until, attributes)


def _seen() -> dict[str, Seen]:
    changed = Finding(_STACK, "changed", "aws_db.db", ["a", "b"], ["engine_version", "public"])
    return {_STACK: Seen(drift=[changed, Finding(_STACK, "added", "aws_vpc.vpc: subnet subnet-1")])}


def _report(*entries: Ignored, seen: dict[str, Seen] | None = None) -> Any:
    return drift.report(_seen() if seen is None else seen, entries, [], date(2026, 1, 1))


def test_drift_asks_for_attention_and_has_a_section_a_stack() -> None:
    made = _report()
    assert (made.title, made.status) == ("drift: 2 findings in 1 of 1 stacks", Status.ATTENTION)
    (section,) = made.tables
    assert section.title == f"{_STACK}: drift"
    assert [finding["name"] for finding in made.data["stacks"][_STACK]["drift"]] == [
        "aws_db.db",
        "aws_vpc.vpc: subnet subnet-1",
    ]


def test_the_report_says_what_it_cannot_see() -> None:
    made = _report(seen={_STACK: Seen()})
    assert (made.title, made.status) == ("no drift in 1 stacks", Status.FINE)
    assert "the value of a secret" in made.notes[0]


def test_what_waits_to_be_applied_is_told_and_no_drift() -> None:
    made = _report(seen={_STACK: Seen(pending=["update aws_kms_key.key"])})
    assert made.status == Status.FINE
    assert made.tables[0].rows[0][:2] == ["not applied yet", "update aws_kms_key.key"]


def test_a_stack_that_could_not_be_looked_at_is_an_error() -> None:
    made = _report(seen={_STACK: Seen(errors=["AccessDenied"]), "other": Seen()})
    assert (made.title, made.status) == ("no drift in 2 stacks; 1 could not be looked at", Status.ERROR)


def test_what_is_ignored_is_no_drift_and_still_shown() -> None:
    made = _report(_ignored("aws_vpc.vpc: subnet subnet-1"), _ignored("aws_db.db"))
    assert made.status == Status.FINE
    assert [row[0] for row in made.tables[0].rows] == ["ignored", "ignored"]
    assert all("minji: on trial, until 2026-06-01" in row[2] for row in made.tables[0].rows)
    assert made.data["stacks"][_STACK]["ignored"][0]["ignored"] == "minji: on trial, until 2026-06-01"


def test_an_ignored_attribute_hides_no_other() -> None:
    assert len(_report(_ignored("aws_db.db", attributes=("engine_version",))).tables[0].rows) == 2
    made = _report(_ignored("aws_db.db", attributes=("engine_version", "public")))
    assert [finding["name"] for finding in made.data["stacks"][_STACK]["ignored"]] == ["aws_db.db"]


def test_what_is_out_of_date_or_of_no_use_is_told() -> None:
    made = _report(_ignored("aws_db.db", until=date(2025, 12, 31)), _ignored("aws_gone.gone"))
    assert made.status == Status.ATTENTION
    assert made.notes[:2] == (
        "drift-ignored.toml: ap-northeast-2-* aws_db.db: until 2025-12-31: out of date, so it is found again",
        "drift-ignored.toml: ap-northeast-2-* aws_gone.gone: not found any more; remove it",
    )


def test_what_is_ignored_in_a_stack_that_was_not_looked_at_is_not_told() -> None:
    assert _report(_ignored("aws_db.db"), seen={"us-west-2-dev": Seen()}).notes == drift.LOSSES


class _Terraform:
    """Counts the plans that are made at once; none finds anything."""

    running, most, lock = 0, 0, threading.Lock()

    def __init__(self, _: Path) -> None:
        pass

    def stream_plan(self, *_: object) -> dict[str, Any]:
        with self.lock:
            _Terraform.running += 1
            _Terraform.most = max(_Terraform.most, _Terraform.running)
        time.sleep(0.05)
        with self.lock:
            _Terraform.running -= 1
        return {}


def _drift(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: str, parallelism: int = 1) -> Report:
    monkeypatch.setattr(drift, "Terraform", _Terraform)
    _Terraform.most = 0
    stacks = [make_stack(directory=tmp_path, name=name) for name in names]
    return drift.drift(stacks, stacks, [], Progress(), parallelism=parallelism, logs=tmp_path / "logs")


@pytest.mark.parametrize("parallelism", [1, 2])
def test_plans_at_once_are_bounded_also_once_aws_was_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parallelism: int
) -> None:
    monkeypatch.setattr(drift, "_look_around", lambda *_: [])
    assert _drift(tmp_path, monkeypatch, "abcdef", parallelism).status == Status.FINE
    assert _Terraform.most == parallelism


def test_where_aws_cannot_be_asked_no_stack_counts_as_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An issue of drift would be closed that nobody looked at."""

    def session(_: str, **_of: object) -> None:
        raise OperationError("no credentials")

    monkeypatch.setattr(aws, "session", session)
    made = _drift(tmp_path, monkeypatch, "ab")
    assert [one["errors"] for one in made.data["stacks"].values()] == [["what is in no state: no credentials"]] * 2
    assert made.status == Status.ERROR
