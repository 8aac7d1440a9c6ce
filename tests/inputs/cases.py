"""Bad input to every command of the command line: to each of its parameters, files, standard streams and variables.

Commands and parameters are those of the application, so that new ones are included. The exit status must not be 0,
except for what does no harm to the command: see `may_succeed`.
"""

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from typer.main import get_command

from operations.cli.app import app
from operations.errors import OperationError
from operations.terraform.stacks import read_stacks
from tests.inputs.sandbox import COMPONENT, Streams
from tests.stacks import REGION

LONG = "x" * 5000
TAG, DIGEST = "a" * 40, f"sha256:{'1' * 64}"
_DEEP = 100_000

_GOOD: Mapping[tuple[str, str], str] = {
    ("set-image", "service"): "bubblepool",
    ("set-image", "environment"): "dev",
    ("promote", "service"): "bubblepool",
    ("promote", "source"): "dev",
    ("promote", "target"): "staging",
    ("service", "name"): "xylophone",
    ("service", "team"): "percussion",
    ("environment", "name"): "quokka",
    ("environment", "like"): "dev",
    ("region", "name"): "us-west-2",
    ("region", "like"): "ap-northeast-2",
    ("region", "cidr"): "10.64.0.0/16",
    ("component", "name"): "xylophone",
    ("component", "repository"): "https://charts.example.com",
    ("component", "version"): "1.20.2",
    ("remove-component", "name"): COMPONENT,
    ("upgrade", "version"): "1.36",
    ("update", "version"): "v0.2.0",
    ("destroy", "stacks"): f"{REGION}-dev",
    ("restore-state", "stack"): f"{REGION}-dev",
    ("adopt", "stack"): f"{REGION}-dev",
}
"""Valid values of required parameters; others get one by their name and type."""
_GOOD_BY_NAME = {"tag": TAG, "digest": DIGEST, "environment": "dev", "platform": "your-org/platform"}

CONTENTS: Mapping[str, bytes] = {
    "empty": b"",
    "binary": bytes(range(256)),
    "deep JSON": b"[" * _DEEP + b"]" * _DEEP,
    "deep object": b'{"a":' * _DEEP + b"1" + b"}" * _DEEP,
    "deep YAML": b"- " * 20_000 + b"a\n",
    "deep TOML": b"a = " + b"[" * _DEEP + b"]" * _DEEP + b"\n",
    "deep Python": b"(" * 5000 + b")" * 5000,
    "half": b'{"stacks": {',
    "null": b"null",
    "list": b"[1]",
    "text": b'"x"',
    "huge number": b'{"version": ' + b"9" * 5000 + b"}",
    "wrong kinds": b'{"stacks": [], "findings": 1, "version": "2", "format_version": 1, "resource_changes": {"a": 1}}',
    "wrong members": b'{"stacks": {"a": 1}, "findings": ["a"], "resource_changes": ["a"], "format_version": []}',
}
FILES = (
    "cdktf.out/manifest.json",
    "cdktf.out/platform.json",
    *(f"cdktf.out/stacks/{REGION}-{name}/cdk.tf.json" for name in ("backend", "dev", "dev-gitops")),
    "guard-overrides.toml",
    "drift-ignored.toml",
    ".github/workflows/deploy.yaml",
    "service/bubblepool/overlays/dev/kustomization.yaml",
    "service/bubblepool/overlays/dev/application.yaml",
    "service/hello/overlays/dev/values.yaml",
    "management/karpenter/component.yaml",
    "management/external-secrets/manifests/namespace.yaml",
    "management/external-secrets/manifests/network-policies.yaml",
    "management/bootstrap/projects/bubble.yaml",
    "management/bootstrap/projects/management.yaml",
    "stacks/ap_northeast_2/__init__.py",
    "stacks/ap_northeast_2/shared.py",
    "stacks/ap_northeast_2/dev.py",
    "helm/my-app/values.yaml",
    "Pipfile.lock",
    "CHANGELOG.md",
    "constructs/pyproject.toml",
)
TEXTS: Mapping[str, str] = {
    "empty": "",
    "long": LONG,
    "option": "--output=written",
    "path": "../../../etc/passwd",
    "control": "a\n\x1b[31mb",
    "full-width": "\uff11\uff12\uff13",
    "not UTF-8": "a\udcffb",
    "glob": "[",
}
NUMBERS: Mapping[str, str] = {"text": "x", "negative": "-1", "long": "9" * 5000, "empty": ""}
STREAMS: Mapping[str, Streams] = {
    "closed stdin": Streams(stdin=None),
    "full stdout": Streams(stdout="/dev/full"),
    "full stderr": Streams(stderr="/dev/full"),
    "full stdout and stderr": Streams(stdout="/dev/full", stderr="/dev/full"),
    "closed stdout": Streams(stdout=None),
    "closed stderr": Streams(stderr=None),
    "no streams": Streams(None, None, None),
}
VARIABLES: Mapping[str, Mapping[str, str]] = {
    "no TMPDIR": {"TMPDIR": "/nowhere/at/all"},
    "no summary": {"GITHUB_STEP_SUMMARY": "/nowhere/summary.md", "GITHUB_OUTPUT": "/nowhere/output"},
    "no programs": {"PATH": "/nowhere"},
    "no home": {"HOME": "/nowhere"},
}


