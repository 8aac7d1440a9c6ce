"""docs/settings.md: it is up to date, and describes every field of every class of the settings."""

from collections.abc import Iterator
from ipaddress import IPv4Network
from typing import Annotated, Literal

import pytest
from pydantic import Field, StrictBool

from eks_gitops.config import Cidr, Config, Count, LogRetentionDays, matching
from scripts import settings_docs
from stacks.settings import Owner, Region
from tests import ROOT

CLASSES = {kind for top in settings_docs.FILES.values() for kind in settings_docs.classes(top)}
FIELDS = [(kind, name) for kind in sorted(CLASSES, key=str) for name in kind.model_fields]


def test_the_page_is_what_the_generator_writes() -> None:
    written = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    assert written == settings_docs.page(), "run `make settings-docs`"


@pytest.mark.parametrize(("kind", "field"), FIELDS, ids=lambda value: getattr(value, "__name__", value))
def test_every_field_has_a_description(kind: type[Config], field: str) -> None:
    assert settings_docs.descriptions(kind).get(field, "").endswith(".")


def test_every_class_has_one_section() -> None:
    headings = [line for line in settings_docs.page().splitlines() if line.startswith("### ")]
    assert sorted(headings) == sorted(f"### {kind.__name__}" for kind in CLASSES)


def _used(value: object) -> Iterator[type[Config]]:
    if isinstance(value, Config):
        yield type(value)
        for field in vars(value).values():
            yield from _used(field)
    elif isinstance(value, tuple):
        for item in value:
            yield from _used(item)


def test_every_class_in_the_settings_is_described(committed: tuple[Owner, list[Region]]) -> None:
    owner, regions = committed
    settings = [environment.settings for region in regions for environment in region.environments]
    used = set(_used((owner, *[region.shared for region in regions], *settings)))
    assert used
    assert used <= CLASSES


Name = Annotated[str, matching("[a-z]+", "write <name> in *lower* case, as `a_b`")]


class _Inner(Config):
    many: LogRetentionDays


class _Example(Config):
    """An example."""

    name: Name
    """The name."""
    size: int = Field(strict=True, default=3, ge=1, le=5)
    """The size,
    on two lines."""
    counts: tuple[Count, ...] = ()
    inner: _Inner = _Inner(many=1)
    kind: Literal["a", "b"] | None = None
    other: dict[str, Name] | Literal[""] = ""
    network: Cidr = IPv4Network("10.0.0.0/8")
    enabled: StrictBool = False


@pytest.mark.parametrize(
    ("field", "words", "limits"),
    [
        ("name", "text", [r"write \<name\> in \*lower\* case, as `a_b`"]),
        ("size", "integer", ["1 to 5"]),
        ("counts", "list of integer", ["1 or more"]),
        ("inner", "[_Inner](#_inner)", []),
        ("kind", 'one of `"a"`, `"b"` or `None`', []),
        ("other", 'dictionary of text to text or `""`', [r"write \<name\> in \*lower\* case, as `a_b`"]),
        ("network", "IPv4 network", []),
        ("enabled", "`True` or `False`", []),
    ],
)
def test_types_and_limits_are_in_words(field: str, words: str, limits: list[str]) -> None:
    declared = _Example.model_fields[field]
    assert settings_docs.type_in_words(declared.annotation) == words
    assert settings_docs.limits(declared.annotation, declared.metadata) == limits


def test_descriptions_are_the_strings_below_the_fields() -> None:
    assert settings_docs.descriptions(_Example) == {"name": "The name.", "size": "The size, on two lines."}


def test_nested_classes_follow_the_order_of_the_fields() -> None:
    assert settings_docs.classes(_Example) == [_Example, _Inner]
