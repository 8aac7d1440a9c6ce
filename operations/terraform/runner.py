"""Running Terraform in a folder."""

import json
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from operations.clients import process
from operations.errors import OperationError

_running: "set[subprocess.Popen[str]]" = set()
"""Each Terraform that `stream` started, in whatever thread."""
_interrupted = threading.Event()
_STARTING = threading.RLock()  # a signal's handler may interrupt another's

# A shared plugin cache (TF_PLUGIN_CACHE_DIR) cannot be filled by two at once.
_INIT = threading.Lock()


class TerraformError(OperationError):
    """Terraform failed: its diagnostics, each a summary and a detail."""

    def __init__(self, subject: str, diagnostics: list[Mapping[str, Any]], log: Path) -> None:
        details = (f"{entry['summary']}\n{entry.get('detail', '')}".strip() for entry in diagnostics)
        self.details = list(dict.fromkeys(details))
        super().__init__(f"{subject}: " + ("\n".join(self.details) or f"terraform failed; {log} says why"))


def is_interrupted() -> bool:
    """Whether there was an interrupt, so that nothing begins any more."""
    return _interrupted.is_set()


def interrupt() -> None:
    """Ask every Terraform that `stream` started to stop: it saves its state and releases its lock. None starts after.

    Only the first call does anything: a second signal would cost Terraform its state.
    """
    with _STARTING:
        if _interrupted.is_set():
            return
        _interrupted.set()
        for process in tuple(_running):
            process.send_signal(signal.SIGINT)


class Terraform:
    """Terraform in one working directory, in the caller's environment.

    What it prints is shown as it comes or, with `log`, added to that file.
    """

    def __init__(self, directory: Path, log: Path | None = None) -> None:
        self.directory = directory
        self._log = log

    def run(self, *arguments: str) -> None:
        """Run a command that must succeed.

        Raises:
            OperationError: it did not; what it printed stands above the message, or in the log.
        """
        if self._log is None:
            self._run(arguments, None, None)
        else:
            with self._log.open("ab") as log:
                self._run(arguments, log.fileno(), log.fileno())

    def output(self, *arguments: str) -> str:
        """What a command prints that must succeed; its errors are shown as they come."""
        return self._run(arguments, subprocess.PIPE, None)

    def stream(self, log: Path, on_event: Callable[[Mapping[str, Any]], None], *arguments: str) -> None:
        """Run a command with `-json`, passing `on_event` each event. `log` gets what a person would have read.

        May run in any thread: an interrupt of the main one reaches it by `interrupt`.

        Raises:
            TerraformError: it failed, or there was an interrupt before.
        """
        errors: list[Mapping[str, Any]] = []
        trouble: Exception | None = None
        with log.open("a", encoding="utf-8", buffering=1) as file, self._start(arguments) as process:
            assert process.stdout is not None
            for line in process.stdout:
                event = _event(line)
                diagnostic = event.get("diagnostic", {})
                if diagnostic.get("severity") == "error":
                    errors.append(diagnostic)
                try:
                    file.write(f"{event['@message']}\n{diagnostic.get('detail', '')}".strip() + "\n")
                    on_event(event)
                # A full disk, a terminal that is gone: heard to its end, or Terraform would die and lose its state.
                except Exception as error:  # noqa: BLE001
                    trouble = trouble or error
        _running.discard(process)
        if process.returncode:
            raise TerraformError(self.directory.name, errors, log)
        if trouble:
            raise trouble

    def stream_init(self, log: Path, on_event: Callable[[Mapping[str, Any]], None]) -> None:
        """Initialise the folder, by `stream`.

        Raises:
            TerraformError: it failed.
        """
        with _INIT:
            # A lock file from before the provider was upgraded would be refused; the stacks name one version each.
            self.stream(log, on_event, "init", "-input=false", "-upgrade")

    def stream_plan(
        self, file: Path, log: Path, on_event: Callable[[Mapping[str, Any]], None], *arguments: str
    ) -> dict[str, Any]:
        """Plan into `file`, and return what `terraform show -json` says of it. The stack is initialised before.

        Both hold the prior state in clear: they stay on this machine.

        Raises:
            TerraformError: the plan failed.
        """
        self.stream_init(log, on_event)
        self.stream(log, on_event, "plan", "-input=false", f"-out={file.absolute()}", *arguments)
        document: dict[str, Any] = json.loads(self.output("show", "-json", str(file.absolute())))
        return document

    def _start(self, arguments: tuple[str, ...]) -> "subprocess.Popen[str]":
        with _STARTING:
            if _interrupted.is_set():
                raise TerraformError(self.directory.name, [{"summary": "interrupted before it began"}], Path())
            process = subprocess.Popen(
                [_program(), arguments[0], "-json", *arguments[1:]],
                cwd=self.directory,
                env=_environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
            _running.add(process)
        return process

    def _run(self, arguments: tuple[str, ...], stdout: int | None, stderr: int | None) -> str:
        # In a session of its own Ctrl-C reaches Terraform once, from here: a second one would cost it its state.
        with subprocess.Popen(
            [_program(), *arguments, *(["-no-color"] if self._log else [])],
            cwd=self.directory,
            env=_environment(),
            stdout=stdout,
            stderr=stderr,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                printed, _ = process.communicate()
            except KeyboardInterrupt:
                process.send_signal(signal.SIGINT)
                process.wait()
                raise
        if process.returncode:
            where = f"{self._log} says why" if self._log else "see above"
            message = f"terraform {arguments[0]} failed in {self.directory} (status {process.returncode}); {where}"
            raise OperationError(message)
        return printed or ""


@contextmanager
def plan_folder() -> Iterator[Path]:
    """A folder for plan files, which hold the prior state in plain text: nobody else can read it, and it is deleted."""
    with tempfile.TemporaryDirectory(prefix="plans-") as folder:  # of mode 0700
        yield Path(folder)


def new_log(logs: Path, name: str) -> Path:
    """An empty file for what Terraform says of a stack."""
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{name}.log"
    log.write_text("", encoding="utf-8")
    return log


def _program() -> str:
    return process.find("terraform", "install the version that README names")


def _environment() -> dict[str, str]:
    return {**os.environ, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "TF_INPUT": "0"}


def _event(line: str) -> dict[str, Any]:
    """A line of Terraform's JSON; a line that is none, such as a warning before it began, is a message."""
    try:
        event = json.loads(line)
    except ValueError:
        event = line.rstrip()
    return event if isinstance(event, dict) and "@message" in event else {"@message": str(event), "type": "text"}
