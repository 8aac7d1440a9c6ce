"""Runs an action on stacks in the order of their dependencies, on independent stacks in parallel."""

import os
import signal
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from graphlib import TopologicalSorter
from types import FrameType

from operations.terraform import runner as terraform

# Python handles signals in the main thread only, and only while that thread is awake.
_WAKE_EVERY_SECONDS = 0.2
_INTERRUPTED = b"interrupted: running stacks are saving their state; no further stack will start\n"
_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


def run_in_order(
    order: Mapping[str, Collection[str]], act: Callable[[str], bool], *, parallelism: int
) -> dict[str, list[str]]:
    """Call `act` with each name, in a thread, after its dependencies succeeded. `act` returns whether it succeeded.

    Names that do not depend on a failed one still run. An interrupt is passed on once to every running Terraform;
    every Terraform that `act` starts after the interrupt fails.

    Returns:
        The names that were not started, each with its dependencies that did not succeed.
    """
    after = {name: sorted(set(others) & order.keys()) for name, others in order.items()}
    sorter = TopologicalSorter(after)
    sorter.prepare()
    started: set[str] = set()
    succeeded: set[str] = set()
    acting: dict[Future[bool], str] = {}
    with _signals_forwarded(), ThreadPoolExecutor(max_workers=parallelism) as pool:
        while sorter.is_active():
            ready = sorter.get_ready()
            started.update(ready)
            acting |= {pool.submit(act, name): name for name in ready}
            if not acting:
                break
            for future in wait(acting, timeout=_WAKE_EVERY_SECONDS, return_when=FIRST_COMPLETED).done:
                name = acting.pop(future)
                if future.result():
                    succeeded.add(name)
                    sorter.done(name)
    return {name: [o for o in others if o not in succeeded] for name, others in after.items() if name not in started}


@contextmanager
def _signals_forwarded() -> Iterator[None]:
    """Forward signals to Terraform as an interrupt: it stops gracefully, and its outcome is still reported."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        terraform.interrupt()
        # Not `print`: a second signal in the middle of it would raise an error.
        with suppress(OSError):  # the terminal may be closed
            os.write(sys.stderr.fileno(), _INTERRUPTED)

    ignores_hangup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # started with `nohup`
    handled = [number for number in _SIGNALS if not (ignores_hangup and number == signal.SIGHUP)]
    before = {number: signal.signal(number, handle) for number in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
