"""The copy of an owner, made of an older commit, is updated to the newest: it keeps its edits, and synthesizes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from operations.repository import release
from operations.services.scaffold import NewService, write_service
from operations.terraform.stacks import Region, read_stacks
from stacks.owner import OWNER
from tests import ROOT
from tests.product import commit, git, identify

OLDER = "c812b54781c5202df4fa0138bc7af9c372288f91"
"""A commit before the first release, with the settings that the newest one accepts."""
SEOUL = Region("ap-northeast-2", "stacks/ap_northeast_2/shared.py", ("dev", "staging", "prod"), "push-")
OWNED = ("stacks/owner.py", "stacks/ap_northeast_2", "service", ".github/CODEOWNERS")


class Rehearsal(NamedTuple):
    """The copy after its update, the commit before it, and the report."""

    folder: Path
    before: str
    report: dict[str, Any]


def _run(folder: Path, code: Path, *arguments: str) -> str:
    """Run a module in a folder, with the code of this repository or of the copy."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(code / "constructs"), str(code)]),
        "CDKTF_SKIP_PROVIDER_LOCK": "true",
    }
    run = subprocess.run(
        [sys.executable, "-P", "-m", *arguments],
        cwd=folder,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def _replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text, (file, old)
    file.write_text(text.replace(old, new, 1))


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository of the product, with this working tree as the release of its version."""
    if OWNER.organisation != "your-org":
        pytest.skip("stacks/ has the settings of an owner")
    if subprocess.run(["git", "cat-file", "-e", OLDER], cwd=ROOT, check=False, capture_output=True).returncode:
        pytest.skip("this clone has no history; fetch it: git fetch --unshallow")
    folder = tmp_path_factory.mktemp("product")
    bare = folder / "product.git"
    with pytest.MonkeyPatch.context() as patch:
        identify(patch)
        git(ROOT, "clone", "--quiet", "--bare", str(ROOT), str(bare))
        patch.setenv("GIT_INDEX_FILE", str(folder / "index"))
        git(ROOT, f"--git-dir={bare}", f"--work-tree={ROOT}", "add", "--all")
        tree = git(bare, "write-tree")
        newest = git(bare, "commit-tree", tree, "-p", "HEAD", "-m", "release")
        git(bare, "tag", "--force", f"v{release.version(ROOT)}", newest)
    return bare


@pytest.fixture(scope="module")
def updated(product: Path, tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    folder = tmp_path_factory.mktemp("owner") / "copy"
    with pytest.MonkeyPatch.context() as patch:
        identify(patch)
        git(product, "clone", "--quiet", "--no-tags", "--no-checkout", str(product), str(folder))
        git(folder, "switch", "--quiet", "--force-create", "main", OLDER)
        _replace(folder / "stacks/owner.py", '"your-org",  #', '"xylophone",  #')
        _replace(folder / "stacks/ap_northeast_2/dev.py", "desired_size=3", "desired_size=4")
        _replace(folder / "management/kyverno/values.yaml", "replicas: 2", "replicas: 4")
        git(folder, "rm", "-r", "--quiet", "service/hello")
        write_service(folder, NewService(name="celesta", team="percussion"), [SEOUL], lambda _: None)
        before = commit(folder, {})
        version = f"v{release.version(ROOT)}"
        printed = _run(folder, ROOT, "operations", "update", version, "--from", str(product), "--json")
    for installed in (".venv", "node_modules"):
        (folder / installed).symlink_to(ROOT / installed)
    return Rehearsal(folder, before, json.loads(printed))


def test_the_edits_of_the_owner_are_kept(updated: Rehearsal) -> None:
    assert git(updated.folder, "diff", "--name-only", updated.before, "HEAD", "--", *OWNED) == ""
    assert not (updated.folder / "service/hello").exists()
    assert "replicas: 4" in (updated.folder / "management/kyverno/values.yaml").read_text()
    assert (
        "policy.percussion.csv" in (updated.folder / "management/argo-cd/manifests/rbac/kustomization.yaml").read_text()
    )
    assert git(updated.folder, "status", "--porcelain", "--untracked-files=no") == ""


def test_everything_else_is_that_of_the_release(updated: Rehearsal) -> None:
    differing = git(updated.folder, "diff", "--name-only", "HEAD^2", "HEAD").splitlines()
    attributes = git(updated.folder, "check-attr", "writer", "--", *differing).splitlines()
    added = git(updated.folder, "diff", "--name-only", "--diff-filter=A", "HEAD^2", "HEAD").splitlines()
    of_the_product = {line.partition(": ")[0] for line in attributes if line.endswith(": product")}
    assert of_the_product - {*added} == set()


def test_the_report_has_the_migration_notes_and_what_changes(updated: Rehearsal) -> None:
    report = updated.report
    assert any("`REGIONS` is in `stacks/regions.py`" in entry["note"] for entry in report["migration"])
    fields = {entry["field"]: entry["change"] for entry in report["settings"]}
    assert fields["EnvironmentSettings.further_clusters"] == "new, `()` by default"
    assert report["folders"]["management/argo-cd"]
    assert "Pipfile.lock" in report["packages"]


def test_the_updated_copy_synthesizes_and_its_stacks_are_compared(updated: Rehearsal) -> None:
    _run(updated.folder, updated.folder, "operations.terraform.synthesis")
    stacks = {stack.name: stack for stack in read_stacks(updated.folder / "cdktf.out")}
    shared = stacks["ap-northeast-2-shared"].resources_of("aws_ecr_repository")
    assert "celesta" in {repository["name"] for repository in shared.values()}
    assert '"xylophone-' in json.dumps(stacks["ap-northeast-2-backend"].configuration)
    (group,) = stacks["ap-northeast-2-dev"].resources_of("aws_eks_node_group").values()
    assert group["scaling_config"]["desired_size"] == 4
    compared = json.loads(_run(updated.folder, updated.folder, "operations", "compare", "HEAD^1", "--json"))
    assert compared["stacks"]["ap-northeast-2-shared"]["difference"] == "changed"
