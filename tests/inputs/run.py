"""Runs every command with bad input, or with a sample of it: `python -m tests.inputs.run [--every NUMBER]`.

No command may print a traceback, change a file if it fails, take a minute, or say nothing when it fails.
"""

import argparse
import collections
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.inputs.cases import Case, commands, damage, damaged_json, every_case
from tests.inputs.sandbox import Result, Sandbox

_STATUSES = {0, 1, 2}


def problems(case: Case, result: Result, *, is_changed: bool) -> Iterator[str]:
    """What is wrong with the result of a case."""
    printed = result.stdout + result.stderr
    if "Traceback (most recent" in printed or "Exception ignored" in printed:
        yield f"a traceback: {printed.strip().splitlines()[-1][:200]}"
    elif result.status not in _STATUSES:
        yield f"exit status {result.status}"
    elif result.status == 0 and not case.may_succeed:
        yield "exit status 0"
    if result.status == 1 and is_changed:
        yield "files were changed"
    can_speak = case.streams.stderr == "stderr" and case.streams.stdout == "stdout"
    if result.status == 1 and can_speak and not printed.strip():
        yield "no message"
    if result.stderr.startswith("error: ") and ": " not in result.stderr.removeprefix("error: "):
        yield f"a message without a subject: {result.stderr[:200]}"


def main() -> int:
    """Run the cases, print their number and the problems, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="run only every N-th case")
    step = parser.parse_args().every
    count: collections.Counter[str] = collections.Counter()
    wrong = []
    with tempfile.TemporaryDirectory(prefix="inputs-") as folder:
        sandbox = Sandbox(Path(folder))
        cases = [*every_case(), *damaged_json(sandbox.tree)]
        for case in cases[::step]:
            damage(sandbox.tree, case)
            before = sandbox.state()
            result = sandbox.run(case.arguments, case.streams, case.variables)
            is_changed = sandbox.state() != before
            wrong += [f"{case.name}: {problem}" for problem in problems(case, result, is_changed=is_changed)]
            count[case.command] += 1
            if case.file or is_changed:
                sandbox.reset()
    print(f"{sum(count.values())} of {len(cases)} bad inputs to {len(count)} of {len(commands())} commands")
    print(*wrong, f"{len(wrong)} problems", sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
