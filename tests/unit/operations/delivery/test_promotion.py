"""Setting and promoting images with pull requests, with real Git repositories and concurrent runs."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from operations.cli.app import app
from operations.clients import github as github_client
from operations.delivery import promotion, pull_requests
from operations.delivery.images import Image, Overlay
from operations.delivery.pull_requests import Proposal, propose
from operations.errors import OperationError
from operations.output.report import Report
from tests import ROOT, fake_gh
from tests.fake_gh import FakeGh

pytestmark = pytest.mark.slow

OVERLAY = "images:\n- digest: sha256:{digest}\n  name: {service}\n  newTag: {tag}\n"
OLD = Image("0" * 39 + "a", f"sha256:{'0' * 63}a")
SERVICES = ("shop", "cart")
ENVIRONMENTS = ("dev", "staging", "prod")


def _git(directory: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=directory, check=True, capture_output=True, text=True).stdout.strip()


def _image(number: int) -> Image:
    return Image(f"{number:040x}", f"sha256:{number:064x}")


class Remote:
    """The remote repository of the platform, and clones of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bare = folder / "platform.git"
        _git(folder, "init", "--quiet", "--bare", "--initial-branch=main", str(self.bare))
        work = self.clone("first")
        for service in SERVICES:
            for environment in ENVIRONMENTS:
                file = work / "service" / service / "overlays" / environment / "kustomization.yaml"
                file.parent.mkdir(parents=True)
                file.write_text(OVERLAY.format(service=service, tag=OLD.tag, digest=OLD.digest.removeprefix("sha256:")))
        settings = work / "stacks" / "ap_northeast_2" / "__init__.py"
        settings.parent.mkdir(parents=True)
        settings.write_text(f"ENVIRONMENTS = {ENVIRONMENTS}\n")
        self.push(work, "all services")

    def clone(self, name: str) -> Path:
        _git(self.folder, "clone", "--quiet", str(self.bare), name)
        return self.folder / name

    def push(self, work: Path, message: str) -> None:
        _git(work, "add", "--all")
        _git(work, "commit", "--quiet", "--message", message)
        _git(work, "push", "--quiet", "origin", "HEAD:main")

    def merge(self, branch: str) -> None:
        """Merge a branch to main, as the server does; a conflict fails."""
        name = f"merge-{len(list(self.folder.iterdir()))}"
        work = self.clone(name)
        _git(work, "merge", "--quiet", "--no-edit", f"origin/{branch}")
        _git(work, "push", "--quiet", "origin", "HEAD:main")

    def image(self, revision: str, service: str, environment: str) -> Image:
        name = f"read-{len(list(self.folder.iterdir()))}"
        work = self.clone(name)
        _git(work, "checkout", "--quiet", f"origin/{revision}")
        return Overlay(work, service, environment).image()

    def branches(self) -> list[str]:
        return _git(self.bare, "for-each-ref", "--format=%(refname:short)", "refs/heads").splitlines()


@pytest.fixture
def github(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGh:
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "delivery")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "delivery@example.com")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    return fake_gh.install(tmp_path / "github", monkeypatch)


@pytest.fixture
def remote(tmp_path: Path, github: FakeGh) -> Remote:
    assert github["calls"] == []
    folder = tmp_path / "git"
    folder.mkdir()
    return Remote(folder)


def _propose_image(clone: Path, service: str, image: Image, application: Path | None = None) -> Report:
    return propose(clone, promotion.image_proposal(Overlay(clone, service, "dev"), image, application))


