"""The guard: refuses plans that lose data, identities or all nodes of a cluster.

It reports changes that widen access, lower protection or replace nodes.

An override in `guard-overrides.toml` names one address of one stack, who is responsible, why, and until when. An
override that has expired, or that the plan does not need, is an error, so that none is kept longer than necessary.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from operations.errors import OperationError
from operations.guard import rules
from operations.output.report import Report, Status, Table, counted
from operations.repository import waivers
from operations.terraform.json_files import read_json
from operations.terraform.plans import Plan

OVERRIDES = Path("guard-overrides.toml")
_REMEDY = "give it what `terraform show -json PLAN` prints"
FIELDS = {"stack": str, "address": str, "who": str, "why": str, "until": date}


@dataclass(frozen=True)
class Override:
    """Allows the changes of one address of one stack, until the end of a day."""

    stack: str
    address: str
    who: str
    why: str
    until: date


@dataclass(frozen=True)
class Finding:
    """One finding of the guard about a change."""

    stack: str
    address: str
    action: str
    rule: str
    why: str
    remedy: str
    is_refusal: bool
    override: Override | None = None

    @property
    def is_refused(self) -> bool:
        """Whether the change must not be applied."""
        return self.is_refusal and self.override is None

    @property
    def verdict(self) -> str:
        """`refused`, `for review`, or who overrode it."""
        if self.override:
            return f"overridden by {self.override.who} until {self.override.until}"
        return "refused" if self.is_refusal else "for review"

    def data(self) -> dict[str, Any]:
        """The finding as JSON data."""
        names = ("stack", "address", "action", "rule", "why", "remedy", "verdict")
        return {name: getattr(self, name) for name in names}


def overrides(file: Path, today: date) -> list[Override]:
    """The overrides in a file; none if the file does not exist.

    Raises:
        OperationError: if entries are invalid or expired; the message lists all errors.
    """
    read = waivers.read_waivers(file, "override", FIELDS, about="address")
    return [Override(**entry) for entry in waivers.current(read, today, _expired)]


def _expired(override: str, until: date) -> str:
    return f"{override}: until: {until}: expired; remove it, or have it reviewed again"


def findings(plan: Plan, allowed: Iterable[Override] = ()) -> list[Finding]:
    """The findings about a plan. An override applies to all findings of its address."""
    by_address = {override.address: override for override in allowed if override.stack == plan.stack}
    new_roles = {
        change.after["name"]
        for change in plan.changes
        if change.kind == "aws_iam_role" and change.action == "create"
        if change.after and "name" in change.after
    }
    nodes = rules.nodes(plan)
    return [
        Finding(plan.stack, change.address, change.action, *hit, override=by_address.get(change.address))
        for change in plan.changes
        for hit in rules.hits(change, new_roles, nodes)
    ]


def unused(plan: Plan, found: Sequence[Finding], allowed: Iterable[Override]) -> list[str]:
    """The overrides of the plan's stack that the plan does not need, each as an error message."""
    used = {finding.override for finding in found}
    return [
        f"{OVERRIDES}: {override.stack} {override.address}: not used by the plan; remove it"
        for override in allowed
        if override.stack == plan.stack and override not in used
    ]


def findings_table(found: Sequence[Finding]) -> Table:
    """A table of findings, refusals first."""
    ordered = sorted(found, key=lambda finding: (not finding.is_refused, finding.stack, finding.address))
    rows = [[f.verdict, f.stack, f.address, f.action, f.why, f.remedy] for f in ordered]
    return Table("Guard", ["verdict", "stack", "address", "action", "why", "remedy"], rows)


def guard(files: Sequence[Path], allowed: Sequence[Override]) -> Report:
    """Check plans in the format of `terraform show -json`. Each file is named after its stack.

    Raises:
        OperationError: if a file is not such a plan, or an override is not used.
    """
    plans = [_read_plan(file) for file in files]
    found = [finding for plan in plans for finding in findings(plan, allowed)]
    if wrong := [problem for plan in plans for problem in unused(plan, found, allowed)]:
        raise OperationError("\n".join(wrong))
    return Report(
        title=title(found) or f"guard: no findings in {counted(len(plans), 'plan')}",
        status=Status.ATTENTION if any(finding.override is None for finding in found) else Status.FINE,
        data={"findings": [finding.data() for finding in found]},
        tables=[findings_table(found)] if found else [],
    )


def title(found: Sequence[Finding]) -> str:
    """The numbers of refused, reviewable and overridden findings in one line; empty without findings."""
    verdicts = [finding.verdict.partition(" by ")[0] for finding in found]
    parts = [f"{verdicts.count(kind)} {kind}" for kind in ("refused", "for review", "overridden") if kind in verdicts]
    return f"guard: {', '.join(parts)}" if parts else ""


def unknown(stacks: Collection[str], allowed: Iterable[Override]) -> list[str]:
    """The overrides of stacks that do not exist, each as an error message: a later stack of that name would match."""
    return [
        f"{OVERRIDES}: {override.stack} {override.address}: no such stack; fix the name or remove it"
        for override in allowed
        if override.stack not in stacks
    ]


def _read_plan(file: Path) -> Plan:
    document = read_json(file, _REMEDY)
    if not isinstance(document, dict) or ("resource_changes" not in document and "format_version" not in document):
        raise OperationError(f"{file}: not a plan; {_REMEDY}")
    plan = Plan(file.stem, document)
    try:
        _ = plan.changes
    except (AttributeError, KeyError, TypeError) as error:
        raise OperationError(f"{file}: not a plan; {_REMEDY}") from error
    return plan
