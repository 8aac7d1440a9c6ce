"""The snippets of the documentation: settings load, commands exist, and cheap ones run.

The words after the language of a code block say how it is checked:

- `python settings FILE [PLACE]`: keyword arguments that are set in the settings of the example, at a place such as
  `cluster` or `node_groups[0]`, or elements that are added to a place such as `node_groups[]`. Imports come first. All
  snippets of a section are set together, and loaded.
- `sh checked`: each command is a target of the Makefile with its variables, or one of our commands with its options, or
  one of the AWS command line, or of another known program.
- `sh run STATUS`: also run from the root of the repository, with this exit status.
- `yaml checked`: it is YAML.
"""

import ast
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import botocore.session
import pytest
import yaml
from botocore import xform_name
from typer.main import get_command

from operations.cli.app import app
from stacks.settings import Region
from tests import ROOT
from tests.edited_settings import EditedSettings

PAGES = [
    path
    for pattern in ("index*", "tutorial*", "troubleshooting*", "glossary*", "map*", "portal*", "updates*", "recipes/*")
    for path in sorted((ROOT / "docs").glob(f"{pattern}.md"))
]
PROGRAMS = {"argocd", "gh", "git", "kubectl", "mkdir", "source"}
_FOLDER = "ap_northeast_2"
_FENCE = re.compile(r"^( *)```(\w+)(.*)\n((?:.*\n)*?)\1```$", re.MULTILINE)
_OF_AWS_ALONE = {("eks", "update-kubeconfig"), ("ssm", "start-session")}
_MARKERS = {"python": r" settings \S+\.py( \S+)?", "sh": r" (checked|run \d)", "yaml": " checked"}


class Snippet(NamedTuple):
    """A code block: its page, the heading above it, its language, the words after that, and its text."""

    page: Path
    section: str
    language: str
    words: list[str]
    text: str


def snippets(page: Path, text: str) -> Iterator[Snippet]:
    for match in _FENCE.finditer(text):
        section = re.findall(r"^## (.+)$", _FENCE.sub("", text[: match.start()]), re.MULTILINE)[-1:]
        lines = [line.removeprefix(match[1]) for line in match[4].splitlines()]
        yield Snippet(page, "".join(section), match[2], match[3].split(), "\n".join(lines) + "\n")


def _snippets(language: str) -> list[Snippet]:
    found = [snippet for page in PAGES for snippet in snippets(page, page.read_text(encoding="utf-8"))]
    return [snippet for snippet in found if snippet.language == language]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_each_block_of_settings_and_commands_says_how_it_is_checked(page: Path) -> None:
    for _, language, words, body in _FENCE.findall(page.read_text(encoding="utf-8")):
        assert re.fullmatch(_MARKERS.get(language, ".*"), words), f"{language}{words}: {body}"


# Settings


def edited(source: str, snippet: str, place: str) -> str:
    """A settings file with a snippet."""
    lines = snippet.splitlines(keepends=True)
    imports = [line for line in lines if line.startswith("from ")]
    body = "".join(line for line in lines if not line.startswith("from ")).strip()
    if place.endswith("[]"):
        source = _inserted(source, _found(source, place.removesuffix("[]")), body)
    else:
        (call,) = [node for node in ast.walk(ast.parse(f"f(\n{body}\n)")) if isinstance(node, ast.Call)][:1]
        for keyword in call.keywords:
            target = _found(source, place)
            assert keyword.arg
            assert isinstance(target, ast.Call)
            value = ast.unparse(keyword.value)
            old = {one.arg: one.value for one in target.keywords}.get(keyword.arg)
            if old is None:
                source = _inserted(source, target, f"{keyword.arg}={value},")
            else:
                start, end = _span(source, old)
                source = f"{source[:start]}{value}{source[end:]}"
    return source.replace("\nfrom ", f"\n{''.join(imports)}from ", 1)


def _found(source: str, place: str) -> ast.expr:
    """The expression at a place of a settings file, such as `cluster` or `node_groups[0]`."""
    (node,) = [one.value for one in ast.parse(source).body if isinstance(one, ast.Assign)]
    for name, index in re.findall(r"(\w+)(?:\[(\d+)\])?", place):
        assert isinstance(node, ast.Call)
        node = {keyword.arg: keyword.value for keyword in node.keywords}[name]
        if index:
            assert isinstance(node, ast.Tuple)
            node = node.elts[int(index)]
    return node


def _span(source: str, node: ast.expr) -> tuple[int, int]:
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset


def _inserted(source: str, node: ast.expr, text: str) -> str:
    _, end = _span(source, node)
    return f"{source[: end - 1]}\n{text}\n{source[end - 1 :]}"


def _sections() -> dict[str, list[Snippet]]:
    """The snippets of settings, by page and section."""
    found: dict[str, list[Snippet]] = {}
    for snippet in _snippets("python"):
        found.setdefault(f"{snippet.page.relative_to(ROOT)}: {snippet.section}", []).append(snippet)
    return found


def _load(root: Path, some: list[Snippet]) -> list[Region]:
    settings = EditedSettings(root)
    for snippet in some:
        _, file, *place = snippet.words
        path = root / "stacks" / _FOLDER / file
        path.write_text(edited(path.read_text(), snippet.text, "".join(place)))
    return settings.load()[1]


