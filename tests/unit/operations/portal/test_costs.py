"""The tables of costs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from operations.portal.costs import Costs
from operations.portal.model import Lines, Money, State, Table, Unknown
from operations.portal.sources import Sources
from operations.terraform.stacks import Stack
from tests.unit.operations.cost.conftest import PRICES
from tests.unit.operations.portal.conftest import Make

NAT: dict[str, Any] = {"aws_nat_gateway": {"one": {}}}
CLUSTER: dict[str, Any] = {
    "aws_eks_cluster": {"one": {"version": "1.35", "upgrade_policy": {"support_type": "STANDARD"}}}
}


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    folder = tmp_path / "prices"
    folder.mkdir()
    (folder / "ap-northeast-2.toml").write_text(PRICES)
    return folder


def _tables(sources: Sources, prices: Path) -> dict[str, Table]:
    return {table.name: table for table in Costs(sources, prices).tables()}


def _usd(amount: str) -> Money:
    return Money(amount, "USD")


def test_costs_are_summed_by_environment_and_by_kind(make: Make, stack: Callable[..., Stack], prices: Path) -> None:
    shared = stack("shared", NAT, kind="shared")
    stacks = [stack("backend", kind="backend"), shared, stack("dev", CLUSTER), stack("staging", CLUSTER)]
    tables = _tables(make(*stacks), prices)
    assert [row[1:3] for row in tables["costs"].rows] == [
        ["shared", _usd("43.07")],  # 730 h x 0.059
        ["dev", _usd("73.00")],  # 730 h x 0.10
        ["staging", _usd("73.00")],
    ]
    assert tables["kinds"].columns == ["region", "what", "shared", "dev", "staging"]
    assert tables["kinds"].rows == [
        ["ap-northeast-2", "EKS control plane", None, _usd("73.00"), _usd("73.00")],
        ["ap-northeast-2", "NAT gateway", _usd("43.07"), None, None],
    ]


def test_what_has_no_price_is_listed(make: Make, stack: Callable[..., Stack], prices: Path) -> None:
    rows = _tables(make(stack("dev", {"aws_msk_cluster": {"one": {}}})), prices)["costs"].rows
    assert rows[0][4] == Lines(["aws_msk_cluster.one: not known to this calculation"], "")


def test_a_region_without_prices_is_not_known(make: Make, stack: Callable[..., Stack], tmp_path: Path) -> None:
    rows = _tables(make(stack("dev", NAT)), tmp_path / "none")["costs"].rows
    assert rows[0][2] == Unknown("no-prices", "make prices REGION=ap-northeast-2")


def _report(base: str | None, **totals: tuple[str, str]) -> dict[str, Any]:
    return {
        "base": base,
        "currency": "USD",
        "stacks": {f"ap-northeast-2-{name}": {"total": after} for name, (_, after) in totals.items()},
        "base_stacks": {f"ap-northeast-2-{name}": {"total": old} for name, (old, _) in totals.items() if old},
    }


@pytest.mark.parametrize(
    ("totals", "difference"),
    [
        (("1,000.00", "1,173.50"), "+173.50"),
        (("", "20.00"), "+20.00"),
        (("20.00", "20.00"), "0.00"),
        (("5.00", "1.00"), "-4.00"),
    ],
)
def test_the_difference_of_a_change_is_that_of_the_report(
    make: Make, stack: Callable[..., Stack], prices: Path, totals: tuple[str, str], difference: str
) -> None:
    sources = make(stack("dev"), reports={"cost": _report("origin/main", dev=totals)})
    assert _tables(sources, prices)["costs"].rows[0][3] == _usd(difference)


@pytest.mark.parametrize("report", [_report(None, dev=("", "1.00")), _report("main", prod=("1.00", "2.00"))])
def test_a_report_without_a_base_or_a_stack_says_nothing(
    make: Make, stack: Callable[..., Stack], prices: Path, report: Any
) -> None:
    cell = _tables(make(stack("dev"), reports={"cost": report}), prices)["costs"].rows[0][3]
    assert isinstance(cell, Unknown)
    assert "operations cost --base origin/main --json" in cell.command


def test_each_pending_change_has_what_its_resource_costs_after_it(
    make: Make, stack: Callable[..., Stack], prices: Path
) -> None:
    pending = [
        "create aws_nat_gateway.one", "destroy aws_nat_gateway.old", "update aws_vpc.vpc", "output vpc_id",
        "create aws_nat_gateway.two", "create aws_msk_cluster.one",
    ]  # fmt: skip
    clean = {"status": "pending", "drift": [], "errors": []}
    report = {"stacks": {"ap-northeast-2-dev": {**clean, "pending": pending}}, "notes": []}
    resources = {**NAT, "aws_vpc": {"vpc": {}}, "aws_msk_cluster": {"one": {}}}
    sources = make(stack("dev", resources), stack("staging"), reports={"drift": report})
    rows = [row[2:] for row in _tables(sources, prices)["pending"].rows]
    assert rows[:4] == [
        ["ap-northeast-2-dev", State("create", "warn"), "aws_nat_gateway.one", _usd("43.07")],
        ["ap-northeast-2-dev", State("destroy", "bad"), "aws_nat_gateway.old", None],
        ["ap-northeast-2-dev", State("update", "warn"), "aws_vpc.vpc", _usd("0.00")],
        ["ap-northeast-2-dev", State("output", "warn"), "vpc_id", None],
    ]
    assert rows[4][3] == Unknown("not-synthesized", "make synth", "aws_nat_gateway.two")
    assert rows[5][3] == Unknown("no-price", "make prices REGION=ap-northeast-2", "not known to this calculation")
    assert isinstance(rows[6][1], Unknown)