@dataclass(frozen=True)
class Case:
    """A command with one bad input; the content of `file` is replaced, and it becomes a folder if that is None."""

    name: str
    command: str
    arguments: tuple[str, ...]
    file: str = ""
    content: bytes | None = b""
    streams: Streams = field(default_factory=Streams)
    variables: Mapping[str, str] = field(default_factory=dict)
    may_succeed: bool = False

    def is_repeat(self, opened: Mapping[str, set[str]]) -> bool:
        """Whether other cases have the same input: the content of a file that the command does not open.

        A command may find or list such a file, or call Git to read it: `binary` and `folder` are tried anyway.
        """
        if self.file not in FILES or self.file in opened[self.command]:
            return False
        return not self.name.endswith((": binary", ": folder"))


def commands() -> dict[str, Any]:
    """Every command of the application by name."""
    return dict(get_command(app).commands)  # type: ignore[attr-defined]


def valid_lines() -> dict[str, tuple[str, ...]]:
    """The command line of every command with valid values of its required parameters."""
    lines = {}
    for command, described in commands().items():
        parameters = _parameters(described)
        lines[command] = _line(command, parameters, _valid(command, parameters))
    return lines


def _parameters(described: Any) -> list[Any]:
    return [one for one in described.params if one.name != "help"]


def _valid(command: str, parameters: list[Any]) -> dict[str, str]:
    return {one.name: _good(command, one) for one in parameters if one.required}


def every_case() -> Iterator[Case]:
    """Each bad input to each command."""
    for command, described in commands().items():
        parameters = _parameters(described)
        good = _valid(command, parameters)
        yield from _of_parameters(command, parameters, good)
        arguments = _line(command, parameters, good)
        for name, streams in STREAMS.items():
            yield Case(f"{command}: {name}", command, arguments, streams=streams, may_succeed=True)
        for name, variables in VARIABLES.items():
            yield Case(f"{command}: {name}", command, arguments, variables=variables, may_succeed=True)
        for file in FILES:
            is_read = file.startswith("cdktf.out") and any(one.name == "output" for one in parameters)
            for name, content in {**CONTENTS, "folder": None}.items():
                needed = (
                    is_read and file.endswith(("manifest.json", "platform.json")) and command not in _WITHOUT_OUTPUT
                )
                yield Case(f"{command}: {file}: {name}", command, arguments, file, content, may_succeed=not needed)


