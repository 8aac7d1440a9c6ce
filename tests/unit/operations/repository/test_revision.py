"""Synthesizing another revision, with its own code."""

import subprocess
from pathlib import Path

import pytest

from operations.deploy import plan
from operations.errors import OperationError
from operations.repository import revision
from operations.terraform.stacks import Stack, read_configurations
from tests.stacks import make_stack, write_output

# Like `main.py` of an older revision, which wrote no `platform.json`. It imports the constructs under the same name as
# the installed ones.
_MAIN = """
import json, os, pathlib
import eks_gitops, stacks
output = pathlib.Path(os.environ["CDKTF_OUTDIR"])
manifest = {}
for name, size in (stacks.STACKS | {"dev": eks_gitops.SIZE}).items():
    (output / "stacks" / name).mkdir(parents=True)
    document = {"//": {"path": str(output)}, "terraform": {"backend": {"s3": {}}}}
    document |= {"resource": {"aws_x": {"y": {"size": size, "//": size}}}}
    (output / "stacks" / name / "cdk.tf.json").write_text(json.dumps(document))
    manifest[name] = {"workingDirectory": f"stacks/{name}", "dependencies": []}
(output / "manifest.json").write_text(json.dumps({"stacks": manifest}))
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    _write(tmp_path, size=1)
    (tmp_path / "main.py").write_text(_MAIN)
    (tmp_path / "Pipfile.lock").write_text("1")
    (tmp_path / ".gitignore").write_text("cdktf.out")
    _git("init", "--quiet", "--initial-branch=main")
    _commit()
    return tmp_path


def _write(folder: Path, *, size: int, stacks: str = "{'shared': 1}") -> None:
    (folder / "constructs/eks_gitops").mkdir(parents=True, exist_ok=True)
    (folder / "constructs/eks_gitops/__init__.py").write_text(f"SIZE = {size}")
    (folder / "stacks").mkdir(exist_ok=True)
    (folder / "stacks/__init__.py").write_text(f"STACKS = {stacks}")


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def _commit() -> None:
    _git("add", "--all")
    _git("-c", "user.name=minji", "-c", "user.email=minji@your-domain.com", "commit", "--quiet", "-m", "chore: change")


def _stacks(output: Path) -> list[Stack]:
    return [make_stack(directory=output / "stacks" / name, name=name) for name in read_configurations(output)]


def _differing(here: Path) -> dict[str, str]:
    with revision.synthesized_at("HEAD") as head:
        stacks = _stacks(head / "cdktf.out")
        with revision.synthesized_at("main~1") as base:
            assert base != head
            found = revision.differing(stacks, base)
    assert not base.exists()
    assert _git("status", "--porcelain") == ""
    assert here.exists()
    return found


def test_the_base_is_synthesized_with_its_own_code(repository: Path) -> None:
    _write(repository, size=2)
    _commit()
    assert _differing(repository) == {"dev": "changed"}


def test_comments_of_cdktf_are_no_difference(repository: Path) -> None:
    (repository / "README.md").write_text("new")
    _commit()
    assert _differing(repository) == {}


def test_new_and_removed_stacks_differ(repository: Path) -> None:
    _write(repository, size=1, stacks="{'other': 1}")
    _commit()
    assert _differing(repository) == {"other": "new", "shared": "removed"}


def test_all_stacks_differ_if_the_packages_changed(repository: Path) -> None:
    with revision.synthesized_at("HEAD") as tree:
        (repository / "Pipfile.lock").write_text("2")
        found = revision.differing(_stacks(tree / "cdktf.out"), tree)
    assert found == {"dev": "Pipfile.lock changed", "shared": "Pipfile.lock changed"}


@pytest.mark.usefixtures("repository")
def test_rejects_an_unknown_revision() -> None:
    with pytest.raises(OperationError, match=r"^v9: .*; fetch it"), revision.synthesized_at("v9"):
        pass


def test_rejects_a_revision_that_is_not_utf_8() -> None:
    with (
        pytest.raises(
            OperationError, match=r": not a valid object name: a\\xffb; fetch it .*, or name another revision$"
        ),
        revision.exported("a\udcffb"),
    ):
        pass


def test_a_revision_is_no_option_of_git(repository: Path) -> None:
    with pytest.raises(OperationError, match=r"^--output=written: .*; fetch it"), revision.exported("--output=written"):
        pass
    assert not (repository / "written").exists()


def test_rejects_a_revision_that_cannot_be_synthesized(repository: Path) -> None:
    (repository / "main.py").write_text("import sys; sys.exit('dev.py: cidr: wrong')")
    _commit()
    with (
        pytest.raises(OperationError, match=r"^HEAD: cannot be synthesized; (?s:.*)\ndev\.py: cidr: wrong$"),
        revision.synthesized_at("HEAD"),
    ):
        pass


def test_default_base_is_the_merge_base_with_main(repository: Path) -> None:
    assert revision.default_base() is None
    merge_base = _git("rev-parse", "HEAD")
    _git("update-ref", "refs/remotes/origin/main", merge_base)
    (repository / "README.md").write_text("new")
    _commit()
    assert revision.default_base() == merge_base


def test_a_branch_that_changed_no_input_needs_no_synthesis(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revision, "is_same_synthesis", lambda base, _: base == "HEAD")
    monkeypatch.setattr(revision, "synthesized_at", None)
    output = repository / "cdktf.out"
    output.mkdir()
    write_output(output, [make_stack(directory=output / "dev")])
    (output / "dev").mkdir()
    (output / "dev/cdk.tf.json").write_text('{"terraform": {"backend": {"s3": {}}}}')
    assert plan.selection(output, (), "HEAD").differing == {}


def test_a_selection_lists_the_differing_stacks(repository: Path) -> None:
    with revision.synthesized_at("HEAD") as tree:
        output = (tree / "cdktf.out").rename(repository / "cdktf.out")
    _write(repository, size=2, stacks="{'shared': 2}")
    _commit()
    write_output(output, _stacks(output))
    chosen = plan.selection(output, ["dev"], "HEAD")
    assert [stack.name for stack in chosen.stacks] == ["dev"]
    assert chosen.differing == {"dev": "changed", "shared": "changed"}
