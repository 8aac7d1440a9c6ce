"""What a deploy of an in-cluster stack does beside Terraform, whose Helm provider does not see it.

It refuses releases whose last operation was interrupted, or repairs them, puts back what was changed by hand, and
replaces Pods for which a StatefulSet would wait for ever.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Event

from operations.errors import OperationError
from operations.releases import releases
from operations.state import locks
from operations.terraform.stacks import Stack

Say = Callable[[str], None]
_PAUSE_SECONDS = 15


def repair(stack: Stack, say: Say) -> None:
    """Roll back the releases whose last operation was interrupted.

    Raises:
        OperationError: if the state is locked: the operation may still be running.
    """
    wanted = releases.named(stack)
    if not wanted:
        return
    lock = locks.held(stack.aws_session().client, stack)
    if lock is not None:
        raise OperationError(f"{stack.name}: {lock.describe(stack.directory, datetime.now(UTC), recovers=False)}")
    with releases.connected(stack) as run:
        for release in releases.read(run, wanted):
            if release.is_interrupted:
                say(releases.repair(run, release))


def interrupted(stack: Stack) -> str:
    """Why an apply would fail: the releases whose last operation was interrupted, and the remedy. Else empty."""
    wanted = releases.named(stack) if stack.is_in_cluster else {}
    if not wanted:
        return ""
    with releases.connected(stack) as run:
        return "\n".join(one.problem(stack.name) for one in releases.read(run, wanted) if one.is_interrupted)


@contextmanager
def unblocking(stack: Stack, say: Say, pause_seconds: float = _PAUSE_SECONDS) -> Iterator[None]:
    """While an apply runs in the block, delete Pods for which a StatefulSet would wait for ever, also in a rollback.

    The StatefulSet creates them again, with the template that it waits to use.
    """
    wanted = releases.named(stack) if stack.is_in_cluster else {}
    if not wanted:
        yield
        return
    ended = Event()
    with releases.connected(stack) as run, ThreadPoolExecutor(1) as pool:
        watching = pool.submit(_unblock, run, wanted, say, ended, pause_seconds)
        try:
            yield
        finally:
            ended.set()
            watching.result()


def _unblock(
    run: releases.Kubectl, wanted: Mapping[str, tuple[str, str]], say: Say, ended: Event, pause_seconds: float
) -> None:
    problem = ""
    while not ended.wait(pause_seconds):
        try:
            for release in releases.read(run, wanted):
                for namespace, name in releases.stuck(run, release, datetime.now(UTC)):
                    run("delete", "pod", name, f"--namespace={namespace}", "--wait=false")
                    say(f"deleted Pod {namespace}/{name}: it is not ready, and its StatefulSet waited to replace it")
        except OperationError as error:
            if str(error) != problem:
                say(f"Pods that block a StatefulSet are not looked for: {error}")
            problem = str(error)


def put_back(stack: Stack, agrees: Callable[[str], bool]) -> tuple[list[str], list[str]]:
    """Put back what was changed by hand in releases, if `agrees`. Returns what was, and what was not put back."""
    wanted = releases.named(stack) if stack.is_in_cluster else {}
    if not wanted:
        return [], []
    with releases.connected(stack) as run:
        found = [one for release in releases.read(run, wanted) for one in releases.differences(run, release)]
        if not found:
            return [], []
        lines = [f"{one.name}: {'; '.join(one.details) or 'deleted'}" for one in found]
        names = [f"{one.name} ({', '.join(one.fields) or 'deleted'})" for one in found]
        if not agrees("\n".join(lines)):
            return [], [f"not put back: {name}" for name in names]
        releases.put_back(run, found)
        return [f"put back: {name}" for name in names], []
