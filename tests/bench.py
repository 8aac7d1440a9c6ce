"""`make bench`: how long the commands take, compared with the usual way to do the same.

- Stock: `cdktf synth` with `pipenv run python`, the app command that CDKTF documents, provider packages that load
  completely, and Python's garbage collection, which `main.py` turns off.
- TypeScript: a CDKTF program of the same resources (`tests/typescript.py`), by `ts-node` and compiled.
- Terraform: `init`, `plan` and `show` of the same stacks, one after the other, without this project.
- pytest: the tests of `make check` in one process.

Every row is measured in the same run, alternating between both ways. CPU seconds are those of the whole process tree;
unlike wall seconds they mean the same if the machine does other work. Numbers are medians with their range, and ratios
medians of pairs. They are only comparable on the same machine.
"""

import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from operations.drift import drift
from operations.terraform import program
from tests import ROOT, typescript
from tests.e2e.tiny import Tiny, emulated
from tests.stacks import TRUST

_ROUNDS = 3
_ENVIRONMENTS = (1, 4, 16, 64, 120)
_STACKS = {
    "ap-northeast-2-shared": 60,
    "ap-northeast-2-dev": 30,
    "ap-northeast-2-staging": 30,
    "ap-northeast-2-prod": 30,
}
"""The stacks that are planned, with the number of their parameters."""
_SLOWEST = "ap-northeast-2-shared"
_QUIET = {"CHECKPOINT_DISABLE": "1", "CI": "1", "DISABLE_VERSION_CHECK": "1", "PIPENV_VERBOSITY": "-1"}
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "NODE_OPTIONS"}
"""This process has set NODE_OPTIONS for its own kernel: the usual ways must not get it."""
_EAGER = {"CDKTF_EAGER_PROVIDERS": "1"}
_STOCK_MAIN = "import gc, runpy; gc.disable = gc.enable; runpy.run_path('main.py', run_name='__main__')"
_OUTPUT = "OUTPUT"
"""In a command: an empty folder."""

# Synthesizes the region with a number of copies of its first environment. When the kernel has exited, prints the peak
# memory of this process and of the kernel together, in the unit of `ru_maxrss`.
_GROWN = """
import atexit, resource, sys
kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
atexit.register(lambda: print(sum(resource.getrusage(kind).ru_maxrss for kind in kinds)))
import main
from cdktf import App
owner, (region,) = main.load(main.REGIONS)
first = region.environments[0]
copies = tuple(first._replace(name=f"e{number}") for number in range(int(sys.argv[1])))
app = App()
main.build(app, owner, [region._replace(environments=copies)])
app.synth()
"""


class Run(NamedTuple):
    """What one run of a command took: CPU and wall seconds, and the memory of its largest process in MiB."""

    cpu: float
    wall: float
    memory: float


