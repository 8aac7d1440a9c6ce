"""Validation of configs that are created directly, without the loader of the settings."""

import itertools
from collections.abc import Iterator
from ipaddress import IPv6Network
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

import stacks.settings  # noqa: F401  (imports all config classes)
from eks_gitops.config import Config, MissingFieldError, shape_errors, shown, without_validation
from eks_gitops.file_system import FileSystemConfig
from eks_gitops.node_group import NodeGroupConfig

VALUES: dict[str, Any] = {
    "name": "main",
    "instance_types": ("t3.medium",),
    "ami_type": "AL2023_x86_64_STANDARD",
    "capacity_type": "ON_DEMAND",
    "min_size": 1,
    "desired_size": 1,
    "max_size": 1,
}


def test_all_violated_rules_are_reported_at_once() -> None:
    with pytest.raises(ValidationError) as raised:
        NodeGroupConfig(**{**VALUES, "min_size": 3, "instance_types": ()})
    (error,) = raised.value.errors()
    assert error["msg"] == (
        "Value error, min_size: 3: above max_size, which is 1; lower it, or raise max_size; "
        "instance_types: '()': no instance type; add at least one, such as t3.medium"
    )


def test_rejects_an_unknown_field() -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        NodeGroupConfig(**{**VALUES, "spot": True})


def test_a_config_is_immutable() -> None:
    config = NodeGroupConfig(**VALUES)
    with pytest.raises(ValidationError, match="Instance is frozen"):
        setattr(config, "max_size", 2)  # noqa: B010 (mypy rejects the assignment)


def test_a_valid_config_has_no_shape_errors() -> None:
    assert shape_errors(NodeGroupConfig(**VALUES)) == []


def test_a_missing_field_and_an_unknown_attribute_raise_different_errors() -> None:
    config = without_validation(FileSystemConfig, {})
    assert config.access_points == ()
    with pytest.raises(MissingFieldError, match=r"^max_size$"):
        _ = without_validation(NodeGroupConfig, {}).max_size
    with pytest.raises(AttributeError, match="has no attribute 'maximum'") as error:
        getattr(without_validation(NodeGroupConfig, {}), "maximum")  # noqa: B009 (mypy rejects the attribute)
    assert not isinstance(error.value, MissingFieldError)


@pytest.mark.parametrize(
    "value", [itertools.count(), IPv6Network("::/0"), iter(["t3.medium"])], ids=["count", "network", "iterator"]
)
def test_only_a_sequence_is_read_into_a_tuple(value: object) -> None:
    with pytest.raises(ValidationError, match="not a tuple"):
        NodeGroupConfig(**{**VALUES, "instance_types": value})


def test_a_value_that_python_cannot_print_is_named_by_its_type() -> None:
    nested: list[object] = []
    for _ in range(100_000):  # Python 3.13 prints 5,000
        nested = [nested]
    assert shown(nested) == "list too large to show"
    assert shown(10**5000) == "int too large to show"


def _configs(kind: type[Config]) -> Iterator[type[Config]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _configs(below)


@pytest.mark.parametrize("kind", sorted(_configs(Config), key=str), ids=str)
def test_rejects_strings_for_booleans_and_numbers(kind: type[Config]) -> None:
    """The string "false" is true in Helm templates, so strings must not be coerced silently."""
    for field in kind.model_fields.values():
        if field.annotation not in (bool, int):
            continue
        with pytest.raises(ValidationError, match=r"valid (boolean|integer)"):
            TypeAdapter(field.rebuild_annotation()).validate_python("true" if field.annotation is bool else "30")
