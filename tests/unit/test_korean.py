"""The Korean documentation: each page has one, with the same headings, and none is older than its English page."""

import re
from pathlib import Path

import pytest

from scripts import docs_hashes
from scripts.site import hooks
from tests import ROOT
from tests.unit.test_docs import links

GENERATED = {name.removesuffix(".md") for name in hooks.KOREAN_INTRODUCTIONS}
NOT_TRANSLATED_YET: set[str] = set()
"""Pages without a Korean one, by their path below docs/ without `.md`. Remove a page when it is translated."""

DOCS = ROOT / "docs"
KOREAN = docs_hashes.pages(ROOT)


def problem(page: Path, root: Path = ROOT) -> str | None:
    """Why a Korean page cannot be published, or None."""
    if why := docs_hashes.problem(page, root):
        return f"{page.name}: {why}"
    source = docs_hashes.english(page)
    ours, theirs = (len(hooks.headings(one.read_text(encoding="utf-8"))) for one in (page, source))
    return None if ours == theirs else f"{page.name}: {ours} headings below its title, and {source.name} has {theirs}"


@pytest.mark.parametrize("page", KOREAN, ids=lambda path: str(path.relative_to(DOCS)))
def test_a_korean_page_is_as_its_english_page(page: Path) -> None:
    assert problem(page) is None


def test_each_page_has_a_korean_page_or_is_listed() -> None:
    names = {str(path.relative_to(DOCS))[:-3] for path in DOCS.rglob("*.md") if not path.name.endswith(".ko.md")}
    korean = {str(path.relative_to(DOCS)).removesuffix(".ko.md") for path in KOREAN}
    assert names - korean - GENERATED == NOT_TRANSLATED_YET
    assert korean & GENERATED == set()


def test_the_readmes_link_to_each_other() -> None:
    english, korean = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.ko.md"))
    assert "(README.ko.md)" in english
    assert "(README.md)" in korean
    assert len(english.splitlines()) <= 150
    assert len(hooks.headings(english)) == len(hooks.headings(korean))


def test_an_old_or_wrong_translation_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    english, korean = folder / "page.md", folder / "page.ko.md"
    korean.write_text("# 페이지\n\n## 하나\n")
    assert problem(korean, tmp_path) == "page.ko.md: there is no page.md"
    english.write_text("# Page\n\n## One\n")
    old = "page.ko.md: older than page.md; translate the change, then run make docs-hashes PAGES=docs/page.ko.md"
    assert problem(korean, tmp_path) == old
    assert docs_hashes.main(["docs/page.ko.md"], tmp_path) == []
    assert re.match(r"---\nsource: [0-9a-f]{12}\n---\n# 페이지\n", korean.read_text())
    assert problem(korean, tmp_path) is None
    english.write_text("# Page\n\n## One\n\n## Two\n")
    assert problem(korean, tmp_path) == old
    assert docs_hashes.main(["docs/page.ko.md"], tmp_path) == []
    assert problem(korean, tmp_path) == "page.ko.md: 1 headings below its title, and page.md has 2"


def test_only_the_named_pages_get_a_hash(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    for name in ("a", "b"):
        (tmp_path / f"docs/{name}.md").write_text("# Page\n")
        (tmp_path / f"docs/{name}.ko.md").write_text("# 페이지\n")
    a, b = tmp_path / "docs/a.ko.md", tmp_path / "docs/b.ko.md"
    wrong = ["PAGES: a.ko.md: no Korean page; write its path, such as docs/deploy.ko.md"]
    assert docs_hashes.main(["docs/b.ko.md", "a.ko.md"], tmp_path) == wrong
    assert (docs_hashes.noted(a), docs_hashes.noted(b)) == (None, None)
    assert docs_hashes.main(["docs/a.ko.md"], tmp_path) == [
        "docs/b.ko.md: older than b.md; translate the change, then run make docs-hashes PAGES=docs/b.ko.md"
    ]
    assert docs_hashes.noted(a) == docs_hashes.digest(tmp_path / "docs/a.md")


@pytest.mark.parametrize("page", [*KOREAN, ROOT / "README.ko.md"], ids=lambda path: path.name)
def test_a_korean_page_links_to_korean_pages(page: Path) -> None:
    """GitHub shows the page that a link names, in the language of that page."""
    targets = {(page.parent / link.partition("#")[0]).resolve() for link in links(page.read_text(encoding="utf-8"))}
    translated = {docs_hashes.english(one) for one in KOREAN} - {docs_hashes.english(page)}
    assert targets & translated == set()


# What is written for GitHub and changed for the site


def test_links_out_of_the_folder_lead_to_the_repository() -> None:
    text = "[a](../../Makefile) [b](../architecture.md#x) [c](https://d.e) `[f](../../g)` [h](#i)\n[1]: ../../README.md"
    assert hooks.for_the_site(text, "runbook/page.md", "https://r", []) == (
        "[a](https://r/blob/main/Makefile) [b](../architecture.md#x) [c](https://d.e) `[f](../../g)` [h](#i)\n"
        "[1]: https://r/blob/main/README.md"
    )


def test_blocks_of_code_lose_only_the_words_for_tests() -> None:
    text = "```sh checked\n[a](../b) # ```\n```\n  ```python settings dev.py\n## no heading\n  ```\n"
    assert hooks.for_the_site(text, "page.md", "https://r", []) == (
        "```sh\n[a](../b) # ```\n```\n  ```python\n## no heading\n  ```"
    )


def test_korean_headings_have_the_anchors_of_the_english_ones() -> None:
    english = hooks.headings("# A\n\n```\n## no\n```\n## What `make` [does](x.md)?\n")
    assert hooks.for_the_site("# 가\n\n## 나\n\n## 다", "page.ko.md", "https://r", english) == (
        '# 가\n\n<a id="what-make-does"></a>\n\n## 나\n\n## 다'
    )
