"""Note in each Korean page which text of the English page it translates: `make docs-hashes`, after a translation."""

import hashlib
import re
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


def main(root: Path = ROOT) -> None:
    """Write the hashes."""
    for page in pages(root):
        text = _FRONT_MATTER.sub("", page.read_text(encoding="utf-8"))
        page.write_text(f"---\nsource: {digest(english(page))}\n---\n{text}", encoding="utf-8")


if __name__ == "__main__":
    main()
