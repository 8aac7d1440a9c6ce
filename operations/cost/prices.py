"""The price files: `<region>.toml` in a folder, each with the list prices of one region, their date and source.

The name of a price is the code of the service and the usage type of the AWS Price List without its prefix for the
region, such as `AmazonEC2 BoxUsage:t3.medium`; a database also has its engine.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from operations.errors import OperationError

_REMEDY = "write the file again: make prices"


@dataclass(frozen=True)
class Price:
    """The price of one unit, such as `Hrs` or `GB-Mo`, as the Price List names it."""

    amount: Decimal
    unit: str


@dataclass(frozen=True)
class Prices:
    """The prices of a region in one currency, by name."""

    region: str
    currency: str
    date: date
    source: str
    prices: Mapping[str, Price]


def read_prices(folder: Path, region: str) -> Prices | None:
    """The prices of a region; None if the folder has no file for it.

    Raises:
        OperationError: if the file is broken; the message lists all errors.
    """
    file = folder / f"{region}.toml"
    if not file.is_file():
        return None
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # invalid TOML or UTF-8, or nested too deeply
        raise OperationError(f"{file}: {error}; {_REMEDY}") from error
    problems = []
    for name, kind in {"currency": str, "date": date, "source": str, "prices": dict}.items():
        if type(document.get(name)) is not kind:
            problems.append(f"{file}: {name}: {document.get(name)!r}: expected a {kind.__name__}; {_REMEDY}")
    prices = {}
    for name, entry in document["prices"].items() if isinstance(document.get("prices"), dict) else ():
        price = _price(entry)
        if price is None:
            problems.append(f'{file}: prices.{name}: {entry!r}: expected {{ price = "0.10", unit = "Hrs" }}; {_REMEDY}')
        else:
            prices[name] = price
    if problems:
        raise OperationError("\n".join(problems))
    return Prices(region, document["currency"], document["date"], document["source"], prices)


def _price(entry: Any) -> Price | None:
    """A price; None if it is no number of zero or more with a unit."""
    try:
        amount, unit = Decimal(entry["price"]), entry["unit"]
    except (InvalidOperation, KeyError, TypeError, ValueError):
        return None
    valid = isinstance(entry["price"], str) and isinstance(unit, str) and amount.is_finite() and amount >= 0
    return Price(amount, unit) if valid else None


def to_toml(prices: Prices) -> str:
    """The content of a price file."""
    lines = [
        f"currency = {_quoted(prices.currency)}",
        f"date = {prices.date.isoformat()}",
        f"source = {_quoted(prices.source)}",
        "",
        "[prices]",
    ]
    for name, price in sorted(prices.prices.items()):
        lines.append(f'{_quoted(name)} = {{ price = "{price.amount:f}", unit = {_quoted(price.unit)} }}')
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
