"""What the tables of the portal are made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from operations.portal.argo_cd import ArgoCd
from operations.portal.aws import Aws
from operations.portal.model import Cell
from operations.portal.reports import Reports
from operations.terraform.stacks import Platform, Stack

Row = Sequence[Cell]


@dataclass(frozen=True)
class Sources:
    """The synthesized platform, the root of the repository, reports, AWS by place, and Argo CD by environment stack."""

    platform: Platform
    root: Path
    reports: Reports
    aws: Mapping[str, Aws]
    argo_cd: Mapping[str, ArgoCd]
    today: date

    @property
    def stacks(self) -> list[Stack]:
        """All stacks: by region, what is shared first, then in the order of promotion."""
        order = {(region.name, name): at for region in self.platform.regions
                 for at, name in enumerate(region.environments)}  # fmt: skip
        kinds = ("backend", "shared", "environment", "in-cluster")
        return sorted(
            self.platform.stacks,
            key=lambda one: (one.region, order.get((one.region, one.environment), -1), one.account, one.further,
                             kinds.index(one.kind)),
        )  # fmt: skip

    @property
    def environments(self) -> list[Stack]:
        """The stacks of kind `environment`, each with a cluster, in this order."""
        return [stack for stack in self.stacks if stack.kind == "environment"]


def place_of(stack: Stack) -> list[Cell]:
    """The first cells of a row: the region, and the environment."""
    return [stack.region, stack.short_name]
