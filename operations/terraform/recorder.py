"""Runs `main.py` and records everything it reads, so that a later synthesis can be skipped if nothing changed.

`python -m operations.terraform.recorder FOLDER` runs the `main.py` of the current folder, which writes into FOLDER, and
then writes FOLDER/inputs.json: hashes of the files and folder listings that were read, of the environment variables, of
what every synthesis depends on (Python, Node, installed packages, the day), and of the files that were written. If
`main.py` starts a program, opens a connection, reads the whole environment or copies assets, or a file changes
meanwhile, the result may depend on more than this; then no record is written. Not noticed are hidden files that appear
in a listed folder, and a change of only the times of a file or the target of a link.
"""

import hashlib
import json
import os
import platform
import runpy
import shutil
import stat
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from datetime import UTC, datetime
from importlib.util import source_from_cache
from pathlib import Path
from typing import Any

FILE = "inputs.json"
VERSION = 1

_PREFIXES = ("CDKTF_", "JSII_", "NODE_", "PYTHON", "SYNTH_HCL_OUTPUT", "TERRAFORM_BINARY_NAME")
"""Prefixes of the environment variables that libraries read."""
_NOT_VARIABLES = {"CDKTF_OUTDIR", "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION"}
"""They name the output, and silence a warning."""
_NOT_INPUTS = {".git", "__pycache__", "cdktf.log", "cdktf.out", "node_modules"}
_NOT_READ = _NOT_INPUTS - {".git"}
"""The same of the paths of files: a program that reads below `.git` depends on it."""
_INSTALLED = (sys.prefix, sys.base_prefix)
_ELSEWHERE = ("/dev", "/proc", "/sys", tempfile.gettempdir())
"""Folders with nothing that a synthesis depends on, unless the repository is in them."""
_CLOCK_NANOSECONDS = 20_000_000
"""How much older than the clock the time of a file that was just written may be."""
_UNRECORDABLE = {"os.exec", "os.fork", "os.posix_spawn", "os.system", "socket.connect", "subprocess.Popen"}
_KERNEL = ("program.js", "jsii-runtime.js")
"""The programs of the jsii kernel, which reads nothing but the installed packages."""

_STARTS_KERNEL = "_direct_kernel.py"
"""The file that passes the environment on to the kernel."""

Record = dict[str, dict[str, str | None]]


def difference(output: Path, root: Path = Path()) -> str | None:
    """What differs from the synthesis that wrote `output`; None if another one would write the same.

    A file that was changed or removed in `output` itself is a difference, too.
    """
    try:
        document = json.loads((output / FILE).read_text(encoding="utf-8"))
        if document["version"] != VERSION:
            return f"{output / FILE} has another version"
        recorded: Record = document["inputs"]
        current = _hashes(root, output, os.environ, {kind: names.keys() for kind, names in recorded.items()})
        current["always"] = _always()
        for kind, names in recorded.items():
            for name, known in names.items():
                if current[kind].get(name) != known:
                    return name
        return next((name for name in current["always"] if name not in recorded["always"]), None)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return f"{output} has no record of a synthesis"


