"""Settings files as source code: reads values without importing them, and adds an image repository."""

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LINE = 120


@dataclass(frozen=True)
class ImageRepositories:
    """The names in the tuple `image_repositories` of a settings file, and its last line, counted from 1."""

    names: tuple[str, ...]
    last_line: int


def read_image_repositories(settings: Path) -> ImageRepositories | None:
    """The image repositories of a settings file; None if the tuple is missing or written on one line."""
    for node in ast.walk(ast.parse(settings.read_text(encoding="utf-8"))):
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
    """The environments of all regions of a clone, in the order of promotion."""
    found = [_assigned(file, "ENVIRONMENTS") for file in sorted(root.glob("stacks/*/__init__.py"))]
    return list(dict.fromkeys(name for names in found for name in names))


def _assigned(file: Path, name: str) -> Any:
    for statement in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == name:
            return ast.literal_eval(statement.value)
    message = f"{file}: {name} is not set"
    raise ValueError(message)


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
