"""All pictures of a platform, as SVG files and one page for each language."""

import html
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from operations.errors import OperationError
from operations.map import delivery, identities, region
from operations.map.drawing import svg
from operations.map.words import Word, english, korean
from operations.repository.all_or_nothing import write_files
from operations.terraform.stacks import Platform

_LANGUAGES: dict[str, tuple[str, Word]] = {"en": ("", english), "ko": (".ko", korean)}
_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 2rem; } nav a { margin-right: 1rem; } figure { margin: 1rem 0 3rem; overflow-x: auto; }
@media print { nav { display: none; } figure { break-inside: avoid; } svg { max-width: 100%; height: auto; } }
"""


class Picture(NamedTuple):
    """A picture: the name of its file without the ending, its title, and its SVG."""

    name: str
    title: str
    svg: str


def pictures(platform: Platform, word: Word) -> Iterator[Picture]:
    """Of each region: network, clusters and data; delivery; and the identities of each stack with roles."""
    for one in platform.regions:
        stacks = [stack for stack in platform.stacks if stack.region == one.name]
        title = f"{word('Network, clusters and data')}: {one.name}"
        yield Picture(one.name, title, svg(*region.picture(one, stacks, word), title))
        title = f"{word('Delivery')}: {one.name}"
        yield Picture(f"{one.name}-delivery", title, svg(*delivery.picture(one, stacks, word), title))
        for stack in stacks:
            if stack.resources_of("aws_iam_role"):
                title = f"{word('Identities')}: {stack.name}"
                yield Picture(f"{stack.name}-identities", title, svg(*identities.picture(stack, word), title))


def write(platform: Platform, folder: Path) -> list[Path]:
    """Write `index.html` and the pictures in English, and the same in Korean with the ending `.ko`; all or none.

    Returns the pages.

    Raises:
        OperationError: a stack's JSON is missing, incomplete, or not as `main.py` writes it.
        OSError: a file cannot be written.
    """
    files: dict[Path, str | None] = {}
    pages = []
    for language, (suffix, word) in _LANGUAGES.items():
        try:
            some = list(pictures(platform, word))
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            message = f"the stacks are not as main.py writes them ({error!r}); synthesize again: make synth"
            raise OperationError(message) from error
        files |= {folder / f"{picture.name}{suffix}.svg": picture.svg for picture in some}
        pages.append(folder / f"index{suffix}.html")
        files[pages[-1]] = _page(some, language, word)
    write_files(files)
    return pages


def _page(some: list[Picture], language: str, word: Word) -> str:
    other, label = ("index.ko.html", "한국어") if language == "en" else ("index.html", "English")
    title = html.escape(word("Pictures of the platform"))
    links = "".join(f'<a href="#{picture.name}">{html.escape(picture.title)}</a>\n' for picture in some)
    figures = "".join(
        f'<figure id="{picture.name}"><figcaption><h2>{html.escape(picture.title)}</h2></figcaption>\n'
        f"{picture.svg}</figure>\n"
        for picture in some
    )
    return (
        f'<!doctype html>\n<html lang="{language}">\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f"<style>{_STYLE}</style>\n<h1>{title}</h1>\n<nav>{links}"
        f'<a href="{other}" hreflang="{"ko" if language == "en" else "en"}">{label}</a></nav>\n{figures}</html>\n'
    )
