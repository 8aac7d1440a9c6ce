"""Checks Terraform plans with checkov, without the network. A failed check needs a reason in `scanner-exceptions.toml`.

checkov reads no synthesized JSON, so it checks plans: all resources of a stack, as they will be. It needs an older
boto3 than this project, so `make checkov` installs it into an environment of its own.
"""

import json
import os
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from operations.clients import process
from operations.errors import OperationError
from operations.output.report import Report, Status, Table
from operations.repository import waivers
from operations.terraform.json_files import read_json
from operations.terraform.runner import Terraform, new_log
from operations.terraform.stacks import Stack

EXCEPTIONS = Path("scanner-exceptions.toml")
PROGRAM = Path(".checkov/bin/checkov")

FIELDS = {"check": str, "stack": str, "resource": str, "who": str, "why": str, "until": date}
_REMEDY = "give it what `terraform show -json PLAN` prints"
# Source: https://www.checkov.io/2.Basics/CLI%20Command%20Reference.html
_OPTIONS = ("--framework", "terraform_plan", "--output", "json", "--skip-download", "--soft-fail")


@dataclass(frozen=True)
class Reason:
    """Allows failures of one check, for the stacks and resources that match, until the end of a day."""

    check: str
    stack: str
    resource: str
    who: str
    why: str
    until: date

    def covers(self, failure: "Failure") -> bool:
        """Whether it allows a failure."""
        return (
            self.check == failure.check
            and fnmatchcase(failure.stack, self.stack)
            and fnmatchcase(failure.resource, self.resource)
        )


@dataclass(frozen=True)
class Failure:
    """A failed check of a resource."""

    stack: str
    resource: str
    check: str
    name: str
    reason: Reason | None = None

    def __str__(self) -> str:
        remedy = f"fix it, or give the reason in {EXCEPTIONS}"
        return f"{self.stack}: {self.resource}: {self.check}: {self.name}; {remedy}"


def reasons(file: Path, today: date) -> list[Reason]:
    """The reasons in a file; none if the file does not exist.

    Raises:
        OperationError: if entries are invalid or expired; the message lists all errors.
    """
    read = waivers.read_waivers(file, "exception", FIELDS, about="check")
    return [Reason(**entry) for entry in waivers.current(read, today, _expired)]


def _expired(exception: str, until: date) -> str:
    return f"{exception}: until: {until}: expired; fix it, or have the reason reviewed again"


def write_plans(stacks: Sequence[Stack], folder: Path, logs: Path) -> list[Path]:
    """Plan deployed stacks without a lock or a refresh, and write what `terraform show -json` prints into `folder`.

    The files contain the state in plaintext: they must not leave this machine.
    """
    files = []
    for stack in stacks:
        file, terraform = folder / f"{stack.name}.tfplan", Terraform(stack.directory)
        log = new_log(logs, stack.name)
        document = terraform.stream_plan(file, log, lambda _: None, "-lock=false", "-refresh=false")
        # Without changes, `stream_plan` does not show the plan.
        text = json.dumps(document) if document else terraform.output("show", "-json", str(file.absolute()))
        files.append(folder / f"{stack.name}.json")
        files[-1].write_text(text, encoding="utf-8")
    return files


def scan(plans: Sequence[Path], allowed: Sequence[Reason], stacks: Collection[str]) -> Report:
    """Check the plans, each named after its stack. `stacks` are the names of all stacks.

    With the plans of all stacks, an exception that no failed check needs is an error.

    Raises:
        OperationError: if a file is no plan, or checkov is not installed or fails.
    """
    for plan in plans:
        document = read_json(plan, _REMEDY)
        if not isinstance(document, dict) or "planned_values" not in document:
            raise OperationError(f"{plan}: not a plan; {_REMEDY}")
    passed, failures = _checked(plans, allowed)
    scanned = [plan.stem for plan in plans]
    missing = sorted(set(stacks) - set(scanned))
    used = {failure.reason for failure in failures}
    failed = [failure for failure in failures if not failure.reason]
    problems = [str(failure) for failure in failed]
    problems += [
        f"{stack}: checkov checked no resource; see whether it is a plan" for stack in scanned if not passed[stack]
    ]
    if not missing:
        problems += [
            f"{EXCEPTIONS}: {one.check}: {one.stack}: {one.resource}: no check fails; remove it"
            for one in allowed
            if one not in used
        ]
    figures = {
        stack: {
            "passed": passed[stack],
            "failed": sum(failure.stack == stack for failure in failed),
            "with a reason": sum(failure.stack == stack and bool(failure.reason) for failure in failures),
        }
        for stack in scanned
    }
    total = {name: sum(row[name] for row in figures.values()) for name in ("passed", "failed", "with a reason")}
    rows = [[stack, *map(str, row.values())] for stack, row in (figures | {"all": total}).items()]
    return Report(
        title=f"checkov: {total['passed']} passed, {total['failed']} failed, {total['with a reason']} with a reason",
        status=Status.ERROR if problems else Status.FINE,
        data={"stacks": figures, "problems": problems, "not_scanned": missing},
        tables=[Table("Checks", ["stack", "passed", "failed", "with a reason"], rows)],
        notes=[*problems, *(f"{stack}: not scanned: no plan of it" for stack in missing)],
    )


def _checked(plans: Sequence[Path], allowed: Sequence[Reason]) -> tuple[Counter[str], list[Failure]]:
    """The number of passed checks by stack, and the failed ones."""
    passed: Counter[str] = Counter()
    failures = []
    for record, is_passed in _records(plans):
        stack = Path(record["file_abs_path"]).stem
        if is_passed:
            passed[stack] += 1
            continue
        failure = Failure(stack, record["resource_address"], record["check_id"], record["check_name"])
        covering = next((one for one in allowed if one.covers(failure)), None)
        failures.append(Failure(failure.stack, failure.resource, failure.check, failure.name, covering))
    return passed, sorted(failures, key=str)


def _records(plans: Sequence[Path]) -> Iterator[tuple[Mapping[str, Any], bool]]:
    """The results of checkov, and whether each passed."""
    if not PROGRAM.is_file():
        raise OperationError(f"{PROGRAM}: not installed; run: make checkov")
    program = PROGRAM.absolute()
    files = [part for plan in plans for part in ("--file", plan.absolute())]
    with tempfile.TemporaryDirectory() as folder:
        # Without the settings of this machine: no `.checkov.yaml` of a home or a folder, no key of a service.
        environment = {"PATH": os.environ["PATH"], "HOME": folder}
        printed = process.output(program, *files, *_OPTIONS, directory=Path(folder), environment=environment)
    results = json.loads(printed)["results"]
    if results["parsing_errors"]:
        raise OperationError(f"{', '.join(results['parsing_errors'])}: checkov cannot read it; {_REMEDY}")
    yield from ((record, True) for record in results["passed_checks"])
    yield from ((record, False) for record in results["failed_checks"])
