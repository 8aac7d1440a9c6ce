"""Proposing a change to this repository with a branch, a commit and a pull request, safe for concurrent runs.

Each subject has its own branch, such as `image/bubblepool/dev`. The change is made again on the newest main and pushed
with a lease: if another process updated the branch in the meantime, the push fails and is retried from the start.
"""

import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from operations.clients import git, process
from operations.clients.github import gh
from operations.errors import OperationError
from operations.output.report import Report, Status

_ATTEMPTS = 8
_CONCURRENT_FETCH = "bad object worktrees/"
"""What `git fetch` prints if another process adds or removes a work tree of the same clone."""
_LOST = ("stale info", "[rejected]", "[remote rejected]", "cannot lock ref", "fetch first", "non-fast-forward")


@dataclass(frozen=True)
class Proposal:
    """A change to one subject."""

    branch: str
    title: str
    change: Callable[[Path], str]
    """Makes the change in a work tree, and returns its description for the commit and the pull request."""
    overtaken: Callable[[Path], str | None] = lambda _: None
    """Why a work tree is newer than the change; None if it is not."""


def propose(repository: Path, proposal: Proposal, *, base: str = "main", merge: bool = False) -> Report:
    """Push the change to its branch and open a pull request, or update the open one.

    The work tree of `repository` does not change. With `merge`, GitHub merges when all checks have passed.

    Raises:
        OperationError: if `gh` is not installed, a Git command or a GitHub call fails, or other processes keep updating
            the branch.
    """
    process.find("gh")  # before anything is pushed
    for attempt in range(1, _ATTEMPTS + 1):
        newest, lease = _fetch(repository, base, proposal.branch)
        with _work_tree(repository, newest) as tree:
            why = _overtaken(tree, proposal, lease)
            if why:
                return _unchanged(proposal, why)
            body = proposal.change(tree)
            changed = _git(tree, "diff", "--name-only").split()
            if not changed:
                return _unchanged(proposal, f"{base} has this change already")
            _git(tree, "commit", "--quiet", "--all", f"--message={proposal.title}\n\n{body}")
            if _is_pushed(tree, newest, lease, changed) or _push(tree, proposal.branch, lease):
                url = _open(tree, proposal, body, base, merge=merge)
                data = {"branch": proposal.branch, "changed": True, "pull_request": url}
                return Report(f"proposed: {proposal.title}", Status.FINE, data, notes=[url])
        time.sleep(random.uniform(0.1, 0.5) * attempt)  # noqa: S311  (jitter, not a secret)
    raise OperationError(f"{proposal.branch}: updated by another process in all {_ATTEMPTS} attempts; run it again")


def _unchanged(proposal: Proposal, why: str) -> Report:
    data = {"branch": proposal.branch, "changed": False, "pull_request": "", "why": why}
    return Report(f"nothing to propose: {why}", Status.FINE, data)


def _overtaken(tree: Path, proposal: Proposal, lease: str) -> str | None:
    """Why the base branch, or the branch of the proposal, is newer than the change; None if neither is."""
    why = proposal.overtaken(tree)
    if why is None and lease:
        main = _git(tree, "rev-parse", "HEAD").strip()
        _git(tree, "checkout", "--quiet", lease)
        why = proposal.overtaken(tree)
        _git(tree, "checkout", "--quiet", main)
    return why


def _is_pushed(tree: Path, newest: str, lease: str, changed: Sequence[str]) -> bool:
    """Whether the branch already contains the change on top of the newest base, unlike a branch merged before."""
    if not lease or _git(tree, "diff", "--name-only", lease, "HEAD", "--", *changed):
        return False
    return _git(tree, "merge-base", newest, lease).strip() == newest


def _fetch(repository: Path, base: str, branch: str) -> tuple[str, str]:
    """The current commits of the base and of the branch; that of the branch is empty if it does not exist.

    Writes no reference in the clone, because concurrent runs would conflict.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        commits = _fetched(repository, base, branch, is_last=attempt == _ATTEMPTS)
        if commits is not None:
            return commits
        time.sleep(0.1 * attempt)
    raise OperationError(f"{branch}: updated by another process in all {_ATTEMPTS} attempts; run it again")


def _fetched(repository: Path, base: str, branch: str, *, is_last: bool) -> tuple[str, str] | None:
    """As `_fetch`; None if another process was in the way.

    A branch that is replaced after it was listed is fetched without the commit that it had.
    """
    names = [f"refs/heads/{name}" for name in (base, branch)]
    listed = _git(repository, "ls-remote", "origin", *names).split()
    commits = dict(zip(listed[1::2], listed[::2], strict=True))
    if names[0] not in commits:
        raise OperationError(f"{base}: branch not found on origin; check `git remote get-url origin`")
    present = [name for name in names if name in commits]
    try:
        _git(repository, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--refmap=", "origin", *present)
    except OperationError as error:
        if is_last or _CONCURRENT_FETCH not in str(error):
            raise
        return None
    for commit in commits.values():
        if git.run(repository, "cat-file", "-e", f"{commit}^{{commit}}").returncode:
            return None
    return commits[names[0]], commits.get(names[1], "")


@contextmanager
def _work_tree(repository: Path, revision: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="proposal-") as folder:
        tree = Path(folder) / "tree"
        _git(repository, "worktree", "add", "--quiet", "--detach", str(tree), revision)
        try:
            yield tree
        finally:
            _git(repository, "worktree", "remove", "--force", str(tree))


def _push(tree: Path, branch: str, lease: str) -> bool:
    """Push if the branch has not changed since `lease`, and return whether it was pushed."""
    reference = f"refs/heads/{branch}"
    try:
        _git(tree, "push", "--quiet", f"--force-with-lease={reference}:{lease}", "origin", f"HEAD:{reference}")
    except OperationError as error:
        if any(sign in str(error) for sign in _LOST):
            return False
        raise
    return True


def _open(tree: Path, proposal: Proposal, body: str, base: str, *, merge: bool) -> str:
    """Update the open pull request or create one, and return its URL."""
    url = _find_open(tree, proposal.branch, base)
    if url:
        gh("pr", "edit", url, "--title", proposal.title, "--body-file", "-", stdin=body, directory=tree)
    else:
        where = ("--base", base, "--head", proposal.branch)
        text = ("--title", proposal.title, "--body-file", "-")
        try:
            url = gh("pr", "create", *where, *text, stdin=body, directory=tree).strip()
        except OperationError as error:
            url = _find_open(tree, proposal.branch, base) if "already exists" in str(error) else ""
            if not url:
                raise
    if merge:
        gh("pr", "merge", url, "--auto", "--squash", directory=tree)
    return url


def _find_open(tree: Path, branch: str, base: str) -> str:
    fields = ("--json", "url,isCrossRepository")  # a fork may have a branch of the same name
    listed = gh("pr", "list", "--state", "open", "--base", base, "--head", branch, *fields, directory=tree)
    urls = [str(entry["url"]) for entry in json.loads(listed) if not entry["isCrossRepository"]]
    return urls[0] if urls else ""


def _git(directory: Path, *arguments: str) -> str:
    helper = ("-c", "credential.helper=", "-c", "credential.helper=!gh auth git-credential")
    run = git.run(directory, *(helper if os.environ.get("GH_TOKEN") else ()), *arguments)
    if run.returncode:
        raise OperationError(f"git {arguments[0]}: {run.stderr.strip()}")
    return run.stdout
