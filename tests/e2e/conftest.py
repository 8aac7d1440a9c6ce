"""Fixtures: a region that is deployed by the usual commands, once per session.

It is deployed twice, in two test processes: tests that deploy changes of `dev`, one after the other, would keep the
others waiting, and need no other environment.
"""

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

_OF_DEV = {"test_databases", "test_node_groups", "test_region_zones"}
"""The files of tests that use a region of which only `shared` and `dev` are deployed."""


def _group(file: Path) -> str:
    return "region-of-dev" if file.stem in _OF_DEV else "region"


@pytest.fixture(scope="session")
def group(request: pytest.FixtureRequest) -> str:
    """The name of the region that a test uses: `region` or `region-of-dev`."""
    return str(request.param)


@pytest.fixture(scope="session")
def clone(group: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the working tree, in which a test can change settings."""
    if "PYTEST_XDIST_WORKER" in os.environ:  # a second process would deploy it again: its tests have lost their group
        (tmp_path_factory.getbasetemp().parent / group).mkdir()
    return clone_into(tmp_path_factory.mktemp(group))


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
def deployed(group: str, clone: Path, emulated_region: Mapping[str, str], calls: Calls) -> Region:
    """The AWS stacks of the region, deployed as in the README, with a Kubernetes version that can be upgraded.

    In-cluster stacks would need a running cluster.
    """
    for environment in ("dev", "staging", "prod"):
        settings = clone / f"stacks/ap_northeast_2/{environment}.py"
        settings.write_text(settings_files.with_versions(settings, OLDER, {}))
    with pytest.MonkeyPatch.context() as patch:
        point_at(patch, clone, emulated_region)
        output = clone / "cdktf.out"
        synthesize(output)
        operations("bootstrap")
        stacks = [stack for stack in read_stacks(output) if not stack.is_in_cluster]
        if group == "region-of-dev":
            stacks = [stack for stack in stacks if stack.environment not in {"staging", "prod"}]
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
    """The AWS stacks of the region, deployed."""
    return deployed


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each test its region."""
    if "group" in metafunc.fixturenames:
        metafunc.parametrize(
            "group", [_group(metafunc.definition.path)], indirect=True, scope="session", ids=[pytest.HIDDEN_PARAM]
        )


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the tests of a deployed region run in one process, and those of any other file in one, too."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            uses_region = "group" in getattr(item, "fixturenames", ())
            item.add_marker(pytest.mark.xdist_group(_group(item.path) if uses_region else item.path.stem))
