"""The attributes in synthesized stacks."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

from tests.template import Json, Template

_META = {"//", "depends_on", "lifecycle", "provider", "provisioner"}
_MAPS = {"labels", "resource_tags", "tags"}
_REFERENCE = re.compile(
    r"\$\{(?:data\.terraform_remote_state\.cross-stack-reference-input-(?P<stack>.+?)\.outputs\.(?P<output>[\w-]+)"
    r"|(?P<data>data\.)?(?P<kind>aws_\w+)\.(?P<name>[\w-]+)\.(?P<attribute>[\w.\[\]]+))\}"
)


class Attribute(NamedTuple):
    """An attribute of a block in a stack. `value` is a bool, a number, a text, or the number of items of a list."""

    stack: str
    kind: str
    address: str
    path: str
    value: Any
    is_count: bool = False


class Computed(NamedTuple):
    """What a reference to an attribute that AWS computes stands for, by resource type.

    `same` is the argument that has the same value as the attribute; `example` is a value like those of AWS, in which
    the arguments of the resource may be inserted, as `arn:aws:sqs:ap-northeast-2:123456789012:{name}`.
    """

    same: Mapping[str, Mapping[str, str]]
    example: Mapping[str, Mapping[str, str]]


def attributes(stacks: Mapping[str, Template], computed: Computed) -> Iterator[Attribute]:
    """All attributes of the AWS provider and of the state's backend. References are replaced as far as possible."""
    for name, template in stacks.items():
        for kind, address, arguments in _blocks(template.json):
            for path, value in _leaves((), arguments):
                if isinstance(value, _Count):
                    yield Attribute(name, kind, address, path, int(value), is_count=True)
                else:
                    text = _Resolver(stacks, computed).text(name, value) if isinstance(value, str) else value
                    yield Attribute(name, kind, address, path, text)


class _Count(int):
    """The number of items of a list or map."""


def _blocks(stack: Json) -> Iterator[tuple[str, str, Json]]:
    tags: Json = {}
    for block in stack["provider"].get("aws", []):
        tags = block.get("default_tags", [{"tags": tags}])[0]["tags"]  # providers of other regions make no tags
        yield "provider.aws", "provider.aws", {key: value for key, value in block.items() if key != "default_tags"}
    for kind, arguments in stack["terraform"].get("backend", {}).items():
        yield f"backend.{kind}", f"backend.{kind}", arguments
    for section, prefix in (("resource", ""), ("data", "data."), ("ephemeral", "ephemeral.")):
        for kind, blocks in stack.get(section, {}).items():
            for name, arguments in blocks.items() if kind.startswith("aws_") else ():
                merged = {"tags": {**tags, **arguments.get("tags", {})}} if not prefix and _takes_tags(kind) else {}
                yield f"{prefix}{kind}", f"{prefix}{kind}.{name}", {**arguments, **merged}


@cache
def _takes_tags(kind: str) -> bool:
    """Whether resources of a type get the default tags of the provider, according to the provider's bindings."""
    module = import_module(f"cdktf_cdktf_provider_aws.{kind.removeprefix('aws_')}")
    return any(hasattr(binding, "tags_all") for binding in vars(module).values())


def _leaves(path: tuple[str, ...], block: Json) -> Iterator[tuple[str, Any]]:
    for name, value in block.items():
        if path or name not in _META:
            yield from _values((*path, name), value)


def _values(path: tuple[str, ...], value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, list):
        yield ".".join(path), _Count(len(value))
        for item in value:
            yield from _values(path, item)
    elif isinstance(value, dict) and path[-1] in _MAPS:
        yield ".".join(path), _Count(len(value))
        for key, item in value.items():
            yield ".".join((*path, "key")), key
            yield ".".join((*path, "value")), item
    elif isinstance(value, dict):
        yield from _leaves(path, value)
    elif value is not None:
        yield ".".join(path), value


class _Resolver(NamedTuple):
    """Replaces references by the values that the referenced resources are given, or by examples."""

    stacks: Mapping[str, Template]
    computed: Computed

    def text(self, stack: str, text: str) -> str:
        return _REFERENCE.sub(lambda reference: self._value(stack, reference), text)

    def _value(self, stack: str, reference: re.Match[str]) -> str:
        if reference["stack"]:
            producer = reference["stack"]
            value = self.stacks[producer].json["output"][reference["output"]]["value"]
            return self.text(producer, value) if isinstance(value, str) else reference[0]
        kind, attribute = reference["kind"], reference["attribute"]
        blocks = self.stacks[stack].json["data" if reference["data"] else "resource"][kind]
        known = {name: value for name, value in blocks[reference["name"]].items() if isinstance(value, str)}
        attribute = self.computed.same.get(kind, {}).get(attribute, attribute)
        if attribute in known:
            return self.text(stack, known[attribute])
        example = self.computed.example.get(kind, {}).get(attribute)
        return self.text(stack, example.format_map(known)) if example else reference[0]
