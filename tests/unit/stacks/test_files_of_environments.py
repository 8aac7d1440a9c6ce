from pathlib import Path

import pytest

from stacks import files_of_environments
from stacks.settings import Owner, Region
from tests import ROOT

POLICY = "management/argo-cd/manifests/rbac/policy.bubble.csv"
WORKFLOW = ".github/workflows/deploy.yaml"


@pytest.fixture
def regions(committed: tuple[Owner, list[Region]]) -> list[Region]:
    """A region with the environments dev and live."""
    (region, *_) = committed[1]
    environment = region.environments[0]
    return [region._replace(environments=(environment._replace(name="dev"), environment._replace(name="live")))]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository that has everything for dev and live."""
    for name in ("dev", "live"):
        (tmp_path / "service/shop/overlays" / name).mkdir(parents=True)
    _write(
        tmp_path,
        POLICY,
        "p, role:a, applications, sync, bubble/*-dev, allow\np, role:b, logs, get, bubble/*-live, allow\n",
    )
    _write(
        tmp_path,
        WORKFLOW,
        "jobs:\n  dev:\n    a: b\n  dev-cluster:\n    a: b\n  live:\n    a: b\n  live-cluster:\n    a: b\n",
    )
    return tmp_path


def _write(root: Path, file: str, text: str) -> None:
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(text)


def _missing(root: Path, regions: list[Region]) -> list[tuple[str, str]]:
    return [(name, text) for _, name, text in files_of_environments.missing(root, regions)]


def test_the_repository_has_all_files_of_its_environments(own: tuple[Owner, list[Region]]) -> None:
    assert list(files_of_environments.missing(ROOT, own[1])) == []


def test_nothing_is_missing_where_each_environment_has_its_files(root: Path, regions: list[Region]) -> None:
    assert _missing(root, regions) == []


def test_nothing_is_missing_in_a_repository_with_stacks_alone(tmp_path: Path, regions: list[Region]) -> None:
    assert _missing(tmp_path, regions) == []


def test_what_an_environment_lacks_is_named_with_its_stack(root: Path, regions: list[Region]) -> None:
    environment = regions[0].environments[0]
    regions = [regions[0]._replace(environments=(*regions[0].environments, environment._replace(name="qa")))]
    assert list(files_of_environments.missing(root, regions)) == [
        (regions[0].name, "qa", text)
        for text in (
            ".github/workflows/deploy.yaml: has no job qa; copy that of another environment",
            ".github/workflows/deploy.yaml: has no job qa-cluster; copy that of another environment",
            "service: no service has an overlay qa; copy those of another environment",
            "management/argo-cd/manifests/rbac: no team may do anything in qa; add lines with */*-qa",
        )
    ]


def test_an_environment_of_several_regions_is_named_once(root: Path, regions: list[Region]) -> None:
    (root / WORKFLOW).write_text("jobs:\n  dev:\n    a: b\n  dev-cluster:\n    a: b\n  live:\n    a: b\n")
    both = [*regions, regions[0]._replace(name="us-west-2")]
    assert _missing(root, both) == [("live", f"{WORKFLOW}: has no job live-cluster; copy that of another environment")]


def test_a_longer_name_is_another_environment(root: Path, regions: list[Region]) -> None:
    _write(
        root,
        POLICY,
        "p, role:a, applications, sync, bubble/*-dev, allow\np, role:b, logs, get, bubble/*-live2, allow\n",
    )
    assert [name for name, _ in _missing(root, regions)] == ["live"]


def test_overlays_of_no_environment_are_named(root: Path, regions: list[Region]) -> None:
    for service in ("shop", "bank"):
        (root / "service" / service / "overlays/old").mkdir(parents=True)
    assert _missing(root, regions) == [
        ("shared", "service: overlays/old of bank, shop: no such environment; remove them")
    ]
