"""A copy of what commands read in this repository, in which each command runs with bad input, and without AWS.

A command runs in a fork of this process, which has imported everything: to start Python and to import packages takes
ten times as long as most commands.
"""

import gc
import importlib
import json
import os
import pkgutil
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import operations
import stacks
from operations.__main__ import main
from operations.components.creation import NewComponent, write_component
from operations.terraform.stacks import Region
from stacks import loading
from tests import ROOT
from tests.stacks import REGION, STACKS, make_stack, write_output

_COPIED = (
    "stacks",
    "service",
    "management",
    "helm/my-app",
    ".github/workflows",
    ".github/CODEOWNERS",
    "main.py",
    "Pipfile.lock",
    "CHANGELOG.md",
    "constructs/pyproject.toml",
)
_MADE_BY_COMMANDS = {".git", ".local", ".running", "logs"}
_MOST_SECONDS = 20
_MOST_BYTES = 3 * 2**30
_CRASHED = 70
_RECORD = "RECORD_OF_OPENED_FILES"

COMPONENT = "celesta"
"""A component that nothing needs, so that it can be removed."""

LOAD = "load the settings"
"""What takes the place of a command: the settings are loaded, and neither checked by a command nor synthesized."""


def import_all() -> None:
    """Import what commands import only when they need it, so that no fork has to."""
    sys.dont_write_bytecode = True  # two settings of one second and size would be the same to Python
    for module in pkgutil.walk_packages(operations.__path__, "operations."):
        importlib.import_module(module.name)
    gc.collect()
    gc.freeze()  # forks share the memory of these objects as long as nobody looks through them


class Streams(NamedTuple):
    """Where the standard streams lead; None closes one. By default there is no input, and output goes to files."""

    stdin: str | None = os.devnull
    stdout: str | None = "stdout"
    stderr: str | None = "stderr"


class Result(NamedTuple):
    status: int
    stdout: str
    stderr: str


class Sandbox:
    """The folder `tree`, which is made again after a command has changed it."""

    def __init__(self, folder: Path) -> None:
        self.tree = folder / "tree"
        self._model = folder / "model"
        self._streams = folder / "streams"
        self._streams.mkdir(parents=True)
        programs = folder / "programs"
        programs.mkdir()
        (programs / "git").symlink_to(shutil.which("git") or "git")
        self.environment = {
            "PATH": str(programs),
            "HOME": str(folder),
            "AWS_ACCESS_KEY_ID": "none",
            "AWS_SECRET_ACCESS_KEY": "none",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": "http://127.0.0.1:9",  # nothing listens there
            "AWS_MAX_ATTEMPTS": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "TERM": "dumb",
        }
        _make(self._model)
        self.reset()

    def reset(self) -> None:
        shutil.rmtree(self.tree, ignore_errors=True)
        shutil.copytree(self._model, self.tree, symlinks=True)

    def restore(self, file: str) -> None:
        """Undo the change of one file."""
        changed = self.tree / file
        if changed.is_dir():
            changed.rmdir()
        changed.unlink(missing_ok=True)
        if (self._model / file).exists():
            shutil.copy2(self._model / file, changed)

    def state(self) -> dict[str, tuple[int, int] | None]:
        """Every file and folder, except those that commands make for themselves."""
        found: dict[str, tuple[int, int] | None] = {}
        for place, folders, files in os.walk(self.tree):
            folders[:] = [name for name in folders if name not in _MADE_BY_COMMANDS]
            for name in folders:
                found[f"{place}/{name}"] = None
            for name in set(files) - _MADE_BY_COMMANDS:
                at = os.lstat(f"{place}/{name}")
                found[f"{place}/{name}"] = (at.st_size, at.st_mtime_ns)
        return found

    def run(
        self, arguments: Sequence[str], streams: Streams | None = None, environment: Mapping[str, str] | None = None
    ) -> Result:
        """Run a command, and return its exit status and what it printed."""
        streams = streams or Streams()
        for name in ("stdout", "stderr"):
            (self._streams / name).write_bytes(b"")
        child = os.fork()
        if child == 0:
            self._become(arguments, streams, {**self.environment, **(environment or {})})
        _, status = os.waitpid(child, 0)
        printed = [(self._streams / name).read_text(errors="replace") for name in ("stdout", "stderr")]
        return Result(os.waitstatus_to_exitcode(status), *printed)

    def opened(self, arguments: Sequence[str]) -> set[str]:
        """The files of the sandbox that a command opens. The sandbox is made again."""
        record = self._streams / "opened"
        record.write_text("")
        self.run(arguments, environment={_RECORD: str(record)})
        self.reset()
        return {os.path.relpath(path, self.tree) for path in record.read_text().splitlines()}

    def _become(self, arguments: Sequence[str], streams: Streams, environment: Mapping[str, str]) -> None:
        """Turn this process, a fork, into the command; it never returns."""
        status: object = _CRASHED
        try:
            resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))
            signal.alarm(_MOST_SECONDS)
            os.chdir(self.tree)
            os.environ.clear()
            os.environ.update(environment)
            tempfile.tempdir = None  # found again, by the environment
            self._redirect(streams)
            if _RECORD in environment:
                _record_opened_files(environment[_RECORD])
            sys.argv = ["operations", *arguments]
            try:
                status = _load() if arguments[0] == LOAD else main()
            except SystemExit as error:
                status = error.code
            except BaseException:  # noqa: BLE001 (as Python prints what nobody handled)
                traceback.print_exc()
            with suppress(OSError):
                for stream in (sys.stdout, sys.stderr):
                    stream.flush()
        finally:
            os._exit(status if isinstance(status, int) else 1)

    def _redirect(self, streams: Streams) -> None:
        for number, (name, place) in enumerate(streams._asdict().items()):
            mode, flags = ("r", os.O_RDONLY) if name == "stdin" else ("w", os.O_WRONLY)
            if place is not None:
                file = os.open(self._streams / place, flags)  # an absolute path replaces the folder
                os.dup2(file, number)
                os.close(file)
            errors = "backslashreplace" if name == "stderr" else "strict"  # as Python opens them
            opened = None if place is None else open(number, mode, -1, "utf-8", errors, closefd=False)  # noqa: SIM115
            setattr(sys, name, opened)
        for number, place in enumerate(streams):
            if place is None:
                os.close(number)


