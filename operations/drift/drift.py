"""`drift`: find the differences between AWS and the last applied configuration, by parallel plans and by calls to AWS.

A plan shows two things: changes made outside of Terraform, and changes in Git that were not applied yet. Only the first
are drift. Terraform reports what differed when it refreshed the state (`resource_drift`). A planned change that reverts
such an attribute is drift, a change that only follows from it is reported with it, and any other change is pending, or
waits for the maintenance window of a database.
"""

import contextlib
import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from operations.drift import untracked
from operations.drift.ignored import FILE, Ignored
from operations.drift.untracked import Added
from operations.drift.waiting import Waiting, waiting
from operations.errors import describe
from operations.output.progress import Progress
from operations.output.report import Report, Status, Table, counted
from operations.releases import releases
from operations.state import locks, states
from operations.state.states import States
from operations.terraform import schedule
from operations.terraform.plans import Change, Plan
from operations.terraform.runner import Terraform, new_log, plan_folder
from operations.terraform.stacks import Stack, by_place

_MEMORY_OF_A_PLAN = 1024 * 1024 * 1024
_LONGEST_VALUE = 60
_MOST_PARTS = 4

LOSSES = (
    "not checked: the values of secrets. Terraform never reads them, so a changed value is not drift",
    "not checked: fields that were added to objects of a Helm release, except of IngressClassParams and AppProjects",
    "not checked: secrets in no Terraform state under an environment's prefix. Users create them for External Secrets",
)

# Attributes that Terraform ignores if the configuration does not set them, although they can grant access.
_GRANTS_ACCESS: Mapping[str, Collection[str]] = {
    "aws_eks_access_entry": {"kubernetes_groups"},
    "aws_secretsmanager_secret": {"policy"},
    "aws_vpc_endpoint": {"policy"},
}


@dataclass(frozen=True)
class Finding:
    """One difference. `name` is what an entry in `drift-ignored.toml` refers to."""

    stack: str
    kind: Literal["changed", "deleted", "added"]
    name: str
    details: Sequence[str] = ()
    attributes: Sequence[str] = ()
    ignored: Ignored | None = None

    def data(self) -> dict[str, Any]:
        """The finding as JSON values, for the report."""
        return {
            "kind": self.kind,
            "name": self.name,
            "details": list(self.details),
            "attributes": list(self.attributes),
            **({"ignored": self.ignored.reason} if self.ignored else {}),
        }


@dataclass
class Seen:
    """The findings of one stack.

    `pending` are the changes that were not applied yet; `waiting` are those that RDS applies in a maintenance window.
    """

    drift: list[Finding] = field(default_factory=list)
    ignored: list[Finding] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def status(self) -> str:
        """`error`, `drift`, `pending` or `clean`."""
        if self.errors:
            return "error"
        return "drift" if self.drift else "pending" if self.pending or self.waiting else "clean"


