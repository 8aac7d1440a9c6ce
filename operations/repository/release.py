"""Releases of the product: its version, and what CHANGELOG.md says of each."""

import re
import tomllib
from pathlib import Path

from operations.errors import OperationError
from operations.repository.text import read_text

VERSION_FILE = Path("constructs/pyproject.toml")
"""Has the version of the product, which is also that of the wheel `eks_gitops`."""
CHANGELOG = Path("CHANGELOG.md")

_TAG = re.compile(r"v(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})")
_SECTION = re.compile(r"^## \[([^\]\n]+)\](?: - (\d{4}-\d{2}-\d{2}))?\s*$", re.MULTILINE)
_MIGRATION = re.compile(r"^### Migration\n(.*?)(?=^#|\Z)", re.MULTILINE | re.DOTALL)
_NOTE = re.compile(r"^- (.*?)(?=^- |\Z)", re.MULTILINE | re.DOTALL)


def numbers(tag: str) -> tuple[int, ...] | None:
    """The numbers of the tag of a release, such as 0, 1 and 0 of `v0.1.0`; None if it has another form."""
    found = _TAG.fullmatch(tag)
    return None if found is None or not tag.isascii() else tuple(map(int, found.groups()))


def version(root: Path) -> str:
    """The version of the product in a clone.

    Raises:
        OperationError: if its file cannot be read or has none.
    """
    found = version_in(read_text(root / VERSION_FILE))
    if found is None:
        raise OperationError(f"{VERSION_FILE}: project.version: not found; write one such as 0.1.0")
    return found


def version_in(text: str) -> str | None:
    """The version in the text of `VERSION_FILE`; None if it has none."""
    try:
        found = tomllib.loads(text)["project"]["version"]
    except (tomllib.TOMLDecodeError, RecursionError, LookupError, TypeError):
        return None
    return found if isinstance(found, str) and numbers(f"v{found}") else None


def sections(changelog: str) -> dict[str, tuple[str, str]]:
    """The date and the text of each release in a changelog, the newest first. What is not released yet has no date."""
    found = list(_SECTION.finditer(changelog))
    ends = [*(one.start() for one in found), len(changelog)][1:]
    return {one[1]: (one[2] or "", changelog[one.end() : end].strip()) for one, end in zip(found, ends, strict=True)}


def migration_notes(before: str, after: str) -> list[tuple[str, str]]:
    """The releases that only the changelog `after` has, the oldest first, each with a note of its section Migration."""
    known = sections(before)
    return [
        (name, " ".join(note.split()))
        for name, (date, text) in reversed(sections(after).items())
        if date and not known.get(name, ("",))[0]
        for below in _MIGRATION.findall(text)
        for note in _NOTE.findall(below)
    ]


def notes(root: Path, tag: str) -> str:
    """What the changelog says of the release with this tag, which must be the newest.

    Raises:
        OperationError: if the tag, the version and the changelog disagree; the message lists all problems.
    """
    named, changelog = version(root), sections(read_text(root / CHANGELOG))
    dated = {name: text for name, (date, text) in changelog.items() if date}
    newest = next(iter(dated), None)
    problems = []
    if numbers(tag) is None:
        problems.append(f"tag: {tag!r}: not the tag of a release; write one such as v{named}")
    elif tag != f"v{named}":
        problems.append(f"tag: {tag!r}: {VERSION_FILE} has the version {named}; change one of them")
    if newest != named:
        heading = f"## [{named}] - YYYY-MM-DD"
        problems.append(f"{CHANGELOG}: the newest release is {newest}, not {named}; write its notes below `{heading}`")
    if problems:
        raise OperationError("\n".join(problems))
    return dated[named]