@pytest.mark.parametrize("some", _sections().values(), ids=_sections().keys())
def test_the_settings_of_each_section_load(tmp_path: Path, some: list[Snippet]) -> None:
    assert [region.name for region in _load(tmp_path, some)] == ["ap-northeast-2"]


def test_a_snippet_is_set_where_it_belongs(tmp_path: Path) -> None:
    shared = Snippet(ROOT, "", "python", ["settings", "shared.py", "vpc"], 'name="other",\n')
    size = Snippet(ROOT, "", "python", ["settings", "dev.py", "node_groups[0]"], "desired_size=4,\n")
    disk = Snippet(ROOT, "", "python", ["settings", "dev.py", "node_groups[0]"], "disk_size_gib=60,\n")
    (region,) = _load(tmp_path, [shared, size, disk])
    assert region.shared.vpc.name == "other"
    dev = region.environments[0].settings
    assert (dev.node_groups[0].desired_size, dev.node_groups[0].disk_size_gib) == (4, 60)


# Commands


def commands(text: str) -> Iterator[list[str]]:
    """The commands of a block, without comments, as words."""
    for line in text.replace("\\\n", " ").splitlines():
        if words := shlex.split(line, comments=True):
            yield words


def problem(words: list[str]) -> str | None:
    """Why a command cannot be right, or None."""
    program, *rest = words
    if program == "make":
        return _problem_of_make(rest)
    if words[:3] == [".venv/bin/python", "-m", "operations"]:
        known = get_command(app).commands  # type: ignore[attr-defined]
        if rest[2] not in known:
            return f"{rest[2]}: no command"
        options = {option for parameter in known[rest[2]].params for option in parameter.opts}
        return next((f"{word}: no option" for word in rest[3:] if word.startswith("--") and word not in options), None)
    if program == "aws":
        return _problem_of_aws(rest)
    return None if program in PROGRAMS else f"{program}: not a known program"


def _problem_of_make(words: list[str]) -> str | None:
    makefile = (ROOT / "Makefile").read_text()
    for word in words:
        name, is_variable, _ = word.partition("=")
        if is_variable and not re.search(rf"[(, ]{name}\)", makefile):
            return f"{name}: no variable of the Makefile"
        if not is_variable and not re.search(rf"^{name}:", makefile, re.MULTILINE):
            return f"{name}: no target of the Makefile"
    return None


def _problem_of_aws(words: list[str]) -> str | None:
    service, command, *rest = words
    if (service, command) in _OF_AWS_ALONE:
        return None
    session = botocore.session.get_session()
    if service not in session.get_available_services():
        return f"{service}: no service of AWS"
    model = session.get_service_model(service)
    operations = {xform_name(name, "-"): name for name in model.operation_names}
    if command not in operations:
        return f"{command}: no command of aws {service}"
    shape = model.operation_model(operations[command]).input_shape
    options = {f"--{xform_name(name, '-')}" for name in (shape.members if shape else ())}
    options |= {"--region", "--query", "--output", "--filters"}
    return next((f"{word}: no option" for word in rest if word.startswith("--") and word not in options), None)


@pytest.mark.parametrize("snippet", _snippets("sh"), ids=lambda one: f"{one.page.name}: {one.section}")
def test_each_command_exists(snippet: Snippet) -> None:
    assert [problem(words) for words in commands(snippet.text) if problem(words)] == []


def test_each_target_in_a_table_or_sentence_exists() -> None:
    for page in PAGES:
        text = _FENCE.sub("", page.read_text(encoding="utf-8"))
        for command in re.findall(r"`(make [^`…]+)`", text):
            assert problem(shlex.split(command)) is None, f"{page}: {command}"


_CHEAP = [snippet for snippet in _snippets("sh") if snippet.words[0] == "run"]


@pytest.mark.parametrize("snippet", _CHEAP, ids=lambda one: one.section)
def test_cheap_commands_run(snippet: Snippet) -> None:
    run = subprocess.run(["bash", "-euc", snippet.text], cwd=ROOT, check=False, capture_output=True, text=True)
    assert run.returncode == int(snippet.words[1]), run.stderr


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("make deploy STACK=a", None),
        ("make deply", "deply: no target of the Makefile"),
        ("make deploy STAK=a", "STAK: no variable of the Makefile"),
        (".venv/bin/python -m operations drift a --output b", None),
        (".venv/bin/python -m operations drit", "drit: no command"),
        (".venv/bin/python -m operations drift --outpt b", "--outpt: no option"),
        ("aws eks describe-cluster --name a", None),
        ("aws ssm start-session --target a", None),
        ("aws esk describe-cluster", "esk: no service of AWS"),
        ("aws eks describe-clusters", "describe-clusters: no command of aws eks"),
        ("aws eks describe-cluster --nam a", "--nam: no option"),
        ("kubeclt get pods", "kubeclt: not a known program"),
    ],
)
def test_a_wrong_command_is_found(command: str, expected: str | None) -> None:
    assert problem(shlex.split(command)) == expected


@pytest.mark.parametrize("snippet", _snippets("yaml"), ids=lambda one: f"{one.page.name}: {one.section}")
def test_yaml_can_be_read(snippet: Snippet) -> None:
    assert list(yaml.safe_load_all(snippet.text))