_WITHOUT_OUTPUT = {"synth"}
"""Commands that make the output folder again."""
SILENT = {"chart-readme"}
"""Commands that print nothing if there is nothing to say: their standard output may be full or closed."""
_HARMLESS = {
    ("diff-manifests", "markdown"): "a file to write",
    ("reviewed", "file"): "a file to write",
    ("plan", "base"): "only used with other stacks",
    ("service", "like"): "an empty value is none",
    ("set-image", "root"): "an empty path is this folder",
    ("set-image", "application"): "only used with --propose",
    ("reviewed", "accept"): "an empty value is none",
    ("portal", "folder"): "a folder to write",
}


def _of_parameters(command: str, parameters: list[Any], good: Mapping[str, str]) -> Iterator[Case]:
    for one in parameters:
        if one.is_flag if hasattr(one, "is_flag") else False:
            continue
        kind = _kind(one)
        values = NUMBERS if kind == "int" else TEXTS
        harmless = (command, one.name) in _HARMLESS
        for name, value in values.items():
            arguments = _line(command, parameters, {**good, one.name: value})
            yield Case(f"{command}: {one.name}: {name}", command, arguments, may_succeed=harmless)
        if kind == "Path":
            arguments = _line(command, parameters, {**good, one.name: "given.json"})
            for name, content in {**CONTENTS, "folder": None}.items():
                where = f"{command}: {one.name}: {name}"
                # An empty TOML file has no entries, and a comment may have any text.
                yield Case(where, command, arguments, "given.json", content, may_succeed=harmless)


def _line(command: str, parameters: list[Any], values: Mapping[str, str]) -> tuple[str, ...]:
    options, arguments = [], []
    for one in parameters:
        if one.name in values:
            if one.opts[0].startswith("-"):
                options.append(f"{one.opts[0]}={values[one.name]}")
            else:
                arguments.append(values[one.name])
    return (command, *options, "--", *arguments)


def _kind(parameter: Any) -> str:
    text = str(parameter.type_descriptor)
    return "Path" if "pathlib" in text else "int" if "'int'" in text else "str"


def _good(command: str, parameter: Any) -> str:
    by_name = _GOOD.get((command, parameter.name), _GOOD_BY_NAME.get(parameter.name))
    return by_name or {"Path": "missing.json", "int": "7", "str": "x"}[_kind(parameter)]


def damage(tree: Path, case: Case) -> None:
    """Replace the file of a case by its content."""
    if case.file:
        file = tree / case.file
        file.unlink(missing_ok=True)
        if case.content is None:
            file.mkdir()
        else:
            file.write_bytes(case.content)


def changed_members(document: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Copies of a JSON document that each lack one member, or have another kind of value in it."""
    if isinstance(document, dict):
        for name, value in document.items():
            place = f"{where}.{name}" if where else name
            yield f"{place} removed", {key: other for key, other in document.items() if key != name}
            for what, other in (("a number", 1), ("null", None), ("a list", ["x"]), ("an object", {"x": 1})):
                if type(other) is not type(value):
                    yield f"{place}: {what}", {**document, name: other}
            for below, changed in changed_members(value, place):
                yield below, {**document, name: changed}


def damaged_json(model: Path, opened: Mapping[str, set[str]]) -> Iterator[Case]:
    """Commands that open a synthesized file, with each of its members removed or of another kind.

    What the reader of all commands refuses, each command refuses by the same code: it is tried with one command, and
    the next with another. What it accepts is tried with each command.
    """
    lines = valid_lines()
    for file in FILES[:5]:
        readers = [command for command in lines if file in opened[command]]
        turns = itertools.cycle(readers)
        document = json.loads((model / file).read_text())
        for what, changed in changed_members(document):
            content = json.dumps(changed).encode()
            (model / file).write_bytes(content)
            try:
                for stack in read_stacks(model / "cdktf.out"):
                    _ = stack.configuration
                tried = readers
            except OperationError:
                tried = [next(turns)]
            for command in tried:
                yield Case(f"{command}: {file}: {what}", command, lines[command], file, content, may_succeed=True)
        (model / file).write_text(json.dumps(document))
