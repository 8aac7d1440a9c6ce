"""Errors of the loader for edited copies of the example settings. `tests/settings` contains the cases.

The cases do not contain the lines of the errors, which change with every edit of the example settings.
"""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from stacks.lines import line_of
from stacks.loading import SettingsError, load
from tests import ROOT
from tests.edited_settings import EditedSettings

_FOLDER = ROOT / "tests" / "settings"
_LINE = re.compile(r"^([\w/]+\.py):\d+:")
"""The file and the line at the start of an error."""


def _cases(*files: Path) -> list[Any]:
    return [
        pytest.param(case, id=f"{file.stem}/{name}")
        for file in files
        for name, case in tomllib.loads(file.read_text()).items()
    ]


def _edit(settings: EditedSettings, case: dict[str, Any]) -> None:
    for network, folder in enumerate(case.get("regions", []), start=1):
        settings.add_region(folder, network=network)
    if case.get("existing_vpc"):
        settings.use_existing_vpc()
    if case.get("further_cluster"):
        settings.add_further_cluster()
    for old, new in case.get("rename", []):
        settings.rename(old, new)
    for file, old, new in case["edits"]:
        settings.replace(file, old, new)


@pytest.mark.parametrize("case", _cases(*sorted(_FOLDER.glob("rejected/*.toml"))))
def test_rejects(edited: EditedSettings, case: dict[str, Any]) -> None:
    _edit(edited, case)
    with pytest.raises(SettingsError) as raised:
        edited.load()
    assert [_LINE.sub(r"\1:", error) for error in str(raised.value).splitlines()] == case["errors"]


@pytest.mark.parametrize("case", _cases(*sorted(_FOLDER.glob("accepted*.toml"))))
def test_accepts(edited: EditedSettings, case: dict[str, Any]) -> None:
    _edit(edited, case)
    edited.load()


@pytest.mark.parametrize(
    "case",
    [
        ("dev.py", "desired_size=3", "desired_size=30", "node_groups[0].desired_size", "desired_size=30"),
        ("dev.py", '"t3.medium"', '"t3.medium",\n                "t3.mega"', "instance_types[1]", '"t3.mega"'),
        ("dev.py", 'version="1.36"', '# a comment\n        versio="1.36"', "cluster.versio:", "versio="),
        ("dev.py", "databases=(", "databases=DatabaseConfig(name='a'), further=(", "databases", "databases=D"),
        ("dev.py", "max_size=10", 'labels={"a": "x", "b": 1}, max_size=10', "labels.b", 'labels={"a"'),
        ("dev.py", 'name="main"', "nam=main", "NameError", "nam=main"),
        ("__init__.py", '"staging"', '"s_g"', "ENVIRONMENTS[1]", "ENVIRONMENTS = ("),
        ("shared.py", "10.0.2.0/24", "10.0.2.1/24", "vpc.zones[1].public", "10.0.2.1/24"),
    ],
)
def test_an_error_names_the_line_of_the_field(edited: EditedSettings, case: tuple[str, str, str, str, str]) -> None:
    file, old, new, error, text = case
    edited.replace(f"ap_northeast_2/{file}", old, new)
    with pytest.raises(SettingsError) as raised:
        edited.load()
    path, line, _ = next(found for found in str(raised.value).splitlines() if error in found).split(":", maxsplit=2)
    assert text in (edited.root / path).read_text().splitlines()[int(line) - 1]


def test_a_field_that_is_not_in_the_file_has_the_line_of_what_contains_it(tmp_path: Path) -> None:
    file = tmp_path / "dev.py"
    file.write_text("import os\nsize = 3\nDEV = Settings(\n    cluster=make(size),\n    groups=groups,\n)\n")
    assert line_of(file, "cluster.version") == 4
    assert line_of(file, "groups[0].name") == 5
    assert line_of(file, "backup") == 3
    assert line_of(file, "size") == 2
    assert line_of(tmp_path / "none.py", "backup") is None
    assert line_of(ROOT / "tests" / "__init__.py", "backup") is None


_STRING = (
    "{file}:{line}: REGIONS: 'stacks.ap_northeast_2': a string, not a tuple of names; "
    'write ("stacks.ap_northeast_2",)'
)


@pytest.mark.parametrize(
    ("packages", "error"),
    [
        (
            (),
            '{file}:{line}: REGIONS: (): no region; add a package of settings, such as "stacks.ap_northeast_2"',
        ),
        (
            "stacks.ap_northeast_2",
            _STRING,
        ),
        (
            ("stacks.ap_northeast_2", "stacks.ap_northeast_2"),
            "{file}:{line}: REGIONS[1]: 'stacks.ap_northeast_2': duplicate; list each package once",
        ),
        (
            (1,),
            '{file}:{line}: REGIONS: (1,): not a tuple of strings; write one such as ("stacks.ap_northeast_2",)',
        ),
        (
            ("stacks.mars_1",),
            "stacks/mars_1.py: no such file; create the folder, or correct REGIONS in stacks/regions.py",
        ),
    ],
)
def test_the_list_of_regions_is_checked(packages: Any, error: str) -> None:
    lines = (ROOT / "stacks/regions.py").read_text().splitlines()
    line = next(number for number, text in enumerate(lines, start=1) if text.startswith("REGIONS"))
    with pytest.raises(SettingsError) as raised:
        load(packages)
    assert str(raised.value) == error.format(file="stacks/regions.py", line=line)
