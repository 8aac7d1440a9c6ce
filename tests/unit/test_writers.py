"""`.gitattributes`, which says who writes each file: it has all files, and what commands of the owner change."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from operations.components.creation import NewComponent, write_component
from operations.repository import environments, regions
from operations.repository.environments import NewEnvironment
from operations.repository.regions import NewRegion
from operations.services.scaffold import NewService, write_service
from stacks.owner import OWNER
from tests import ROOT
from tests.unit.operations.repository.test_environments import SEOUL, copy_of_repository

WRITERS = {"owner", "product", "both"}
NOT_YET_WRITTEN = {"drift-ignored.toml", "guard-overrides.toml"}
"""Files of an owner that the product does not have."""


def _lines() -> list[str]:
    text = (ROOT / ".gitattributes").read_text()
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def _tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [name for name in listed.split("\0") if name]


def _writers(names: list[str], folder: Path = ROOT) -> dict[str, str]:
    asked = subprocess.run(
        ["git", "check-attr", "-z", "--stdin", "writer"],
        cwd=folder,
        input="\0".join(names),
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    return dict(zip(asked[:-1:3], asked[2::3], strict=True))


def test_each_file_has_one_writer() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    known = WRITERS | {f"make-{target}" for target in targets}
    assert {name: writer for name, writer in _writers(_tracked()).items() if writer not in known} == {}


def test_each_line_of_the_list_decides_about_a_file(tmp_path: Path) -> None:
    """Otherwise a file was renamed without its line, or lines below it name the same files."""
    if OWNER.organisation != "your-org":
        pytest.skip("an owner may list files that were deleted")
    lines = _lines()
    assert all(re.fullmatch(r"\S+ writer=\S+", line) for line in lines)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    numbered = [line.replace("writer=", f"writer={number}-") for number, line in enumerate(lines)]
    (tmp_path / ".gitattributes").write_text("\n".join(numbered))
    deciding = {writer.partition("-")[0] for writer in _writers([*_tracked(), *NOT_YET_WRITTEN], tmp_path).values()}
    assert [line for number, line in enumerate(lines) if str(number) not in deciding] == []


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    copy_of_repository(tmp_path)
    shutil.copytree(ROOT / "management", tmp_path / "management", dirs_exist_ok=True)
    (tmp_path / "constructs/eks_gitops").mkdir(parents=True)
    shutil.copy(ROOT / "constructs/eks_gitops/aws_data.json", tmp_path / "constructs/eks_gitops")
    return tmp_path


def _changed_by_commands(tree: Path) -> Iterator[str]:
    """The files that the commands change with which an owner adds something."""
    written: list[str] = []
    write_service(tree, NewService(name="xylophone", team="percussion"), [SEOUL], written.append)
    component = NewComponent(name="celesta", chart="celesta", repository="https://charts.example.com", version="1.2.3")
    write_component(tree, component, written.append)
    yield from written
    new = NewEnvironment(name="quokka", like="staging", region=SEOUL.name)
    yield from map(str, environments.with_environment(tree, new, [SEOUL]))
    region = NewRegion(name="us-west-2", like=SEOUL.name, cidr="10.64.0.0/16")
    yield from map(str, regions.with_region(tree, region, [SEOUL]))


def test_what_the_commands_of_an_owner_change_does_not_belong_to_the_product(tree: Path) -> None:
    existing = [name for name in _changed_by_commands(tree) if (ROOT / name).exists()]
    assert {"stacks/regions.py", ".github/CODEOWNERS", ".github/workflows/deploy.yaml"} <= set(existing)
    assert {name for name, writer in _writers(existing).items() if writer == "product"} == set()
