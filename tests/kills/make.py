"""Runs the whole matrix and writes its table into `docs/reliability.md`. Run it with `make test-kills`.

It takes about an hour on two free cores. The result of each case is kept in `.kills/`: another run goes on with the
cases that are missing or failed; with the argument `fresh` it begins again. Terraform and OpenTofu have results and a
table each.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from operations.local import aws_provider
from operations.local.emulator_process import Emulator
from operations.terraform import program
from tests import ROOT
from tests.e2e.clone import synthesize
from tests.kills.cases import CASES, SIGNALS, Case
from tests.kills.emulator import Gate
from tests.kills.run import Result, Worlds, run
from tests.kills.world import reduce_stacks

PAGE = ROOT / "docs" / "reliability.md"
NOT_RUN = "not run"
_RESULTS = ROOT / ".kills"

Results = Mapping[str, tuple[str, list[str]]]
"""By the name of a case: the commands that were needed, and what was wrong after them."""


@contextmanager
def worlds(folder: Path) -> Iterator[Worlds]:
    """Worlds of a new emulator, with the reduced stacks of the example settings."""
    synthesized, stacks = folder / "synthesized", folder / "stacks"
    synthesize(synthesized)
    reduce_stacks(synthesized, stacks)
    gate = Gate(folder / "gate")
    with Emulator(folder / "emulator.log", module="tests.kills.emulator") as emulator:
        yield Worlds(folder, stacks, emulator.environment, gate)


def cell(case: Case, results: Results) -> str:
    """What the table says of a case."""
    needed, problems = results.get(case.name, (NOT_RUN, []))
    return f"**failed**: {problems[0].splitlines()[0]}".replace("|", r"\|") if problems else needed


def table(results: Results) -> str:
    """A row for each process at each moment with a result, with a column for each signal."""
    lines = [
        f"| command | moment | killed | {' | '.join(SIGNALS)} |",
        "| --- " * (3 + len(SIGNALS)) + "|",
    ]
    for (moment, process), cases in groupby(CASES, key=lambda case: (case.moment, case.process)):
        cells = [cell(case, results) for case in cases]
        if set(cells) != {NOT_RUN}:
            lines.append(f"| {moment.command} | {moment.name} | {process} | {' | '.join(cells)} |")
    return "\n".join(lines)


def summary(results: Results) -> str:
    """The counts by outcome, and what they were found with."""
    counts = Counter("failed" if results.get(c.name, ("", []))[1] else cell(c, results) for c in CASES)
    lines = [f"| {outcome} | {count} |" for outcome, count in counts.most_common()]
    found = f"{datetime.now(UTC):%Y-%m-%d}, {' '.join(program.version())}, AWS provider {aws_provider.version()}"
    return "\n".join(
        [f"{found}:", "", "| what was needed | cases |", "| --- | --- |", *lines, f"| all | {len(CASES)} |"]
    )


def section(text: str, product: str) -> tuple[str, str, str]:
    """A page before, in and after the section of Terraform or OpenTofu."""
    begin, end = (f"<!-- make test-kills, {product}: {edge} -->\n" for edge in ("begin", "end"))
    before, _, rest = text.partition(begin)
    inside, _, after = rest.partition(end)
    return before + begin, inside, end + after


def _write_page(results: Results, product: str) -> None:
    before, _, after = section(PAGE.read_text(encoding="utf-8"), product)
    PAGE.write_text(f"{before}\n{summary(results)}\n\n{table(results)}\n\n{after}", encoding="utf-8")


def _result(case: Case, all_worlds: Worlds) -> Result:
    try:
        return run(case, all_worlds)
    except (AssertionError, subprocess.TimeoutExpired) as error:  # the other cases must run, too
        return Result("", [str(error)], 0)


def main(*arguments: str) -> int:
    """Run the cases that have no result, or that failed; only those whose names contain one of the arguments, if any.

    With `fresh`, begin again. Returns whether one fails.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it, as do its child processes
    os.chdir(ROOT)
    product = program.version().product
    file = _RESULTS / f"{product.lower()}.json"
    if "fresh" in arguments:
        file.unlink(missing_ok=True)
    _RESULTS.mkdir(exist_ok=True)
    results = json.loads(file.read_text()) if file.exists() else {}
    texts = [argument for argument in arguments if argument != "fresh"] or [""]
    chosen = [case for case in CASES if any(text in case.name for text in texts)]
    left = [case for case in chosen if case.name not in results or results[case.name][1]]
    try:
        with tempfile.TemporaryDirectory(prefix="kills-") as name, worlds(Path(name)) as all_worlds:
            for number, case in enumerate(left, 1):
                result = _result(case, all_worlds)
                results[case.name] = (result.needed, result.problems)
                file.write_text(json.dumps(results, indent=1))
                what = "; ".join(result.problems) or result.needed
                print(f"{number}/{len(left)} {case.name}: {what} ({result.seconds:.0f} s)", flush=True)
    finally:
        _write_page(results, product)
    print(f"\n{table(results)}\n\n{summary(results)}")
    return int(any(problems for _, problems in results.values()))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
