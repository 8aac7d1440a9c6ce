"""`portal`: one page about every region and environment, from what is synthesized, reported and running.

What a source does not say is not known, and the page names the command that makes it known. Nothing is changed.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, time
from pathlib import Path
from typing import NamedTuple

from operations.clients import git
from operations.errors import OperationError
from operations.portal import aws, clusters, costs, databases, ends, exceptions, services, stacks
from operations.portal.model import Cell, Portal, Since, State, Table, Unknown, joined
from operations.portal.page import page, read_page
from operations.portal.reports import Cost, Drift, Plan, Preflight, Reports, command, read_reports
from operations.portal.sources import Row, Sources
from operations.repository.all_or_nothing import write_files
from operations.terraform.stacks import Platform, Stack

FOLDER = Path(".portal")
_PRICES = Path("operations/cost/prices")
_PARALLELISM = 6
_OLD_REPORT_DAYS = 2
_OLD_PRICES_DAYS = 180
_OPTIONS = {"plan": ("--all",), "cost": ("--base", "origin/main")}
_REPORTS = {"plan": Plan, "drift": Drift, "preflight": Preflight, "cost": Cost}


class Inputs(NamedTuple):
    """The root of the repository, the folder of reports, and pages of which what is known is taken."""

    root: Path
    reports: Path
    pages: Sequence[Path] = ()


def write(platform: Platform, inputs: Inputs, folder: Path) -> tuple[Path, list[str]]:
    """Write the page into a folder, and return its path, and what is not known, each with its command.

    Raises:
        OperationError: a stack's JSON is not as `main.py` writes it, or reports, exceptions or pages are invalid; the
            message lists all errors.
        OSError: the file cannot be written.
    """
    problems = list[str]()
    reports, accepted, documents = Reports(), Table("exceptions", [], []), []
    try:
        reports = read_reports(inputs.reports)
    except OperationError as error:
        problems.append(str(error))
    try:
        accepted = exceptions.table(inputs.root)
    except OperationError as error:
        problems.append(str(error))
    for file in inputs.pages:
        try:
            documents.append(read_page(file))
        except OperationError as error:
            problems.append(str(error))
    if problems:
        raise OperationError("\n".join(problems))
    places = aws.nowhere(platform.stacks) if inputs.pages else aws.connect(platform.stacks)
    now = datetime.now(UTC)
    sources = Sources(platform, inputs.root, reports, places, {}, now.date())
    try:
        made = collected(sources, accepted, now)
    except (AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:
        message = f"the stacks are not as main.py writes them ({error!r}); synthesize again: make synth"
        raise OperationError(message) from error
    document = joined(made.document(), documents)
    file = folder / "index.html"
    write_files({file: page(document)})
    return file, list(_not_known(document["tables"]))


def collected(sources: Sources, accepted: Table, now: datetime) -> Portal:
    """Everything on the page. Tables are made in parallel, as most of the time is waiting for AWS and Argo CD."""
    calculated = costs.Costs(sources, sources.root / _PRICES)
    running = {stack.name: clusters.described(sources, stack) for stack in sources.environments}
    in_rds = {name: found for one in sources.environments for name, found in databases.described(sources, one).items()}
    sources = replace(sources, argo_cd=services.argo_cds(sources.stacks, running))
    with ThreadPoolExecutor(_PARALLELISM) as pool:
        tables = [
            pool.submit(stacks.table, sources),
            pool.submit(clusters.table, sources, running),
            pool.submit(clusters.node_groups, sources, running),
            pool.submit(databases.table, sources, in_rds),
            pool.submit(services.table, sources),
            pool.submit(ends.table, sources, in_rds),
        ]
        found = [one.result() for one in tables]
    found += [accepted, *calculated.tables(), stacks.checks(sources), _sources(sources, calculated)]
    revision = git.run(sources.root, "log", "-1", "--format=%h %cs").stdout.strip()
    return Portal(now, revision, found)


def _sources(sources: Sources, calculated: costs.Costs) -> Table:
    """Where the data come from, and what is missing."""
    rows: list[Row] = []
    for name, kind in _REPORTS.items():
        newest = next((report for report in reversed(sources.reports.found) if isinstance(report.content, kind)), None)
        at: Cell = Unknown(f"no-{name}-report", command(name, *_OPTIONS.get(name, ())))
        if newest is not None:
            at = Since(newest.made, _OLD_REPORT_DAYS)
        rows.append([State(f"{name}-report"), str(newest.file) if newest is not None else None, at])
    for region, prices in calculated.prices.items():
        at = Unknown("no-prices", f"make prices REGION={region}")
        if prices is not None:
            at = Since(datetime.combine(prices.date, time(tzinfo=UTC)), _OLD_PRICES_DAYS)
        rows.append([State("prices"), region, at])
    rows += [[State("aws"), place, _asked(of_place.clients)] for place, of_place in sources.aws.items()]
    rows += [[State("argo-cd"), _name(stack), _asked(sources.argo_cd[stack.name])] for stack in sources.environments]
    return Table("sources", ["source", "where", "known"], rows)


def _asked(found: object) -> Cell:
    return found if isinstance(found, Unknown) else State("asked", "good")


def _name(stack: Stack) -> str:
    return stack.cluster.name if stack.cluster is not None else stack.name


def _not_known(tables: Sequence[Mapping[str, object]]) -> Iterator[str]:
    """The rows of the last table that are not known, as text."""
    rows = tables[-1]["rows"]
    assert isinstance(rows, list)
    for source, where, known in rows:
        if isinstance(known, dict) and known.get("type") == "unknown":
            reason = " ".join(known["detail"].split()) or known["command"]
            yield " ".join(filter(None, [source["name"], where])) + (f": {reason}" if reason else "")
