"""`preflight`: find in a minute what would fail during a deploy: tools, credentials, settings, state, names, quotas.

The checks run in parallel and independently of each other. Nothing is changed.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from operations.clients.aws import OtherAccountError
from operations.errors import OperationError, describe
from operations.output.report import Report, Status, Table, counted
from operations.preflight import (
    connections,
    existing,
    existing_vpc,
    in_cluster,
    observability,
    offers,
    prerequisites,
    quotas,
    state,
    tools,
)
from operations.preflight.check import Check, Clients, Line, Outcome
from operations.terraform.stacks import Stack, by_place

_PARALLELISM = 16


def preflight(stacks: Sequence[Stack], placeholders: Sequence[str], project: Path) -> Report:
    """Check the requirements for deploying these stacks.

    `placeholders` are those that remain in the settings; `project` is the folder of `package.json`.
    """
    checks = [("settings", lambda: settings(placeholders)), *tools.checks(stacks, project)]
    lines, others = list[Line](), list[Line]()
    for region, of_region in by_place(stacks).items():
        try:
            aws = Clients(of_region[0].aws_session())
        except OtherAccountError as error:
            others.append(Line(f"{region}: credentials", "warning", f"not checked: {error}"))
            continue
        except OperationError as error:
            lines.append(Line(f"{region}: credentials", "failed", str(error)))
            continue
        account = of_region[0].account_id
        lines.append(Line(f"{region}: credentials", "passed", f"valid for account {account}"))
        checks += _of_region(region, of_region, aws)
    if others and not lines:  # the credentials of one account cannot be valid for another one
        others = [one._replace(outcome="failed") for one in others]
    return _preflight_report([*lines, *others, *run_checks(checks)])


def run_checks(checks: Sequence[tuple[str, Check]]) -> list[Line]:
    """The results of checks, each with its subject, in their order. They run in parallel."""
    with ThreadPoolExecutor(_PARALLELISM) as pool:
        return [line for found in pool.map(lambda check: list(_run_check(*check)), checks) for line in found]


def _of_region(region: str, stacks: Sequence[Stack], aws: Clients) -> Iterator[tuple[str, Check]]:
    yield f"{region}: state", lambda: state.bucket(stacks, aws)
    yield f"{region}: locks", lambda: state.locks(stacks, aws)
    new = state.NewResources(stacks, aws)
    yield from ((f"{region}: {what}", check) for what, check in existing.checks(stacks, new, aws))
    yield from ((f"{region}: {what}", check) for what, check in existing_vpc.checks(stacks, new, aws))
    yield from ((f"{region}: {what}", check) for what, check in prerequisites.checks(stacks, aws))
    yield from ((f"{region}: {what}", check) for what, check in quotas.checks(stacks, new, aws))
    yield from ((f"{region}: {what}", check) for what, check in offers.checks(stacks, aws))
    yield from ((f"{region}: {what}", check) for what, check in connections.checks(stacks, aws))
    yield from ((f"{region}: {what}", check) for what, check in observability.checks(stacks, new, aws))
    yield from ((f"{region}: {what}", check) for what, check in in_cluster.checks(stacks, aws))


def _run_check(subject: str, check: Check) -> Iterator[Line]:
    """The results of a check. An error in the check is a result, too."""
    try:
        yield from check()
    except (ClientError, OtherAccountError) as error:
        yield Line(subject, "warning", f"could not be checked: {error}")
    except (BotoCoreError, OperationError) as error:
        yield Line(subject, "failed", f"could not be checked: {error}")
    except Exception as error:  # noqa: BLE001 (one failed check must not stop the others)
        yield Line(subject, "failed", f"could not be checked: {describe(error)}")


def settings(left: Sequence[str]) -> Iterator[Line]:
    """Whether placeholders are `left` in the settings."""
    if left:
        message = f"placeholders remain; replace them and synthesize again:\n{chr(10).join(left)}"
        yield Line("settings", "failed", message)
    else:
        yield Line("settings", "passed", "no placeholders remain")


def _preflight_report(lines: Sequence[Line]) -> Report:
    order: list[Outcome] = ["failed", "warning", "passed"]
    lines = sorted(lines, key=lambda line: (order.index(line.outcome), line.subject))
    count = {outcome: sum(line.outcome == outcome for line in lines) for outcome in order}
    status = Status.ERROR if count["failed"] else Status.ATTENTION if count["warning"] else Status.FINE
    return Report(
        title=f"{count['failed']} failed, {counted(count['warning'], 'warning')}, {count['passed']} passed",
        status=status,
        data={"checks": [line._asdict() for line in lines]},
        tables=[
            Table("Preflight", ["", "check", "result"], [[line.outcome, line.subject, line.message] for line in lines])
        ],
    )
