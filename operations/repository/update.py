"""`update`: merges a release of the product into the copy of an owner.

The merge is made in Git's object database, with an index of its own: branch, index and files stay as they are until the
result is complete. `.gitattributes` says who writes which file (`writer`).
"""

import os
import re
import signal
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from operations.clients import git
from operations.errors import OperationError
from operations.output.report import Report, Status, Table, counted
from operations.repository import release, settings_fields

REMOTE = "upstream"
"""The remote with the repository of the product, if no other source is named."""

_OLDEST_GIT = (2, 38)
"""Knows `git merge-tree --write-tree`: https://github.com/git/git/blob/v2.38.0/Documentation/RelNotes/2.38.0.txt"""
_MERGE = ("-c", "merge.directoryRenames=false", "-c", "merge.renames=true", "merge-tree", "--write-tree")
_HAS_CONFLICTS = 1
_ATTRIBUTE = "writer"
_MADE = "make-"
_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
_SYNCED = ("management", "service", "helm", ".github")
"""What Argo CD reads, and what GitHub does."""
_PAGE = "docs/updates.md"
_CHECK_SOURCE = f"check the address and your access, or name another source with FROM ({_PAGE})"


@dataclass(frozen=True)
class Wanted:
    """The release to take, by the tag `version` of the repository `source`: a remote, a URL, or empty for `REMOTE`.

    `kept` are files and folders that stay as they are, in addition to those of the owner.
    """

    version: str
    source: str = ""
    kept: Sequence[str] = ()


@dataclass(frozen=True)
class _Sides:
    """The commits of the branch and of the release, and the newest one that they have in common."""

    branch: str
    head: str
    commit: str
    base: str

    @property
    def short_base(self) -> str:
        """The common commit as messages name it."""
        return self.base[:12]


@dataclass(frozen=True)
class _Merge:
    """A merge that has no conflict left.

    `kept` are the files that the release changes, and the owner keeps; `again` are the conflicts in files that a target
    of make writes, by target.
    """

    tree: str
    kept: Sequence[str]
    again: Mapping[str, Sequence[str]]


def update(root: Path, wanted: Wanted) -> Report:
    """Merge a release into the current branch, and report what it changes besides stacks.

    Raises:
        OperationError: if the clone is not ready, there is no such release, or it conflicts with edits of the owner;
            the message lists all problems. Nothing is changed then.
    """
    branch, source = _ready(root, wanted)
    commit = _fetched(root, source, wanted.version)
    head = _line(root, "rev-parse", "HEAD")
    sides = _Sides(branch, head, commit, _base(root, wanted.version, branch, head, commit))
    merge = _merged(root, wanted, sides)
    message = f"Merge release {wanted.version}"
    new = _line(root, "commit-tree", merge.tree, "-p", head, "-p", commit, "-m", message)
    report = _report(root, wanted.version, sides, new, merge)
    _move(root, head, new)
    return report


def _line(root: Path, *arguments: str) -> str:
    return git.output(root, *arguments).strip()


# Before anything is fetched


