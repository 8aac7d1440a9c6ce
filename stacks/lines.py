"""The line of a field in a settings file, for error messages."""

import ast
import re
from pathlib import Path

_PART = re.compile(r"\[(\d+)\]|[^.\[\]]+")


def line_of(file: Path, field: str) -> int | None:
    """The line of `field`, such as `node_groups[0].max_size`, or of the nearest value around it that is in the file.

    The first name is a variable of the file, or an argument of the variable that the file is named after: `DEV` in
    `dev.py`. None if the file cannot be parsed or has no such variable.
    """
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
    variables = {
        target.id: statement
        for statement in tree.body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
    parts = [match[1] or match[0] for match in _PART.finditer(field)]
    root = parts.pop(0) if parts and parts[0] in variables else file.stem.upper()
    if root not in variables:
        return None
    node: ast.expr = variables[root].value
    line = variables[root].lineno
    for part in parts:
        found = _below(node, part)
        if found is None:
            break
        line, node = found
    return line


def _below(node: ast.expr, part: str) -> tuple[int, ast.expr] | None:
    """The line and the value of an argument of a call, of a key of a dictionary, or of an item of a tuple or list."""
    if isinstance(node, ast.Call):
        return next(((keyword.lineno, keyword.value) for keyword in node.keywords if keyword.arg == part), None)
    if isinstance(node, ast.Dict):
        entries = zip(node.keys, node.values, strict=True)
        found = ((key.lineno, value) for key, value in entries if isinstance(key, ast.Constant) and key.value == part)
        return next(found, None)
    if isinstance(node, ast.Tuple | ast.List) and part.isdecimal() and int(part) < len(node.elts):
        return node.elts[int(part)].lineno, node.elts[int(part)]
    return None
