"""Fixtures: a region that is deployed by the usual commands, once per session."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import boto3
import pytest

from operations.local.emulator_process import Emulator
from operations.repository import settings_files
from operations.terraform.stacks import read_stacks
from tests.e2e.clone import clone_into, point_at, synthesize
from tests.e2e.region import OLDER, Calls, Region, operations


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the working tree, in which a test can change settings."""
    return clone_into(tmp_path_factory.mktemp("clone"))


@pytest.fixture(scope="session")
def calls(clone: Path) -> Calls:
    """The recorded calls to AWS."""
    record = clone / "calls.jsonl"
    record.touch()
    return Calls(record)


@pytest.fixture(scope="session")
def emulated_region(clone: Path, calls: Calls, aws_provider: None) -> Iterator[Mapping[str, str]]:  # noqa: ARG001
    """The emulated AWS of the region, as environment variables for programs that use it."""
    with Emulator(clone / "emulator.log", record=clone / "calls.jsonl") as emulator:
        yield emulator.environment


@pytest.fixture(scope="session")
def deployed(
    clone: Path, emulated_region: Mapping[str, str], calls: Calls, tmp_path_factory: pytest.TempPathFactory
) -> Region:
    """All AWS stacks of the region, deployed as in the README, with a Kubernetes version that can be upgraded.

    In-cluster stacks would need a running cluster.
    """
    if "PYTEST_XDIST_WORKER" in os.environ:  # a second process would deploy it again: its tests have lost their group
        (tmp_path_factory.getbasetemp().parent / "region").mkdir()
    for environment in ("dev", "staging", "prod"):
        settings = clone / f"stacks/ap_northeast_2/{environment}.py"
        settings.write_text(settings_files.with_versions(settings, OLDER, {}))
    with pytest.MonkeyPatch.context() as patch:
        point_at(patch, clone, emulated_region)
        output = clone / "cdktf.out"
        synthesize(output)
        operations("bootstrap")
        stacks = [stack for stack in read_stacks(output) if not stack.is_in_cluster]
        actions = {}
        calls.new()
        for environment, chosen in (("shared", stacks[:2]), ("dev", stacks)):
            operations("deploy", *[stack.name for stack in chosen], "--yes")
            actions[environment] = calls.new()
        return Region(stacks, actions)


@pytest.fixture
def aws(clone: Path, emulated_region: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> boto3.Session:
    """The emulated AWS, which this process and its child processes use during a test."""
    point_at(monkeypatch, clone, emulated_region)
    return boto3.Session()


@pytest.fixture
def region(deployed: Region, aws: boto3.Session) -> Region:  # noqa: ARG001 (sets the environment)
    """All AWS stacks of the region, deployed."""
    return deployed


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the tests of the deployed region run in one process, and those of any other file in one, too."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            uses_region = "clone" in getattr(item, "fixturenames", ()) and item.path.stem != "test_local"
            item.add_marker(pytest.mark.xdist_group("region" if uses_region else item.path.stem))
