"""The command: which checks it runs, its report, and the settings file that it writes."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from operations.errors import OperationError
from operations.output.report import Report
from operations.preflight import offers
from operations.preflight.check import Line
from operations.terraform.stacks import KubernetesVersion, Platform, Region, Stack
from operations.upgrade import cluster, in_cluster, repository, upgrade
from tests.stacks import REGION, make_further_stack, make_stack

SETTINGS = 'X = EnvironmentSettings(cluster=ClusterConfig(version="1.35"), addons={"versions": {"coredns": "v1"}})\n'
NAMES = ("dev", "staging")


class Eks:
    """An EKS whose clusters run these versions, by environment."""

    def __init__(self, versions: dict[str, str]) -> None:
        self._versions = versions

    def describe_cluster(self, name: str) -> dict[str, Any]:
        version = self._versions[name.removeprefix("gitops-cluster-")]
        return {"cluster": {"version": version, "status": "ACTIVE", "endpoint": "https://dev"}}


class Session:
    def __init__(self, eks: Eks) -> None:
        self._eks = eks

    def client(self, _: str) -> Eks:
        return self._eks


class World:
    """A repository with two environments, whose stacks are deployed with Kubernetes 1.35."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self._monkeypatch = monkeypatch
        self.running = dict.fromkeys(NAMES, "1.35")
        self.platform = self.make_platform(REGION)
        monkeypatch.setattr(Stack, "aws_session", lambda _: Session(Eks(self.running)))
        for module, names in (
            (repository, ("known_version", "removed", "charts", "releases")),
            (cluster, ("insights", "node_groups", "addons")),
            (in_cluster, ("checks",)),
        ):
            for name in names:
                monkeypatch.setattr(module, name, lambda *_, name=name: [Line(name, "passed", "")])
        monkeypatch.setattr(offers, "supported", lambda *_: Line("supported", "passed", ""))

    def make_platform(self, *regions: str) -> Platform:
        stacks: list[Stack] = []
        for region in regions:
            for name in NAMES:
                for kind in ("environment", "in-cluster"):
                    directory = self.root / region / name / kind
                    directory.mkdir(parents=True, exist_ok=True)
                    resource = {"aws_eks_cluster": {"c": {"version": "1.35"}}, "aws_vpc": {"v": {}}}
                    configuration = {"terraform": {"backend": {"s3": {}}}, "resource": resource}
                    (directory / "cdk.tf.json").write_text(json.dumps(configuration))
                    stacks.append(make_stack(name, directory, kind=kind, region=region))
                settings = self.root / stacks[-1].settings_file
                settings.parent.mkdir(parents=True, exist_ok=True)
                settings.write_text(SETTINGS)
        described = [Region(region, "shared.py", list(NAMES), "push-") for region in regions]
        versions = {"1.36": KubernetesVersion("2027-08-02", {"coredns": "v2"})}
        return Platform(described, stacks, [], versions)

    def upgrade(self, environment: str = "dev", version: str = "1.36", *, write: bool = False) -> Report:
        return upgrade.upgrade(self.platform, environment, version, self.root, write=write)

    def settings(self, environment: str = "dev") -> str:
        return (self.root / "stacks" / REGION.replace("-", "_") / f"{environment}.py").read_text()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def _failed(report: Report) -> dict[str, str]:
    return {line["subject"]: line["message"] for line in report.data["checks"] if line["outcome"] == "failed"}


def test_runs_every_check_and_shows_the_change(world: World) -> None:
    report = world.upgrade()
    assert report.title == "gitops-cluster-dev: Kubernetes 1.35 -> 1.36: 0 failed, 0 warnings, 10 passed"
    subjects = [line["subject"] for line in report.data["checks"]]
    assert sorted(subjects) == [
        "addons", "charts", "checks", "cluster gitops-cluster-dev", "insights", "known_version", "node_groups",
        "releases", "removed", "supported",
    ]  # fmt: skip
    assert '-X = EnvironmentSettings(cluster=ClusterConfig(version="1.35")' in report.data["diff"]
    assert '+X = EnvironmentSettings(cluster=ClusterConfig(version="1.36")' in report.data["diff"]
    assert report.tables[1].rows[0][1] == "control plane"
    assert int(report.status) == 0
    assert report.notes == ["nothing was written: run it again with WRITE=1, or apply the change above"]
    assert world.settings() == SETTINGS


