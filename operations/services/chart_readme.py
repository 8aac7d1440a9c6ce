"""The table of values in the README of the Helm chart, generated from the comments in its values.yaml."""

import re
from collections.abc import Iterator
from pathlib import Path

from operations.repository.text import read_text

CHART = Path("helm/my-app")
_HEADING = "## Values\n"
_KEY = re.compile(r"( *)([\w-]+):(?: (.*))?")


def rows(values: str) -> Iterator[tuple[str, str, str]]:
    """The path, default and comment of every value that has a comment above it. The default of a block is empty."""
    path: list[str] = []
    comment: list[str] = []
    for line in values.splitlines():
        if (text := line.strip()).startswith("#"):
            comment.append(text.removeprefix("#").strip())
        elif found := _KEY.fullmatch(line):
            indent, key, default = found.groups()
            path = [*path[: len(indent) // 2], key]
            if comment:
                yield ".".join(path), default or "", " ".join(comment)
            comment = []
        else:
            comment = []


def render(readme: str, values: str) -> str:
    """The README with the text below its "Values" heading replaced by a table of these values."""
    table = ["| value | default | description |", "| --- | --- | --- |"]
    for path, default, comment in rows(values):
        shown = f"`{default}`" if default else "in `values.yaml`"
        table.append(f"| `{path}` | {shown} | {comment} |")
    above = readme.partition(_HEADING)[0]
    return "\n".join([above + _HEADING, *table, ""])


def write_readme(chart: Path = CHART) -> None:
    """Update the table in the README of `chart`.

    Raises:
        OperationError: if a file of the chart cannot be read.
    """
    readme = chart / "README.md"
    readme.write_text(render(read_text(readme), read_text(chart / "values.yaml")), encoding="utf-8")