def _ready(root: Path, wanted: Wanted) -> tuple[str, str]:
    """The current branch, and the source of the release."""
    asked = git.run(root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    if asked.returncode:
        raise OperationError(f"{root.absolute()}: not a clone with commits; run this in a clone of your repository")
    problems = list(_git_problems(root))
    if release.numbers(wanted.version) is None:
        problems.append(f"version: {wanted.version!r}: not the tag of a release; write one such as v0.2.0")
    source = wanted.source or REMOTE
    if not wanted.source and REMOTE not in git.output(root, "remote").split():
        remedy = f"git remote add --no-tags {REMOTE} URL, with the URL of the repository that yours is a copy of"
        problems.append(f"{REMOTE}: no remote of this name, and no other source is named; name it once: {remedy}")
    branch = git.run(root, "symbolic-ref", "--quiet", "--short", "HEAD").stdout.strip()
    if not branch:
        problems.append(f"HEAD: on no branch; switch to one: git switch --create update-{wanted.version}")
    if git.run(root, "rev-parse", "--verify", "--quiet", "MERGE_HEAD").returncode == 0:
        problems.append("MERGE_HEAD: another merge has not ended; end it: git merge --continue, or git merge --abort")
    elif changed := git.records(root, "status", "--porcelain", "--untracked-files=normal", "-z"):
        others = f" and {counted(len(changed) - 1, 'other file')}" if changed[1:] else ""
        remedy = f"commit {'them' if others else 'it'}, or: git stash --include-untracked"
        problems.append(f"{changed[0][3:]}{others}: not committed; {remedy}")
    if git.run(root, "var", "GIT_COMMITTER_IDENT").returncode:
        remedy = "git config user.name NAME, and git config user.email ADDRESS"
        problems.append(f"user.name: Git does not know who you are, for the commit of the merge; set it: {remedy}")
    if problems:
        raise OperationError("\n".join(problems))
    return branch, source


def _git_problems(root: Path) -> Iterator[str]:
    found = git.output(root, "version").split()[2]
    if tuple(map(int, re.findall(r"\d+", found)[:2])) < _OLDEST_GIT:
        oldest = ".".join(map(str, _OLDEST_GIT))
        yield f"git {found}: too old, because this needs {oldest} or newer; install a newer Git"


# The release


def _fetched(root: Path, source: str, version: str) -> str:
    """The commit of the release, which is fetched without a tag: an owner may have tags of the same names."""
    asked = git.run(root, "ls-remote", "--tags", "--end-of-options", source, "refs/tags/v*")
    if asked.returncode:
        raise OperationError(f"{source}: {_reason(asked.stderr)}; {_CHECK_SOURCE}")
    listed = asked.stdout.split()
    tags = {name.removeprefix("refs/tags/"): found for found, name in zip(listed[::2], listed[1::2], strict=True)}
    if version not in tags:
        releases = sorted(filter(release.numbers, tags), key=release.numbers, reverse=True)  # type: ignore[arg-type]
        known = f"the newest is {releases[0]}" if releases else f"it has no releases; {_CHECK_SOURCE}"
        raise OperationError(f"version: {version!r}: no release of {source}; {known}")
    tag = f"refs/tags/{version}"
    options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--refmap=", "--end-of-options")
    fetched = git.run(root, "fetch", *options, source, tag)
    if fetched.returncode:
        raise OperationError(f"{source}: {_reason(fetched.stderr)}; {_CHECK_SOURCE}")
    return tags.get(f"{version}^{{}}", tags[version])


def _reason(printed: str) -> str:
    """What Git prints about a repository that it cannot read, without its advice, in the lines after the first."""
    lines = [line for line in printed.splitlines() if not line.lower().startswith("warning")]
    first, *_ = [*lines, "cannot be read"]
    return first.removeprefix("fatal: ").removeprefix("ERROR: ")


def _base(root: Path, version: str, branch: str, head: str, commit: str) -> str:
    """The newest commit that the release and the branch have in common."""
    found = git.run(root, "merge-base", head, commit).stdout.split()
    if not found:
        remedy = f"fetch the rest of a shallow clone (git fetch --unshallow), or see {_PAGE}#a-copy-without-the-history"
        raise OperationError(f"{version}: has no commit in common with {branch}; {remedy}")
    if found[0] == commit:
        raise OperationError(f"{version}: {branch} has this release already; there is nothing to do")
    own = release.version_in(_text(root, head, release.VERSION_FILE))
    if own is not None and (release.numbers(version) or ()) < (release.numbers(f"v{own}") or ()):
        raise OperationError(f"{version}: older than v{own}, which {branch} has; name a newer release")
    return found[0]


def _text(root: Path, revision: str, file: Path) -> str:
    """The text of a file at a revision; empty without it."""
    return git.run(root, "show", f"{revision}:{file}").stdout


# The merge


def _merged(root: Path, wanted: Wanted, sides: _Sides) -> _Merge:
    head, commit = sides.head, sides.commit
    tree, *conflicts = git.records(
        root, *_MERGE, "-z", "--name-only", "--no-messages", head, commit, fine=(0, _HAS_CONFLICTS)
    )
    ours, theirs, both = (_entries(root, revision) for revision in (head, commit, tree))
    if unknown := [path for path in wanted.kept if not any(_is_in(path, one) for one in (*ours, *theirs))]:
        remedy = "write paths as `git ls-files` prints them"
        raise OperationError(
            "\n".join(f"keep: {path!r}: no file of your branch or of {wanted.version}; {remedy}" for path in unknown)
        )
    differing = {path for path in {*ours, *both} if ours.get(path) != both.get(path)} | set(conflicts)
    offered = {path for path in _changed(root, sides) if ours.get(path) != theirs.get(path)}
    kept = {path for path in differing | offered if any(_is_in(one, path) for one in wanted.kept)}
    with tempfile.TemporaryDirectory(prefix="update-") as folder:
        index = Path(folder, "index")
        git.records(root, "read-tree", tree, index=index)
        _write(root, index, kept, ours)
        writers = _writers(root, index, differing | offered)
        owned = {path for path, writer in writers.items() if writer == "owner"} - kept
        refused = offered & (kept | owned)
        made = {path for path in conflicts if writers[path].startswith(_MADE)} - kept
        if left := sorted(set(conflicts) - kept - owned - made):
            raise OperationError("\n".join(_conflict(wanted, sides, left, writers)))
        _write(root, index, owned, ours)
        _write(root, index, made, theirs)
        (merged,) = git.records(root, "write-tree", index=index)
    again: dict[str, list[str]] = {}
    for path in sorted(made):
        again.setdefault(writers[path].removeprefix(_MADE), []).append(path)
    return _Merge(merged.strip(), sorted(refused), again)


def _changed(root: Path, sides: _Sides) -> set[str]:
    """The files that the release changes, whatever the owner did."""
    return set(git.records(root, "diff", "--name-only", "--no-renames", "-z", sides.base, sides.commit))


def _entries(root: Path, revision: str) -> dict[str, str]:
    """The files of a revision by path, each as `git ls-tree` prints it."""
    listed = git.records(root, "ls-tree", "-r", "-z", "--full-tree", revision)
    return {entry.partition("\t")[2]: entry for entry in listed}


def _is_in(path: str, file: str) -> bool:
    """Whether a file is this path, or in this folder."""
    return file == path.rstrip("/") or file.startswith(f"{path.rstrip('/')}/")


def _write(root: Path, index: Path, paths: Collection[str], entries: Mapping[str, str]) -> None:
    """Give files in an index the content of other entries; a file without one is removed."""
    lines = [entries.get(path, f"0 {'0' * 40}\t{path}") for path in sorted(paths)]
    git.records(root, "update-index", "-z", "--index-info", stdin="".join(f"{line}\0" for line in lines), index=index)


def _writers(root: Path, index: Path, paths: Collection[str]) -> dict[str, str]:
    """Who writes each file, according to the attributes in an index."""
    names = "".join(f"{path}\0" for path in sorted(paths))
    asked = git.records(root, "check-attr", "--cached", "-z", "--stdin", _ATTRIBUTE, stdin=names, index=index)
    return dict(zip(asked[::3], asked[2::3], strict=True))


def _conflict(wanted: Wanted, sides: _Sides, left: Sequence[str], writers: Mapping[str, str]) -> Iterator[str]:
    yield f"{wanted.version}: your edits conflict with it in {counted(len(left), 'file')}; nothing was changed"
    for path in left:
        show = f"git diff {sides.short_base} {sides.commit[:12]} -- {path}"
        if writers[path] == "both":
            yield f"{path}: you and the release changed the same lines; keep yours, and copy the change of: {show}"
        else:
            undo = f"undo your edit (git checkout {sides.short_base} -- {path})"
            yield f"{path}: belongs to the product; {undo}, or keep yours, and copy the change of: {show}"
    kept = " ".join([*wanted.kept, *left])
    yield f'keep: to keep yours of all of them: make update VERSION={wanted.version} KEEP="{kept}"'


# The branch and the files


def _move(root: Path, head: str, new: str) -> None:
    """Move the branch, the index and the files to a commit after `head`: completely, or not at all."""
    added = _entries(root, new).keys() - _entries(root, head).keys()
    if in_the_way := sorted(path for path in added if os.path.lexists(root / path)):
        raise OperationError("\n".join(f"{path}: ignored by Git, and in the way; move it" for path in in_the_way))
    with _uninterrupted():
        moved = git.run(root, "merge", "--ff-only", "--quiet", "--no-overwrite-ignore", new)
        if moved.returncode == 0:
            return
        for path in added:
            (root / path).unlink(missing_ok=True)
        git.output(root, "reset", "--hard", "--quiet", head)
    raise OperationError(f"git merge: {moved.stderr.strip()}; everything is as before")


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let signals wait, also those to Git, which inherits this, until the block has ended."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# What the release changes


def _report(root: Path, version: str, sides: _Sides, new: str, merge: _Merge) -> Report:
    head = sides.head
    before, after = (_text(root, revision, release.CHANGELOG) for revision in (head, new))
    notes = release.migration_notes(before, after)
    fields = settings_fields.differences(*(_text(root, revision, settings_fields.PAGE) for revision in (head, new)))
    synced = _synced(root, head, new)
    packages = git.records(root, "diff", "--name-only", "-z", head, new, "--", "Pipfile.lock", "package-lock.json")
    tables = [
        Table("What you have to do", ["release", "migration"], [list(note) for note in notes]),
        Table("Settings", ["field", "change"], [list(field) for field in fields]),
        Table("What Argo CD and GitHub read", ["folder", "files"], [list(row) for row in synced.items()]),
        Table("Yours, and kept, although the release changes them", ["file"], [[path] for path in merge.kept]),
    ]
    further = [f"{', '.join(paths)}: that of the release; run: make {target}" for target, paths in merge.again.items()]
    further += [f"{', '.join(packages)}: changed; run: make install"] if packages else []
    if merge.kept:
        changes = f"git diff {sides.short_base} {sides.commit[:12]} -- FILE"
        further.append(f"to take the changes of a file that was kept: {changes} | git apply --3way")
    further.append(f"to go back: git reset --hard {head[:12]}")
    data = {
        "branch": sides.branch,
        "before": head,
        "commit": new,
        "migration": [{"release": name, "note": note} for name, note in notes],
        "settings": [{"field": name, "change": what} for name, what in fields],
        "folders": synced,
        "kept": merge.kept,
        "again": merge.again,
        "packages": packages,
    }
    return Report(
        f"{version} is merged into {sides.branch}", Status.FINE, data, [one for one in tables if one.rows], further
    )


def _synced(root: Path, head: str, new: str) -> dict[str, str]:
    """The number of files that are new, changed and removed, by folder."""
    listed = git.records(root, "diff", "--name-status", "--no-renames", "-z", head, new, "--", *_SYNCED)
    counts: dict[str, dict[str, int]] = {}
    words = {"A": "new", "D": "removed"}
    for status, path in zip(listed[::2], listed[1::2], strict=True):
        count = counts.setdefault("/".join(path.split("/")[:2]), {})
        word = words.get(status, "changed")
        count[word] = count.get(word, 0) + 1
    return {folder: ", ".join(f"{number} {word}" for word, number in count.items()) for folder, count in counts.items()}
