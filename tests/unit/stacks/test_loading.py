"""Errors of the loader for edited copies of the committed settings. `tests/settings` contains the cases."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from stacks.loading import SettingsError
from tests import ROOT
from tests.edited_settings import EditedSettings

_FOLDER = ROOT / "tests" / "settings"


def _cases(*files: Path) -> list[Any]:
    return [
        pytest.param(case, id=f"{file.stem}/{name}")
        for file in files
        for name, case in tomllib.loads(file.read_text()).items()
    ]


def _edit(settings: EditedSettings, case: dict[str, Any]) -> None:
    for network, folder in enumerate(case.get("regions", []), start=1):
        settings.add_region(folder, network=network)
    for old, new in case.get("rename", []):
        settings.rename(old, new)
    for file, old, new in case["edits"]:
        settings.replace(file, old, new)


@pytest.mark.parametrize("case", _cases(*sorted(_FOLDER.glob("rejected/*.toml"))))
def test_rejects(edited: EditedSettings, case: dict[str, Any]) -> None:
    _edit(edited, case)
    with pytest.raises(SettingsError) as raised:
        edited.load()
    assert str(raised.value).splitlines() == case["errors"]


@pytest.mark.parametrize("case", _cases(*sorted(_FOLDER.glob("accepted*.toml"))))
def test_accepts(edited: EditedSettings, case: dict[str, Any]) -> None:
    _edit(edited, case)
    edited.load()
