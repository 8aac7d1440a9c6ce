"""Runs a case: kills, then does what `docs/reliability.md` says, then compares AWS, the state and this machine."""

import itertools
import os
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from subprocess import Popen
from typing import NamedTuple

from operations.clients import process
from operations.terraform import program
from tests.kills.cases import Case, Moment, Process
from tests.kills.emulator import Gate
from tests.kills.world import BACKEND, SHARED, Done, World

NO_PROVIDER = "no provider runs"
_FIRST_ACCOUNT = 200000000000
_POLL_SECONDS = 0.02
_MOMENT_SECONDS = 300
_EFFECT_SECONDS = 0.3
_STEPS = 6

_COMMANDS = {
    "deploy": ("deploy", SHARED, "--yes", "--json"),
    "destroy": ("destroy", SHARED, "--confirm", "shared", "--json"),
    "bootstrap": ("bootstrap",),
}
_STACKS = {"deploy": SHARED, "destroy": SHARED, "bootstrap": BACKEND}
_RECOVER = ("recover", SHARED, "--yes", "--json")

_UNLOCK = re.compile(r"\S+ -chdir=\S+ force-unlock [\w-]+")
_PUSH = re.compile(r"\S+ -chdir=\S+ state push [^\n]+")
_LOCK_ID = re.compile(r"Lock Info:[^\w]+ID:\s+([\w-]+)")
_COLORS = re.compile(r"\x1b\[[\d;]*m")


class Result(NamedTuple):
    """The commands that were needed, and what was wrong after them."""

    needed: str
    problems: list[str]
    seconds: float


class Worlds:
    """The worlds of one emulated AWS."""

    def __init__(self, folder: Path, stacks: Path, environment: Mapping[str, str], gate: Gate) -> None:
        self._folder, self._stacks, self._environment, self.gate = folder, stacks, environment, gate
        self._numbers = itertools.count(1)
        self._deployed: list[World] = []

    def new(self, *, has_bucket: bool) -> World:
        number = next(self._numbers)
        account = str(_FIRST_ACCOUNT + number)
        world = World(self._folder / str(number), self._stacks, self._environment, account)
        if has_bucket:
            world.make_bucket()
        return world

    def keep(self, world: World) -> None:
        """Keep a world in which everything is deployed."""
        self._deployed.append(world)

    def deployed(self) -> World:
        """A world in which everything is deployed."""
        if self._deployed:
            return self._deployed.pop()
        world = self.new(has_bucket=True)
        assert world.run(*_COMMANDS["deploy"]).status == 0
        return world


def run(case: Case, worlds: Worlds) -> Result:
    """Kill, recover and compare."""
    if case.process == "provider" and not case.moment.has_provider:
        return Result(NO_PROVIDER, [], 0)
    started = time.monotonic()
    command = case.moment.command
    world = worlds.deployed() if command == "destroy" else worlds.new(has_bucket=command == "deploy")
    try:
        said = _kill(case, world, worlds.gate)
        needed, last = _recover(case, world, said)
        if any(world.temporary.iterdir()):
            # A Terraform that outlived its command wrote there after `grow_old`: the next command removes it.
            world.grow_old()
            world.run("plan", "--all", _STACKS[command], "--json")
        problems = world.problems(_STACKS[command])
        if command != "destroy" and not _is_unchanged(last):
            planned = world.run("plan", "--all", _STACKS[command], "--json")
            problems += [] if planned.status == 0 else [f"the second plan is not empty: {planned.output}"]
    finally:
        world.end_processes()
    if command == "deploy" and not problems:
        worlds.keep(world)
    return Result(", then ".join(needed), problems, time.monotonic() - started)


def _kill(case: Case, world: World, gate: Gate) -> str:
    """Start the command, send the signal at the moment, and return what the command printed until its end."""
    moment, output = case.moment, world.folder / f"{case.moment.command}.txt"
    if not isinstance(moment.at, str):
        gate.close(moment.at, world.account)
    command = world.start(*_COMMANDS[moment.command], output=output)
    try:
        _wait_for(lambda: _is_reached(moment, world, gate), command, output)
        targets = [_target(one, world, command) for one in (case.process, case.also) if one]
        for target in targets:
            os.kill(target, case.number)
        is_killed = case.signal == "SIGKILL"
        _wait_until(lambda: is_killed and all(_has_ended(target, command) for target in targets), _EFFECT_SECONDS)
        gate.open(lost=is_killed and {case.process, case.also} != {"command", None})
        command.wait(timeout=_MOMENT_SECONDS)
    finally:
        gate.open()
        command.kill()
        command.wait()
    return output.read_text()


def _is_reached(moment: Moment, world: World, gate: Gate) -> bool:
    if not isinstance(moment.at, str):
        return gate.is_held
    log = world.output / "logs" / f"{_STACKS[moment.command]}.log"
    return log.exists() and re.search(moment.at, log.read_text()) is not None


def _wait_for(condition: Callable[[], bool], command: "Popen[bytes]", output: Path) -> None:
    deadline = time.monotonic() + _MOMENT_SECONDS
    while not condition():
        assert command.poll() is None, f"the moment never came: {output.read_text()}"
        assert time.monotonic() < deadline, f"the moment did not come: {output.read_text()}"
        time.sleep(_POLL_SECONDS)


def _wait_until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)


def _target(kind: Process, world: World, command: "Popen[bytes]") -> int:
    if kind == "command":
        return command.pid
    running = world.processes()
    found = [pid for pid, running_kind in running.items() if running_kind == kind]
    assert len(found) == 1, f"runs {len(found)} times, not once: {kind}: {running}"
    return found[0]


def _has_ended(pid: int, command: "Popen[bytes]") -> bool:
    return command.poll() is not None if pid == command.pid else not process.is_alive(pid)


def _recover(case: Case, world: World, said: str) -> tuple[list[str], Done]:
    """Do what the documentation says until the command succeeds, and return what was done."""
    name = case.moment.command
    needed: list[str] = []
    next_command, label = _COMMANDS[name], f"{name} again"
    text = said
    for _ in range(_STEPS):
        if "make recover" in text:
            next_command, label = _RECOVER, "recover"
        world.grow_old()
        done = world.run(*next_command)
        if done.status == 0:
            needed.append(label)
            return needed, done
        text = "\n".join(
            entry.get("what") or entry.get("why") or "" for entry in done.report.get("stacks", {}).values()
        )
        text = text or _COLORS.sub("", done.output)
        if push := _PUSH.search(text):
            needed.append("state push")
            assert world.run_printed(push[0]).status == 0
        elif unlock := _UNLOCK.search(text) or _LOCK_ID.search(text):
            needed.append("force-unlock")
            directory = world.stack(BACKEND).directory
            line = unlock[0] if name != "bootstrap" else program.command(directory, "force-unlock", unlock[1])
            unlocked = world.run_printed(line.replace("force-unlock", "force-unlock -force"))
            assert unlocked.status == 0, unlocked.output
        elif "make recover" not in text or label == "recover":
            raise AssertionError(f"{label}: {done.output}")
    raise AssertionError(f"{name}: still fails: {needed}")


def _is_unchanged(done: Done) -> bool:
    stacks = done.report.get("stacks", {}).values()
    return bool(stacks) and all(entry["outcome"] == "unchanged" for entry in stacks)
