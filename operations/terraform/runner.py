"""Runs Terraform in a folder."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, TextIO

from operations.clients import process
from operations.errors import OperationError
from operations.terraform import program, running
from operations.terraform.running import Running

_PLANS = "plans-"
_LOCKED_AFTER_SECONDS = 60
_HELM_SECONDS = 5
_IMPORTS = "imports.tf.json"
UNSAVED_STATE = "errored.tfstate"
"""The file in which Terraform leaves a state that it cannot save."""

_running: "set[subprocess.Popen[bytes]]" = set()
"""The Terraform processes that were started, in any thread."""
_interrupted = threading.Event()
_STARTING = threading.RLock()  # reentrant: a signal handler may interrupt another one

# A shared plugin cache (TF_PLUGIN_CACHE_DIR) does not support concurrent `terraform init`.
_INIT = threading.Lock()


class TerraformError(OperationError):
    """Terraform failed. `details` are its distinct error diagnostics, each a summary and a detail.

    Those of data sources also have the address, because they do not say what was not found.
    """

    def __init__(self, subject: str, diagnostics: list[Mapping[str, Any]], log: Path) -> None:
        self.details = list(dict.fromkeys(map(_detail, diagnostics)))
        super().__init__(f"{subject}: " + ("\n".join(self.details) or f"{program.name()} failed; see {log}"))


def _detail(diagnostic: Mapping[str, Any]) -> str:
    address = str(diagnostic.get("address", ""))
    lines = (diagnostic["summary"], diagnostic.get("detail", ""), f"with {address}" * address.startswith("data."))
    return "\n".join(line.strip() for line in lines if line.strip())


def is_interrupted() -> bool:
    """Whether there was an interrupt, after which nothing is started."""
    return _interrupted.is_set()


def interrupt() -> None:
    """Ask every Terraform that runs to save its state, release its lock and stop. No other one starts.

    Only the first call has an effect: on a second signal Terraform exits without saving its state. The provider for
    Helm waits for a release up to its timeout of 15 minutes, so it is killed: Terraform then saves its state, and
    `deploy --repair` rolls the release back. A job that is cancelled has ten seconds:
    https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-cancellation
    """
    with _STARTING:
        if _interrupted.is_set():
            return
        _interrupted.set()
        for process in tuple(_running):
            process.send_signal(signal.SIGINT)
        ending = threading.Timer(_HELM_SECONDS, _end_helm)
        ending.daemon = True
        ending.start()


def _end_helm() -> None:
    running.end_helm({process.pid for process in tuple(_running)})


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
        with self._opened() as log, self._start((*arguments, *(["-no-color"] if self._log else []))) as started:
            for line in _uninterrupted(started):
                log.write(line)
                log.flush()
        if started.program.returncode:
            where = f"see {self._log}" if self._log else "see above"
            raise OperationError(self._failed(arguments[0], started.program.returncode, where))

    def _failed(self, command: str, status: int, where: str) -> str:
        return f"{program.name()} {command} failed in {self.directory} (status {status}); {where}"

    def _opened(self) -> AbstractContextManager[TextIO]:
        return nullcontext(sys.stdout) if self._log is None else self._log.open("a", encoding="utf-8")

    def output(self, *arguments: str) -> str:
        """The output of a command that changes nothing and must succeed. Its errors are shown as they come.

        Raises:
            OperationError: if it failed.
        """
        with process.starting(program.name(), self.directory):
            found = subprocess.run(
                [program.find(), *arguments],
                cwd=self.directory,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                text=True,
                check=False,
            )
        if found.returncode:
            raise OperationError(self._failed(arguments[0], found.returncode, "see above"))
        return found.stdout

    def stream(self, log: Path, on_event: Callable[[Mapping[str, Any]], None], *arguments: str) -> None:
        """Run a command with `-json`, and call `on_event` with each event. Their messages are appended to `log`.

        May run in any thread; `interrupt` stops it.

        Raises:
            TerraformError: if it failed, or there was an interrupt before it started.
        """
        errors: list[Mapping[str, Any]] = []
        listener_error: Exception | None = None
        with (
            log.open("a", encoding="utf-8", buffering=1) as file,
            self._start((arguments[0], "-json", *arguments[1:])) as started,
        ):
            for line in started.lines():
                event = _event(line)
                diagnostic = event.get("diagnostic", {})
                if diagnostic.get("severity") == "error":
                    errors.append(diagnostic)
                try:
                    file.write(f"{event['@message']}\n{diagnostic.get('detail', '')}".strip() + "\n")
                    on_event(event)
                except Exception as error:  # noqa: BLE001 (such as a full disk or a closed terminal)
                    listener_error = listener_error or error
        if started.program.returncode:
            raise TerraformError(self.directory.name, errors, log)
        if listener_error:
            raise listener_error

    @property
    def unsaved_state(self) -> str:
        """What to do with a state that an apply could not save, and that Terraform left in the folder; else empty."""
        file = self.directory / UNSAVED_STATE
        if not file.exists():
            return ""
        command = program.command(self.directory, "state push", UNSAVED_STATE, "&& rm", str(file))
        return (
            f"{file}: the state of an apply that could not be saved; once the bucket can be reached, save it: {command}"
        )

    def refuse_unsaved_state(self) -> None:
        """Raise an OperationError that says what to do, if the folder holds a state that could not be saved."""
        if unsaved := self.unsaved_state:
            raise OperationError(unsaved)

    def wait_for_earlier(self) -> None:
        """Wait for a Terraform that an earlier command has started in this folder, and that still runs.

        Raises:
            TerraformError: if there was an interrupt.
        """
        with self._stoppable():
            running.wait_for_earlier(self.directory, _interrupted)

    def stream_init(self, log: Path, on_event: Callable[[Mapping[str, Any]], None]) -> None:
        """Initialize the folder, with `stream`.

        Raises:
            OperationError: if the folder holds a state that could not be saved: another apply would create everything
                in it again.
            TerraformError: if it failed.
        """
        self.refuse_unsaved_state()
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
        imports: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Initialize, plan into `file`, and return the output of `terraform show -json` for it.

        The plan imports the resources `imports`, whose import IDs are given by address.

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

        with self._with_imports(imports or {}):
            self.stream(log, note, "plan", "-input=false", f"-out={file.absolute()}", *arguments)
        if is_complete and not is_changing:
            return {}
        document: dict[str, Any] = json.loads(self.output("show", "-json", str(file.absolute())))
        return document

    @contextmanager
    def _with_imports(self, imports: Mapping[str, str]) -> Iterator[None]:
        """Write `import` blocks beside the configuration while a plan runs. Those of a killed command are removed.

        Source: https://developer.hashicorp.com/terraform/language/v1.11.x/import
        """
        file = self.directory / _IMPORTS
        try:
            if imports:
                blocks = [{"to": address, "id": id_} for address, id_ in imports.items()]
                file.write_text(json.dumps({"import": blocks}, indent=2), encoding="utf-8")
            else:
                file.unlink(missing_ok=True)
            yield
        finally:
            file.unlink(missing_ok=True)

    @contextmanager
    def _start(self, arguments: Sequence[str]) -> Iterator[Running]:
        """Start Terraform, unless there was an interrupt; a later one stops it."""
        with self._stoppable(), running.start(arguments, self.directory, _environment(), _interrupted) as started:
            with _STARTING:
                _running.add(started.program)
                if _interrupted.is_set():
                    started.program.send_signal(signal.SIGINT)
            try:
                yield started
            finally:
                _running.discard(started.program)

    @contextmanager
    def _stoppable(self) -> Iterator[None]:
        try:
            yield
        except running.StoppedError as error:
            summary = {"summary": "interrupted before it started"}
            raise TerraformError(self.directory.name, [summary], Path()) from error


def _uninterrupted(started: Running) -> Iterator[str]:
    """The lines of a running Terraform. Ctrl-C is passed on to it, and raised after it has ended."""
    interrupted = None
    lines = started.lines()
    while True:
        try:
            line = next(lines, None)
        except KeyboardInterrupt as error:
            interrupted = error
            started.program.send_signal(signal.SIGINT)
            lines = started.lines()
            continue
        if line is None:
            break
        yield line
    if interrupted:
        raise interrupted


@contextmanager
def plan_folder() -> Iterator[Path]:
    """A temporary folder for plan files, which contain the prior state in plaintext. Only this user can read it.

    Folders that killed commands left are deleted: each command holds a lock on its own, which it takes at once.
    """
    for former in Path(tempfile.gettempdir()).glob(f"{_PLANS}*"):
        with suppress(OSError), _locked(former):  # of another user, or in use
            if time.time() - former.stat().st_mtime > _LOCKED_AFTER_SECONDS:
                shutil.rmtree(former)
    with tempfile.TemporaryDirectory(prefix=_PLANS) as folder, _locked(Path(folder)):  # of mode 0700
        yield Path(folder)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a lock on a folder.

    Raises:
        OSError: if another process holds it, or the folder cannot be read.
    """
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(lock)


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
    chosen = os.environ.get("TF_CLI_CONFIG_FILE")
    for file in [Path(chosen)] if chosen else [Path.home() / ".terraformrc", Path.home() / ".tofurc"]:
        with suppress(OSError):  # does not exist
            if "plugin_cache_dir" in file.read_text(encoding="utf-8", errors="replace"):
                return True
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
