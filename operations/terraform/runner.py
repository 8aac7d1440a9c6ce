"""Runs Terraform in a folder."""

import json
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from operations.clients import process
from operations.errors import OperationError

_running: "set[subprocess.Popen[str]]" = set()
"""The Terraform processes that `stream` started, in any thread."""
_interrupted = threading.Event()
_STARTING = threading.RLock()  # reentrant: a signal handler may interrupt another one

# A shared plugin cache (TF_PLUGIN_CACHE_DIR) does not support concurrent `terraform init`.
_INIT = threading.Lock()


class TerraformError(OperationError):
    """Terraform failed. `details` are its distinct error diagnostics, each a summary and a detail."""

    def __init__(self, subject: str, diagnostics: list[Mapping[str, Any]], log: Path) -> None:
        details = (f"{entry['summary']}\n{entry.get('detail', '')}".strip() for entry in diagnostics)
        self.details = list(dict.fromkeys(details))
        super().__init__(f"{subject}: " + ("\n".join(self.details) or f"terraform failed; see {log}"))


def is_interrupted() -> bool:
    """Whether there was an interrupt, after which `stream` starts nothing."""
    return _interrupted.is_set()


def interrupt() -> None:
    """Ask every Terraform that `stream` started to save its state, release its lock and stop. No other one starts.

    Only the first call has an effect: on a second signal Terraform exits without saving its state.
    """
    with _STARTING:
        if _interrupted.is_set():
            return
        _interrupted.set()
        for process in tuple(_running):
            process.send_signal(signal.SIGINT)


class Terraform:
    """Terraform in one working directory, with the environment of this process.

    Its output is shown as it comes or, with `log`, appended to that file.
    """

    def __init__(self, directory: Path, log: Path | None = None) -> None:
        self.directory = directory
        self._log = log

    def run(self, *arguments: str) -> None:
        """Run a command that must succeed.

        Raises:
            OperationError: if it failed; its output is above the message or in the log.
        """
        if self._log is None:
            self._run(arguments, None, None)
        else:
            with self._log.open("ab") as log:
                self._run(arguments, log.fileno(), log.fileno())

    def output(self, *arguments: str) -> str:
        """The output of a command that must succeed. Its errors are shown as they come."""
        return self._run(arguments, subprocess.PIPE, None)

    def stream(self, log: Path, on_event: Callable[[Mapping[str, Any]], None], *arguments: str) -> None:
        """Run a command with `-json`, and call `on_event` with each event. Their messages are appended to `log`.

        May run in any thread; `interrupt` stops it.

        Raises:
            TerraformError: if it failed, or there was an interrupt before it started.
        """
        errors: list[Mapping[str, Any]] = []
        listener_error: Exception | None = None
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
                # Such as a full disk or a closed terminal. If the pipe closed, Terraform would die and lose its state.
                except Exception as error:  # noqa: BLE001
                    listener_error = listener_error or error
        _running.discard(process)
        if process.returncode:
            raise TerraformError(self.directory.name, errors, log)
        if listener_error:
            raise listener_error

    def stream_init(self, log: Path, on_event: Callable[[Mapping[str, Any]], None]) -> None:
        """Initialize the folder, with `stream`.

        Raises:
            TerraformError: if it failed.
        """
        with init_lock():
            # Without -upgrade, the lock file of an older provider version is an error. The stacks pin exact versions.
            self.stream(log, on_event, "init", "-input=false", "-upgrade")

    def stream_plan(
        self,
        file: Path,
        log: Path,
        on_event: Callable[[Mapping[str, Any]], None],
        *arguments: str,
        drifting: Collection[str] = (),
    ) -> dict[str, Any]:
        """Initialize, plan into `file`, and return the output of `terraform show -json` for it.

        Both contain the prior state in plaintext: they must not leave this machine. `show` starts the providers again,
        so it is skipped, and the result is empty, if the events of the plan have no change, nor any drift of resources
        of the types `drifting`. The drift of other resources changes nothing without a planned change.

        Raises:
            TerraformError: if the plan failed.
        """
        self.stream_init(log, on_event)
        is_complete = is_changing = False

        def note(event: Mapping[str, Any]) -> None:
            nonlocal is_complete, is_changing
            match event.get("type"):
                case "change_summary":
                    is_complete = True
                case "planned_change":
                    is_changing = True
                case "outputs":
                    is_changing |= any(output.get("action") != "noop" for output in event["outputs"].values())
                case "resource_drift":
                    is_changing |= event["change"]["resource"]["resource_type"] in drifting
            on_event(event)

        self.stream(log, note, "plan", "-input=false", f"-out={file.absolute()}", *arguments)
        if is_complete and not is_changing:
            return {}
        document: dict[str, Any] = json.loads(self.output("show", "-json", str(file.absolute())))
        return document

    def _start(self, arguments: tuple[str, ...]) -> "subprocess.Popen[str]":
        with _STARTING:
            if _interrupted.is_set():
                raise TerraformError(self.directory.name, [{"summary": "interrupted before it started"}], Path())
            started = self._popen((arguments[0], "-json", *arguments[1:]), subprocess.PIPE, subprocess.STDOUT)
            _running.add(started)
        return started

    def _run(self, arguments: tuple[str, ...], stdout: int | None, stderr: int | None) -> str:
        with self._popen((*arguments, *(["-no-color"] if self._log else [])), stdout, stderr) as started:
            try:
                printed, _ = started.communicate()
            except KeyboardInterrupt:
                started.send_signal(signal.SIGINT)
                started.wait()
                raise
        if started.returncode:
            where = f"see {self._log}" if self._log else "see above"
            message = f"terraform {arguments[0]} failed in {self.directory} (status {started.returncode}); {where}"
            raise OperationError(message)
        return printed or ""

    def _popen(self, arguments: Sequence[str], stdout: int | None, stderr: int | None) -> "subprocess.Popen[str]":
        with process.starting("terraform", self.directory):
            # In its own session, Terraform gets Ctrl-C only once, from here: on a second one it would lose its state.
            return subprocess.Popen(
                [process.find("terraform"), *arguments],
                cwd=self.directory,
                env=_environment(),
                stdout=stdout,
                stderr=stderr,
                text=True,
                start_new_session=True,
            )


