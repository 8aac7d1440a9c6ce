"""The programs that render the tree."""

import os
from pathlib import Path

import pytest

from operations.cluster import programs
from operations.errors import OperationError


def _program(name: str) -> Path:
    """A program of `tests/cluster`, built from its Go module where it is not yet."""
    try:
        return programs.program(name)
    except OperationError as missing:
        give_up = pytest.fail if os.environ.get("INSIST_ON_CLUSTER") == "1" else pytest.skip
        give_up(str(missing))


@pytest.fixture(scope="session")
def kustomize() -> Path:
    return _program("kustomize")


@pytest.fixture(scope="session")
def helm() -> Path:
    return _program("helm")
