"""The stacks as another revision of this repository synthesizes them, with that revision's own code."""

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
from operations.terraform.stacks import Stack, read_configurations

_MAIN = "origin/main"
_LOCK = "Pipfile.lock"
_TAIL = 3000


def default_base() -> str | None:
    """Where this branch left `origin/main`; None where there is no such branch."""
    return git.run(Path(), "merge-base", "HEAD", _MAIN).stdout.strip() or None


@contextmanager
def exported(revision: str, repository: Path = Path()) -> Iterator[Path]:
    """A copy of the tree of `revision`, which is gone afterwards.

    Raises:
        OperationError: there is no such revision.
    """
    archived = process.run_binary("git", "archive", "--format=tar", revision, directory=repository)
    if archived.returncode:
        remedy = "fetch it (`git fetch --unshallow origin`), or compare with nothing (`plan --all`)"
        raise OperationError(f"{revision}: {archived.stderr.decode().strip()}; {remedy}")
    with tempfile.TemporaryDirectory(prefix="base-") as folder:
        with tarfile.open(fileobj=io.BytesIO(archived.stdout)) as archive:
            archive.extractall(folder, filter="data")
        yield Path(folder)


@contextmanager
def synthesized_at(revision: str) -> Iterator[Path]:
    """A copy of the tree of `revision`, with its stacks in `cdktf.out`; both are gone afterwards.

    The packages that are installed here serve both revisions, but the folders of the copy come before all others.

    Raises:
        OperationError: there is no such revision, or it cannot be synthesized.
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
            remedy = "compare with another revision (`--base`), or with nothing (`--all`)"
            raise OperationError(f"{revision}: cannot be synthesized; {remedy}:\n{run.stderr[-_TAIL:].strip()}")
        yield tree


def differing(stacks: list[Stack], tree: Path) -> dict[str, str]:
    """The stacks that are not what they were in `tree`, each with what happened to it."""
    base = read_configurations(tree / "cdktf.out")
    lock, was = Path(_LOCK), tree / _LOCK
    moved = lock.is_file() and was.is_file() and lock.read_bytes() != was.read_bytes()
    found = dict.fromkeys(base.keys() - {stack.name for stack in stacks}, "removed")
    for stack in stacks:
        if stack.name not in base:
            found[stack.name] = "new"
        elif _plain(stack.configuration) != _plain(base[stack.name]):
            found[stack.name] = "changed"
        elif moved:  # what the old packages made of it, nobody knows here
            found[stack.name] = f"{_LOCK} changed"
    return found


def _plain(value: Any) -> Any:
    """Without CDKTF's comments, which Terraform does not read."""
    if isinstance(value, Mapping):
        return {name: _plain(member) for name, member in value.items() if name != "//"}
    return [_plain(item) for item in value] if isinstance(value, list) else value
