"""Boxes inside of boxes, and arrows between them, as SVG."""

import unicodedata
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import NamedTuple

_FONT, _LINE, _PAD, _GAP = 12, 17, 12, 14
_STYLE = """
svg { background: #fff; color: #1b1f24; font: 12px system-ui, sans-serif; }
rect { fill: #fff; stroke: #8b949e; }
text { fill: currentColor; }
.title { font-weight: 600; }
.label { fill: #0550ae; paint-order: stroke; stroke: #fff; stroke-width: 4px; }
path { fill: none; stroke: #0550ae; stroke-width: 1.5; }
marker path { fill: #0550ae; stroke: none; }
.outside > rect { stroke-dasharray: 5 4; }
.network > rect { fill: #eef6ff; }
.data > rect { fill: #fff8e5; }
.compute > rect { fill: #ecf8ee; }
.identity > rect { fill: #f6f0ff; }
@media (prefers-color-scheme: dark) {
svg { background: #0d1117; color: #e6edf3; }
rect { fill: #0d1117; stroke: #6e7681; }
.label { fill: #79c0ff; stroke: #0d1117; }
path { stroke: #79c0ff; }
marker path { fill: #79c0ff; }
.network > rect { fill: #0f2033; }
.data > rect { fill: #2b2410; }
.compute > rect { fill: #10281a; }
.identity > rect { fill: #221a33; }
}
"""


@dataclass(frozen=True)
class Box:
    """A title, lines of text and other boxes: below each other, or side by side if `across`."""

    title: str = ""
    lines: tuple[str, ...] = ()
    children: tuple["Box", ...] = ()
    across: bool = False
    gap: int = _GAP
    """Between the children, in pixels: arrows with labels need more."""
    kind: str = ""
    """How it is drawn: `outside`, `network`, `compute`, `data` or `identity`.

    A box without a kind, title and lines has no frame: it only arranges others.
    """
    key: str = ""
    """The name by which arrows find it."""
    least_width: float = 0
    """In pixels, so that boxes below each other in different rows can be as wide as the widest."""


class Arrow(NamedTuple):
    """From the right side of one box to the left side of another, by their keys."""

    source: str
    target: str
    label: str


class _Area(NamedTuple):
    x: float
    y: float
    width: float
    height: float


def _width(text: str, *, bold: bool = False) -> float:
    """About as wide as the text is in the usual fonts; Korean letters are as wide as they are high."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    broad = sum(letter.isupper() or letter in "_@mw%" for letter in text)
    return (wide + broad * 0.72 + (len(text) - wide - broad) * 0.56) * _FONT * (1.08 if bold else 1)


def _framed(box: Box) -> bool:
    return bool(box.title or box.lines or box.kind)


def _rows(box: Box) -> int:
    return bool(box.title) + len(box.lines)


def _size(box: Box) -> tuple[float, float]:
    pad = _PAD if _framed(box) else 0
    sizes = [_size(child) for child in box.children]
    widths, heights = [size[0] for size in sizes], [size[1] for size in sizes]
    between = box.gap * max(0, len(sizes) - 1)
    inner = (sum(widths) + between, max(heights, default=0)) if box.across else (
        max(widths, default=0), sum(heights) + between
    )  # fmt: skip
    text = max([_width(box.title, bold=True), *map(_width, box.lines)])
    below = _GAP if sizes and _rows(box) else 0
    return max(inner[0], text, box.least_width - 2 * pad) + 2 * pad, inner[1] + _rows(box) * _LINE + below + 2 * pad


def aligned(rows: Sequence[Box]) -> tuple[Box, ...]:
    """Rows of boxes side by side, with columns: each box is as wide as the widest of its column."""
    columns = zip_longest(*[[_size(child)[0] for child in row.children] for row in rows], fillvalue=0.0)
    widths = [max(column) for column in columns]
    return tuple(
        replace(
            row,
            children=tuple(
                replace(child, least_width=width) for child, width in zip(row.children, widths, strict=False)
            ),
        )
        for row in rows
    )


def _draw(box: Box, parent: ET.Element, at: _Area, places: dict[str, _Area]) -> None:
    """Add a box to its parent, and note its place. Boxes side by side are as high as the highest."""
    group = ET.SubElement(parent, "g", {"class": box.kind} if box.kind else {})
    pad = _PAD if _framed(box) else 0
    if _framed(box):
        ET.SubElement(group, "rect", _numbers(x=at.x, y=at.y, width=at.width, height=at.height, rx=6))
    for number, (line, name) in enumerate(_text(box)):
        at_line = _numbers(x=at.x + pad, y=at.y + pad + number * _LINE + _FONT)
        ET.SubElement(group, "text", at_line | ({"class": name} if name else {})).text = line
    if box.key:
        places[box.key] = at
    x, y = at.x + pad, at.y + pad + _rows(box) * _LINE + (_GAP if _rows(box) else 0)
    for child in box.children:
        width, height = _size(child)
        if box.across:
            _draw(child, group, _Area(x, y, width, height), places)
            x += width + box.gap
        else:
            _draw(child, group, _Area(x, y, at.width - 2 * pad, height), places)
            y += height + box.gap


def _text(box: Box) -> Iterator[tuple[str, str]]:
    if box.title:
        yield box.title, "title"
    for line in box.lines:
        yield line, ""


def _numbers(**values: float) -> dict[str, str]:
    return {name: f"{value:.0f}" for name, value in values.items()}


def svg(box: Box, arrows: Sequence[Arrow], name: str) -> str:
    """The picture, for a file or a page. `name` is read out by screen readers; it has no outside references.

    Raises:
        KeyError: an arrow has a key that no box has.
    """
    width, height = _size(box)
    root = ET.Element(
        "svg",
        {"xmlns": "http://www.w3.org/2000/svg", "role": "img", "viewBox": f"0 0 {width + 20:.0f} {height + 20:.0f}"}
        | _numbers(width=width + 20, height=height + 20),
    )
    ET.SubElement(root, "title").text = name
    ET.SubElement(root, "style").text = _STYLE
    marker = ET.SubElement(
        ET.SubElement(root, "defs"),
        "marker",
        {"id": "end", "orient": "auto"} | _numbers(markerWidth=9, markerHeight=8, refX=8, refY=4),
    )
    ET.SubElement(marker, "path", {"d": "M0 0 L9 4 L0 8 Z"})
    places: dict[str, _Area] = {}
    _draw(box, root, _Area(10, 10, width, height), places)
    for arrow in arrows:
        _draw_arrow(root, places[arrow.source], places[arrow.target], arrow.label)
    return ET.tostring(root, encoding="unicode") + "\n"


def _draw_arrow(root: ET.Element, source: _Area, target: _Area, label: str) -> None:
    x1, y1 = source.x + source.width, source.y + source.height / 2
    x2, y2 = target.x, target.y + target.height / 2
    middle = (x1 + x2) / 2
    way = f"M{x1:.0f} {y1:.0f} C{middle:.0f} {y1:.0f} {middle:.0f} {y2:.0f} {x2:.0f} {y2:.0f}"
    ET.SubElement(root, "path", {"d": way, "marker-end": "url(#end)"})
    attributes = _numbers(x=middle, y=(y1 + y2) / 2 - 4) | {"class": "label", "text-anchor": "middle"}
    ET.SubElement(root, "text", attributes).text = label
