"""Settings files as source code: reads values without importing them, adds image repositories, sets versions."""

import ast
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

from operations.errors import OperationError
from operations.repository.text import read_text

_LINE = 120
_REMEDY = 'write a tuple of names, such as ("dev", "prod")'


@dataclass(frozen=True)
class ImageRepositories:
    """The names in the tuple `image_repositories` of a settings file, and its last line, counted from 1."""

    names: tuple[str, ...]
    last_line: int


def read_image_repositories(settings: Path) -> ImageRepositories | None:
    """The image repositories of a settings file; None if the tuple is missing or written on one line.

    Raises:
        OperationError: if the file cannot be read or is not Python.
    """
    for node in ast.walk(_parsed(settings)):
        if isinstance(node, ast.keyword) and node.arg == "image_repositories" and isinstance(node.value, ast.Tuple):
            if node.value.end_lineno is None or node.value.end_lineno == node.value.lineno:
                return None
            names = [
                ast.literal_eval(keyword.value)
                for entry in node.value.elts
                if isinstance(entry, ast.Call)
                for keyword in entry.keywords
                if keyword.arg == "name"
            ]
            return ImageRepositories(tuple(names), node.value.end_lineno)
    return None


def environments(root: Path) -> list[str]:
    """The environments of all regions of a clone, in the order of promotion. A package without any is no region.

    Raises:
        OperationError: if there are none, or a file cannot be read or has something other than names.
    """
    found = [name for file in sorted(root.glob("stacks/*/__init__.py")) for name in read_names(file, "ENVIRONMENTS")]
    if not found:
        raise OperationError(f"{root / 'stacks'}: no package has ENVIRONMENTS; {_REMEDY}")
    return list(dict.fromkeys(found))


def read_names(file: Path, variable: str) -> list[str]:
    """The tuple of names that a file assigns to a variable; empty if it assigns nothing to it.

    Raises:
        OperationError: if the file cannot be read, or the variable is something other than names.
    """
    statement = _assignment(file, variable)
    if statement is None:
        return []
    text = "" if statement.value is None else ast.unparse(statement.value)
    try:
        names = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError):
        names = None
    if not isinstance(names, tuple | list) or not all(isinstance(name, str) for name in names):
        raise OperationError(f"{file}: {variable} = {text}: not a tuple of names; {_REMEDY}")
    return list(names)


def read_name(file: Path, variable: str) -> str:
    """The text that a file assigns to a variable, such as `REGION`.

    Raises:
        OperationError: if the file cannot be read, or assigns no text to the variable.
    """
    statement = _assignment(file, variable)
    value = statement.value if statement is not None else None
    if not _is_text(value):
        raise OperationError(f"{file}: {variable}: not written as text; write it in quotes")
    return str(value.value)


def with_names(file: Path, variable: str, names: Sequence[str]) -> str:
    """The text of a file with another tuple of names in a variable, formatted like `ruff format`.

    Raises:
        OperationError: if the file cannot be read, assigns no tuple to the variable, or has a comment inside.
    """
    statement = _assignment(file, variable)
    value = statement.value if statement is not None else None
    text = read_text(file)
    old = ast.get_source_segment(text, value) if isinstance(value, ast.Tuple) else None
    if value is None or old is None or "#" in old:
        raise OperationError(f"{file}: {variable}: not a tuple without comments; {_REMEDY}")
    new = f'("{names[0]}",)' if len(names) == 1 else json.dumps(list(names)).replace("[", "(").replace("]", ")")
    if len(f"{variable} = {new}") > _LINE:
        new = "(\n" + "".join(f'    "{name}",\n' for name in names) + ")"
    lines = text.splitlines(keepends=True)
    first, end = value.lineno - 1, value.end_lineno
    return "".join([*lines[:first], "".join(lines[first:end]).replace(old, new, 1), *lines[end:]])


def _assignment(file: Path, variable: str) -> ast.Assign | ast.AnnAssign | None:
    """The statement by which a file assigns a value to a variable."""
    for statement in _parsed(file).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == variable:
            return statement
        if isinstance(statement, ast.AnnAssign) and ast.unparse(statement.target) == variable:
            return statement
    return None


def _parsed(file: Path) -> ast.Module:
    try:
        return ast.parse(read_text(file))
    except SyntaxError as error:
        raise OperationError(f"{file}: line {error.lineno}: {error.msg}; correct it") from error
    except (ValueError, RecursionError, MemoryError) as error:  # a null byte, or nested too deeply
        raise OperationError(f"{file}: not Python: {error or 'nested too deeply'}; correct it") from error


def with_one_more(settings: Path, last_line: int, name: str, repository_id: int) -> str:
    """The settings with the repository `name` added after the others, formatted like `ruff format`."""
    arguments = (
        "owner=OWNER.repository.owner",
        "owner_id=OWNER.repository.owner_id",
        f'name="{name}"',
        f"id={repository_id}",
    )
    indent = " " * 16
    pushed_by = indent + ", ".join(arguments)
    if len(pushed_by) > _LINE:
        pushed_by = "\n".join(f"{indent}{argument}," for argument in arguments)
    lines = settings.read_text(encoding="utf-8").splitlines(keepends=True)
    lines.insert(
        last_line - 1,
        f"""\
        EcrRepositoryConfig(
            name="{name}",
            pushed_by=GithubRepository(
{pushed_by}
            ),
        ),
""",
    )
    return "".join(lines)


def source_of(settings: Path, argument: str, field: str) -> str:
    """The source of a field of an argument, such as `OWNER.domain` of `dns=DnsConfig(domain=OWNER.domain)`.

    Raises:
        OperationError: if the file cannot be read, is not Python, or has no such field.
    """
    value = _member(_argument(_parsed(settings), argument), field)
    source = None if value is None else ast.get_source_segment(read_text(settings), value)
    if source is None:
        raise OperationError(f"{settings}: {argument}.{field}: not found; write it as an argument")
    return source


