"""A group of processes that is stopped at the end of a block, or when this process ends, even if it is killed."""

import os
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from operations.errors import OperationError

_LOG_TAIL = 2000


class Processes:
    """A process group, with a log in the folder `logs` for each process.

    The processes are stopped with SIGKILL; their data is lost.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        # The input of this shell is closed when our process ends, even by SIGKILL. The shell then kills the whole
        # group, itself included. A separate group also keeps Ctrl-C from reaching the processes before us.
        self._guard = subprocess.Popen(["sh", "-c", "read -r _; kill -KILL 0"], stdin=subprocess.PIPE, process_group=0)
        return self

    def __exit__(self, *_: object) -> None:
        self._guard.communicate()
        for process in self._started.values():
            process.wait()

    def start(self, name: str, *command: str | Path, environment: Mapping[str, str] | None = None) -> None:
        """Start a program; `name` names its log."""
        with self._log(name).open("wb") as log:
            self._started[name] = subprocess.Popen(
                command,
                env=environment or os.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=self._guard.pid,
            )

    def wait_for(self, what: str, is_ready: Callable[[], bool], seconds: float = 60) -> None:
        """Wait until `is_ready` returns True.

        Raises:
            OperationError: if that takes longer than `seconds`, or a process exits meanwhile.
        """
        deadline = time.monotonic() + seconds
        while not is_ready():
            self.check()
            if time.monotonic() > deadline:
                raise OperationError(f"{what}: not ready after {seconds:.0f} s; see the logs in {self._logs}")
            time.sleep(0.1)

    def check(self) -> None:
        """Check that all processes are running.

        Raises:
            OperationError: if one has exited, with the end of its log.
        """
        for name, process in self._started.items():
            if process.poll() is not None:
                tail = self._log(name).read_text(errors="replace")[-_LOG_TAIL:]
                raise OperationError(
                    f"{name} exited unexpectedly (status {process.returncode}); its log ends with:\n{tail}"
                )

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"
