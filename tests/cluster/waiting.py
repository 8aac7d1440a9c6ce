"""Waiting for what a controller does."""

import time
from collections.abc import Callable


def until(what: Callable[[], bool], *, seconds: int) -> bool:
    """Whether something becomes true in time; it is asked each second."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if what():
            return True
        time.sleep(1)
    return False