def jobs() -> int:
    """How many plans this machine can run in parallel: each takes about one core and one GiB of memory."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, _free_memory() // _MEMORY_OF_A_PLAN))


def _free_memory() -> int:
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        fields = dict(line.split(":", 1) for line in meminfo.read_text(encoding="utf-8").splitlines())
        return int(fields["MemAvailable"].split()[0]) * 1024
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def drift(  # noqa: PLR0913 (the stacks, and options as keywords)
    chosen: Sequence[Stack],
    every: Sequence[Stack],
    ignored: Sequence[Ignored],
    progress: Progress,
    *,
    parallelism: int,
    logs: Path,
) -> Report:
    """Find drift in the `chosen` stacks; `every` are all synthesized stacks. Takes no lock and changes nothing."""
    by_name = {stack.name: stack for stack in chosen}
    seen = {name: Seen() for name in by_name}

    def act(name: str) -> bool:
        try:
            with progress.stack(name, "planning") as on_event:
                file, log = folder / f"{name}.tfplan", new_log(logs, name)
                plan = Plan(
                    name,
                    Terraform(by_name[name].directory).stream_plan(
                        file, log, on_event, "-lock=false", drifting=_GRANTS_ACCESS
                    ),
                )
            found, pending = drift_and_pending(plan)
            seen[name].drift += found
            seen[name].waiting = list(waiting(plan, by_name[name]))
            done = {f"update {one.address}" for one in seen[name].waiting if one.is_all}
            seen[name].pending = [change for change in pending if change not in done]
            if by_name[name].is_in_cluster:
                _add_releases(by_name[name], plan, seen[name])
        except Exception as error:  # noqa: BLE001 (the findings of the other stacks must be reported)
            seen[name].errors.append(describe(error))
        progress.end(name, seen[name].status)
        return True

    in_aws = [stack for stack in chosen if not stack.is_in_cluster]
    # The calls to AWS need little CPU and memory, so they do not count against `parallelism`.
    with plan_folder() as folder, progress, ThreadPoolExecutor(1) as pool:
        untracked_notes = pool.submit(_add_untracked, in_aws, every, seen, progress)
        schedule.run_in_order(dict.fromkeys(by_name, ()), act, parallelism=parallelism)
        notes = untracked_notes.result()
    return report(seen, ignored, notes, datetime.now(UTC).date())


def _add_releases(stack: Stack, plan: Plan, seen: Seen) -> None:
    """Add what differs from the manifests of the Helm releases that are in the state of an in-cluster stack."""
    created = {change.address for change in plan.changes if change.action == "create"}
    wanted = {address: name for address, name in releases.named(stack).items() if address not in created}
    if not wanted:
        return
    with releases.connected(stack) as run:
        for release in releases.read(run, wanted):
            if release.is_interrupted:  # what its objects should be is not known
                seen.errors.append(release.problem(stack.name))
                continue
            for one in releases.differences(run, release):
                kind: Literal["changed", "deleted"] = "deleted" if one.live is None else "changed"
                name = f"{release.address}: {one.name}"
                seen.drift.append(Finding(stack.name, kind, name, one.details, one.fields))


def _add_untracked(
    chosen: Sequence[Stack], every: Sequence[Stack], seen: Mapping[str, Seen], progress: Progress
) -> list[str]:
    """Add untracked resources to `seen`, by region and account. Returns notes about locks that are held."""
    notes: list[str] = []
    if not chosen:
        return notes
    label = "resources in no Terraform state"
    with progress.stack(label, "calling AWS"):
        for place, checked in sorted(by_place(chosen).items()):
            of_region = [stack for stack in every if stack.place == place and not stack.is_in_cluster]
            try:
                session = of_region[0].aws_session()
                resources = [resource for stack in of_region for resource in states.read_resources(session, stack)]
                known = States(
                    resources,
                    [stack.cluster for stack in of_region if stack.cluster is not None],
                    elsewhere={stack.environment for stack in every if stack.place not in {place, stack.region}},
                )
                added, problems = untracked.find_untracked(session, known, [stack.name for stack in checked])
                for one in added:
                    seen[one.stack].drift.append(of_added(one))
                for name, problem in problems:
                    seen[name].errors.append(problem)
                notes += [note for stack in checked for note in _held(session, stack)]
            except Exception as error:  # noqa: BLE001 (the findings of the plans must be reported)
                # None of these stacks may be reported as clean.
                for stack in checked:
                    seen[stack.name].errors.append(f"{label}: {describe(error)}")
    progress.end(label, "done")
    return notes


def of_added(added: Added) -> Finding:
    """An untracked resource as a finding."""
    return Finding(added.stack, "added", f"{added.address}: {added.what}")


def _held(session: Any, stack: Stack) -> Iterator[str]:
    """A note if the stack's state is locked: a running apply can look like drift."""
    lock = locks.held(session.client, stack)
    if lock is not None:
        yield f"{stack.name}: locked by {lock.who} since {lock.created}: the findings may come from a running apply"


# --- separating drift from pending changes ----------------------------------------------------------------------------


def drift_and_pending(plan: Plan) -> tuple[list[Finding], list[str]]:
    """The drift in a plan, and the pending changes."""
    changes = {change.address: change for change in plan.changes}
    findings = {}
    for found in plan.drift:
        change = changes.get(found.address)
        if found.action == "destroy":
            if change is not None and change.action == "create":
                findings[found.address] = Finding(plan.stack, "deleted", found.address)
            continue
        attributes = sorted(_drifted_attributes(plan, found, change))
        if attributes:
            details = [f"{name}: {_shown(found, name)}" for name in attributes]
            findings[found.address] = Finding(plan.stack, "changed", found.address, details, attributes)
    following = _following(plan, changes, set(findings))
    for address, cause in following.items():
        first = findings[cause]
        details = [*first.details, f"also planned: {changes[address].action} {address}"]
        findings[cause] = Finding(first.stack, first.kind, first.name, details, first.attributes)
    pending = [
        f"{change.action} {address}" for address, change in changes.items() if address not in {*findings, *following}
    ]
    return list(findings.values()), pending + [f"output {name}" for name in plan.outputs if not findings]


def _drifted_attributes(plan: Plan, found: Change, change: Change | None) -> set[str]:
    """The changed attributes that count as drift.

    They are those that an apply would revert, that other planned changes depend on, or that can grant access.
    """
    put_back = set(change.changed) if change is not None else set()
    followed = {
        entry["attribute"][0]
        for entry in plan.document.get("relevant_attributes", [])
        if entry["resource"] == found.address and entry["attribute"]
    }
    return set(found.changed) & {*put_back, *followed, *_GRANTS_ACCESS.get(found.kind, ())}


def _following(plan: Plan, changes: Mapping[str, Change], causes: Collection[str]) -> dict[str, str]:
    """The changes that are planned only because a resource they refer to drifted, each with that resource."""
    resources = plan.document.get("configuration", {}).get("root_module", {}).get("resources", [])
    expressions = {entry["address"]: entry.get("expressions", {}) for entry in resources}
    following: dict[str, str] = {}
    more = True
    while more:
        more = False
        for address, change in changes.items():
            if address in following or address in causes or change.action not in {"update", "replace"}:
                continue
            arguments = expressions.get(address, {})
            references = {name for attribute in change.changed for name in _references(arguments.get(attribute))}
            for reference in sorted(references & {*causes, *following}):
                following[address] = following.get(reference, reference)
                more = True
                break
    return following


