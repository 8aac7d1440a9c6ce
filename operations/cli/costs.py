"""The commands for costs: what the stacks cost at list prices, and reading these prices."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from operations.cli.console import AsJson, Output, Stacks, folder_path, reported
from operations.terraform.stacks import read_platform

app = typer.Typer(add_completion=False)

_PRICES = Path("operations/cost/prices")
_SOURCE = "https://pricing.us-east-1.amazonaws.com"

Prices = Annotated[Path, typer.Option(parser=folder_path, help="The folder of the price files, one for each region.")]


@app.command("cost")
def cost_(
    stacks: Stacks = None,
    *,
    base: Annotated[
        str | None, typer.Option(help="Compare with this revision, or with a folder of synthesized stacks.")
    ] = None,
    prices: Prices = _PRICES,
    output: Output = Path("cdktf.out"),
    as_json: AsJson = False,
) -> None:
    """Show what the synthesized stacks cost in a month at list prices, and what a change adds. Needs no access to AWS.

    Lists what has no price, and the usage that the settings assume.

    Example: python -m operations cost 'ap-northeast-2-dev*' --base origin/main
    """
    from operations.cost import cost  # noqa: PLC0415

    with reported(as_json=as_json) as report:
        report(cost.cost(output, stacks or [], prices, datetime.now(UTC).date(), base))


@app.command("prices")
def prices_(
    regions: Annotated[
        list[str] | None, typer.Argument(metavar="[REGION]...", help="The regions; those of the stacks if omitted.")
    ] = None,
    *,
    prices: Prices = _PRICES,
    source: Annotated[
        str, typer.Option(help="Where AWS publishes the price lists, or a folder with the same files.")
    ] = _SOURCE,
    output: Output = Path("cdktf.out"),
    as_json: AsJson = False,
) -> None:
    """Write the price files from the AWS Price List. Downloads hundreds of megabytes; needs no access to an account.

    Example: python -m operations prices ap-northeast-2
    """
    from operations.cost import price_list  # noqa: PLC0415

    with reported(as_json=as_json) as report:
        names = regions or [region.name for region in read_platform(output).regions]
        report(price_list.write(names, source, prices, datetime.now(UTC).date()))
