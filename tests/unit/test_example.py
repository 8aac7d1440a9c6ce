"""The example settings of the tests."""

from pathlib import Path

import pytest

from stacks import ap_northeast_2
from stacks.owner import OWNER
from stacks.regions import REGIONS
from tests import ROOT
from tests.edited_settings import EXAMPLE

FILES = sorted(path.relative_to(EXAMPLE) for path in EXAMPLE.rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=str)
def test_the_example_is_what_a_new_owner_finds(file: Path) -> None:
    """If it is an owner's, it has another organisation, or other regions or environments."""
    names = (OWNER.organisation, REGIONS, ap_northeast_2.ENVIRONMENTS)
    if names != ("your-org", ("stacks.ap_northeast_2",), ("dev", "staging", "prod")):
        pytest.skip("stacks/ has the settings of an owner")
    expected = (ROOT / file).read_text()
    assert (EXAMPLE / file).read_text() == expected, f"copy {file} to tests/example/{file}"
