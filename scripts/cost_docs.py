"""Writes the table in `docs/cost.md`: what the synthesized stacks cost. Run it with `make cost-docs`.

The table is that of the date of the prices, so that it changes with settings and prices only.
"""

from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

from operations.cost.cost import Calculation
from operations.cost.prices import Prices, read_prices
from operations.terraform.stacks import Platform, read_platform

ROOT = Path(__file__).parent.parent
OUTPUT = ROOT / "docs" / "cost.md"
_PRICES = ROOT / "operations" / "cost" / "prices"
_START, _END = "<!-- `make cost-docs` writes this table -->\n", "<!-- end of the table -->\n"

_ROWS = {
    "EKS": "EKS control plane",
    "nodes": "nodes",
    "disks": "disks of nodes",
    "database": "databases",
    "load balancer": "load balancers",
    "public address": "public addresses",
    "NAT": "NAT gateways",
    "interface": "interface endpoints",
    "logs": "logs",
}
"""The rows, each with the beginning of what belongs to it; everything else is in one row."""
_OTHERS = "keys, secrets, hosted zones"


def render(page: str, platform: Platform) -> str:
    """The page with the table of these stacks."""
    before, _, rest = page.partition(_START)
    return before + _START + "\n" + _table(platform) + "\n" + _END + rest.partition(_END)[2]


def _table(platform: Platform) -> str:
    region = platform.regions[0]
    columns = [*region.environments, "shared"]
    prices = read_prices(_PRICES, region.name)
    today = prices.date if prices is not None else date.min
    sums, without = _sums(platform, region.name, prices, today)
    lines = [f"| | {' | '.join(columns)} |", f"| --- |{' --- |' * len(columns)}"]
    for row in [*_ROWS.values(), _OTHERS]:
        cells = [_whole(sums[row, column]) if (row, column) in sums else "" for column in columns]
        if any(cells):
            lines.append(f"| {row} | {' | '.join(cells)} |")
    totals = [sum((cost for (_, other), cost in sums.items() if other == column), Decimal(0)) for column in columns]
    lines.append(f"| **total** | {' | '.join(f'**{_whole(total)}**' for total in totals)} |")
    lines += ["", f"Prices of {region.name} on {today.isoformat()}, in {prices.currency if prices else 'USD'}."]
    if without:
        lines[-1] += f" No price yet, and not in the sums: {', '.join(sorted(without))}."
    return "\n".join(lines) + "\n"


def _sums(
    platform: Platform, region: str, prices: Prices | None, today: date
) -> tuple[dict[tuple[str, str], Decimal], set[str]]:
    """The cost by row and environment, and what has no price."""
    calculation = Calculation(platform, {region: prices}, today)
    sums: dict[tuple[str, str], Decimal] = {}
    without: set[str] = set()
    for stack in platform.stacks:
        if stack.region == region:
            found = calculation.cost(stack.configuration, stack.region, stack.usage)
            without |= {item.what for item in found.unpriced}
            for item, cost in found.priced:
                row = next((row for start, row in _ROWS.items() if item.what.startswith(start)), _OTHERS)
                sums[row, stack.environment] = sums.get((row, stack.environment), Decimal(0)) + cost
    return sums, without


def _whole(cost: Decimal) -> str:
    return str(cost.quantize(Decimal(1), ROUND_HALF_UP))


if __name__ == "__main__":
    text = render(OUTPUT.read_text(encoding="utf-8"), read_platform(ROOT / "cdktf.out"))
    OUTPUT.write_text(text, encoding="utf-8")
