"""The table of stacks: last deploy, what is not applied yet, and drift; and of what `preflight` found."""

from collections.abc import Iterator
from datetime import datetime

from operations.portal.model import Cell, Level, Lines, Since, State, Table, Unknown
from operations.portal.reports import Change, Drift, Drifted, Plan, Preflight, command
from operations.portal.sources import Row, Sources
from operations.preflight.check import Clients
from operations.terraform.stacks import Stack

_UNDECIDED = ("failed", "planned after ")


def table(sources: Sources) -> Table:
    """A row for each stack."""
    columns = ["region", "environment", "stack", "kind", "account", "last-deploy", "pending", "drift"]
    return Table("stacks", columns, [_row(sources, stack) for stack in sources.stacks])


def _row(sources: Sources, stack: Stack) -> Row:
    place: list[Cell] = [stack.region, stack.short_name, stack.name, State(stack.kind), stack.account_id]
    return [*place, _last_deploy(sources, stack), _pending(sources, stack), _drift(sources, stack)]


def _pending(sources: Sources, stack: Stack) -> Lines | Unknown:
    changes = pending(sources, stack)
    if isinstance(changes, Unknown):
        return changes
    return Lines(tuple(f"{change.action} {change.address}{_why(change)}" for change in changes))


def _why(change: Change) -> str:
    return f" ({change.why})" if change.why else ""


def _last_deploy(sources: Sources, stack: Stack) -> Since | Unknown:
    """When the state was last written, which an apply does at its end. Drift and plans do not write it."""

    def read(clients: Clients) -> datetime | None:
        key = stack.state.key
        listed = clients("s3").list_objects_v2(Bucket=stack.state.bucket, Prefix=key, MaxKeys=1).get("Contents", [])
        return next((one["LastModified"] for one in listed if one["Key"] == key), None)

    at = sources.aws[stack.place].read(stack, read)
    if at is None:
        return Unknown("not-deployed", f"make deploy STACK={stack.name}")
    return at if isinstance(at, Unknown) else Since(at)


def _drifted(sources: Sources, stack: Stack) -> tuple[datetime, Drifted] | None:
    """The newest drift report of a stack, and when it was made."""
    found = ((report.made, drift.stacks[stack.name]) for report, drift in sources.reports.of(Drift)
             if stack.name in drift.stacks)  # fmt: skip
    return next(found, None)


def pending(sources: Sources, stack: Stack) -> list[Change] | Unknown:
    """The changes that are not applied yet, by the newest report of `plan` or `drift` that has the stack."""
    drifted = _drifted(sources, stack)
    for report, plan in sources.reports.of(Plan):
        if drifted is not None and drifted[0] >= report.made:
            break
        if stack.name in plan.stacks:
            outcome = plan.stacks[stack.name].plan
            if outcome.startswith(_UNDECIDED):
                return Unknown("plan-failed", f"make plan STACK={stack.name}", "\n".join([outcome, *plan.errors]))
            return plan.changes.get(stack.name, [])
    if drifted is None:
        return Unknown("no-drift-report", command("drift"))
    if drifted[1].errors:
        return Unknown("drift-failed", f"make drift STACK={stack.name}", "\n".join(drifted[1].errors))
    changes = [change.partition(" ") for change in drifted[1].pending]
    waiting = [Change(address=one.address, action="update", why=f"{one.changes}; {one.until}")
               for one in drifted[1].waiting]  # fmt: skip
    return [Change(address=address, action=action) for action, _, address in changes] + waiting


def _drift(sources: Sources, stack: Stack) -> Lines | Unknown:
    found = _drifted(sources, stack)
    if found is None:
        return Unknown("no-drift-report", command("drift"))
    drifted = found[1]
    if drifted.errors and not drifted.drift:
        return Unknown("drift-failed", f"make drift STACK={stack.name}", "\n".join(drifted.errors))
    lines = [": ".join([f"{one.kind} {one.name}", *one.details]) for one in drifted.drift]
    return Lines((*lines, *drifted.errors), "bad")


def checks(sources: Sources) -> Table:
    """What `preflight` found before a deploy; what passed is one row."""
    report = next(sources.reports.of(Preflight), None)
    if report is None:
        rows: list[Row] = [[Unknown("no-preflight-report", command("preflight")), None, None]]
    else:
        rows = list(_results(report[1]))
    return Table("checks", ["result", "subject", "message"], rows)


def _results(report: Preflight) -> Iterator[Row]:
    levels: dict[str, Level] = {"failed": "bad", "warning": "warn"}
    for check in report.checks:
        if check.outcome in levels:
            yield [State(check.outcome, levels[check.outcome]), check.subject, check.message]
    passed = tuple(check.subject for check in report.checks if check.outcome not in levels)
    yield [State("passed", "good"), Lines(passed, ""), None]
