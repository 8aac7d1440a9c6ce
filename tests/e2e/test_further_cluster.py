"""A cluster beside the first one of an environment: it is deployed, planned without changes, and destroyed alone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from operations.local.emulator_process import Emulator
from tests.e2e.clone import clone_into, point_at, synthesize
from tests.e2e.region import operations, reported
from tests.e2e.tiny import client
from tests.edited_settings import with_further_cluster

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("aws_provider")]

_SHARED, _DEV, _BLUE = "ap-northeast-2-shared", "ap-northeast-2-dev", "ap-northeast-2-dev-blue"


class _Platform(NamedTuple):
    """A copy of this repository with one environment, whose further cluster is in the settings."""

    root: Path
    environment: dict[str, str]

    def client(self, service: str) -> Any:
        return client(service, self.environment)

    def write(self, text: str) -> None:
        """Write the settings of dev, and synthesize."""
        (self.root / "stacks/ap_northeast_2/dev.py").write_text(text)
        synthesize(self.root / "cdktf.out")


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, aws_provider: None) -> Iterator[_Platform]:  # noqa: ARG001
    root = clone_into(tmp_path_factory.mktemp("further"))
    with Emulator(root / "emulator.log") as emulator, pytest.MonkeyPatch.context() as patch:
        point_at(patch, root, emulator.environment)
        region = root / "stacks/ap_northeast_2/__init__.py"
        region.write_text(region.read_text().replace('("dev", "staging", "prod")', '("dev",)'))
        yield _Platform(root, dict(emulator.environment))


@pytest.mark.long
def test_a_further_cluster_is_deployed_planned_and_destroyed_alone(platform: _Platform) -> None:
    alone = (platform.root / "stacks/ap_northeast_2/dev.py").read_text()
    platform.write(with_further_cluster(alone))
    operations("bootstrap")
    operations("deploy", _SHARED, _DEV, _BLUE, "--yes")
    eks, ec2 = platform.client("eks"), platform.client("ec2")
    assert sorted(eks.list_clusters()["clusters"]) == ["gitops-cluster-dev", "gitops-cluster-dev-blue"]
    operations("plan", _SHARED, _DEV, _BLUE, "--all")  # fails if anything is left to do
    operations("drift", _SHARED, _DEV, _BLUE)  # fails if anything differs, or is in no state

    def admitted() -> dict[str, int]:
        """How many groups each group of the data in dev admits."""
        rules = ec2.describe_security_group_rules()["SecurityGroupRules"]
        groups = {one["GroupId"]: one["GroupName"] for one in ec2.describe_security_groups()["SecurityGroups"]}
        of_data = ("ap-northeast-2-dev-bubblepool-database", "ap-northeast-2-dev-efs")
        admit = [groups[rule["GroupId"]] for rule in rules if not rule["IsEgress"] and "ReferencedGroupInfo" in rule]
        return {name: admit.count(name) for name in of_data}

    assert set(admitted().values()) == {2}
    with pytest.raises(AssertionError, match=f"{_BLUE}: reads from {_DEV} and still has resources; also destroy it"):
        operations("destroy", _DEV, "--confirm", "dev")

    status, report = reported("destroy", _BLUE, "--confirm", "dev-blue")
    assert (status, report["stacks"][_BLUE]["outcome"]) == (0, "destroyed"), report
    assert report["left"] == {"dev-blue": []}
    assert eks.list_clusters()["clusters"] == ["gitops-cluster-dev"]
    assert set(admitted().values()) == {1}
    operations("plan", _SHARED, _DEV, "--all")

    platform.write(alone)
    operations("deploy", _SHARED, _DEV, "--yes")
    operations("plan", _SHARED, _DEV, "--all")
    operations("drift", _SHARED, _DEV)
