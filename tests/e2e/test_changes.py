"""A sample of `docs/changes.md`, planned again from the deployed region. `make changes` plans all of them."""

import pytest

from tests.changes.cases import CHANGES, Edit, SettingsChange
from tests.changes.make import PAGE, row
from tests.changes.region import Planner
from tests.e2e.region import NEWER, OLDER, Region

pytestmark = pytest.mark.e2e

_SAMPLE = {
    "ClusterConfig.name: replace",
    "DatabaseConfig.allocated_storage_gib: raise",
    "EcrRepositoryConfig.existing: set",
    "NodeGroupConfig.ami_type: replace",
    "NodeGroupConfig.desired_size: raise",
    "SharedSettings.image_repositories: remove",
    "VpcConfig.zones: add",
}


@pytest.fixture(scope="module")
def planner(tmp_path_factory: pytest.TempPathFactory, deployed: Region) -> Planner:  # noqa: ARG001 (its states)
    older = [Edit(name, f'version="{NEWER}"', f'version="{OLDER}"') for name in ("dev", "staging", "prod")]
    return Planner(tmp_path_factory.mktemp("planner"), older)


@pytest.mark.parametrize(
    "change", [change for change in CHANGES if change.name in _SAMPLE], ids=lambda change: change.name
)
def test_a_change_does_what_the_page_says(change: SettingsChange, planner: Planner, region: Region) -> None:  # noqa: ARG001
    assert row(change, planner.outcome(change)) in PAGE.read_text(encoding="utf-8").splitlines()
