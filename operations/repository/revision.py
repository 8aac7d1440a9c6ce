"""Synthesizes the stacks of another revision of this repository, with the code of that revision."""

import io
import os
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from operations.clients import git, process
from operations.errors import OperationError
from operations.terraform import recorder
from operations.terraform.stacks import Stack, read_configurations

_MAIN = "origin/main"
_LOCK = "Pipfile.lock"
_TAIL = 3000


def default_base() -> str | None:
    """The merge base of this branch and `origin/main`; None if there is no `origin/main`."""
    return git.run(Path(), "merge-base", "HEAD", _MAIN).stdout.strip() or None


@contextmanager
def exported(revision: str, repository: Path = Path()) -> Iterator[Path]:
    """A temporary copy of the tree of `revision`.

    Raises:
        OperationError: if there is no such revision.
    """
    archived = process.run_binary("git", "archive", "--format=tar", "--end-of-options", revision, directory=repository)
    if archived.returncode:
        reason = archived.stderr.decode(errors="backslashreplace").strip().removeprefix("fatal: ")
        remedy = "fetch it (`git fetch --unshallow origin`), or name another revision"
        raise OperationError(f"{revision}: {reason}; {remedy}")
    with tempfile.TemporaryDirectory(prefix="base-") as folder:
        with tarfile.open(fileobj=io.BytesIO(archived.stdout)) as archive:
            archive.extractall(folder, filter="data")
        yield Path(folder)


@contextmanager
def synthesized_at(revision: str) -> Iterator[Path]:
    """A temporary copy of the tree of `revision`, with its stacks in `cdktf.out`.

    It uses the installed packages, but its own folders come first on the Python path.

    Raises:
        OperationError: if there is no such revision, or it cannot be synthesized.
    """
    with exported(revision) as tree:
        output = tree / "cdktf.out"
        run = process.run(
            sys.executable,
            "main.py",
            directory=tree,
            environment={
                **os.environ,
                "CDKTF_OUTDIR": str(output),
                "PYTHONPATH": f"{tree / 'constructs'}{os.pathsep}{tree}",
                "PYTHONDONTWRITEBYTECODE": "1",
            },
        )
        if run.returncode:
            remedy = "compare with another revision (`--base`), or plan all stacks (`--all`)"
            raise OperationError(f"{revision}: cannot be synthesized; {remedy}:\n{run.stderr[-_TAIL:].strip()}")
        yield tree


def is_same_synthesis(revision: str, output: Path) -> bool:
    """Whether everything that the synthesis of `output` read is the same at a revision of this repository."""
    names = recorder.read_files(output)
    if not names or recorder.difference(output) is not None:
        return False
    # What is outside the repository is the same for both. A folder among the files was only asked for.
    files = [name for name in names[0] if not Path(name).is_absolute() and not Path(name).is_dir()]
    folders = [name for name in names[1] if not Path(name).is_absolute()]
    if any(Path(name).resolve() != Path.cwd().resolve() / name for name in files):
        return False  # Git compares the target of a link by its name only
    tracked = git.run(Path(), "ls-files", "-z", "--", *files).stdout.split("\0")
    if {name for name in files if Path(name).is_file()} - {*tracked}:
        return False
    if git.run(Path(), "diff", "--quiet", "--end-of-options", revision, "--", *files).returncode:
        return False
    return all(_names_at(revision, folder) == recorder.names_in(Path(folder)) for folder in folders)


def _names_at(revision: str, folder: str) -> list[str]:
    listed = git.run(
        Path(folder), "ls-tree", "--full-tree", "-z", "--name-only", "--end-of-options", f"{revision}:./"
    ).stdout
    return recorder.visible(filter(None, listed.split("\0")))


def differing(stacks: list[Stack], tree: Path) -> dict[str, str]:
    """The stacks that differ from those in `tree`, by name, each with the kind of difference."""
    base = read_configurations(tree / "cdktf.out")
    lock, old_lock = Path(_LOCK), tree / _LOCK
    packages_changed = lock.is_file() and old_lock.is_file() and lock.read_bytes() != old_lock.read_bytes()
    found = dict.fromkeys(base.keys() - {stack.name for stack in stacks}, "removed")
    for stack in stacks:
        if stack.name not in base:
            found[stack.name] = "new"
        elif not is_same(stack.configuration, base[stack.name]):
            found[stack.name] = "changed"
        elif packages_changed:  # the old packages may have synthesized it differently
            found[stack.name] = f"{_LOCK} changed"
    return found


def is_same(one: Any, other: Any) -> bool:
    """Whether two parts of stacks are the same to Terraform."""
    return bool(_plain(one) == _plain(other))


def _plain(value: Any) -> Any:
    """The value without the comments of CDKTF, which Terraform ignores."""
    if isinstance(value, Mapping):
        return {name: _plain(member) for name, member in value.items() if name != "//"}
    return [_plain(item) for item in value] if isinstance(value, list) else value
