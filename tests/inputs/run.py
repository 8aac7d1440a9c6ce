"""Runs every command with bad input, or with a sample of it: `python -m tests.inputs.run [--every NUMBER]`.

No command may print a traceback, change a file if it fails, take a minute, or say nothing when it fails.
"""

import argparse
import collections
import multiprocessing
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.inputs.cases import SILENT, Case, commands, damage, damaged_json, every_case, valid_lines
from tests.inputs.sandbox import LOAD, Result, Sandbox, import_all
from tests.inputs.settings import settings_cases

_STATUSES = {0, 1, 2}
_LONGEST = 2000
"""Characters of a line of a message: more is a value that was not shortened."""
_MEMORY = Path("/dev/shm")  # noqa: S108
"""Where Linux has files in memory: the files of the sandbox are written again and again."""
_SETTINGS_ERROR = re.compile(r"stacks/\S+: .+[;:] ?.+")


def problems(case: Case, result: Result, *, is_changed: bool) -> Iterator[str]:
    """What is wrong with the result of a case."""
    printed = result.stdout + result.stderr
    if "Traceback (most recent" in printed or "Exception ignored" in printed:
        yield f"a traceback: {printed.strip().splitlines()[-1][:200]}"
    elif result.status not in _STATUSES:
        yield f"exit status {result.status}"
    elif result.status == 0 and not case.may_succeed:
        yield "exit status 0"
    # A command shows its report after its work: on a standard output, or in a summary, that cannot be written.
    is_lost = case.streams.stdout != "stdout"
    if result.status == 0 and is_lost and case.command not in SILENT:
        yield "exit status 0, although its output is lost"
    if result.status == 1 and is_changed and not is_lost and "GITHUB_STEP_SUMMARY" not in case.variables:
        yield "files were changed"
    can_speak = case.streams.stderr == "stderr" and case.streams.stdout == "stdout"
    if result.status == 1 and can_speak and not printed.strip():
        yield "no message"
    if result.stderr.startswith("error: ") and ": " not in result.stderr.removeprefix("error: "):
        yield f"a message without a subject: {result.stderr[:200]}"
    lines = result.stderr.splitlines()
    if longest := [line for line in lines if len(line) > _LONGEST]:
        yield f"a message of {len(longest[0])} characters: {longest[0][:100]}"
    if case.command == LOAD and (others := [line for line in lines if not _SETTINGS_ERROR.match(line)]):
        yield f"not a message of an error in the settings: {others[0][:200]}"


def tried(sandbox: Sandbox, case: Case) -> list[str]:
    """Run a case, and return its problems. The sandbox is as before."""
    damage(sandbox.tree, case)
    before = sandbox.state()
    result = sandbox.run(case.arguments, case.streams, case.variables)
    is_changed = sandbox.state() != before
    if is_changed:
        sandbox.reset()
    elif case.file:
        sandbox.restore(case.file)
    return [f"{case.name}: {problem}" for problem in problems(case, result, is_changed=is_changed)]


_sandboxes: list[Sandbox] = []
"""That of this process, which runs some of the cases."""


def _begin(folder: str) -> None:
    _sandboxes.append(Sandbox(Path(folder, str(os.getpid()))))


def _try(case: Case) -> list[str]:
    return tried(_sandboxes[0], case)


def main() -> int:
    """Run the cases, print their number and the problems, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="run only every N-th case")
    step = parser.parse_args().every
    started = time.monotonic()
    import_all()
    with tempfile.TemporaryDirectory(prefix="inputs-", dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        sandbox = Sandbox(Path(folder, "first"))
        opened = {command: sandbox.opened(line) for command, line in valid_lines().items()}
        every = [case for case in every_case() if not case.is_repeat(opened)]
        every += [*damaged_json(sandbox.tree, opened), *settings_cases(sandbox.tree)]
        cases = every[::step]
        with multiprocessing.get_context("fork").Pool(initializer=_begin, initargs=(folder,)) as pool:
            wrong = []
            for found in pool.imap_unordered(_try, cases, chunksize=8):
                wrong += found
                print(*found, sep="\n", end="\n" if found else "", flush=True)
    count = collections.Counter(case.command for case in cases)
    settings = count.pop(LOAD, 0)
    print(
        f"{len(cases) - settings} bad inputs to {len(count)} of {len(commands())} commands, {settings} wrong settings; "
        f"{len(cases)} of {len(every)} cases in {time.monotonic() - started:.0f} s"
    )
    print(f"{len(wrong)} problems")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
