"""Writes `docs/commands.md`: every target of make, and every command with its parameters.

Run it with `make commands-docs`. The text is that of `make help` and of `--help`.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from operations.cli.app import app

ROOT = Path(__file__).parent.parent
OUTPUT = ROOT / "docs" / "commands.md"

_INTRODUCTION = """\
# Commands

What `make help` and `python -m operations COMMAND --help` say, on one page. `make commands-docs` generates it.

Commands exit with status 0 for success, 1 for an error, and 2 if there are changes or findings to look at. `--json`
prints a report for programs, and messages for people go to the standard error.
"""
_TARGET = re.compile(r"^([a-z-]+):.*?## (.+)$", re.MULTILINE)
_CALL = re.compile(r"-m operations (?:\$\(if \$\(REMOVE\),)?([a-z-]+)")
_VALUES = {"Path": "PATH", "int": "NUMBER", "float": "NUMBER", "bool": ""}


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def targets(makefile: str) -> dict[str, str]:
    """The targets that `make help` lists, with their descriptions."""
    return dict(_TARGET.findall(makefile))


def callers(makefile: str) -> dict[str, list[str]]:
    """The listed targets that call each command, by command."""
    found: dict[str, list[str]] = {}
    for target, recipe in re.findall(r"^([a-z-]+):.*?## .*\n((?:\t.*\n)*)", makefile, re.MULTILINE):
        for command in dict.fromkeys(_CALL.findall(recipe)):
            found.setdefault(command, []).append(target)
    return found


def _parameter(one: Any) -> str:
    """A row of the table."""
    value = _VALUES.get(getattr(one.type_descriptor.annotation, "__name__", ""), "TEXT")
    name = one.opts[0] if one.opts[0].startswith("-") else ""
    shown = f"{name} {value}".strip() if name else one.metavar or one.name.upper()
    default = "required" if one.required else "" if one.default in (None, False) else f"`{one.default}`"
    return f"| `{shown}` | {default} | {_cell(one.help or '')} |"


def _command(name: str, command: Any, used_by: list[str]) -> Iterator[str]:
    yield f"## {name}\n"
    yield f"{command.help.strip()}\n"
    if used_by:
        yield f"Called by {', '.join(f'`make {target}`' for target in used_by)}.\n"
    if command.params:
        yield "| parameter | default | description |\n| --- | --- | --- |"
        yield "\n".join(map(_parameter, command.params)) + "\n"


def page() -> str:
    """The whole page."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    rows = [f"| `make {name}` | {_cell(what)} |" for name, what in targets(makefile).items()]
    parts = [_INTRODUCTION, "## Targets of make\n\n| target | what it does |\n| --- | --- |\n" + "\n".join(rows) + "\n"]
    commands: Any = typer.main.get_command(app)
    used_by = callers(makefile)
    for name, command in commands.commands.items():
        if not command.hidden:
            parts += _command(name, command, used_by.get(name, []))
    return "\n".join(parts)


if __name__ == "__main__":
    OUTPUT.write_text(page(), encoding="utf-8")
