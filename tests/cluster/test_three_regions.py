"""A platform of three regions with four environments each, which the commands for regions and environments make.

The regions have other networks and zones. One has environments of other names and no databases, another one has
Karpenter. Every check of this repository that looks at its own settings and Git tree holds on the copy.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stacks.settings import Owner, Region
from tests import ROOT

_REGIONS = {
    "ap-northeast-2": ("dev", "staging", "qa", "prod"),
    "us-west-2": ("dev", "staging", "qa", "prod"),
    "eu-west-1": ("edev", "eqa", "estaging", "eprod"),
}
_COMMANDS = (
    ("environment", "qa", "--like", "staging"),
    ("region", "us-west-2", "--like", "ap-northeast-2", "--cidr", "10.1.0.0/16"),
    ("region", "eu-west-1", "--like", "us-west-2", "--cidr", "10.2.0.0/16"),
    *(
        command
        for old in ("dev", "qa", "staging", "prod")
        for command in (
            ("environment", f"e{old}", "--like", old, "--region", "eu-west-1"),
            ("environment", old, "--remove", "--region", "eu-west-1"),
        )
    ),
    ("region", "us-east-1", "--like", "us-west-2", "--cidr", "10.3.0.0/16"),
    ("region", "us-east-1", "--remove"),
)


class Copy:
    """A copy of this repository, in which commands and tests run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            cwd=ROOT, check=True, capture_output=True, text=True,
        )  # fmt: skip
        for name in filter(None, listed.stdout.split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        (folder / "node_modules").symlink_to(ROOT / "node_modules")
        subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)

    def run(self, *arguments: str) -> str:
        """What a Python module prints, which must succeed."""
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (self.folder, self.folder / "constructs")))},
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{arguments}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
        return done.stdout + done.stderr

    def synthesize(self) -> str:
        return self.run("operations.terraform.synthesis")

    def replace(self, file: str, pattern: str, new: str) -> None:
        """Replace what matches a pattern in a file; something must."""
        text, number = re.subn(pattern, new, (self.folder / file).read_text(), flags=re.DOTALL | re.MULTILINE)
        assert number, f"{file}: no {pattern}"
        (self.folder / file).write_text(text)


@pytest.fixture(scope="module")
def made(
    own: tuple[Owner, list[Region]], committed: tuple[Owner, list[Region]], tmp_path_factory: pytest.TempPathFactory
) -> Copy:
    """The platform of three regions, which is made from the example."""
    if own != committed:
        pytest.skip("stacks/ has the settings of an owner, not the example")
    made = Copy(tmp_path_factory.mktemp("regions"))
    for command in _COMMANDS:
        made.synthesize()
        made.run("operations", *command)
    for environment in _REGIONS["eu-west-1"]:
        made.replace(f"stacks/eu_west_1/{environment}.py", r"^    databases=\(\n.*?^    \),\n", "    databases=(),\n")
        shutil.rmtree(made.folder / "service/bubblepool/overlays" / environment)  # it has a database
    production = made.folder / "service/guestbook/overlays/eprod"  # it has one in production alone
    shutil.rmtree(production)
    shutil.copytree(production.with_name("edev"), production)
    for path in production.iterdir():
        path.write_text(path.read_text().replace("edev", "eprod"))
    for environment in _REGIONS["us-west-2"]:
        file = f"stacks/us_west_2/{environment}.py"
        made.replace(file, r"^from eks_gitops.node_group", "from eks_gitops.karpenter import KarpenterConfig\n\\g<0>")
        made.replace(file, r"^    file_system=", "    karpenter=KarpenterConfig(max_nodes=10),\n\\g<0>")
    return made


def test_every_stack_is_synthesized_without_a_warning_but_placeholders(made: Copy) -> None:
    printed = made.synthesize()
    listed = re.findall(r"^(\S+) +\d+ resources?", printed, re.MULTILINE)
    assert sorted(listed) == sorted(
        [f"{region}-{name}" for region in _REGIONS for name in ("backend", "shared")]
        + [f"{region}-{name}{part}" for region, names in _REGIONS.items() for name in names for part in ("", "-gitops")]
    )
    warnings = re.findall(r"^(?:warning: .*)$", printed, re.MULTILINE)
    assert [warning.partition("; ")[0] for warning in warnings] == [
        "warning: ap-northeast-2-backend: placeholders remain in the settings"
    ]


def test_the_workflows_deploy_every_environment(made: Copy) -> None:
    assert " passed" in made.run("pytest", "-q", "-p", "no:cacheprovider", "tests/workflows")


def test_every_rule_of_the_git_tree_holds(made: Copy) -> None:
    """Without the broken manifests, which do not depend on the regions."""
    files = [f"tests/gitops/test_{name}.py" for name in ("contract", "rules", "services")]
    assert " passed" in made.run("pytest", "-q", "-p", "no:cacheprovider", *files)
    chosen = "argo_cd_accepts_what_it_renders or what_applications_deploy or only_charts or application_sets_read_keys"
    printed = made.run("pytest", "-q", "-p", "no:cacheprovider", "tests/gitops/test_manifests.py", "-k", chosen)
    assert re.search(r"\b4 passed", printed), printed[-3000:]


@pytest.mark.timeout(3600)
def test_an_argo_cd_syncs_two_of_its_clusters(made: Copy) -> None:
    chosen = "test_another_environment_is_synced and (eqa or eprod)"
    printed = made.run("pytest", "-q", "-p", "no:cacheprovider", "tests/cluster/test_git_tree.py", "-k", chosen)
    assert re.search(r"\b2 passed", printed), printed[-3000:]