def _record_opened_files(record: str) -> None:
    file = os.open(record, os.O_WRONLY | os.O_APPEND)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str | os.PathLike):
            os.write(file, os.fsencode(f"{os.path.abspath(arguments[0])}\n"))  # noqa: PTH100 (pathlib would open it)

    sys.addaudithook(hook)


def _load() -> int:
    """Load the settings below the current folder."""
    for name in [name for name in sys.modules if f"{name}.".startswith(("stacks.owner.", "stacks.ap_northeast_2."))]:
        del sys.modules[name]
    loading._ROOT = Path.cwd()
    stacks.__path__.insert(0, str(loading._ROOT / "stacks"))
    try:
        loading.load(["stacks.ap_northeast_2"])
    except loading.SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _make(folder: Path) -> None:
    for name in _COPIED:
        source = ROOT / name
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    (folder / "helm/my-app/README.md").touch()
    chart = {"chart": "own", "repository": "https://charts.example.com", "version": "1.0.0"}
    write_component(folder, NewComponent(name=COMPONENT, **chart), lambda _: None)
    _synthesized(folder / "cdktf.out")
    (folder / "guard-overrides.toml").write_text("")
    (folder / "drift-ignored.toml").write_text("")
    identity = ("-c", "user.name=minji", "-c", "user.email=minji@example.com")
    for command in (
        ("init", "--quiet", "--initial-branch=main"),
        ("add", "--all"),
        ("commit", "--quiet", "--message=1"),
    ):
        subprocess.run(["git", *identity, *command], cwd=folder, check=True, capture_output=True)


def _synthesized(output: Path) -> None:
    made = []
    for name, kind, environment, reads in STACKS:
        directory = output / "stacks" / f"{REGION}-{name}"
        directory.mkdir(parents=True)
        provider = {"kubernetes": [{}]} if kind == "in-cluster" else {"aws": [{"region": REGION}]}
        resources = (
            {"aws_s3_bucket": {"bucket": {"bucket": "state"}}} if kind == "backend" else {"aws_vpc": {"vpc": {}}}
        )
        configuration: dict[str, Any] = {
            "terraform": {"backend": {"s3": {}}},
            "provider": provider,
            "resource": resources,
        }
        (directory / "cdk.tf.json").write_text(json.dumps(configuration))
        names = [f"{REGION}-{one}" for one in reads]
        made.append(make_stack(environment, directory, kind=kind, name=f"{REGION}-{name}", reads=names))
    region = Region(REGION, "stacks/ap_northeast_2/shared.py", ["dev", "prod"], f"{REGION}-shared-push-")
    write_output(output, made, [region])
