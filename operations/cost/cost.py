"""`cost`: the monthly cost of the synthesized stacks at list prices, and what a change adds to it.

Amounts are added exactly, and rounded half up to cents where they are shown.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

from operations.clients import git
from operations.cost.items import Context, Item, items
from operations.cost.prices import Prices, read_prices
from operations.errors import OperationError
from operations.output.report import Report, Status, Table, counted
from operations.repository import revision
from operations.terraform.stacks import Platform, Stack, read_configurations, read_platform, select_stacks

_CENT = Decimal("0.01")
_CURRENCY = "USD"


@dataclass(frozen=True)
class StackCost:
    """The cost of a stack: its items with a price, each with its cost, and those without one."""

    priced: Sequence[tuple[Item, Decimal]]
    unpriced: Sequence[Item]

    @property
    def total(self) -> Decimal:
        """The exact sum."""
        return sum((amount for _, amount in self.priced), Decimal(0))


@dataclass(frozen=True)
class Calculation:
    """Calculates costs with the prices of each region. A region without prices has only items without a price."""

    platform: Platform
    prices: Mapping[str, Prices | None]
    today: date

    def cost(self, configuration: Mapping[str, Any], region: str, usage: Mapping[str, int]) -> StackCost:
        """The cost of a stack. A zero quantity costs nothing, whether it has a price or not."""
        ends = {
            version: date.fromisoformat(known.end_of_standard_support)
            for version, known in self.platform.kubernetes.items()
        }
        known = self.prices.get(region)
        found = items(Context(configuration.get("resource", {}), usage, ends, self.today))
        priced, unpriced = [], []
        for item in found:
            price = known.prices.get(item.price) if known is not None else None
            if price is not None:
                if item.quantity:
                    priced.append((item, item.quantity * price.amount))
            elif item.quantity or not item.price:
                unpriced.append(item)
        return StackCost(priced, unpriced)


def cost(output: Path, patterns: Sequence[str], folder: Path, today: date, base: str | None = None) -> Report:
    """The cost of the stacks that match names or globs, and the difference from a base: a revision, or such a folder.

    Raises:
        OperationError: if a name is unknown, a price file is broken, regions have prices in several currencies, or the
            base does not exist.
    """
    platform = read_platform(output)
    stacks = select_stacks(platform.stacks, patterns)
    prices = {region: read_prices(folder, region) for region in sorted({stack.region for stack in stacks})}
    currency = _currency(prices)
    calculation = Calculation(platform, prices, today)
    costs = {stack.name: calculation.cost(stack.configuration, stack.region, stack.usage) for stack in stacks}
    before = None if base is None else _costs_at(base, output, calculation, stacks)
    total = sum((one.total for one in costs.values()), Decimal(0))
    title = f"{amount(total)} {currency} a month"
    if before is not None:
        change = total - sum((one.total for one in before.values()), Decimal(0))
        title += f", {signed(change)} compared with {base}"
    return Report(
        title,
        Status.FINE,
        {
            "base": base,
            "currency": currency,
            "total": amount(total),
            "stacks": {name: _data(one) for name, one in costs.items()},
            "base_stacks": {name: _data(one) for name, one in (before or {}).items()},
        },
        [table for table in _tables(costs, before, currency) if table.rows],
        list(_notes(prices, costs, stacks, folder)),
    )


def amount(value: Decimal) -> str:
    """An amount in cents, rounded half up."""
    return f"{value.quantize(_CENT, ROUND_HALF_UP):,}"


def signed(value: Decimal) -> str:
    """A difference in cents, rounded half up, with its sign; zero has none."""
    rounded = value.quantize(_CENT, ROUND_HALF_UP)
    return f"{rounded:+,}" if rounded else amount(Decimal(0))


def _currency(prices: Mapping[str, Prices | None]) -> str:
    currencies = {one.currency: one.region for one in prices.values() if one is not None}
    if len(currencies) > 1:
        places = ", ".join(f"{currency} in {region}" for currency, region in sorted(currencies.items()))
        raise OperationError(f"prices in several currencies ({places}) have no sum; name the stacks of one region")
    return next(iter(currencies), _CURRENCY)


@contextlib.contextmanager
def _configurations_at(base: str, output: Path) -> Iterator[Mapping[str, Mapping[str, Any]]]:
    """The stacks at a base, by name.

    Raises:
        OperationError: if it is neither a folder with stacks nor a revision, or cannot be synthesized.
    """
    if (Path(base) / "manifest.json").is_file():
        yield read_configurations(Path(base))
    elif git.run(Path(), "rev-parse", "--verify", "--quiet", "--end-of-options", f"{base}^{{commit}}").returncode:
        message = "neither a Git revision nor a folder with synthesized stacks; write one such as origin/main"
        raise OperationError(f"{base}: {message}, or fetch it (git fetch --unshallow origin)")
    elif revision.is_same_synthesis(base, output):
        yield read_configurations(output)
    else:
        with revision.synthesized_at(base) as tree:
            yield read_configurations(tree / "cdktf.out")


def _costs_at(base: str, output: Path, calculation: Calculation, chosen: Sequence[Stack]) -> dict[str, StackCost]:
    """The costs at a base of the chosen stacks and, if all are chosen, of those that exist no more.

    Both sides have the usage of the settings of today, so that the difference is that of the resources.
    """
    stacks = {stack.name: stack for stack in chosen}
    all_chosen = len(chosen) == len(calculation.platform.stacks)
    found = {}
    with _configurations_at(base, output) as configurations:
        for name, configuration in configurations.items():
            if name in stacks:
                found[name] = calculation.cost(configuration, stacks[name].region, stacks[name].usage)
            elif all_chosen:
                found[name] = calculation.cost(configuration, _region(configuration), {})
    return found


def _region(configuration: Mapping[str, Any]) -> str:
    """The region of a stack that is known by its configuration only; empty if that does not say it."""
    try:
        return str(configuration["provider"]["aws"][0]["region"])
    except (LookupError, TypeError):
        return ""


def _data(one: StackCost) -> dict[str, Any]:
    return {
        "total": amount(one.total),
        "items": [
            {"resource": item.resource, "what": item.what, "quantity": f"{item.quantity:f}", "cost": amount(cost)}
            for item, cost in one.priced
        ],
        "without_price": [{"resource": item.resource, "what": item.what, "price": item.price} for item in one.unpriced],
    }


def _tables(costs: Mapping[str, StackCost], before: Mapping[str, StackCost] | None, currency: str) -> Iterator[Table]:
    """The totals, what they consist of, and what has no price. With a base, only what differs from it."""
    after, without = _by_kind(costs), _without_price(costs)
    if before is None:
        rows = [[name, amount(one.total)] for name, one in costs.items()]
        yield Table("Stacks", ["stack", f"{currency} a month"], rows)
        kinds = [[*kind, amount(cost)] for kind, cost in after.items()]
        yield Table("What it consists of", ["stack", "what", f"{currency} a month"], kinds)
    else:
        columns = ["before", "after", f"difference, {currency} a month"]
        yield Table("Stacks that differ", ["stack", *columns], _compared(_totals(before), _totals(costs)))
        yield Table("What differs", ["stack", "what", *columns], _compared(_by_kind(before), after))
        without = [row for row in without if row not in _without_price(before)]
    yield Table("No price yet", ["stack", "resource", "what", "price"], without)


def _totals(costs: Mapping[str, StackCost]) -> dict[tuple[str, ...], Decimal]:
    return {(name,): one.total for name, one in costs.items()}


def _by_kind(costs: Mapping[str, StackCost]) -> dict[tuple[str, ...], Decimal]:
    """The cost by stack and kind of item."""
    found: dict[tuple[str, ...], Decimal] = {}
    for name, one in costs.items():
        for item, cost in one.priced:
            found[name, item.what] = found.get((name, item.what), Decimal(0)) + cost
    return found


def _without_price(costs: Mapping[str, StackCost]) -> list[list[str]]:
    return [[name, item.resource, item.what, item.price] for name, one in costs.items() for item in one.unpriced]


def _compared(before: Mapping[tuple[str, ...], Decimal], after: Mapping[tuple[str, ...], Decimal]) -> list[list[str]]:
    """The rows of what differs, with both amounts and their difference."""
    pairs = {key: (before.get(key, Decimal(0)), after.get(key, Decimal(0))) for key in [*after, *before]}
    return [[*key, amount(old), amount(new), signed(new - old)] for key, (old, new) in pairs.items() if new != old]


def _notes(
    prices: Mapping[str, Prices | None], costs: Mapping[str, StackCost], stacks: Sequence[Stack], folder: Path
) -> Iterator[str]:
    """The date and source of the prices, what has none, and the usage that is assumed."""
    for region, one in prices.items():
        if one is None:
            yield f"{region}: {folder} has no prices of this region; read them: make prices"
        else:
            yield f"{region}: prices of {one.date.isoformat()}: {one.source}"
    if without := len(_without_price(costs)):
        yield f"{counted(without, 'item')} without a price, not in the sums"
    assumed: dict[str, None] = {}
    for stack in stacks:
        usage = ", ".join(f"{name} {value}" for name, value in stack.usage.items())
        assumed[f"assumed a month in {stack.settings_file}: {usage}"] = None
    yield from assumed
