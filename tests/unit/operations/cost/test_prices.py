"""The price files: what they contain, and the messages for broken ones."""

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from operations.cost.prices import Price, Prices, read_prices, to_toml
from operations.errors import OperationError
from tests import ROOT
from tests.stacks import REGION

BROKEN = """\
currency = 1
source = "a"
[prices]
a = { price = "x", unit = "Hrs" }
b = 2
c = { price = 0.1, unit = "Hrs" }
d = { price = "-1", unit = "Hrs" }
e = { price = "NaN", unit = "Hrs" }
"""
REMEDY = "write the file again: make prices"


def test_a_written_file_is_read_as_it_was(tmp_path: Path) -> None:
    prices = {"AmazonEC2 NatGateway-Hours": Price(Decimal("0.0590"), "Hrs"), "small": Price(Decimal("4.5E-7"), 'a "b"')}
    written = Prices(REGION, "USD", date(2026, 1, 2), "AWS Price List", prices)
    (tmp_path / f"{REGION}.toml").write_text(to_toml(written))
    assert read_prices(tmp_path, REGION) == written


def test_a_region_without_a_file_has_no_prices(tmp_path: Path) -> None:
    assert read_prices(tmp_path, REGION) is None


@pytest.mark.parametrize(
    ("content", "messages"),
    [
        ("currency = ", ["Invalid value (at end of document)"]),
        (b"\xff", ["'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"]),
        (
            BROKEN,
            [
                "currency: 1: expected a str",
                "date: None: expected a date",
                "prices.a: {'price': 'x', 'unit': 'Hrs'}: expected { price = \"0.10\", unit = \"Hrs\" }",
                'prices.b: 2: expected { price = "0.10", unit = "Hrs" }',
                "prices.c: {'price': 0.1, 'unit': 'Hrs'}: expected { price = \"0.10\", unit = \"Hrs\" }",
                "prices.d: {'price': '-1', 'unit': 'Hrs'}: expected { price = \"0.10\", unit = \"Hrs\" }",
                "prices.e: {'price': 'NaN', 'unit': 'Hrs'}: expected { price = \"0.10\", unit = \"Hrs\" }",
            ],
        ),
        ('currency = "USD"\nsource = "a"\ndate = 2026-01-02', ["prices: None: expected a dict"]),
    ],
)
def test_rejects_a_broken_file(tmp_path: Path, content: str | bytes, messages: list[str]) -> None:
    file = tmp_path / f"{REGION}.toml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(OperationError) as error:
        read_prices(tmp_path, REGION)
    assert str(error.value).splitlines() == [f"{file}: {message}; {REMEDY}" for message in messages]


def test_the_committed_prices_give_the_amounts_that_they_were_taken_from() -> None:
    known = read_prices(ROOT / "operations/cost/prices", REGION)
    assert known is not None
    assert known.currency == "USD"

    def monthly(name: str, number: int = 1) -> Decimal:
        return known.prices[name].amount * 730 * number

    stated = {
        "AmazonEC2 BoxUsage:t3.medium": (3, 115),
        "AmazonEC2 BoxUsage:t3.large": (3, 230),
        "AmazonEC2 BoxUsage:m7i.large": (3, 270),
        "AmazonEC2 NatGateway-Hours": (1, 43),
        "AmazonVPC VpcEndpoint-Hours": (1, 10),
        "AWSELB LoadBalancerUsage": (1, 17),
        "AmazonEKS AmazonEKS-Hours:perCluster": (1, 73),
    }
    assert {name: round(monthly(name, number)) for name, (number, _) in stated.items()} == {
        name: amount for name, (_, amount) in stated.items()
    }
