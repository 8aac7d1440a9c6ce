"""Settings with a value of a wrong class in each place: an argument, an item, or what is assigned to a name."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.inputs.cases import LONG, Case
from tests.inputs.sandbox import LOAD

FILES = ("owner.py", *(f"ap_northeast_2/{name}.py" for name in ("__init__", "shared", "dev", "prod")))
VALUES = (
    "None", "True", "-1", "1e400", "10**5000", 'float("nan")', "...", "object()", "type", "print", "(lambda: 1)",
    "[]", "()", "{}", "{1}", "[None]", "(1,)", '{"a": 1}', 'b"\\xff"', '"\\ud800"', '"\\0"', f'"{LONG}"',
    "(x := []).append(x) or x",
    '__import__("functools").reduce(lambda inner, _: [inner], range(5000), [])',
    '__import__("functools").reduce(lambda inner, _: {"a": inner}, range(5000), {})',
    '__import__("itertools").count()',
    '__import__("pathlib").Path("/x")',
    '__import__("ipaddress").IPv4Network("10.0.0.0/8")',
    '__import__("ipaddress").IPv6Network("::/8")',
    '__import__("eks_gitops.github").github.GithubRepository',
    '__import__("eks_gitops.github").github.GithubRepository(owner="a", owner_id=1, name="b", id=2)',
    '__import__("unittest.mock").mock.Mock()',
)  # fmt: skip
"""Expressions of the values: other types, instances of another config, and what cannot be printed or has no end."""


def places(source: str) -> Iterator[ast.expr]:
    """The expression of each value in a settings file."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call():
                yield from [*node.args, *(keyword.value for keyword in node.keywords)]
            case ast.Tuple() | ast.List():
                yield from node.elts
            case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
                yield value


def settings_cases(root: Path) -> Iterator[Case]:
    """Each value in each place of the settings below `root`."""
    for name in FILES:
        file = f"stacks/{name}"
        source = (root / file).read_bytes()
        starts = [0]
        for line in source.splitlines(keepends=True):
            starts.append(starts[-1] + len(line))
        for place in places(source.decode()):
            if place.end_lineno is None or place.end_col_offset is None:
                continue
            before = source[: starts[place.lineno - 1] + place.col_offset]
            after = source[starts[place.end_lineno - 1] + place.end_col_offset :]
            where = f"{file}:{place.lineno}:{place.col_offset}"
            for value in VALUES:
                content = b"".join((before, b"(", value.encode(), b")", after))
                yield Case(f"{LOAD}: {where}: {value[:80]}", LOAD, (LOAD,), file, content, may_succeed=True)