@contextmanager
def plan_folder() -> Iterator[Path]:
    """A temporary folder for plan files, which contain the prior state in plaintext. Only this user can read it."""
    with tempfile.TemporaryDirectory(prefix="plans-") as folder:  # of mode 0700
        yield Path(folder)


def new_log(logs: Path, name: str) -> Path:
    """Create an empty log file for the Terraform output of a stack."""
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{name}.log"
    log.write_text("", encoding="utf-8")
    return log


def init_lock() -> AbstractContextManager[object]:
    """What `terraform init` holds: where folders share a plugin cache, only one may run at a time."""
    return _INIT if _shares_plugins() else nullcontext()


def _shares_plugins() -> bool:
    """Whether Terraform keeps providers in a cache that all folders share, by its environment or its configuration."""
    if os.environ.get("TF_PLUGIN_CACHE_DIR"):
        return True
    file = Path(os.environ.get("TF_CLI_CONFIG_FILE") or Path.home() / ".terraformrc")
    try:
        return "plugin_cache_dir" in file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def _environment() -> dict[str, str]:
    # Without the last, Terraform uses a shared plugin cache only for providers in the lock file of a folder, and a
    # newly synthesized folder has none. The stacks name the exact version of each provider.
    shared = {"TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE": "1"} if "TF_PLUGIN_CACHE_DIR" in os.environ else {}
    return {**os.environ, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "TF_INPUT": "0", **shared}


def _event(line: str) -> dict[str, Any]:
    """A line of JSON output as an event; other lines, such as early warnings, become text events."""
    try:
        event = json.loads(line)
    except ValueError:
        event = line.rstrip()
    return event if isinstance(event, dict) and "@message" in event else {"@message": str(event), "type": "text"}
