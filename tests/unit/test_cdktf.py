"""The order in which stacks are destroyed."""

from pathlib import Path

from operations.cdktf import _layers
from operations.synthesized import Stack


def _stack(name: str, *reads: str) -> Stack:
    return Stack(name, Path(), reads)


def test_no_stack_stands_beside_or_before_one_that_it_reads_from() -> None:
    shared, dev, prod = _stack("shared"), _stack("dev", "shared"), _stack("prod", "shared")
    inside = _stack("dev-gitops", "shared", "dev")
    assert _layers([inside, prod, dev, shared]) == [[shared], [dev, prod], [inside]]


def test_what_is_read_from_and_not_named_makes_no_layer() -> None:
    dev, prod = _stack("dev", "shared"), _stack("prod", "shared")
    assert _layers([dev, prod]) == [[dev, prod]]
