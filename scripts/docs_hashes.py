"""Note in Korean pages which text of the English page they translate: `make docs-hashes PAGES="PAGE ..."`.

Only the named pages are written: the hash of any other one that is behind would hide that it is.
"""

import hashlib
import re
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
_FRONT_MATTER = re.compile(r"\A---\nsource: (\S*)\n---\n")


def english(page: Path) -> Path:
    """The page that a Korean page translates."""
    return page.with_name(page.name.removesuffix(".ko.md") + ".md")


def digest(page: Path) -> str:
    """The hash of an English page, as its translation notes it."""
    return hashlib.sha256(page.read_bytes()).hexdigest()[:12]


def noted(page: Path) -> str | None:
    """The hash that a Korean page notes, or None."""
    found = _FRONT_MATTER.match(page.read_text(encoding="utf-8"))
    return found[1] if found else None


def pages(root: Path) -> list[Path]:
    """The Korean pages of the documentation."""
    return sorted((root / "docs").rglob("*.ko.md"))


def problem(page: Path, root: Path = ROOT) -> str | None:
    """Why a Korean page cannot be published, or None."""
    source = english(page)
    if not source.is_file():
        return f"there is no {source.name}"
    if noted(page) != digest(source):
        return (
            f"older than {source.name}; translate the change, then run make docs-hashes PAGES={page.relative_to(root)}"
        )
    return None


def main(names: Sequence[str], root: Path = ROOT) -> list[str]:
    """Write the hashes of the named pages, such as docs/deploy.ko.md, whose translation is finished.

    Returns which names are no Korean page, in which case nothing is written, or which other pages are behind.
    """
    known = {str(page.relative_to(root)): page for page in pages(root)}
    if wrong := [name for name in names if name not in known]:
        return [f"PAGES: {name}: no Korean page; write its path, such as docs/deploy.ko.md" for name in wrong]
    for name in names:
        page = known[name]
        text = _FRONT_MATTER.sub("", page.read_text(encoding="utf-8"))
        page.write_text(f"---\nsource: {digest(english(page))}\n---\n{text}", encoding="utf-8")
    return [f"{name}: {why}" for name, page in known.items() if (why := problem(page, root))]


if __name__ == "__main__":
    sys.exit("\n".join(main(sys.argv[1:])) or 0)
