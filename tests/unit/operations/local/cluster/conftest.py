"""Fake programs in place of those that Go would build."""

from pathlib import Path

import pytest

from operations.local.cluster import programs
from tests.unit.operations.local.cluster.fake_programs import FakePrograms


@pytest.fixture
def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePrograms:
    folder = tmp_path / "programs"
    folder.mkdir()
    fakes = FakePrograms(folder)
    monkeypatch.setattr(programs, "program", fakes.program)
    monkeypatch.setattr(programs, "files", fakes.files)
    return fakes
