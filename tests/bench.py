"""`make bench`: measures the start-up time, compared with the setup that CDKTF documents, and the cost of more stacks.

`python main.py` synthesizes all stacks with all three provider packages. The rows below it import one class of each
package.

The documented setup has the app command `pipenv run python main.py` and provider packages that load completely. The
time of `cdktf synth` includes about two seconds for the start of the command line itself.

`drift` is measured with four stacks on the emulated AWS: all at once, one after the other, and the slowest stack only,
which more CPU cores do not make faster.

Every row is measured in the same run, alternating between both setups, and printed as median and range. Ratios are
medians of pairs. The times are only comparable on the same machine.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from operations.drift import drift
from tests import ROOT
from tests.e2e.tiny import Tiny, emulated

_ROUNDS = 3
_ENVIRONMENTS = (1, 4, 16, 64)
_DRIFTING = {
    "ap-northeast-2-shared": 60,
    "ap-northeast-2-dev": 30,
    "ap-northeast-2-staging": 30,
    "ap-northeast-2-prod": 30,
}
_SLOWEST = "ap-northeast-2-shared"
_QUIET = {"CHECKPOINT_DISABLE": "1", "CI": "1", "DISABLE_VERSION_CHECK": "1", "PIPENV_VERBOSITY": "-1"}
_EAGER = {"CDKTF_EAGER_PROVIDERS": "1"}

# One class of each provider package, as the constructs import it.
_IMPORTS = {
    "aws": "from cdktf_cdktf_provider_aws.vpc import Vpc",
    "kubernetes": "from cdktf_cdktf_provider_kubernetes.secret_v1 import SecretV1",
    "helm": "from cdktf_cdktf_provider_helm.release import Release",
}

# Synthesizes the region with a number of copies of its first environment.
_GROWN = """
import sys
import main
from cdktf import App
owner, (region,) = main.load(main.REGIONS)
first = region.environments[0]
copies = tuple(first._replace(name=f"e{number}") for number in range(int(sys.argv[1])))
app = App()
main.build(app, owner, [region._replace(environments=copies)])
app.synth()
"""


def main() -> None:
    """Measure everything and print the tables."""
    python = [sys.executable, "main.py"]
    cdktf = ["node_modules/.bin/cdktf", "synth"]
    documented = [*cdktf, "--app", f"{ROOT}/.pipenv/bin/pipenv run python main.py"]
    _run(python, _EAGER)  # fills the jsii cache and the file cache for both setups
    table = Table("command", "here, s", "as documented, s", "ratio", "here, MiB", "as documented, MiB")
    commands = [("python main.py", python, python)]
    for package, statement in _IMPORTS.items():
        imports = [sys.executable, "-c", f"import eks_gitops\n{statement}"]
        commands.append((f"import of one class, {package}", imports, imports))
    commands.append(("cdktf synth", cdktf, documented))
    for name, ours, theirs in commands:
        rounds = [(_run(ours, {}), _run(theirs, _EAGER)) for _ in range(_ROUNDS)]
        here, there = zip(*rounds, strict=True)
        ratio = statistics.median(slow[0] / fast[0] for fast, slow in rounds)
        table.add_row(name, _seconds(here), _seconds(there), f"{ratio:.1f}x", _memory(here), _memory(there))
    Console(width=100).print(table)

    growth = Table("environments, two stacks each", "seconds", "MiB", "seconds per further environment")
    before: tuple[int, float] | None = None
    for number in _ENVIRONMENTS:
        runs = [_run([sys.executable, "-c", _GROWN, str(number)], {}) for _ in range(_ROUNDS)]
        seconds = statistics.median(run[0] for run in runs)
        each = f"{(seconds - before[1]) / (number - before[0]):.2f}" if before else ""
        growth.add_row(str(number), _seconds(runs), _memory(runs), each)
        before = (number, seconds)
    Console(width=100).print(growth)
    Console(width=100).print(_drift())


def _drift() -> Table:
    """Measure drift of several stacks in three ways. Each stack has parameters, and roles that are read from AWS."""
    with tempfile.TemporaryDirectory() as folder, emulated(Path(folder)) as emulator:
        tiny = Tiny(Path(folder), emulator.environment)
        trust = json.dumps({"Version": "2012-10-17", "Statement": []})
        for name, parameters in _DRIFTING.items():
            tiny.stack(
                name,
                aws_iam_role={f"r{n}": {"name": f"{name}-{n}", "assume_role_policy": trust} for n in range(10)},
                aws_ssm_parameter={
                    f"p{n}": {"name": f"/{name}/{n}", "type": "String", "value": str(n)} for n in range(parameters)
                },
            )
        assert tiny.operations("deploy", *_DRIFTING, "--yes").status == 0

        def seconds(*arguments: str) -> float:
            started = time.perf_counter()
            done = tiny.operations("drift", *arguments)
            assert done.status == 0, done.output
            return time.perf_counter() - started

        rounds = [(seconds(), seconds("--jobs", "1"), seconds(_SLOWEST)) for _ in range(_ROUNDS)]
    at_once, in_turn, alone = ([(one,) for one in ways] for ways in zip(*rounds, strict=True))
    table = Table(f"drift of {len(_DRIFTING)} stacks, {drift.jobs()} plans at once", "seconds", "ratio to all at once")
    for name, ways in (("all at once", at_once), ("one after the other", in_turn), ("the slowest only", alone)):
        ratio = statistics.median(way[0] / once[0] for way, once in zip(ways, at_once, strict=True))
        table.add_row(name, _seconds(ways), f"{ratio:.2f}x")
    return table


def _run(command: Sequence[str], environment: dict[str, str]) -> tuple[float, float]:
    """The wall-clock seconds of a run, and the peak memory of its largest process in MiB."""
    with tempfile.TemporaryDirectory() as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            [*command, "--output", output] if "synth" in command else command,
            cwd=ROOT,
            env={**os.environ, "CDKTF_OUTDIR": output, **_QUIET, **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return seconds, _mebibytes(usage)


def _mebibytes(usage: resource.struct_rusage) -> float:
    return usage.ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)


def _seconds(runs: Sequence[tuple[float, ...]]) -> str:
    values = [run[0] for run in runs]
    return f"{statistics.median(values):.1f} ({min(values):.1f}-{max(values):.1f})"


def _memory(runs: Sequence[tuple[float, float]]) -> str:
    return f"{statistics.median(run[1] for run in runs):.0f}"


if __name__ == "__main__":
    main()