def _references(expression: Any) -> Iterator[str]:
    if isinstance(expression, list):
        for one in expression:
            yield from _references(one)
    elif isinstance(expression, dict):
        yield from expression.get("references", [])
        for one in expression.values():
            yield from _references(one)


def _shown(change: Change, name: str) -> str:
    """The old and new value of an attribute; of lists, objects and JSON only the parts that differ."""
    if _marked(change.sensitive.get(name)):
        return "changed (sensitive value)"
    before, after = (dict(_parts((values or {}).get(name))) for values in (change.before, change.after))
    differing = sorted(part for part in {*before, *after} if before.get(part) != after.get(part))
    shown = [f"{part} {_short(before.get(part))} -> {_short(after.get(part))}".strip() for part in differing]
    more = [f"and {len(shown) - _MOST_PARTS} more"] if len(shown) > _MOST_PARTS else []
    return "; ".join([*shown[:_MOST_PARTS], *more])


def _marked(marks: Any) -> bool:
    """Whether any part is marked as sensitive. Terraform writes the structure of a value even without any mark."""
    if isinstance(marks, dict):
        return any(_marked(mark) for mark in marks.values())
    return any(_marked(mark) for mark in marks) if isinstance(marks, list) else marks is True


def _parts(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The parts of a value and their paths; a string of JSON, such as a policy, is parsed."""
    if isinstance(value, str) and value.startswith(("{", "[")):
        with contextlib.suppress(ValueError):
            value = json.loads(value)
    if isinstance(value, dict) and value:
        for key, one in value.items():
            yield from _parts(one, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list) and value:
        for number, one in enumerate(value):
            yield from _parts(one, f"{path}[{number}]")
    else:
        yield path, value


def _short(value: Any) -> str:
    text = json.dumps(value, sort_keys=True)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"


# --- the report -------------------------------------------------------------------------------------------------------


def report(seen: Mapping[str, Seen], entries: Sequence[Ignored], notes: Sequence[str], today: date) -> Report:
    """The report of the findings that no valid entry ignores. Expired and unused entries are reported as notes."""
    valid = [entry for entry in entries if entry.until >= today]
    used = set()
    for one in seen.values():
        for finding in list(one.drift):
            for number, entry in enumerate(valid):
                if entry.covers(finding.stack, finding.name, finding.attributes):
                    used.add(number)
                    one.drift.remove(finding)
                    one.ignored.append(replace(finding, ignored=entry))
                    break
    statuses = [one.status for one in seen.values()]
    findings = sum(len(one.drift) for one in seen.values())
    unread = statuses.count("error")
    title = f"no drift in {counted(len(seen) - unread, 'stack')}"
    if findings:
        drifted = sum(bool(one.drift) for one in seen.values())
        title = f"drift: {counted(findings, 'finding')} in {drifted} of {counted(len(seen), 'stack')}"
    elif unread == len(seen) > 0:
        title = "drift unknown"
    title += f"; {counted(unread, 'stack')} could not be checked" if unread else ""
    expired = [
        f"{FILE}: {e.stack} {e.finding}: until {e.until}: expired, so the finding is reported again"
        for e in entries
        if e not in valid
    ]
    unused = [
        f"{FILE}: {entry.stack} {entry.finding}: matches no finding; remove it"
        for number, entry in enumerate(valid)
        if number not in used and "error" not in statuses and any(fnmatchcase(name, entry.stack) for name in seen)
    ]
    return Report(
        title=title,
        status=Status.ERROR if "error" in statuses else Status.ATTENTION if findings else Status.FINE,
        data={
            "stacks": {
                name: {
                    "status": one.status,
                    "drift": [finding.data() for finding in one.drift],
                    "ignored": [finding.data() for finding in one.ignored],
                    "pending": one.pending,
                    "waiting": [waits._asdict() for waits in one.waiting],
                    "errors": one.errors,
                }
                for name, one in seen.items()
            },
            "notes": [*notes, *expired, *unused, *LOSSES],
        },
        tables=[_section(name, one) for name, one in seen.items() if one.status != "clean" or one.ignored],
        notes=(*notes, *expired, *unused, *LOSSES),
    )


def _section(name: str, one: Seen) -> Table:
    rows = [[finding.kind, finding.name, "\n".join(finding.details)] for finding in one.drift]
    rows += [
        ["ignored", finding.name, "\n".join([*finding.details, finding.ignored.reason if finding.ignored else ""])]
        for finding in one.ignored
    ]
    rows += [["not applied yet", pending, "changed in Git, or the state was refreshed"] for pending in one.pending]
    rows += [["applied, waits", waits.address, f"{waits.changes}\n{waits.until}"] for waits in one.waiting]
    rows += [["error", "", error] for error in one.errors]
    return Table(f"{name}: {one.status}", ["", "finding", "details"], rows)
