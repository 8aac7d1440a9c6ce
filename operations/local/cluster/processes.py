"""Processes that end together: with the block that started them, and with this process, however that ends."""

import os
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from operations.errors import OperationError

_LOG_TAIL = 2000


class Processes:
    """One process group, and a log in the folder `logs` for each process.

    They are ended at once: whatever they hold is thrown away.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        # Its input ends when we end, by a SIGKILL too; then it ends the group, itself included. A group of its own
        # also keeps Ctrl-C from reaching the processes before us.
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

    def wait_for(self, what: str, is_there: Callable[[], bool], seconds: float = 60) -> None:
        """Wait until something is there.

        Raises:
            OperationError: it was not in time, or a process ended meanwhile.
        """
        deadline = time.monotonic() + seconds
        while not is_there():
            self.check()
            if time.monotonic() > deadline:
                raise OperationError(f"{what}: not there after {seconds:.0f} s; the logs in {self._logs} say why")
            time.sleep(0.1)

    def check(self) -> None:
        """Nothing, as long as every process runs.

        Raises:
            OperationError: one has ended, with the end of its log.
        """
        for name, process in self._started.items():
            if process.poll() is not None:
                tail = self._log(name).read_text(errors="replace")[-_LOG_TAIL:]
                raise OperationError(
                    f"{name} ended by itself (status {process.returncode}); its log ends with:\n{tail}"
                )

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"