def read_files(output: Path) -> tuple[list[str], list[str]] | None:
    """The files and the folders of the repository that the synthesis of `output` read; None if there is no record."""
    try:
        recorded = json.loads((output / FILE).read_text(encoding="utf-8"))["inputs"]
        return list(recorded["files"]), list(recorded["folders"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def visible(names: Iterable[str]) -> list[str]:
    """Of the names in a folder, those that are inputs; hidden files are not."""
    return sorted(name for name in names if name not in _NOT_INPUTS and not name.startswith("."))


def installed_beside(root: Path) -> list[str]:
    """The folders of installed packages, without one that contains the repository itself."""
    return [folder for folder in _INSTALLED if not root.is_relative_to(folder)]


def names_in(folder: Path) -> list[str]:
    """The names in a folder that are inputs."""
    return visible(entry.name for entry in folder.iterdir())


def record(output: Path) -> None:
    """Run the `main.py` of the current folder, and write the record of what it read into `output`."""
    root = Path.cwd()
    sys.path[0] = str(root)
    output.mkdir(parents=True, exist_ok=True)
    (output / FILE).unlink(missing_ok=True)
    before, always = dict(os.environ), _always()
    reads = _Reads(root, output.absolute())
    sys.argv = ["main.py"]
    runpy.run_path("main.py", run_name="__main__")
    reads.stop()
    if reads.is_complete:
        names = {
            "files": reads.files,
            "folders": reads.folders,
            "variables": reads.variables - _NOT_VARIABLES,
            "outputs": {str(path.relative_to(output)) for path in _files(output)},
        }
        inputs: Record = {**_hashes(root, output, before, names), "always": always}
        text = json.dumps({"version": VERSION, "inputs": inputs}, indent=1, sort_keys=True)
        (output / FILE).write_text(text + "\n", encoding="utf-8")


class _Reads:
    """What this process reads from now on, as far as it is an input of the repository."""

    def __init__(self, root: Path, output: Path) -> None:
        self._started = time.time_ns()
        # Node reads files, too: those beside the constructs.
        scripts = (str(path.relative_to(root)) for path in (root / "constructs").rglob("*.cjs"))
        self.files: set[str] = {"main.py", "cdktf.json", "Pipfile.lock", "package-lock.json", *scripts}
        self.folders = {".": _folder(root)}  # with the hash of the names; Python has searched this one for modules
        self.variables: set[str] = set()
        self.is_complete = True
        self._root, self._output = root, output
        self._installed = installed_beside(root)
        self._first_seen: dict[str, tuple[int, int] | None] = {}
        """The state of each file when it was read first."""
        self._is_active = True
        sys.addaudithook(self._audit)
        os.stat, os.access = self._noting(os.stat), self._noting(os.access)  # `Path.exists` is no audit event
        os.environ = _Environment(self, os.environ)  # type: ignore[assignment]  # noqa: B003 (it passes changes on)

    def stop(self) -> None:
        """Record nothing more, and add the modules that were imported from the repository.

        A file that was changed in the meantime may have been read before or after, so the record would be incomplete.
        """
        self._is_active = False
        for module in list(sys.modules.values()):
            self._add_file(getattr(module, "__file__", None))
        for path in (self._root / name for name in self.files):
            if path.is_file() and path.stat().st_ctime_ns > self._started - _CLOCK_NANOSECONDS:
                self.is_complete = False
        if any(_folder(self._root / name) != names for name, names in self.folders.items()):
            self.is_complete = False
        if any(_state(self._root / name) != state for name, state in self._first_seen.items()):
            self.is_complete = False  # a file was removed, or replaced by an older one
        if any((self._output / "stacks").glob("*/assets")):
            self.is_complete = False  # Node has read them

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._is_active:
            return
        if event == "open":
            path, mode, _ = arguments
            if not isinstance(mode, str) or not set(mode) & set("wax+"):
                self._add_file(_source(path))
        elif event in {"os.listdir", "os.scandir"}:
            self._add_folder(arguments[0] or ".")
        elif event in _UNRECORDABLE and not _starts_kernel(arguments):
            self.is_complete = False

    def _noting(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any, *arguments: Any, **keywords: Any) -> Any:
            if self._is_active:
                self._add_file(path)
            return function(path, *arguments, **keywords)

        return call

    def _add_file(self, path: Any) -> None:
        name = self._name(path)
        if name is not None and name not in self.files:
            self.files.add(name)
            self._first_seen[name] = _state(self._root / name)

    def note_environment(self, caller: str) -> None:
        """Note that a file reads the whole environment: then every variable can be an input."""
        if self._is_active and not caller.endswith(_STARTS_KERNEL) and self._name(caller) is not None:
            self.is_complete = False

    def _add_folder(self, path: Any) -> None:
        name = self._name(path)
        if name is not None and name not in self.folders:
            self._is_active = False
            self.folders[name] = _folder(self._root / name)
            self._is_active = True

    def _name(self, path: Any) -> str | None:
        """The path of an input, relative to the repository if it is in it."""
        if not isinstance(path, str | bytes | os.PathLike):
            return None
        full = Path(os.path.abspath(os.fsdecode(path)))  # noqa: PTH100 (links are kept)
        if full.is_relative_to(self._output) or any(full.is_relative_to(folder) for folder in self._installed):
            return None
        if full.is_relative_to(self._root):
            relative = full.relative_to(self._root)
            return str(relative) if _NOT_READ.isdisjoint(relative.parts) else None
        is_module = any(full.is_relative_to(folder) for folder in sys.path if folder)
        return None if not is_module and any(full.is_relative_to(folder) for folder in _ELSEWHERE) else str(full)


class _Environment(dict[str, str]):
    """The environment, which remembers the variables that are read by name."""

    def __init__(self, reads: _Reads, environment: MutableMapping[str, str]) -> None:
        super().__init__(environment)
        self._reads, self._environment = reads, environment

    def __getitem__(self, name: str) -> str:
        self._reads.variables.add(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self._reads.variables.add(str(name))
        return super().__contains__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a variable, or the default."""
        self._reads.variables.add(name)
        return super().get(name, default)

    def setdefault(self, name: str, default: Any = None) -> Any:
        """The value of a variable, which is set to the default if it does not exist."""
        if name not in self:
            self[name] = default
        return self[name]

    def _note_all(self) -> None:
        """Note that the caller of a method reads every variable."""
        self._reads.note_environment(sys._getframe(2).f_code.co_filename)  # noqa: SLF001

    def __iter__(self) -> Iterator[str]:
        self._note_all()
        return super().__iter__()

    def keys(self) -> Any:
        """The names of all variables."""
        self._note_all()
        return super().keys()

    def items(self) -> Any:
        """All variables."""
        self._note_all()
        return super().items()

    def copy(self) -> dict[str, str]:
        """All variables as a dictionary of their own."""
        self._note_all()
        return dict(super().items())

    def __setitem__(self, name: str, value: str) -> None:
        self._environment[name] = value
        super().__setitem__(name, value)

    def __delitem__(self, name: str) -> None:
        del self._environment[name]
        super().__delitem__(name)


def _state(path: Path) -> tuple[int, int] | None:
    """What tells a file from another one in its place; None if there is none. A folder may get other files."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_ino, 0 if stat.S_ISDIR(status.st_mode) else status.st_ctime_ns


def _source(path: Any) -> Any:
    """The source of a compiled module; another path as it is."""
    if isinstance(path, str) and path.endswith(".pyc"):
        try:
            return source_from_cache(path)
        except ValueError:
            return path
    return path


def _starts_kernel(arguments: tuple[Any, ...]) -> bool:
    command = [*arguments, ()][1]
    return any(str(part).endswith(_KERNEL) for part in command) if isinstance(command, list | tuple) else False


def _hashes(root: Path, output: Path, environment: Mapping[str, str], names: Mapping[str, Iterable[str]]) -> Record:
    """The hash of every input by kind and name; None where it does not exist."""
    how: dict[str, Callable[[str], str | None]] = {
        "files": lambda name: _times(Path(name)) if Path(name).is_absolute() else _file(root / name),
        "folders": lambda name: _folder(root / name),
        "variables": lambda name: None if name not in environment else _hash(environment[name].encode()),
        "outputs": lambda name: _file(output / name),
    }
    return {kind: {name: of(name) for name in sorted(names.get(kind, ()))} for kind, of in how.items()}


def _always() -> dict[str, str | None]:
    """What every synthesis depends on."""
    packages = Path(sysconfig.get_path("purelib"))
    node = shutil.which("node")
    variables = {name: value for name, value in os.environ.items() if name.startswith(_PREFIXES)}
    return {
        "the day": datetime.now(tz=UTC).date().isoformat(),
        "Python": platform.python_version(),
        "Node": None if node is None else _hash(repr((node, Path(node).stat().st_mtime_ns)).encode()),
        "installed packages": _hash(repr(sorted(path.name for path in packages.glob("*.dist-info"))).encode()),
        "variables of libraries": _hash(
            repr(sorted(item for item in variables.items() if item[0] not in _NOT_VARIABLES)).encode()
        ),
    }


def _files(output: Path) -> Iterator[Path]:
    """What a synthesis writes."""
    yield from (path for path in (output / "manifest.json", output / "platform.json") if path.is_file())
    yield from sorted((output / "stacks").glob("*/cdk.tf.json"))


def _file(path: Path) -> str | None:
    try:
        return _hash(path.read_bytes())
    except IsADirectoryError:
        return "folder"
    except OSError:
        return None


def _times(path: Path) -> str | None:
    """The times and the size of a file outside the repository, which may be a large program."""
    try:
        status = path.stat()
    except OSError:
        return None
    return _hash(repr((status.st_size, status.st_mtime_ns, status.st_ctime_ns)).encode())


def _folder(path: Path) -> str | None:
    try:
        return _hash(repr(names_in(path)).encode())
    except OSError:
        return None


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    record(Path(sys.argv[1]))
