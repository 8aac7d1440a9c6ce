"""The tables of costs: a month by environment and by kind, and of each change that is not applied yet."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

from operations.cost.cost import Calculation, StackCost, amount, signed
from operations.cost.prices import Prices, read_prices
from operations.portal import stacks
from operations.portal.model import Lines, Money, State, Table, Unknown
from operations.portal.reports import Change, Cost, Total, command
from operations.portal.sources import Row, Sources
from operations.terraform.stacks import Stack

Place = tuple[str, str]
"""A region, and an environment, a further cluster, or what is shared."""


class Costs:
    """The costs of all stacks at the prices in a folder.

    Raises:
        OperationError: if a price file is broken; the message lists all errors.
    """

    def __init__(self, sources: Sources, folder: Path) -> None:
        self._sources = sources
        regions = sorted({stack.region for stack in sources.stacks})
        self.prices: Mapping[str, Prices | None] = {region: read_prices(folder, region) for region in regions}
        calculation = Calculation(sources.platform, self.prices, sources.today)
        self._costs: dict[str, StackCost] = {
            stack.name: calculation.cost(stack.configuration, stack.region, stack.usage) for stack in sources.stacks
        }

    def tables(self) -> list[Table]:
        """All tables of costs."""
        return [self._totals(), self._kinds(), self._pending()]

    def _totals(self) -> Table:
        rows = list[Row]()
        for (region, name), of_place in self._places().items():
            costs = [self._costs[stack.name] for stack in of_place]
            total = sum((one.total for one in costs), Decimal(0))
            unpriced = {f"{item.resource}: {item.what}" for one in costs for item in one.unpriced}
            rows.append([
                region, name, self._money(region, total), self._difference(of_place), Lines(sorted(unpriced), "")
            ])  # fmt: skip
        return Table("costs", ["region", "environment", "month", "difference", "without-price"], rows)

    def _kinds(self) -> Table:
        """A row for each kind, with a column for each environment."""
        places = self._places()
        found: dict[tuple[str, str], dict[str, Decimal]] = {}
        for (region, name), of_place in places.items():
            for stack in of_place:
                for item, cost in self._costs[stack.name].priced:
                    row = found.setdefault((region, item.what), {})
                    row[name] = row.get(name, Decimal(0)) + cost
        names = list(dict.fromkeys(name for _, name in places))
        rows = [
            [region, what, *(self._money(region, row[name]) if name in row else None for name in names)]
            for (region, what), row in sorted(found.items())
        ]
        return Table("kinds", ["region", "what", *names], rows)

    def _pending(self) -> Table:
        """A row for each change that is not applied yet, with what its resource costs after it."""
        rows = list[Row]()
        for stack in self._sources.stacks:
            changes = stacks.pending(self._sources, stack)
            if isinstance(changes, Unknown):
                rows.append([stack.region, stack.short_name, stack.name, changes, None, None])
            else:
                rows += [self._change(stack, change) for change in changes]
        return Table("pending", ["region", "environment", "stack", "change", "resource", "costs-after"], rows)

    def _change(self, stack: Stack, change: Change) -> Row:
        action = State(change.action, "bad" if change.action in {"destroy", "replace"} else "warn")
        after = self._after(stack, change.address) if change.action in {"create", "update", "replace"} else None
        return [stack.region, stack.short_name, stack.name, action, change.address, after]

    def _after(self, stack: Stack, address: str) -> Money | Unknown:
        """What a resource costs as it is synthesized."""
        found = self._costs[stack.name]
        if all(f"{kind}.{name}" != address for kind, name, _ in stack.resources()):
            return Unknown("not-synthesized", "make synth", address)
        if missing := [item.what for item in found.unpriced if item.resource == address]:
            return Unknown("no-price", f"make prices REGION={stack.region}", "\n".join(missing))
        return self._money(
            stack.region, sum((cost for item, cost in found.priced if item.resource == address), Decimal(0))
        )

    def _places(self) -> dict[Place, list[Stack]]:
        places: dict[Place, list[Stack]] = {}
        for stack in self._sources.stacks:
            name = stack.short_name if stack.kind in {"environment", "in-cluster"} else "shared"
            places.setdefault((stack.region, name), []).append(stack)
        return places

    def _money(self, region: str, value: Decimal) -> Money | Unknown:
        prices = self.prices[region]
        if prices is None:
            return Unknown("no-prices", f"make prices REGION={region}")
        return Money(amount(value), prices.currency)

    def _difference(self, of_place: Sequence[Stack]) -> Money | Unknown:
        """What the newest report of `cost` says that a change adds, if it compares and has all of these stacks."""
        for _, report in self._sources.reports.of(Cost):
            names = [stack.name for stack in of_place]
            if report.base is not None and all(name in report.stacks for name in names):
                difference = sum(
                    (_total(report.stacks, name) - _total(report.base_stacks, name) for name in names), Decimal(0)
                )
                return Money(signed(difference), report.currency)
        return Unknown("no-cost-report", command("cost", "--base", "origin/main"))


def _total(costs: Mapping[str, Total], name: str) -> Decimal:
    return costs[name].total if name in costs else Decimal(0)
