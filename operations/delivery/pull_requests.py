"""Proposing a change of this repository: a branch, a commit and a pull request, made so that none is lost.

Each subject has a branch of its own, such as `image/bubblepool/dev`. The change is made anew on the newest main and
pushed only if the branch is still what was seen: of two at a time the slower one looks again and starts over.
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

from operations.clients import git
from operations.clients.github import gh
from operations.errors import OperationError
from operations.output.report import Report, Status

_ATTEMPTS = 8
_LOST = ("stale info", "[rejected]", "[remote rejected]", "cannot lock ref", "fetch first", "non-fast-forward")


@dataclass(frozen=True)
class Proposal:
    """A change of one subject."""

    branch: str
    title: str
    change: Callable[[Path], str]
    """Makes the change in a work tree, and tells it for the commit and the pull request."""
    overtaken: Callable[[Path], str | None] = lambda _: None
    """Why a work tree is ahead of the change; None if it is not."""


def propose(repository: Path, proposal: Proposal, *, base: str = "main", merge: bool = False) -> Report:
    """Make the change on a branch and open its pull request, or update the one that is open.

    The work tree of `repository` is not touched. With `merge`, GitHub merges as soon as every check has passed.

    Raises:
        OperationError: Git or GitHub refused, again and again.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        newest, lease = _fetch(repository, base, proposal.branch)
        with _work_tree(repository, newest) as tree:
            why = _overtaken(tree, proposal, lease)
            if why:
                return _nothing(proposal, why)
            body = proposal.change(tree)
            changed = _git(tree, "diff", "--name-only").split()
            if not changed:
                return _nothing(proposal, f"{base} has it")
            _git(tree, "commit", "--quiet", "--all", f"--message={proposal.title}\n\n{body}")
            if _is_there(tree, newest, lease, changed) or _push(tree, proposal.branch, lease):
                url = _open(tree, proposal, body, base, merge=merge)
                data = {"branch": proposal.branch, "changed": True, "pull_request": url}
                return Report(f"proposed: {proposal.title}", Status.FINE, data, notes=[url])
        time.sleep(random.uniform(0.1, 0.5) * attempt)  # noqa: S311  (no secret: it parts two that meet)
    raise OperationError(f"{proposal.branch}: {_ATTEMPTS} times somebody else was faster; run it again")


def _nothing(proposal: Proposal, why: str) -> Report:
    data = {"branch": proposal.branch, "changed": False, "pull_request": "", "why": why}
    return Report(f"nothing to propose: {why}", Status.FINE, data)


def _overtaken(tree: Path, proposal: Proposal, lease: str) -> str | None:
    """Why the base, or what is proposed already, is ahead of the change."""
    why = proposal.overtaken(tree)
    if why is None and lease:
        main = _git(tree, "rev-parse", "HEAD").strip()
        _git(tree, "checkout", "--quiet", lease)
        why = proposal.overtaken(tree)
        _git(tree, "checkout", "--quiet", main)
    return why


def _is_there(tree: Path, newest: str, lease: str, changed: Sequence[str]) -> bool:
    """Whether the branch holds the change already, on the newest base: one that was merged once is behind it."""
    if not lease or _git(tree, "diff", "--name-only", lease, "HEAD", "--", *changed):
        return False
    return _git(tree, "merge-base", newest, lease).strip() == newest


def _fetch(repository: Path, base: str, branch: str) -> tuple[str, str]:
    """The commits of the base and of the branch as they are now; that of the branch is empty where there is none.

    No reference of the clone is written, which two at a time would fight over.
    """
    names = [f"refs/heads/{name}" for name in (base, branch)]
    listed = _git(repository, "ls-remote", "origin", *names).split()
    commits = dict(zip(listed[1::2], listed[::2], strict=True))
    if names[0] not in commits:
        raise OperationError(f"{base}: origin has no such branch; see `git remote get-url origin`")
    present = [name for name in names if name in commits]
    _git(repository, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--refmap=", "origin", *present)
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
    """Push if the branch is still what was seen; whether it was."""
    reference = f"refs/heads/{branch}"
    try:
        _git(tree, "push", "--quiet", f"--force-with-lease={reference}:{lease}", "origin", f"HEAD:{reference}")
    except OperationError as error:
        if any(sign in str(error) for sign in _LOST):
            return False
        raise
    return True


def _open(tree: Path, proposal: Proposal, body: str, base: str, *, merge: bool) -> str:
    """The address of the pull request: the open one, brought up to date, or a new one."""
    url = _opened(tree, proposal.branch, base)
    if url:
        gh("pr", "edit", url, "--title", proposal.title, "--body-file", "-", stdin=body, directory=tree)
    else:
        where = ("--base", base, "--head", proposal.branch)
        text = ("--title", proposal.title, "--body-file", "-")
        try:
            url = gh("pr", "create", *where, *text, stdin=body, directory=tree).strip()
        except OperationError as error:
            url = _opened(tree, proposal.branch, base) if "already exists" in str(error) else ""
            if not url:
                raise
    if merge:
        gh("pr", "merge", url, "--auto", "--squash", directory=tree)
    return url


def _opened(tree: Path, branch: str, base: str) -> str:
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
