"""What every config does where settings are not loaded file by file, as in a test or a program of one's own."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

import stacks.settings  # noqa: F401  (every config there is)
from eks_gitops.config import Config, MissingFieldError, shape_errors, without_validation
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


def test_every_broken_rule_is_told_at_once() -> None:
    with pytest.raises(ValidationError) as refused:
        NodeGroupConfig(**{**VALUES, "min_size": 3, "instance_types": ()})
    (error,) = refused.value.errors()
    assert error["msg"] == (
        "Value error, desired_size: 1: below min_size; choose 3 or more; "
        "min_size: 3: above max_size; choose 1 or less; "
        "instance_types: '()': no instance type; add at least one, such as t3.medium"
    )


def test_rejects_an_unknown_field() -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        NodeGroupConfig(**{**VALUES, "spot": True})


def test_a_value_cannot_be_changed_afterwards() -> None:
    config = NodeGroupConfig(**VALUES)
    with pytest.raises(ValidationError, match="Instance is frozen"):
        setattr(config, "max_size", 2)  # noqa: B010 (mypy refuses the assignment)


def test_a_right_config_has_no_errors_of_shape() -> None:
    assert shape_errors(NodeGroupConfig(**VALUES)) == []


def test_a_field_that_is_not_known_is_told_apart_from_one_that_is_not_there() -> None:
    config = without_validation(FileSystemConfig, {})
    assert config.access_points == ()
    with pytest.raises(MissingFieldError, match=r"^max_size$"):
        _ = without_validation(NodeGroupConfig, {}).max_size
    with pytest.raises(AttributeError, match="has no attribute 'maximum'") as error:
        getattr(without_validation(NodeGroupConfig, {}), "maximum")  # noqa: B009 (mypy refuses the attribute)
    assert not isinstance(error.value, MissingFieldError)


def _configs(kind: type[Config]) -> Iterator[type[Config]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _configs(below)


@pytest.mark.parametrize("kind", sorted(_configs(Config), key=str), ids=str)
def test_text_that_reads_like_a_boolean_or_a_number_is_refused(kind: type[Config]) -> None:
    """Helm takes the string "false" for true; nothing here turns one into the other in silence."""
    for field in kind.model_fields.values():
        if field.annotation not in (bool, int):
            continue
        with pytest.raises(ValidationError, match=r"valid (boolean|integer)"):
            TypeAdapter(field.rebuild_annotation()).validate_python("true" if field.annotation is bool else "30")