def _run_concurrently(*functions: Callable[[], object]) -> None:
    errors: list[BaseException] = []

    def run(function: Callable[[], object]) -> None:
        try:
            function()
        except BaseException as error:  # noqa: BLE001  (asserted below, in the thread of the test)
            errors.append(error)

    threads = [threading.Thread(target=run, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_an_image_is_proposed_and_nothing_else_changes(remote: Remote, github: FakeGh) -> None:
    clone = remote.clone("clone")
    report = _propose_image(clone, "shop", _image(1))
    assert report.data["pull_request"] == "https://pull/1"
    assert remote.image("image/shop/dev", "shop", "dev") == _image(1)
    assert remote.image("main", "shop", "dev") == OLD
    assert _git(clone, "status", "--porcelain") == ""
    assert _git(clone, "worktree", "list").count("\n") == 0
    (pull_request,) = github["pull_requests"]
    assert pull_request["title"] == "Run 000000000000 of shop in dev"
    assert _image(1).digest in pull_request["body"]


def test_proposing_again_opens_no_second_pull_request(remote: Remote, github: FakeGh) -> None:
    clone = remote.clone("clone")
    _propose_image(clone, "shop", _image(1))
    commit = _git(remote.bare, "rev-parse", "image/shop/dev")
    _propose_image(clone, "shop", _image(1))
    assert len(github["pull_requests"]) == 1
    assert _git(remote.bare, "rev-parse", "image/shop/dev") == commit


def test_a_run_that_failed_before_its_pull_request_is_completed_by_the_next(remote: Remote, github: FakeGh) -> None:
    clone = remote.clone("clone")
    with github.changed() as state:
        state["failures"] = ["refused"]
    with pytest.raises(OperationError, match="gh pr list: refused"):
        _propose_image(clone, "shop", _image(1))
    _propose_image(clone, "shop", _image(1))
    assert [entry["open"] for entry in github["pull_requests"]] == [True]


def test_an_image_that_main_has_is_not_proposed(remote: Remote, github: FakeGh) -> None:
    report = _propose_image(remote.clone("clone"), "shop", OLD)
    assert report.title == "nothing to propose: main has this change already"
    assert github["pull_requests"] == []


def test_a_pull_request_of_a_fork_is_not_reused(remote: Remote, github: FakeGh) -> None:
    theirs = {"url": "https://fork", "head": "image/shop/dev", "open": True, "isCrossRepository": True, "title": ""}
    with github.changed() as state:
        state["pull_requests"] = [theirs]
    assert _propose_image(remote.clone("clone"), "shop", _image(1)).data["pull_request"] == "https://pull/2"
    assert github["pull_requests"][0] == theirs


def test_concurrent_updates_of_two_services_are_both_kept(remote: Remote) -> None:
    clones = [remote.clone("one"), remote.clone("two")]
    _run_concurrently(
        lambda: _propose_image(clones[0], "shop", _image(1)),
        lambda: _propose_image(clones[1], "cart", _image(2)),
    )
    for service in SERVICES:
        remote.merge(f"image/{service}/dev")
    assert [remote.image("main", service, "dev") for service in SERVICES] == [_image(1), _image(2)]


def test_concurrent_updates_of_two_services_from_one_clone_are_both_kept(remote: Remote) -> None:
    clone = remote.clone("clone")
    _run_concurrently(
        lambda: _propose_image(clone, "shop", _image(1)),
        lambda: _propose_image(clone, "cart", _image(2)),
    )
    assert [remote.image(f"image/{name}/dev", name, "dev") for name in SERVICES] == [_image(1), _image(2)]


def _application(folder: Path) -> tuple[Path, list[Image]]:
    """The repository of an application, and the images of its commits, oldest first."""
    folder.mkdir()
    _git(folder, "init", "--quiet", "--initial-branch=main")
    images = []
    for number in range(1, 4):
        _git(folder, "commit", "--quiet", "--allow-empty", "--message", str(number))
        images.append(Image(_git(folder, "rev-parse", "HEAD"), _image(number).digest))
    return folder, images


def test_a_branch_that_is_replaced_after_it_was_listed_is_listed_again(
    remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its commit of before is on no branch any more, so it cannot be fetched."""
    first, second = remote.clone("first-clone"), remote.clone("second-clone")
    _propose_image(first, "shop", _image(1))
    git = pull_requests._git
    listed = []

    def replace_after_listing(directory: Path, *arguments: str) -> str:
        output = git(directory, *arguments)
        if arguments[0] == "ls-remote" and directory == second:
            listed.append(output)
            if len(listed) == 1:
                _propose_image(first, "shop", _image(2))
        return output

    monkeypatch.setattr(pull_requests, "_git", replace_after_listing)
    _propose_image(second, "shop", _image(3))
    assert len(listed) == 2
    assert remote.image("image/shop/dev", "shop", "dev") == _image(3)


def test_the_newest_commit_wins_among_concurrent_builds_of_a_service(remote: Remote, tmp_path: Path) -> None:
    application, images = _application(tmp_path / "application")
    clones = [remote.clone(f"clone-{number}") for number in range(3)]
    _run_concurrently(
        *(
            lambda clone=clone, image=image: _propose_image(clone, "shop", image, application)
            for clone, image in zip(clones, reversed(images), strict=True)
        )
    )
    assert remote.image("image/shop/dev", "shop", "dev") == images[-1]


@pytest.mark.parametrize("is_merged", [False, True])
def test_a_slow_build_never_replaces_the_image_of_a_newer_commit(
    remote: Remote, tmp_path: Path, *, is_merged: bool
) -> None:
    application, images = _application(tmp_path / "application")
    clone = remote.clone("clone")
    _propose_image(clone, "shop", images[2], application)
    if is_merged:
        remote.merge("image/shop/dev")
    report = _propose_image(clone, "shop", images[1], application)
    assert report.title == f"nothing to propose: {images[2].tag} is newer than {images[1].tag}"
    assert remote.image("image/shop/dev", "shop", "dev") == images[2]


def test_a_push_that_lost_a_race_is_retried(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    clone, other = remote.clone("clone"), remote.clone("other")
    proposal = promotion.image_proposal(Overlay(clone, "shop", "dev"), _image(2), None)
    attempts: list[Path] = []

    def change(tree: Path) -> str:
        if not attempts:  # another process pushes between fetch and push
            _propose_image(other, "shop", _image(1))
        attempts.append(tree)
        return proposal.change(tree)

    monkeypatch.setattr("time.sleep", lambda _: None)
    propose(clone, Proposal(proposal.branch, proposal.title, change))
    assert len(attempts) == 2
    assert remote.image("image/shop/dev", "shop", "dev") == _image(2)


def test_gives_up_after_losing_every_race(remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    clone, other = remote.clone("clone"), remote.clone("other")
    proposal = promotion.image_proposal(Overlay(clone, "shop", "dev"), _image(99), None)
    attempts: list[Path] = []

    def change(tree: Path) -> str:
        attempts.append(tree)
        _propose_image(other, "shop", _image(len(attempts)))
        return proposal.change(tree)

    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(OperationError, match="updated by another process in all 8 attempts; run it again"):
        propose(clone, Proposal(proposal.branch, proposal.title, change))


def test_a_pull_request_that_another_process_created_is_reused(
    remote: Remote, github: FakeGh, monkeypatch: pytest.MonkeyPatch
) -> None:
    gh, created = github_client.gh, []

    def race(*arguments: str, **options: Any) -> str:
        if arguments[:2] == ("pr", "create"):
            created.append(gh(*arguments, **options))
        return gh(*arguments, **options)

    monkeypatch.setattr(pull_requests, "gh", race)
    report = _propose_image(remote.clone("clone"), "shop", _image(1))
    assert [report.data["pull_request"]] == [url.strip() for url in created] == ["https://pull/1"]
    assert len(github["pull_requests"]) == 1


def test_a_fetch_that_meets_a_work_tree_of_another_process_is_repeated(
    remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = remote.clone("clone")
    other = clone / ".git/worktrees/other"  # as `git worktree add` leaves it for a moment
    other.mkdir(parents=True)
    (other / "HEAD").write_text("1" * 40 + "\n")
    (other / "commondir").write_text("../..\n")
    (other / "gitdir").write_text(f"{remote.folder}/other/.git\n")

    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        shutil.rmtree(other)

    monkeypatch.setattr("time.sleep", wait)
    _propose_image(clone, "shop", _image(1))
    assert len(waits) == 1
    assert remote.image("image/shop/dev", "shop", "dev") == _image(1)


def test_an_error_of_git_is_reported_without_retries(remote: Remote) -> None:
    clone = remote.clone("clone")
    _git(clone, "remote", "set-url", "--push", "origin", str(remote.folder / "none.git"))
    with pytest.raises(OperationError, match=r"^git push: .*does not appear to be a git repository"):
        _propose_image(clone, "shop", _image(1))


def test_nothing_is_pushed_without_gh(remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone, before = remote.clone("clone"), remote.branches()
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "git").symlink_to(shutil.which("git") or "")
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(OperationError, match=r"^gh: not installed; install the GitHub CLI and run: gh auth login$"):
        _propose_image(clone, "shop", _image(1))
    assert remote.branches() == before


@pytest.mark.usefixtures("github")
def test_a_tag_is_no_option_of_git(tmp_path: Path) -> None:
    application, images = _application(tmp_path / "application")
    file = tmp_path / "written"
    assert not promotion._is_ancestor(application, f"--output={file}", images[0].tag)
    assert not promotion._is_ancestor(application, images[0].tag, "--all")
    assert promotion._is_ancestor(application, images[0].tag, images[1].tag)
    assert not file.exists()


def test_rejects_a_base_branch_that_origin_does_not_have(remote: Remote) -> None:
    clone = remote.clone("clone")
    proposal = promotion.image_proposal(Overlay(clone, "shop", "dev"), _image(1), None)
    with pytest.raises(OperationError, match=r"^trunk: branch not found on origin; check `git remote get-url origin`$"):
        propose(clone, proposal, base="trunk")


def test_the_branch_of_a_merged_pull_request_can_be_reused(remote: Remote) -> None:
    clone = remote.clone("clone")
    for number in (1, 2):
        _propose_image(clone, "shop", _image(number))
        remote.merge("image/shop/dev")
    assert remote.image("main", "shop", "dev") == _image(2)


def test_an_image_that_was_merged_and_reverted_can_be_proposed_again(remote: Remote) -> None:
    clone = remote.clone("clone")
    _propose_image(clone, "shop", _image(1))
    remote.merge("image/shop/dev")
    work = remote.clone("reverting")
    Overlay(work, "shop", "dev").set_image(OLD)
    remote.push(work, "Revert")
    _propose_image(clone, "shop", _image(1))
    assert _git(remote.bare, "rev-list", "--count", "main..image/shop/dev") == "1"
    remote.merge("image/shop/dev")
    assert remote.image("main", "shop", "dev") == _image(1)


def _promote(clone: Path) -> Report:
    return propose(clone, promotion.promotion_proposal(Overlay(clone, "shop", "staging"), "dev"))


def test_a_promotion_uses_the_image_on_main_and_not_that_of_the_clone(remote: Remote) -> None:
    clone = remote.clone("old")
    _propose_image(remote.clone("new"), "shop", _image(1))
    remote.merge("image/shop/dev")
    _promote(clone)
    assert remote.image("image/shop/staging", "shop", "staging") == _image(1)


def test_a_later_promotion_updates_the_open_pull_request(remote: Remote, github: FakeGh) -> None:
    clone = remote.clone("clone")
    for number in (1, 2):
        _propose_image(clone, "shop", _image(number))
        remote.merge("image/shop/dev")
        _promote(clone)
    assert remote.image("image/shop/staging", "shop", "staging") == _image(2)
    opened = [entry for entry in github["pull_requests"] if entry["head"] == "image/shop/staging"]
    assert len(opened) == 1
    assert _image(2).digest in opened[0]["body"]


@pytest.mark.parametrize(("source", "target"), [("dev", "dev"), ("dev", "prod"), ("prod", "staging")])
def test_rejects_a_promotion_that_skips_an_environment(remote: Remote, source: str, target: str) -> None:
    clone = remote.clone("clone")
    with pytest.raises(
        OperationError, match=f"{source} to {target}: not the next step; the order for shop is dev -> staging -> prod"
    ):
        promotion.promote(Overlay(clone, "shop", target), source)


def test_an_environment_without_an_overlay_is_skipped(remote: Remote) -> None:
    clone = remote.clone("clone")
    shutil.rmtree(clone / "service" / "shop" / "overlays" / "staging")
    promotion.set_image(Overlay(clone, "shop", "dev"), _image(1))
    promotion.promote(Overlay(clone, "shop", "prod"), "dev")
    assert Overlay(clone, "shop", "prod").image() == _image(1)


def test_without_a_proposal_the_work_tree_is_edited(remote: Remote) -> None:
    clone = remote.clone("clone")
    promotion.set_image(Overlay(clone, "shop", "dev"), _image(1))
    promotion.promote(Overlay(clone, "shop", "staging"), "dev")
    assert Overlay(clone, "shop", "staging").image() == _image(1)
    assert remote.branches() == ["main"]


def test_the_commands_open_pull_requests_and_enable_auto_merge(remote: Remote, github: FakeGh) -> None:
    clone = remote.clone("clone")
    arguments = ["set-image", "shop", "dev", "--tag", _image(1).tag, "--digest", _image(1).digest]
    result = CliRunner().invoke(app, [*arguments, "--root", str(clone), "--propose", "--auto-merge"])
    assert result.exit_code == 0, result.output
    assert github["pull_requests"][0]["auto_merge"]
    result = CliRunner().invoke(app, ["promote", "shop", "dev", "staging", "--root", str(clone), "--json"])
    assert result.exit_code == 0, result.output
    result = CliRunner().invoke(app, ["promote", "shop", "prod", "staging", "--root", str(clone)])
    assert result.exit_code == 1


def _script(workflow: str, job: str) -> str:
    """The script of a job that opens a pull request."""
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / workflow).read_text())["jobs"]
    (script,) = [step["run"] for step in jobs[job]["steps"] if "--propose" in step.get("run", "")]
    return str(script)


def _run(clone: Path, script: str, **environment: str) -> None:
    """Run a script as a runner does: in the root of a clone, with a Python that can import this project."""
    python = clone / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    done = subprocess.run(
        command, cwd=clone, env={**os.environ, **environment}, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_concurrent_workflow_runs_for_two_services_are_both_kept(
    remote: Remote, github: FakeGh, tmp_path: Path
) -> None:
    application, images = _application(tmp_path / "application")
    build, promote = _script("build-service.yaml", "propose"), _script("promote.yaml", "propose")

    def built(service: str, image: Image, merge: str) -> None:
        clone = remote.clone(f"built-{service}")
        (clone / "application").symlink_to(application)
        about = {"SERVICE": service, "ENVIRONMENT": "dev", "COMMIT": image.tag, "DIGEST": image.digest}
        _run(clone, build, AUTO_MERGE=merge, **about)

    _run_concurrently(lambda: built("shop", images[0], "true"), lambda: built("cart", images[1], "false"))
    merging = {entry["head"]: bool(entry.get("auto_merge")) for entry in github["pull_requests"]}
    assert merging == {"image/shop/dev": True, "image/cart/dev": False}
    for service in SERVICES:
        remote.merge(f"image/{service}/dev")
    clones = {service: remote.clone(f"promoting-{service}") for service in SERVICES}
    _run_concurrently(
        *(lambda s=service: _run(clones[s], promote, SERVICE=s, FROM="dev", TO="staging") for service in SERVICES)
    )
    for service in SERVICES:
        remote.merge(f"image/{service}/staging")
    assert [remote.image("main", service, "staging") for service in SERVICES] == images[:2]
