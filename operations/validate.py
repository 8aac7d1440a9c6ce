"""The checks of the pipelines that need no AWS account: stacks, style, manifests and workflows."""

import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

from operations.clients import process
from operations.clients.process import Result
from operations.errors import OperationError
from operations.output.report import Report, Status, Table
from operations.scanner import scanner
from operations.terraform import program
from operations.terraform.runner import init_lock
from operations.terraform.stacks import Stack

_LAST_LINES = 25
_NO_TESTS = 5  # the exit status of pytest if it collects no test
_CANNOT_RUN = 127  # as a shell exits if it cannot run a program

# Terraform prints one of these if it cannot install a provider; it then says nothing about the stack.
_WITHOUT_PROVIDERS = ("Failed to query available provider packages", "Failed to install provider", "Invalid provider")


class Step(NamedTuple):
    """The result of one check."""

    name: str
    outcome: Literal["passed", "skipped", "failed"]
    seconds: float
    said: str = ""
    not_run: int = 0
    """The tests of a step that were not run, because they need a program that is not installed."""


def validate(stacks: Sequence[Stack], every: Sequence[Stack], folder: Path, say: Callable[[str], None]) -> Report:
    """Check the chosen stacks, and everything else that needs no AWS account.

    checkov checks the plans of `every` stack that exist as `folder`/STACK.json.
    """
    plans = sorted(folder.glob("*.json"))
    steps = []
    for step in _steps(stacks, every, plans):
        steps.append(step)
        left = f", {step.not_run} tests not run" if step.not_run else ""
        say(f"{step.name}: {step.outcome} in {step.seconds:.0f} s{left}")
    failed, skipped = ([step for step in steps if step.outcome == outcome] for outcome in ("failed", "skipped"))
    not_run = sum(step.not_run for step in steps)
    status = Status.ERROR if failed else Status.ATTENTION if skipped or not_run else Status.FINE
    rows = [[step.outcome, step.name, f"{step.seconds:.0f} s", step.said] for step in steps]
    return Report(
        title=f"{len(failed)} failed, {len(skipped)} skipped, {len(steps) - len(failed) - len(skipped)} passed"
        + (f", {not_run} tests not run" if not_run else ""),
        status=status,
        data={"steps": [step._asdict() for step in steps]},
        tables=[Table("Checks", ["", "check", "time", "output"], rows)],
        notes=[]
        if plans
        else [f"checkov did not run: {folder}/STACK.json: no plans; `terraform show -json` prints one"],
    )


def _steps(stacks: Sequence[Stack], every: Sequence[Stack], plans: Sequence[Path]) -> Iterator[Step]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(stack_is_valid, stacks)
    yield command("style and types", "make", "lint")
    yield pytest("manifests", Path("tests/gitops"))
    yield pytest("workflows", Path("tests/workflows"))
    if plans:
        yield plans_are_clean(plans, [stack.name for stack in every if not stack.is_in_cluster])


def plans_are_clean(plans: Sequence[Path], stacks: Collection[str]) -> Step:
    """Check plans, each named after its stack, with checkov. `stacks` are the names of all stacks."""
    if not scanner.PROGRAM.is_file():
        return Step("checkov", "skipped", 0, f"{scanner.PROGRAM}: not installed; run: make checkov")
    started = time.monotonic()
    try:
        allowed = scanner.reasons(scanner.EXCEPTIONS, datetime.now(UTC).date())
        report = scanner.scan(plans, allowed, stacks)
    except OperationError as error:
        return Step("checkov", "failed", time.monotonic() - started, str(error))
    outcome: Literal["passed", "failed"] = "passed" if report.status is Status.FINE else "failed"
    return Step("checkov", outcome, time.monotonic() - started, "\n".join([report.title, *report.notes]))


def stack_is_valid(stack: Stack) -> Step:
    """Check a stack with `terraform validate`, in a data directory other than its own `.terraform`."""
    started = time.monotonic()
    try:
        program.find()
    except OperationError as error:
        return Step(stack.name, "skipped", 0, str(error))
    with tempfile.TemporaryDirectory() as data:
        environment = {**os.environ, "TF_DATA_DIR": data, "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}
        steps = ((("init", "-backend=false", "-input=false"), init_lock()), (("validate",), nullcontext()))
        for arguments, lock in steps:
            with lock:
                done = _run(program.name(), *arguments, "-no-color", directory=stack.directory, environment=environment)
            if done.returncode:
                lacks_provider = any(reason in done.stdout + done.stderr for reason in _WITHOUT_PROVIDERS)
                output = f"{program.name()} init: providers not available" if lacks_provider else _last_lines(done)
                return Step(stack.name, "skipped" if lacks_provider else "failed", time.monotonic() - started, output)
    return Step(stack.name, "passed", time.monotonic() - started)


def pytest(name: str, folder: Path) -> Step:
    """Run the tests of a folder but those that start a cluster or deploy stacks; say which are not run."""
    if not folder.is_dir():
        return Step(name, "skipped", 0, f"{folder}: not found")
    started = time.monotonic()
    arguments = ("-m", "pytest", "-q", str(folder), "-m", "not cluster and not e2e", "-rsfE", "--no-fold-skipped")
    done = _run(sys.executable, *arguments, environment={**os.environ, "CI": "true"})  # otherwise it cuts off reasons
    seconds = time.monotonic() - started
    if done.returncode == _NO_TESTS:
        return Step(name, "skipped", seconds, f"{folder}: no tests to run")
    skipped = re.findall(r"^SKIPPED \S+::(\w+).*? - (?:Skipped: )?(.+)$", done.stdout, re.MULTILINE)
    skipped = [
        (test, why) for test, why in skipped if not why.startswith("the tree is broken")
    ]  # which a failure tells
    said = [
        f"{sum(tests.values())} not run: {reason}: {', '.join(f'{test} ({number})' for test, number in tests.items())}"
        for reason in dict.fromkeys(reason for _, reason in skipped)
        if (tests := Counter(test for test, why in skipped if why == reason))
    ]
    if done.returncode:
        said.insert(0, _failed_tests(done.stdout) or _last_lines(done))
    return Step(name, "failed" if done.returncode else "passed", seconds, "\n".join(said), len(skipped))


def _failed_tests(printed: str) -> str:
    """The failed tests with their messages, from the summary with which pytest ends."""
    end = r"(?=^(?:ERROR|FAILED|SKIPPED) |^\d+ (?:error|failed|passed|skipped)|\Z)"
    return "".join(re.findall(rf"^(?:FAILED|ERROR) .*?{end}", printed, re.MULTILINE | re.DOTALL)).strip()


def command(name: str, program: str, *arguments: str) -> Step:
    """Run a command that exits with status 0 on success."""
    started = time.monotonic()
    done = _run(program, *arguments)
    seconds = time.monotonic() - started
    return Step(name, "failed", seconds, _last_lines(done)) if done.returncode else Step(name, "passed", seconds)


def _run(
    program: str, *arguments: str, directory: Path | None = None, environment: Mapping[str, str] | None = None
) -> Result[str]:
    """Run a program without input. If it cannot be run, it counts as failed, and the other checks still run."""
    try:
        return process.run(program, *arguments, directory=directory, environment=environment, stdin="")
    except OperationError as error:
        return Result([program, *arguments], _CANNOT_RUN, "", str(error))


def _last_lines(done: Result[str]) -> str:
    return "\n".join(f"{done.stdout}\n{done.stderr}".strip().splitlines()[-_LAST_LINES:])
