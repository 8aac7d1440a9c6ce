"""Fixtures for the unit tests."""

import pytest

from operations.terraform import program


@pytest.fixture(autouse=True)
def terraform(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that stand in for Terraform have its name, whatever the environment chooses."""
    monkeypatch.delenv(program.VARIABLE, raising=False)
