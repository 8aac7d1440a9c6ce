"""The table of stacks: last deploy, what is not applied yet, and drift, by the newest report."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from operations.portal import stacks
from operations.portal.model import Cell, Lines, Since, State, Unknown
from operations.portal.sources import Sources
from operations.terraform.stacks import Stack
from tests.unit.operations.portal.conftest import OFFLINE, Answering, Make

DEV = "ap-northeast-2-dev"
KEY = f"{DEV}.tfstate"
AT = datetime(2026, 11, 28, 3, tzinfo=UTC)


def _drift(**more: Any) -> dict[str, Any]:
    clean = {"status": "clean", "drift": [], "pending": [], "waiting": [], "errors": []}
    return {"stacks": {DEV: {**clean, **more}}, "notes": []}


def _plan(plan: str, *changes: dict[str, str], errors: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"stacks": {DEV: {"plan": plan, "hash": ""}}, "changes": {DEV: list(changes)}, "errors": list(errors)}


def _cells(sources: Sources, number: int = 0) -> dict[str, Cell]:
    table = stacks.table(sources)
    return dict(zip(table.columns, table.rows[number], strict=True))


def test_nothing_is_known_without_reports_and_credentials(make: Make, stack: Callable[..., Stack]) -> None:
    cells = _cells(make(stack()))
    assert cells["last-deploy"] == OFFLINE
    for column in ("pending", "drift"):
        cell = cells[column]
        assert isinstance(cell, Unknown)
        assert cell.why == "no-drift-report"
        assert cell.command.endswith("operations drift --json > .portal/reports/drift.json")


def test_the_last_deploy_is_when_the_state_was_written(
    make: Make, stack: Callable[..., Stack], answering: Answering
) -> None:
    clients = answering(("s3", "list_objects_v2", {"Contents": [{"Key": KEY, "LastModified": AT}]}))
    assert _cells(make(stack(), clients=clients))["last-deploy"] == Since(AT)


@pytest.mark.parametrize("answer", [{}, {"Contents": [{"Key": f"{KEY}.tflock", "LastModified": AT}]}, "NoSuchBucket"])
def test_a_stack_without_a_state_is_not_deployed(
    make: Make, stack: Callable[..., Stack], answering: Answering, answer: Any
) -> None:
    cell = _cells(make(stack(), clients=answering(("s3", "list_objects_v2", answer))))["last-deploy"]
    assert isinstance(cell, Unknown)
    assert (cell.why, cell.command) == ("not-deployed", f"make deploy STACK={DEV}")


def test_the_report_of_drift_has_what_differs_and_what_waits(make: Make, stack: Callable[..., Stack]) -> None:
    finding = {"kind": "changed", "name": "aws_vpc.vpc", "details": ["tags: a -> b"]}
    waiting = {
        "address": "aws_db_instance.one",
        "changes": "engine_version 17.6 -> 17.7",
        "until": "waits until Sunday",
    }
    report = _drift(drift=[finding], pending=["create aws_eip.one", "output vpc_id"], waiting=[waiting])
    cells = _cells(make(stack(), reports={"drift": report}))
    assert cells["drift"] == Lines(("changed aws_vpc.vpc: tags: a -> b",), "bad")
    waits = "update aws_db_instance.one (engine_version 17.6 -> 17.7; waits until Sunday)"
    assert cells["pending"] == Lines(("create aws_eip.one", "output vpc_id", waits))


def test_a_stack_that_could_not_be_checked_is_not_clean(make: Make, stack: Callable[..., Stack]) -> None:
    cells = _cells(make(stack(), reports={"drift": _drift(errors=["no access"])}))
    expected = Unknown("drift-failed", f"make drift STACK={DEV}", "no access")
    assert (cells["pending"], cells["drift"]) == (expected, expected)


def test_what_was_found_before_an_error_is_shown_with_it(make: Make, stack: Callable[..., Stack]) -> None:
    finding = {"kind": "deleted", "name": "aws_vpc.vpc"}
    cells = _cells(make(stack(), reports={"drift": _drift(drift=[finding], errors=["no access"])}))
    assert cells["drift"] == Lines(("deleted aws_vpc.vpc", "no access"), "bad")


def test_a_stack_that_no_report_has_is_not_known(make: Make, stack: Callable[..., Stack]) -> None:
    cells = _cells(make(stack("staging"), reports={"drift": _drift()}))
    assert isinstance(cells["drift"], Unknown)


@pytest.mark.parametrize(
    ("older", "pending"), [("drift", ("update aws_vpc.vpc (tags)",)), ("plan", ("create aws_eip.one",))]
)
def test_the_newer_report_says_what_is_pending(
    make: Make, stack: Callable[..., Stack], older: str, pending: tuple[str, ...]
) -> None:
    change = {"address": "aws_vpc.vpc", "action": "update", "why": "tags"}
    reports = {"drift": _drift(pending=["create aws_eip.one"]), "plan": _plan("1 to update", change)}
    sources = make(stack(), reports=reports, older=older)
    assert _cells(sources)["pending"] == Lines(pending)


def test_a_plan_without_the_stack_leaves_it_to_an_older_report(make: Make, stack: Callable[..., Stack]) -> None:
    other = {"stacks": {"ap-northeast-2-prod": {"plan": "no changes", "hash": ""}}, "changes": {}, "errors": []}
    sources = make(stack(), reports={"drift": _drift(pending=["create aws_eip.one"]), "plan": other}, older="drift")
    assert _cells(sources)["pending"] == Lines(("create aws_eip.one",))


@pytest.mark.parametrize("outcome", ["failed", "planned after ap-northeast-2-shared"])
def test_a_plan_that_was_not_made_is_not_known(make: Make, stack: Callable[..., Stack], outcome: str) -> None:
    cell = _cells(make(stack(), reports={"plan": _plan(outcome, errors=("no access",))}))["pending"]
    assert cell == Unknown("plan-failed", f"make plan STACK={DEV}", f"{outcome}\nno access")


def test_stacks_are_in_the_order_of_promotion(make: Make, stack: Callable[..., Stack]) -> None:
    given = [
        stack("prod"),
        stack("dev", kind="in-cluster"),
        stack("shared", kind="shared"),
        stack("dev"),
        stack("staging"),
    ]
    rows = stacks.table(make(*given)).rows
    assert [row[2] for row in rows] == [
        "ap-northeast-2-shared", DEV, f"{DEV}-gitops", "ap-northeast-2-staging", "ap-northeast-2-prod",
    ]  # fmt: skip


def test_checks_show_what_did_not_pass(make: Make, stack: Callable[..., Stack]) -> None:
    assert isinstance(stacks.checks(make(stack())).rows[0][0], Unknown)
    checks = [
        {"subject": "quotas", "outcome": "failed", "message": "too few"},
        {"subject": "names", "outcome": "warning", "message": "taken"},
        {"subject": "settings", "outcome": "passed", "message": ""},
    ]
    rows = stacks.checks(make(stack(), reports={"preflight": {"checks": checks}})).rows
    assert rows == [
        [State("failed", "bad"), "quotas", "too few"],
        [State("warning", "warn"), "names", "taken"],
        [State("passed", "good"), Lines(("settings",), ""), None],
    ]
