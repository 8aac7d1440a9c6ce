"""How tests of the tree fail: with a line for each problem, and nothing else."""

from collections.abc import Iterable, Mapping

import pytest


def fail_with(problems: Iterable[str]) -> None:
    """Fail if there are problems."""
    if lines := [*problems]:
        pytest.fail("\n".join(lines), pytrace=False)


def fail_with_entries(found: Mapping[str, Iterable[str]]) -> None:
    """Fail if there are problems of entries of the tree."""
    fail_with(f"{entry}: {line}" for entry, lines in found.items() for line in lines)
