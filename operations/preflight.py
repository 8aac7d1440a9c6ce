"""Everything that would fail an hour later, found in a minute: tools, credentials, settings, state, names and quotas.

Each check is asked side by side with the others, and none stops another; nothing is changed.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from operations.errors import OperationError, told
from operations.report import Report, Status, Table
from operations.synthesized import BACKEND_SUFFIX, Stack

if TYPE_CHECKING:
    import boto3

Outcome = Literal["passed", "warning", "failed"]
_AT_ONCE = 16


class Line(NamedTuple):
    """What one check found: of what, how it went, and why with the remedy."""

    subject: str
    outcome: Outcome
    message: str


Check = Callable[[], Iterable[Line]]


def preflight(stacks: Sequence[Stack], project: Path, session_of: "Callable[[Stack], boto3.Session]") -> Report:
    """Check what deploying these stacks takes. `project` is the folder of `package.json` and `node_modules`."""
    from operations import preflight_tools  # noqa: PLC0415

    checks = [("settings", lambda: placeholders(stacks)), *preflight_tools.checks(stacks, project)]
    lines, of_regions = [], _regions(stacks)
    for region, of_region in of_regions.items():
        try:
            session = session_of(of_region[0])
        except OperationError as error:
            lines.append(Line(f"{region}: credentials", "failed", str(error)))
            continue
        account = of_region[0].account_ids[0]
        lines.append(Line(f"{region}: credentials", "passed", f"of account {account}"))
        checks += _of_region(region, of_region, session)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for found in pool.map(lambda check: list(_asked(*check)), checks):
            lines += found
    return _report(lines)


def _regions(stacks: Sequence[Stack]) -> dict[str, list[Stack]]:
    regions: dict[str, list[Stack]] = {}
    for stack in stacks:
        regions.setdefault(stack.state.region, []).append(stack)
    return regions


def _of_region(region: str, stacks: Sequence[Stack], session: "boto3.Session") -> Iterator[tuple[str, Check]]:
    from operations import preflight_names, preflight_quotas, preflight_region, preflight_state  # noqa: PLC0415

    aws = Clients(session)
    yield f"{region}: state", lambda: preflight_state.bucket(stacks, aws)
    yield f"{region}: locks", lambda: preflight_state.locks(stacks, aws)
    new = preflight_state.New(stacks, aws)
    yield from ((f"{region}: {what}", check) for what, check in preflight_names.checks(stacks, new, aws))
    yield from ((f"{region}: {what}", check) for what, check in preflight_quotas.checks(stacks, new, aws))
    yield from ((f"{region}: {what}", check) for what, check in preflight_region.checks(stacks, aws))


class Clients:
    """The clients of a region, made beforehand: a session must not be asked from several threads."""

    _SERVICES = (
        "dynamodb", "ec2", "ecr", "efs", "eks", "iam", "kms", "logs", "rds", "s3", "secretsmanager", "service-quotas",
    )  # fmt: skip

    def __init__(self, session: "boto3.Session") -> None:
        self._clients = {service: session.client(service) for service in self._SERVICES}  # type: ignore[call-overload]

    def __call__(self, service: str) -> Any:
        """The client of a service."""
        return self._clients[service]


def _asked(subject: str, check: Check) -> Iterator[Line]:
    """The lines of a check; what it could not find out is a line as well."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    try:
        yield from check()
    except ClientError as error:
        yield Line(subject, "warning", f"could not be checked: {error}")
    except (BotoCoreError, OperationError) as error:
        yield Line(subject, "failed", f"could not be checked: {error}")
    except Exception as error:  # noqa: BLE001 (one check must not take down the others)
        yield Line(subject, "failed", f"could not be checked: {told(error)}")


_PLACEHOLDERS = re.compile(r"your-org\b|your-domain\.com|your-admin-role|your-cost-center|\b123456789012\b|@\d(?=[/:])")


def placeholders(stacks: Sequence[Stack]) -> Iterator[Line]:
    """What the settings still hold from before they had an owner."""
    found: dict[str, int] = {}
    for stack in stacks:
        text = (stack.directory / "cdk.tf.json").read_text(encoding="utf-8")
        for match in _PLACEHOLDERS.findall(text):
            found[match] = found.get(match, 0) + 1
    if found:
        places = ", ".join(f"{value} ({count} places)" for value, count in sorted(found.items()))
        message = f"placeholders are left: {places}; put yours into stacks/owner.py and shared.py, and synthesize again"
        yield Line("settings", "failed", message)
    else:
        yield Line("settings", "passed", "no placeholder is left")


def without_backend(stacks: Sequence[Stack]) -> list[Stack]:
    """The stacks whose state lies in a bucket that was made before them."""
    return [stack for stack in stacks if not stack.name.endswith(BACKEND_SUFFIX)]


def _report(lines: Sequence[Line]) -> Report:
    order: list[Outcome] = ["failed", "warning", "passed"]
    lines = sorted(lines, key=lambda line: (order.index(line.outcome), line.subject))
    count = {outcome: sum(line.outcome == outcome for line in lines) for outcome in order}
    status = Status.ERROR if count["failed"] else Status.ATTENTION if count["warning"] else Status.FINE
    return Report(
        title=", ".join(f"{count[outcome]} {outcome}" for outcome in order),
        status=status,
        data={"checks": [line._asdict() for line in lines]},
        tables=[
            Table("Preflight", ["", "check", "found"], [[line.outcome, line.subject, line.message] for line in lines])
        ],
    )