class Way(NamedTuple):
    """A way to do something: its name, the command, the folder it runs in, and further environment variables."""

    name: str
    command: Sequence[str]
    folder: Path = ROOT
    environment: Mapping[str, str] = {}

    def run(self, *, prints_memory: bool = False) -> Run:
        """Run it once, with an output folder of its own."""
        with tempfile.TemporaryDirectory() as output:
            started = time.perf_counter()
            process = subprocess.Popen(
                [output if part == _OUTPUT else part for part in self.command],
                cwd=self.folder,
                env={**_ENVIRONMENT, "CDKTF_OUTDIR": output, **_QUIET, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if prints_memory else subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            printed = process.stdout.read() if process.stdout else b""
            _, status, usage = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - started
        if status:
            raise SystemExit(f"{' '.join(self.command)} failed")
        memory = int(printed.split()[-1]) if prints_memory else usage.ru_maxrss
        return Run(usage.ru_utime + usage.ru_stime, seconds, _mebibytes(memory))


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        current = Path(folder)
        _compare("synthesis", _synthesis(current))
    _growth()
    _compare("fast tests", [_fast_tests()])
    with tempfile.TemporaryDirectory() as folder, emulated(Path(folder)) as emulator:
        tiny = _deployed(Path(folder), emulator.environment)
        _compare("stacks that have not changed", _unchanged(tiny))
        _drift(tiny)


def _synthesis(current: Path) -> list[tuple[Way, Way]]:
    """What is compared about synthesis; `current` becomes a folder that is up to date."""
    python, cdktf = [sys.executable, "main.py"], "node_modules/.bin/cdktf"
    operations = [sys.executable, "-m", "operations"]
    synth = [sys.executable, "-m", "operations.terraform.synthesis"]
    pipenv = ROOT / ".pipenv/bin/pipenv"
    stock = [cdktf, "synth", "--output", _OUTPUT, "--app", f'{pipenv} run python -c "{_STOCK_MAIN}"']
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    program = Path(cache, "eks-gitops-platform", "typescript")
    Way("warm", python, environment=_EAGER).run()  # fills the jsii cache and the file cache for all ways
    subprocess.run([*synth, str(current)], cwd=ROOT, check=True, capture_output=True)
    typescript.install(program)
    typescript.write(program, current)
    ours = Way("python main.py", python)
    return [
        (
            Way("make synth after a change", [*synth, _OUTPUT]),
            Way("stock cdktf synth", stock, environment=_EAGER),
        ),
        (
            Way("make synth, nothing changed", [*synth, str(current)]),
            Way("npx cdktf synth", ["npx", "--no-install", "cdktf", "synth", "--output", _OUTPUT]),
        ),
        (
            Way(
                "make plan, nothing changed",
                [*operations, "plan", "--base", "HEAD"],
                environment={"CDKTF_OUTDIR": str(current)},
            ),
            Way("two syntheses", ["sh", "-ec", f"{shlex.join(python)} && {shlex.join(python)}"]),
        ),
        (ours, Way("ts-node main.ts", ["node_modules/.bin/ts-node", "main.ts"], program)),
        (ours, Way("compiled main.ts", ["node", "compiled/main.js"], program)),
        (ours, Way("python main.py, stock", [sys.executable, "-c", _STOCK_MAIN], environment=_EAGER)),
        (
            Way("operations --help", [*operations, "--help"]),
            Way("import typer", [sys.executable, "-c", "import typer"]),
        ),
    ]


def _fast_tests() -> tuple[Way, Way]:
    """`make check`, and its tests in one process. The first run fills the caches of mypy and of compiled modules."""
    printed = subprocess.run(
        ["make", "--dry-run", "check"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    (tests,) = (line for line in printed.replace("\\\n", "").splitlines() if "-m pytest" in line)
    check = Way("make check", ["make", "check"])
    check.run()
    return check, Way("pytest in one process", ["sh", "-c", tests.replace("--numprocesses auto", "--numprocesses 0")])


def _growth() -> None:
    table = Table(
        "environments, two stacks each", "CPU s", "wall s", "MiB of both processes", "CPU s for each further stack"
    )
    before: tuple[int, float] | None = None
    for number in _ENVIRONMENTS:
        runs = [
            Way("grown", [sys.executable, "-c", _GROWN, str(number)]).run(prints_memory=True) for _ in range(_ROUNDS)
        ]
        seconds = statistics.median(run.cpu for run in runs)
        each = f"{(seconds - before[1]) / (number - before[0]) / 2:.3f}" if before else ""
        table.add_row(str(number), *_columns(runs), each)
        before = (number, seconds)
    Console(width=120).print(table)


def _deployed(folder: Path, environment: Mapping[str, str]) -> Tiny:
    """Several stacks on the emulated AWS, with parameters, and roles that drift reads from AWS."""
    tiny = Tiny(folder, environment)
    for name, parameters in _STACKS.items():
        tiny.stack(
            name,
            aws_iam_role={f"r{n}": {"name": f"{name}-{n}", "assume_role_policy": TRUST} for n in range(10)},
            aws_ssm_parameter={
                f"p{n}": {"name": f"/{name}/{n}", "type": "String", "value": str(n)} for n in range(parameters)
            },
        )
    assert tiny.operations("deploy", *_STACKS, "--yes").status == 0
    return tiny


def _unchanged(tiny: Tiny) -> list[tuple[Way, Way]]:
    commands = ("init -input=false", "plan -input=false -lock=false -out=plan", "show -json plan")
    steps = " && ".join(f"{program.name()} {command}" for command in commands)
    script = "\n".join(f"(cd {tiny.output}/stacks/{name} && {steps})" for name in _STACKS)
    terraform = Way("terraform init, plan, show", ["sh", "-ec", script], environment=tiny.environment)
    return [
        (Way(f"operations {name}", tiny.command(name), tiny.folder, tiny.environment), terraform)
        for name in ("drift", "deploy")
    ]


def _drift(tiny: Tiny) -> None:
    """Drift of several stacks: all at once, one after the other, and the slowest alone."""
    ways = [
        Way(name, tiny.command("drift", *arguments), tiny.folder, tiny.environment)
        for name, arguments in (
            (f"{drift.jobs()} at once", ()), ("one after the other", ("--jobs", "1")), ("the slowest only", (_SLOWEST,))
        )
    ]  # fmt: skip
    rounds = [[way.run() for way in ways] for _ in range(_ROUNDS)]
    table = Table(f"drift of {len(_STACKS)} stacks", "CPU s", "wall s", "MiB", "wall ratio to the first")
    for number, way in enumerate(ways):
        ratio = statistics.median(runs[number].wall / runs[0].wall for runs in rounds)
        table.add_row(way.name, *_columns([runs[number] for runs in rounds]), f"{ratio:.2f}")
    Console(width=120).print(table)


def _compare(title: str, pairs: Sequence[tuple[Way, Way]]) -> None:
    table = Table(title, "CPU s", "wall s", "MiB", "compared with", "CPU s", "wall s", "MiB", "CPU ratio")
    for ours, theirs in pairs:
        rounds = [(ours.run(), theirs.run()) for _ in range(_ROUNDS)]
        here, there = zip(*rounds, strict=True)
        ratio = statistics.median(one.cpu / other.cpu for one, other in rounds)
        table.add_row(ours.name, *_columns(here), theirs.name, *_columns(there), f"{ratio:.2f}")
    Console(width=150).print(table)


def _columns(runs: Sequence[Run]) -> list[str]:
    return [_seconds([run.cpu for run in runs]), _seconds([run.wall for run in runs]),
            f"{statistics.median(run.memory for run in runs):.0f}"]  # fmt: skip


def _seconds(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def _mebibytes(memory: int) -> float:
    return memory / (1024 * 1024 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