def has(settings: Path, argument: str, field: str) -> bool:
    """Whether an argument has a field, such as `id` in `vpc=ExistingVpcConfig(id="vpc-0123456789abcdef0")`.

    Raises:
        OperationError: if the file cannot be read or is not Python.
    """
    return _member(_argument(_parsed(settings), argument), field) is not None


def text_of(settings: Path, argument: str, field: str) -> str:
    """The text of a field of an argument, such as `10.0.0.0/16` of `vpc=VpcConfig(cidr="10.0.0.0/16")`.

    Raises:
        OperationError: as `source_of`, and if the field is not written as text.
    """
    source = source_of(settings, argument, field)
    try:
        value = ast.literal_eval(source)
    except (ValueError, SyntaxError):
        value = None
    if not isinstance(value, str):
        raise OperationError(f"{settings}: {argument}.{field} = {source}: not written as text; write it in quotes")
    return value


def pinned_addons(settings: Path) -> dict[str, str]:
    """The versions of add-ons in a settings file, by name.

    Raises:
        OperationError: if the file cannot be read or is not Python.
    """
    return {name: str(node.value) for name, node in _pins(_parsed(settings)).items()}


def with_versions(settings: Path, kubernetes: str, addons: Mapping[str, str]) -> str:
    """The settings with another Kubernetes version, and with other versions of add-ons that they pin.

    Raises:
        OperationError: if the file cannot be read, is not Python, or computes the Kubernetes version.
    """
    module = _parsed(settings)
    version = _member(_argument(module, "cluster"), "version")
    if not _is_text(version):
        raise OperationError(f'{settings}: cluster.version: not written as text; write version="1.36"')
    edits = [(version, kubernetes), *((node, addons[name]) for name, node in _pins(module).items() if name in addons)]
    lines = _lines(settings)
    for node, value in sorted(edits, key=lambda edit: (edit[0].lineno, edit[0].col_offset), reverse=True):
        _put(lines, node.lineno, (node.col_offset, node.end_col_offset or 0), f'"{value}"')
    return b"".join(lines).decode()


def _lines(settings: Path) -> list[bytes]:
    """The lines of a file as bytes, in which the syntax tree counts columns."""
    return read_text(settings).encode().splitlines(keepends=True)


def _put(lines: list[bytes], number: int, columns: tuple[int, int], text: str) -> None:
    """Put a text between two columns of a line, the first of which has the number 1."""
    (start, end), line = columns, lines[number - 1]
    lines[number - 1] = line[:start] + text.encode() + line[end:]


def _pins(module: ast.Module) -> dict[str, ast.Constant]:
    versions = _member(_argument(module, "addons"), "versions")
    if not isinstance(versions, ast.Dict):
        return {}
    pairs = zip(versions.keys, versions.values, strict=True)
    return {str(key.value): value for key, value in pairs if _is_text(key) and _is_text(value)}


def _argument(module: ast.Module, name: str) -> ast.expr | None:
    """The value of the first argument of this name."""
    return next((node.value for node in _walk(module) if isinstance(node, ast.keyword) and node.arg == name), None)


def _walk(module: ast.Module) -> Iterator[ast.AST]:
    """As `ast.walk`, without the settings of further clusters, which have arguments of the same names."""
    waiting: list[ast.AST] = [module]
    for node in waiting:
        if not (isinstance(node, ast.keyword) and node.arg == "further_clusters"):
            waiting += ast.iter_child_nodes(node)
            yield node


def _member(value: ast.expr | None, name: str) -> ast.expr | None:
    """A field of a config, which is written as a call or as a dictionary."""
    if isinstance(value, ast.Call):
        return next((keyword.value for keyword in value.keywords if keyword.arg == name), None)
    if isinstance(value, ast.Dict):
        pairs = zip(value.keys, value.values, strict=True)
        return next((member for key, member in pairs if _is_text(key) and key.value == name), None)
    return None


def _is_text(node: ast.expr | None) -> TypeGuard[ast.Constant]:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def with_release(settings: Path, group: str, release: str) -> str:
    """The settings with the AMI release of the managed node group `group`, formatted like `ruff format`.

    Raises:
        OperationError: if the file cannot be read, or the group is not written as `NodeGroupConfig(name="…", …)`.
    """
    for node in _walk(_parsed(settings)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("NodeGroupConfig"):
            name, ami_type, old = (_member(node, field) for field in ("name", "ami_type", "release_version"))
            if ami_type is not None and isinstance(name, ast.Constant) and name.value == group:
                return _with_release(settings, ami_type, old, release)
    remedy = f'write release_version="{release}" in it'
    raise OperationError(f'{settings}: no NodeGroupConfig(name="{group}", ami_type=…) found; {remedy}')


def _with_release(settings: Path, ami_type: ast.expr, old: ast.expr | None, release: str) -> str:
    """Replace the value `old`, or add the argument after `ami_type`, on a line of its own if that has one."""
    lines, text = _lines(settings), f'"{release}"'
    if old is not None:
        _put(lines, old.end_lineno or 0, (old.col_offset, old.end_col_offset or 0), text)
    else:
        number, end = ami_type.end_lineno or 0, ami_type.end_col_offset or 0
        before = lines[number - 1][: ami_type.col_offset].decode()
        indent = before[: len(before) - len(before.lstrip())]
        separator = f",\n{indent}" if before.strip() == "ami_type=" else ", "
        _put(lines, number, (end, end), f"{separator}release_version={text}")
    return b"".join(lines).decode()
