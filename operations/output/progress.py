"""The progress of every stack, on stderr: one bar per stack at a terminal, plain lines elsewhere."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

OnEvent = Callable[[Mapping[str, Any]], None]

_DONE = {"create": "created", "update": "updated", "delete": "destroyed"}
_DOING = {"create": "creating", "update": "updating", "delete": "destroying"}
_EVERY_SECONDS = 60


class Progress:
    """Progress display for the duration of a `with` block. `stack` adds a stack, in any thread."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, soft_wrap=True)
        self._lock = threading.RLock()
        columns = (TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn())
        text = TextColumn("{task.fields[doing]}", markup=False)
        self._bars = Bars(*columns, text, console=self._console, disable=not self._console.is_terminal)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    @contextmanager
    def paused(self) -> Iterator[Console]:
        """The console, without bars, for text that the user must read or answer."""
        with self._lock:
            self._bars.stop()
            yield self._console
            self._bars.start()

    @contextmanager
    def stack(self, name: str, doing: str, total: int | None = None) -> Iterator[OnEvent]:
        """Add a stack, and return the function that handles its Terraform events."""
        with self._lock:
            if name not in self._tasks:
                self._tasks[name] = self._bars.add_task(name, total=None, doing="")
            task = self._tasks[name]
            self._bars.reset(task, total=total)
        self._say(name, doing)
        working: dict[str, str] = {}
        reported: dict[str, int] = {}  # minutes; Terraform's seconds need not be multiples of ten

        def on_event(event: Mapping[str, Any]) -> None:
            kind, hook = event.get("type"), event.get("hook", {})
            address, action = hook.get("resource", {}).get("addr", ""), hook.get("action", "")
            if action not in _DOING:  # such as "read"
                return
            if kind == "apply_start":
                working[address] = _DOING[action]
                reported[address] = 0
            elif kind in {"apply_complete", "apply_errored"}:
                working.pop(address, None)
                outcome = _DONE[action] if kind == "apply_complete" else "failed"
                self._line(name, f"{address} {outcome} after {hook.get('elapsed_seconds', 0)} s")
                self._bars.advance(task, int(kind == "apply_complete"))
            elif kind == "apply_progress" and (
                hook.get("elapsed_seconds", 0) // _EVERY_SECONDS > reported.get(address, 0)
            ):
                reported[address] = hook["elapsed_seconds"] // _EVERY_SECONDS
                self._line(name, f"{address} still {_DOING[action]}, {hook['elapsed_seconds']} s")
            else:
                return
            others = f" and {len(working) - 1} more" if len(working) > 1 else ""
            text = " ".join(reversed(next(iter(working.items())))) + others if working else doing
            self._bars.update(task, doing=text)

        yield on_event

    def end(self, name: str, outcome: str) -> None:
        """Show the outcome of a stack."""
        self._say(name, outcome)
        if name in self._tasks:
            self._bars.stop_task(self._tasks[name])

    def say(self, name: str, text: str) -> None:
        """Print a line about a stack, at a terminal too."""
        with self._lock:
            self._console.print(f"{name}: {text}", markup=False, highlight=False)

    def _say(self, name: str, text: str) -> None:
        self._line(name, text)
        if name in self._tasks:
            self._bars.update(self._tasks[name], doing=text)

    def _line(self, name: str, text: str) -> None:
        if not self._console.is_terminal:
            with self._lock:
                self._console.print(f"{name}: {text}", markup=False, highlight=False)
