"""Acting on stacks in the order of their dependencies, independent ones at once."""

import os
import signal
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from graphlib import TopologicalSorter
from types import FrameType

from operations.terraform import runner as terraform

# A signal may reach another thread than this one, which Python lets handle it once it wakes.
_LOOKS_EVERY_SECONDS = 0.2
_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)


def run_in_order(
    order: Mapping[str, Collection[str]], act: Callable[[str], bool], *, parallelism: int
) -> dict[str, list[str]]:
    """Call `act` with each name, in a thread, once all that it comes after succeeded, which `act` returns.

    What is independent of a failure goes on. An interrupt is passed to every Terraform that runs, once; whatever
    `act` begins after it fails.

    Returns:
        The names that were not reached, each with those that it comes after and that did not succeed.
    """
    after = {name: sorted(set(others) & order.keys()) for name, others in order.items()}
    sorter = TopologicalSorter(after)
    sorter.prepare()
    begun: set[str] = set()
    succeeded: set[str] = set()
    acting: dict[Future[bool], str] = {}
    with _interrupts_passed_on(), ThreadPoolExecutor(max_workers=parallelism) as pool:
        while sorter.is_active():
            ready = sorter.get_ready()
            begun.update(ready)
            acting |= {pool.submit(act, name): name for name in ready}
            if not acting:
                break
            for future in wait(acting, timeout=_LOOKS_EVERY_SECONDS, return_when=FIRST_COMPLETED).done:
                name = acting.pop(future)
                if future.result():
                    succeeded.add(name)
                    sorter.done(name)
    return {name: [o for o in others if o not in succeeded] for name, others in after.items() if name not in begun}


@contextmanager
def _interrupts_passed_on() -> Iterator[None]:
    """Signals of a person, a pipeline or a terminal that goes stop Terraform gently; what it has done is then told."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        terraform.interrupt()
        # Not by print: a second signal in the middle of it would be an error, and the first one lost.
        with suppress(OSError):  # the terminal may be gone
            os.write(sys.stderr.fileno(), b"interrupted: what has begun saves its state first; nothing else begins\n")

    outlives = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # as `nohup` wants it
    heard = [number for number in _SIGNALS if not (outlives and number == signal.SIGHUP)]
    before = {number: signal.signal(number, handle) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
