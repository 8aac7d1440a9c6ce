"""Fixtures of an emulated AWS. A `conftest.py` imports them, so that the tests of its folder share one."""

from collections.abc import Iterator

import boto3
import pytest

from operations.local.emulator_process import Emulator


@pytest.fixture(scope="package")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with Emulator(tmp_path_factory.mktemp("emulator") / "log") as running:
        yield running


@pytest.fixture
def aws(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> boto3.Session:
    """A session on the emulated AWS, which the environment of the test points to."""
    for name, value in emulator.environment.items():
        monkeypatch.setenv(name, value)
    return boto3.Session()
