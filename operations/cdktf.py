"""Calling the CDKTF command line, and making one line of progress per stack of what it prints."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from graphlib import TopologicalSorter
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from operations.errors import OperationError
from operations.synthesized import Stack

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_COMPLETE = re.compile(r"^\S+: (?:Creation|Modifications|Destruction) complete after")
_LINES_OF_AN_ERROR = 60

# One stack's failure must not take down a sibling in the middle of its apply, whose state would be lost:
# https://github.com/hashicorp/terraform-cdk/issues/3206
_SURVIVE_FAILURE = "--unhandled-rejections=warn --max-old-space-size=4096"


def synth(output: Path) -> None:
    """Synthesize every stack into `output`.

    Raises:
        OperationError: the settings are wrong; what is wrong was printed.
    """
    status = subprocess.run(_command("synth", output), env=_environment(), check=False).returncode
    if status:
        raise OperationError("cdktf synth failed; see above")


def deploy(stacks: Sequence[Stack], output: Path, *, log: Path, outputs: Path) -> None:
    """Deploy the stacks in the order of their dependencies, independent ones at once.

    Raises:
        OperationError: with what failed; `log` holds everything.
    """
    names = [stack.name for stack in stacks]
    arguments = (*names, "--auto-approve", "--outputs-file", str(outputs.absolute()))
    _run(_command("deploy", output, *arguments), stacks, log)


def destroy(stacks: Sequence[Stack], output: Path, *, log: Path) -> None:
    """Destroy the stacks, consumers before producers, whatever else was synthesized.

    Raises:
        OperationError: with what failed; `log` holds everything.
    """
    # CDKTF wants every consumer named, deployed or not; told not to, it keeps no order, and so each layer is one call.
    for layer in reversed(_layers(stacks)):
        names = [stack.name for stack in layer]
        _run(_command("destroy", output, *names, "--auto-approve", "--ignore-missing-stack-dependencies"), layer, log)


def _layers(stacks: Sequence[Stack]) -> list[list[Stack]]:
    """The stacks grouped so that none reads from another of its group or of a later one."""
    order = TopologicalSorter({stack.name: stack.dependencies for stack in stacks})
    order.prepare()
    by_name = {stack.name: stack for stack in stacks}
    layers = []
    while order.is_active():
        ready = order.get_ready()
        layers.append([by_name[name] for name in sorted(ready) if name in by_name])
        order.done(*ready)
    return [layer for layer in layers if layer]


def _command(verb: str, output: Path, *arguments: str) -> list[str]:
    return ["npx", "--no-install", "cdktf", verb, *arguments, "--output", str(output)]


def _environment() -> Mapping[str, str]:
    return {
        **os.environ,
        "CHECKPOINT_DISABLE": "1",
        "CI": "1",  # without it the command line draws a screen of its own, and fails where there is no terminal
        "DISABLE_VERSION_CHECK": "1",
        "NODE_OPTIONS": f"{os.environ.get('NODE_OPTIONS', '')} {_SURVIVE_FAILURE}".strip(),
    }


def _run(command: Sequence[str], stacks: Sequence[Stack], log: Path) -> None:
    with subprocess.Popen(
        command, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        try:
            _show_progress(_stack_lines(process, log, {stack.name for stack in stacks}), stacks)
        except BaseException:
            _end(process.pid)
            raise
    if process.returncode:
        raise OperationError(f"cdktf failed (status {process.returncode}); {log} holds everything:\n{_errors(log)}")


def _stack_lines(process: "subprocess.Popen[str]", log: Path, names: set[str]) -> Iterator[tuple[str, str]]:
    """Each line with its stack: CDKTF names the stack only where it changes."""
    assert process.stdout is not None
    stack = ""
    with log.open("a", encoding="utf-8", buffering=1) as file:  # by line: people follow it
        for line in process.stdout:
            plain = _ESCAPES.sub("", line)
            file.write(plain)
            first, _, rest = plain.partition(" ")
            if first in names:
                stack, plain = first, rest
            yield stack, plain.strip()


def _show_progress(lines: Iterator[tuple[str, str]], stacks: Sequence[Stack]) -> None:
    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    width = max(len(stack.name) for stack in stacks)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        totals = {stack.name: sum(1 for _ in stack.resources()) for stack in stacks}
        tasks = {name: progress.add_task(name, total=total, start=False) for name, total in totals.items()}
        done = dict.fromkeys(totals, 0)
        for name, line in lines:
            if name not in tasks:
                continue
            progress.start_task(tasks[name])
            if _COMPLETE.match(line):
                done[name] += 1
                progress.update(tasks[name], completed=done[name])
            if line.startswith(("Apply complete!", "Destroy complete!")):
                progress.update(tasks[name], completed=totals[name])
                if not console.is_terminal:
                    console.print(f"{name:{width}}  {line}", soft_wrap=True)


def _errors(log: Path) -> str:
    """The errors that Terraform boxes in, or the end of the log where there are none."""
    lines = log.read_text(encoding="utf-8").splitlines()
    boxed = [line for line in lines if "│" in line]
    return "\n".join((boxed or lines)[-_LINES_OF_AN_ERROR:])


def _end(pid: int) -> None:
    """End a process and all below it: Terraform runs in terminals of its own, which no process group reaches."""
    table = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    children: dict[int, list[int]] = {}
    for line in table.splitlines():
        child, parent = map(int, line.split())
        children.setdefault(parent, []).append(child)
    ending = [pid]
    for process in ending:
        ending += children.get(process, [])
    for process in reversed(ending):
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            continue
