"""The wheel of `eks_gitops`, which a release has: its content, its version, and that it is built the same again."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from zipfile import ZipFile

import pytest

from operations.repository import release
from tests import ROOT
from tests.unit.test_repository import imported

pytestmark = pytest.mark.slow

PYPROJECT = tomllib.loads((ROOT / "constructs/pyproject.toml").read_text())
PIPFILE = tomllib.loads((ROOT / "Pipfile").read_text())
_BROUGHT = {"pydantic_core", "typeguard"}
"""What pydantic and jsii need themselves."""
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")


def _build(folder: Path) -> Path:
    """Build the wheel as `make wheel` does, from a copy of the sources, without anything that is not tracked."""
    listed = subprocess.run(["git", "ls-files", "constructs", "LICENSE"], cwd=ROOT, check=True, capture_output=True)
    for name in listed.stdout.decode().splitlines():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", folder / "dist")
    subprocess.run([*PIP, "wheel", *options, folder / "constructs"], check=True, capture_output=True)
    (wheel,) = (folder / "dist").iterdir()
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _build(tmp_path_factory.mktemp("wheel"))


def _metadata(wheel: Path) -> Message:
    with ZipFile(wheel) as archive:
        (name,) = (one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        return message_from_bytes(archive.read(name))


def test_the_wheel_has_the_version_of_the_release(wheel: Path) -> None:
    named = release.version(ROOT)
    assert wheel.name == f"eks_gitops-{named}-py3-none-any.whl"
    assert _metadata(wheel)["Version"] == named
    run = subprocess.run(
        [sys.executable, "-m", "operations", "--version"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert run.stdout == f"{named}\n"


def test_the_wheel_has_every_file_of_the_package_and_the_licence(wheel: Path) -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT / "constructs", check=True, capture_output=True, text=True)
    with ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == {name for name in listed.stdout.split() if name.startswith("eks_gitops/")} | {"eks_gitops/LICENSE"}
    assert {"eks_gitops/py.typed", "eks_gitops/aws_data.json", "eks_gitops/_lazy_providers.cjs"} <= names


def test_the_wheel_is_built_the_same_again(wheel: Path, tmp_path: Path) -> None:
    assert _build(tmp_path).read_bytes() == wheel.read_bytes()


def test_the_package_is_imported_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    """Elsewhere, and without this repository: `constructs` is the library, not its folder here."""
    target = tmp_path / "target"
    subprocess.run([*PIP, "install", "--quiet", "--no-deps", "--target", target, wheel], check=True)
    script = """
import json, constructs, eks_gitops
from eks_gitops import aws_data, vpc
files = [module.__file__ for module in (eks_gitops, vpc, constructs)]
print(json.dumps([*files, aws_data.region("us-west-2").partition]))
"""
    environment = {**os.environ, "PYTHONPATH": str(target)}
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
    )
    package, module, library, partition = json.loads(run.stdout)
    assert all(Path(file).is_relative_to(target) for file in (package, module))
    assert not Path(library).is_relative_to(ROOT / "constructs")
    assert partition == "aws"


def test_the_packages_that_the_wheel_needs_are_those_of_the_pipfile(wheel: Path) -> None:
    needed = set(PYPROJECT["project"]["dependencies"])
    assert set(_metadata(wheel).get_all("Requires-Dist", [])) == needed
    assert needed <= {f"{name}{version}" for name, version in PIPFILE["packages"].items() if isinstance(version, str)}
    packages = {one.partition("=")[0].replace("-", "_") for one in needed}
    third_party = {
        name
        for path in (ROOT / "constructs/eks_gitops").rglob("*.py")
        for name in imported(path)
        if name not in {*sys.stdlib_module_names, "eks_gitops", *_BROUGHT}
    }
    assert third_party <= packages


def test_the_backend_that_builds_the_wheel_is_the_locked_one() -> None:
    assert PYPROJECT["build-system"]["requires"] == [f"hatchling{PIPFILE['dev-packages']['hatchling']}"]
