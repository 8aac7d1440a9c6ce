"""Writes `docs/settings.md`: every field of the settings. Run it with `make settings-docs`.

Types, defaults and limits are those of the classes. Descriptions are the strings below the fields, which Python does
not keep; they are read from the source, so that a synth does not have to.
"""

import ast
import inspect
import re
from collections.abc import Iterator, Sequence
from functools import cache
from ipaddress import IPv4Network
from itertools import pairwise
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import AfterValidator
from pydantic.fields import FieldInfo

from eks_gitops.config import MAX_INTEGER, Config
from stacks.settings import EnvironmentSettings, Owner, SharedSettings

OUTPUT = Path(__file__).parent.parent / "docs" / "settings.md"

FILES: dict[str, type[Config]] = {
    "`stacks/owner.py`": Owner,
    "`stacks/<region>/shared.py`": SharedSettings,
    "`stacks/<region>/<environment>.py`": EnvironmentSettings,
}
"""The class at the top of each settings file."""

_INTRODUCTION = """\
# Settings

Every field of the settings in `stacks/`, in the order of the files: what it is, which values it accepts, and what a
change of it does. Limits in words are the messages that other values get. `make settings-docs` generates this page from
the types. Rules between several settings are in `stacks/rules.py` and the files next to it.

"The guard refuses" means that `make plan` and `make deploy` stop, because data, identity or all nodes would be lost,
unless an entry in `guard-overrides.toml` allows it.
"""

_WORDS: dict[Any, str] = {
    Any: "JSON value",
    str: "text",
    int: "integer",
    float: "number",
    bool: "`True` or `False`",
    NoneType: "`None`",
    IPv4Network: "IPv4 network",
}
_MOST_OPTIONS = 10


def classes(top: type[Config]) -> list[type[Config]]:
    """A class and those of its fields, in the order of the fields, each once."""
    found = [top]
    for field in top.model_fields.values():
        for kind in _configs(field.annotation):
            found += [nested for nested in classes(kind) if nested not in found]
    return found


def _configs(annotation: Any) -> Iterator[type[Config]]:
    if isinstance(annotation, type) and issubclass(annotation, Config):
        yield annotation
    for part in get_args(annotation):
        yield from _configs(part)


@cache
def _module(file: str) -> ast.Module:
    return ast.parse(Path(file).read_text(encoding="utf-8"))


def descriptions(kind: type[Config]) -> dict[str, str]:
    """The string below each field of a class, and of those that it extends."""
    inherited = [descriptions(base) for base in kind.__bases__ if issubclass(base, Config) and base is not Config]
    body = next(
        node.body
        for node in _module(inspect.getfile(kind)).body
        if isinstance(node, ast.ClassDef) and node.name == kind.__name__
    )
    own = {
        field.target.id: " ".join(text.value.value.split())
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }
    return {name: text for described in (*inherited, own) for name, text in described.items()}


def type_in_words(annotation: Any) -> str:
    """A type, such as `list of text` for `tuple[str, ...]`; configs are links to their headings."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_in_words(arguments[0])
    if origin in (Union, UnionType):
        return " or ".join(map(type_in_words, arguments))
    if origin is tuple:
        return f"list of {type_in_words(arguments[0])}"
    if origin is dict:
        return f"dictionary of {' to '.join(map(type_in_words, arguments))}"
    if origin is Literal:
        return _options(arguments)
    return _WORDS.get(annotation) or f"[{annotation.__name__}](#{annotation.__name__.lower()})"


def _options(values: Sequence[object]) -> str:
    if _is_long(values):
        return "one of those below"
    return f"{'one of ' if len(values) > 1 else ''}{', '.join(map(_code, values))}"


def limits(annotation: Any, metadata: Sequence[Any]) -> list[str]:
    """The limits of a value, and of the values in it, in words."""
    found: list[str] = []
    least = next((limit.ge for limit in metadata if isinstance(limit, Ge)), None)
    most = next((limit.le for limit in metadata if isinstance(limit, Le)), None)
    if least is not None:
        found.append(f"{least} or more" if most in {None, MAX_INTEGER} else f"{least} to {most}")
    found += [_prose(str(check.func.__doc__)) for check in metadata if isinstance(check, AfterValidator)]
    arguments = get_args(annotation)
    if get_origin(annotation) is Annotated:
        return found + limits(arguments[0], _flat(arguments[1:]))
    return found + [limit for part in arguments for limit in limits(part, ())]


def _flat(metadata: Sequence[Any]) -> list[Any]:
    """The metadata of `Annotated`, with that of a `Field(...)` in its place."""
    return [item for part in metadata for item in (part.metadata if isinstance(part, FieldInfo) else [part])]


def _is_long(options: Sequence[object]) -> bool:
    return len(options) > _MOST_OPTIONS


def _long_options(annotation: Any) -> Iterator[str]:
    """The options that the table has no room for."""
    arguments = get_args(annotation)
    if get_origin(annotation) is Literal:
        if _is_long(arguments):
            yield ", ".join(map(_code, arguments))
        return
    for part in arguments:
        yield from _long_options(part)


def _code(value: object) -> str:
    text = f'"{value}"' if isinstance(value, str) else repr(value)
    return f"`{text}`"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    if isinstance(field.default, Config):
        return f"`{type(field.default).__name__}()`"
    return _code(field.default)


def _prose(text: str) -> str:
    """Text in which only code spans have a meaning in Markdown."""
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([<>*_~$\\\[\]])", r"\\\1", part) for part in parts)


def section(kind: type[Config]) -> str:
    """The heading, docstring, fields and rules of a class."""
    described = descriptions(kind)
    rows = ["| field | type | default | limits | description |", "| --- | --- | --- | --- | --- |"]
    below = []
    for name, field in kind.model_fields.items():
        cells = [
            f"`{name}`",
            type_in_words(field.annotation),
            _default(field),
            "<br>".join(limits(field.annotation, field.metadata)),
            described[name],
        ]
        rows.append(f"| {' | '.join(map(_in_a_cell, cells))} |")
        below += [f"Values of `{name}`: {options}." for options in _long_options(field.annotation)]
    if "problems" in vars(kind):
        below.append(f"Rejected: {_lower(inspect.getdoc(kind.problems) or '')}")
    return "\n\n".join([f"### {kind.__name__}", inspect.getdoc(kind) or "", "\n".join(rows), *below])


def _in_a_cell(text: str) -> str:
    return text.replace("|", r"\|")


def _lower(text: str) -> str:
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def page() -> str:
    """The whole page."""
    parts, seen = [_INTRODUCTION.strip()], set[type[Config]]()
    for file, top in FILES.items():
        parts.append(f"## {file}")
        parts += [section(kind) for kind in classes(top) if kind not in seen]
        seen.update(classes(top))
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    OUTPUT.write_text(page(), encoding="utf-8")
