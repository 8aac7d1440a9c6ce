"""The region: deployed by the commands that people use, once a session."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import boto3
import pytest

from operations.local.emulator_process import Emulator
from operations.terraform.stacks import read_stacks, synthesize
from tests.e2e.clone import clone_into
from tests.e2e.region import Calls, Region, operations


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of the working tree, whose settings a test may change."""
    return clone_into(tmp_path_factory.mktemp("clone"))


@pytest.fixture(scope="session")
def calls(clone: Path) -> Calls:
    """What AWS was asked for."""
    record = clone / "calls.jsonl"
    record.touch()
    return Calls(record)


@pytest.fixture(scope="session")
def emulated_region(clone: Path, calls: Calls, aws_provider: None) -> Iterator[Mapping[str, str]]:  # noqa: ARG001
    """The emulated AWS of the region; the variables that point a program at it."""
    with Emulator(clone / "emulator.log", record=clone / "calls.jsonl") as emulator:
        yield emulator.environment


@pytest.fixture(scope="session")
def deployed(clone: Path, emulated_region: Mapping[str, str], calls: Calls) -> Region:
    """Every AWS stack of the region, deployed as the README says. What is in a cluster needs one that answers."""
    with pytest.MonkeyPatch.context() as patch:
        _point_at(patch, clone, emulated_region)
        output = clone / "cdktf.out"
        synthesize(output)
        operations("bootstrap")
        stacks = [stack for stack in read_stacks(output) if not stack.is_in_cluster]
        asked = {}
        calls.new()
        for environment, chosen in (("shared", stacks[:2]), ("dev", stacks)):
            operations("deploy", *[stack.name for stack in chosen], "--yes")
            asked[environment] = calls.new()
        return Region(stacks, asked)


@pytest.fixture
def aws(clone: Path, emulated_region: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> boto3.Session:
    """The emulated AWS, which this process and all that it starts are pointed at for the length of a test."""
    _point_at(monkeypatch, clone, emulated_region)
    return boto3.Session()


@pytest.fixture
def region(deployed: Region, aws: boto3.Session) -> Region:  # noqa: ARG001 (the environment points at it)
    """Every AWS stack of the region, deployed."""
    return deployed


def _point_at(patch: pytest.MonkeyPatch, folder: Path, environment: Mapping[str, str]) -> None:
    for name, value in environment.items():
        patch.setenv(name, value)
    patch.chdir(folder)