def test_writes_the_version_and_the_tested_add_ons_that_are_pinned(world: World) -> None:
    report = world.upgrade(write=True)
    assert 'version="1.36"' in world.settings()
    assert '"coredns": "v2"' in world.settings()
    assert report.notes == [f"stacks/ap_northeast_2/dev.py was written: make plan STACK={REGION}-dev"]
    again = world.upgrade(write=True)
    assert again.data["diff"] == ""
    assert len(again.tables) == 2
    assert again.notes == [f"stacks/ap_northeast_2/dev.py has the version already: make plan STACK={REGION}-dev"]


def test_writes_nothing_after_a_failed_check(world: World) -> None:
    report = world.upgrade(version="1.37", write=True)
    assert "EKS changes one minor version at a time" in _failed(report)["cluster gitops-cluster-dev"]
    assert world.settings() == SETTINGS
    assert int(report.status) == 1
    assert report.notes == ["nothing was written: correct what failed, and run it again"]


def test_an_environment_follows_those_that_are_promoted_first(world: World) -> None:
    failed = [line for line in world.upgrade("staging").data["checks"] if line["outcome"] == "failed"]
    assert {line["subject"] for line in failed} == {"environment dev"}
    assert [line["message"].partition(";")[0] for line in failed] == [
        "has 1.35, and is promoted first", "runs 1.35, and is promoted first",
    ]  # fmt: skip
    assert f"make upgrade ENVIRONMENT={REGION}-dev VERSION=1.36" in failed[1]["message"]
    world.running["dev"] = "1.36"
    failed = [line for line in world.upgrade("staging").data["checks"] if line["outcome"] == "failed"]
    assert [line["message"].partition(";")[0] for line in failed] == ["has 1.35, and is promoted first"]


def test_the_way_back_has_another_order_and_no_check_of_earlier_environments(world: World) -> None:
    report = world.upgrade("staging", "1.34")
    assert _failed(report) == {}
    assert [row[1] for row in report.tables[1].rows] == ["node groups", "add-ons", "control plane"]
    assert int(report.status) == 2  # the conditions of EKS
    assert "insights" in {line["subject"] for line in report.data["checks"]}
    assert "within 7 days" in report.tables[0].rows[0][2]


def test_a_version_that_runs_already_needs_no_insights(world: World) -> None:
    subjects = {line["subject"] for line in world.upgrade(version="1.35").data["checks"]}
    assert not subjects & {"insights", "node_groups"}


def test_without_credentials_the_other_checks_still_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_session(_: Stack) -> Session:
        raise OperationError("no credentials")

    monkeypatch.setattr(Stack, "aws_session", no_session)
    report = world.upgrade()
    assert list(_failed(report)) == ["cluster gitops-cluster-dev"]
    assert "no credentials; sign in" in _failed(report)["cluster gitops-cluster-dev"]
    assert "removed" in {line["subject"] for line in report.data["checks"]}


def test_a_region_is_chosen_by_the_name_of_the_stack(world: World) -> None:
    world.platform = world.make_platform(REGION, "eu-central-1")
    with pytest.raises(OperationError, match=r"dev: exists in several regions; choose one of ap-.*-dev, eu-.*-dev"):
        world.upgrade()
    assert "b/stacks/eu_central_1/dev.py" in world.upgrade("eu-central-1-dev").data["diff"]
    with pytest.raises(OperationError, match="test: no such environment; choose one of"):
        world.upgrade("test")


def test_a_version_that_is_none_is_an_error(world: World) -> None:
    with pytest.raises(OperationError, match="version: 'newest': not a Kubernetes version"):
        world.upgrade(version="newest")


def test_a_further_cluster_is_not_upgraded_in_place(world: World) -> None:
    stacks = [*world.platform.stacks, make_further_stack(world.root)]
    platform = replace(world.platform, stacks=stacks)
    message = (
        r"^dev-blue: a further cluster, which is not upgraded in place; add another one with the new version "
        r"\(docs/fleet\.md\)$"
    )
    with pytest.raises(OperationError, match=message):
        upgrade.upgrade(platform, "dev-blue", "1.36", world.root, write=False)
    assert upgrade.upgrade(platform, "dev", "1.36", world.root, write=False).data["change"]["running"] == "1.35"
