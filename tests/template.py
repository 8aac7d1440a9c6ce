"""Synthesized stacks as plain dicts, with resource names without the hashes of CDKTF."""

import json
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cdktf
from cdktf_cdktf_provider_aws.provider import AwsProvider

import main
from stacks.settings import Owner, Region

Json = dict[str, Any]

# `vpc_private-a_1B2C3D4E`: the hash distinguishes names that differ only in characters that Terraform does not allow.
_HASH = re.compile(r"_[0-9A-F]{8}(?![0-9A-F])")
_OTHER_STACK = re.compile(
    r"\$\{data\.terraform_remote_state\.cross-stack-reference-input-(?P<stack>.+?)\.outputs\.(?P<output>.+?)\}"
)


class Template:
    """The Terraform JSON of one stack. References have the form of a Terraform file: `${aws_kms_key.key.arn}`."""

    def __init__(self, text: str) -> None:
        self.raw: Json = json.loads(text)
        self.json: Json = json.loads(_HASH.sub("", text), object_pairs_hook=_unique)

    def resources(self, kind: str) -> dict[str, Json]:
        """The resources of a type, by name."""
        resources: dict[str, Json] = self.json.get("resource", {}).get(kind, {})
        return resources

    def only(self, kind: str) -> Json:
        """The only resource of a type."""
        (resource,) = self.resources(kind).values()
        return resource

    def all_resources(self) -> Iterator[tuple[str, str, Json]]:
        """All resources as type, name and arguments."""
        for kind, resources in self.json.get("resource", {}).items():
            for name, arguments in resources.items():
                yield kind, name, arguments

    def document(self, address: str, attribute: str = "policy") -> Json:
        """A JSON policy of the resource `type.name`."""
        kind, _, name = address.partition(".")
        document: Json = json.loads(self.resources(kind)[name][attribute])
        return document


def _unique(pairs: list[tuple[str, Any]]) -> Json:
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names)), f"names that differ only by their hash: {sorted(names)}"
    return dict(pairs)


def resolved(value: str, stacks: Mapping[str, Template]) -> str:
    """The value of the output of another stack that `value` references."""
    reference = _OTHER_STACK.fullmatch(value)
    assert reference is not None, f"not a reference to another stack: {value}"
    output: str = stacks[reference["stack"]].json["output"][reference["output"]]["value"]
    return output


def synthesize(build: Callable[[cdktf.App], None], folder: Path) -> dict[str, Template]:
    """All stacks that `build` adds to an app, synthesized to `folder` as by `cdktf synth`."""
    app = _app(folder)
    build(app)
    app.synth()
    return _templates(folder)


def _app(folder: Path) -> cdktf.App:
    return cdktf.Testing.app(outdir=str(folder), stub_version=True, stack_traces=False)


def _templates(folder: Path) -> dict[str, Template]:
    stacks = json.loads((folder / "manifest.json").read_text())["stacks"]
    return {name: Template((folder / stack["synthesizedStackPath"]).read_text()) for name, stack in stacks.items()}


def every_stack(settings: tuple[Owner, Sequence[Region]], folder: Path) -> dict[str, Template]:
    """All stacks of `settings`, synthesized to `folder` as by `main.py`."""
    folder.mkdir(exist_ok=True)
    main.synthesize(_app(folder), *settings)
    return _templates(folder)


def one_stack(build: Callable[[cdktf.TerraformStack], object]) -> Template:
    """A separate stack with the resources that `build` adds."""

    def add(app: cdktf.App) -> None:
        stack = cdktf.TerraformStack(app, "test")
        AwsProvider(stack, "aws", region="ap-northeast-2")
        build(stack)

    with tempfile.TemporaryDirectory() as folder:
        return synthesize(add, Path(folder))["test"]
