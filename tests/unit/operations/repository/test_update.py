"""Taking a release, with real Git repositories: what is merged, what is kept, and that failures change nothing."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from operations.errors import OperationError
from operations.repository import update
from operations.repository.update import Wanted
from tests import ROOT
from tests.product import OLD, commit, git, identify, make_copy, make_product, state

pytestmark = pytest.mark.slow

EDITS = {
    "stacks/owner.py": 'TEAM = "mine"\n',
    "service/guestbook/base.yaml": None,
    "service/xylophone/base.yaml": "kind: Rollout\n",
    "deploy.yaml": "first of mine\n\n\nlast\n",
    "product.py": "one = 11\n\n\ntwo = 2\n",
}
"""Edits of an owner that do not meet those of the release."""
RELEASE = Wanted("v0.2.0")

Copy = Callable[..., Path]


@pytest.fixture(autouse=True)
def _identity(monkeypatch: pytest.MonkeyPatch) -> None:
    identify(monkeypatch)


@pytest.fixture
def product(tmp_path: Path) -> Path:
    return make_product(tmp_path / "product")


@pytest.fixture
def copy(tmp_path: Path, product: Path) -> Copy:
    return lambda edits: make_copy(product, tmp_path / "copy", edits)


def _refused(folder: Path, wanted: Wanted = RELEASE) -> str:
    """The message of an update that fails, and changes nothing."""
    before = state(folder)
    with pytest.raises(OperationError) as raised:
        update.update(folder, wanted)
    assert state(folder) == before
    return str(raised.value)


def test_a_release_is_merged_and_the_files_of_the_owner_stay(copy: Copy, product: Path) -> None:
    folder = copy(EDITS)
    before = git(folder, "rev-parse", "HEAD")
    report = update.update(folder, RELEASE)
    assert report.title == "v0.2.0 is merged into main"
    texts = {name: (folder / name).read_text() for name in git(folder, "ls-files").split()}
    for name in ("stacks/owner.py", "service/xylophone/base.yaml"):
        assert texts[name] == EDITS[name]
    assert texts["service/shop/base.yaml"] == OLD["service/shop/base.yaml"]
    assert not {"service/guestbook/base.yaml", "service/shop/new.yaml", "removed.py"} & set(texts)
    assert texts["deploy.yaml"] == "first of mine\n\n\nlast of the release\n"
    assert texts["product.py"] == "one = 11\n\n\ntwo = 22\n"
    assert texts["management/kyverno/new.yaml"] == "kind: ConfigMap\n"
    parents = git(folder, "log", "-1", "--format=%P").split()
    assert parents == [before, git(product, "rev-parse", "v0.2.0^{commit}")]
    assert git(folder, "status", "--porcelain") == ""
    assert git(folder, "tag") == ""


def test_the_report_says_what_the_release_changes(copy: Copy) -> None:
    folder = copy(EDITS)
    before = git(folder, "rev-parse", "HEAD")
    report = update.update(folder, RELEASE)
    tables = {table.title: table.rows for table in report.tables}
    assert tables == {
        "What you have to do": [["0.2.0", "First this."], ["0.2.0", "Then that."]],
        "Settings": [["Owner.team", 'default: `"a"` -> required']],
        "What Argo CD and GitHub read": [["management/kyverno", "1 new, 1 changed"]],
        "Yours, and kept, although the release changes them": [
            ["service/guestbook/base.yaml"],
            ["service/shop/base.yaml"],
            ["service/shop/new.yaml"],
            ["stacks/owner.py"],
        ],
    }
    take, back = report.notes
    assert back == f"to go back: git reset --hard {before[:12]}"
    command = take.partition(": ")[2].replace("FILE", "service/shop")
    subprocess.run(["bash", "-c", command], cwd=folder, check=True)
    assert (folder / "service/shop/new.yaml").read_text() == "kind: Service\n"
    git(folder, "reset", "--hard", before[:12])
    assert update.update(folder, RELEASE).data["before"] == before


def test_a_release_is_taken_only_once_and_no_older_one(copy: Copy, product: Path) -> None:
    folder = copy(EDITS)
    update.update(folder, RELEASE)
    for version in ("v0.2.0", "v0.1.0"):
        expected = f"{version}: main has this release already; there is nothing to do"
        assert _refused(folder, Wanted(version)) == expected
    git(product, "switch", "--quiet", "--create", "old", "v0.1.0")
    commit(product, {"fix.py": ""}, tag="v0.1.1")
    expected = "v0.1.1: older than v0.2.0, which main has; name a newer release"
    assert _refused(folder, Wanted("v0.1.1")) == expected


def test_the_next_release_is_merged_after_this_one(copy: Copy, product: Path) -> None:
    """The files that were kept do not come back: the release is part of the history."""
    folder = copy(EDITS)
    update.update(folder, RELEASE)
    commit(product, {"product.py": "one = 1\n\n\ntwo = 222\n"}, tag="v0.3.0")
    report = update.update(folder, Wanted("v0.3.0"))
    assert report.data["kept"] == []
    assert (folder / "stacks/owner.py").read_text() == EDITS["stacks/owner.py"]
    assert (folder / "product.py").read_text() == "one = 11\n\n\ntwo = 222\n"


def test_conflicts_are_listed_with_their_remedies_and_nothing_is_changed(copy: Copy, product: Path) -> None:
    folder = copy({"product.py": "one = 1\n\n\ntwo = 3\n", "deploy.yaml": "first\n\n\nlast of mine\n"})
    base, release = (git(product, "rev-parse", f"{tag}^{{commit}}")[:12] for tag in ("v0.1.0", "v0.2.0"))
    keep = f"or keep yours, and copy the change of: git diff {base} {release} -- product.py"
    both = f"keep yours, and copy the change of: git diff {base} {release} -- deploy.yaml"
    assert _refused(folder).splitlines() == [
        "v0.2.0: your edits conflict with it in 2 files; nothing was changed",
        f"deploy.yaml: you and the release changed the same lines; {both}",
        f"product.py: belongs to the product; undo your edit (git checkout {base} -- product.py), {keep}",
        'keep: to keep yours of all of them: make update VERSION=v0.2.0 KEEP="deploy.yaml product.py"',
    ]
    update.update(folder, Wanted("v0.2.0", kept=("deploy.yaml", "product.py")))
    assert (folder / "product.py").read_text() == "one = 1\n\n\ntwo = 3\n"
    assert (folder / "deploy.yaml").read_text() == "first\n\n\nlast of mine\n"


def test_an_owner_can_take_a_file_over(copy: Copy) -> None:
    lines = OLD[".gitattributes"] + "product.py writer=owner\n"
    folder = copy({"product.py": None, ".gitattributes": lines})
    assert update.update(folder, RELEASE).data["kept"].count("product.py") == 1
    assert not (folder / "product.py").exists()


def test_a_file_of_the_product_that_was_deleted_conflicts(copy: Copy) -> None:
    folder = copy({"product.py": None})
    assert "product.py: belongs to the product" in _refused(folder)


def test_a_folder_can_be_kept(copy: Copy) -> None:
    folder = copy({})
    report = update.update(folder, Wanted("v0.2.0", kept=("management/",)))
    assert {"management/kyverno/values.yaml", "management/kyverno/new.yaml"} <= set(report.data["kept"])
    assert (folder / "management/kyverno/values.yaml").read_text() == "replicas: 1\n"
    assert not (folder / "management/kyverno/new.yaml").exists()


def test_a_generated_file_that_conflicts_is_that_of_the_release(copy: Copy, product: Path) -> None:
    folder = copy({"Pipfile.lock": "mine\n"})
    commit(product, {"Pipfile.lock": "two\n"}, tag="v0.3.0")
    report = update.update(folder, Wanted("v0.3.0"))
    assert (folder / "Pipfile.lock").read_text() == "two\n"
    assert "Pipfile.lock: that of the release; run: make lock" in report.notes
    assert "Pipfile.lock: changed; run: make install" in report.notes


def test_names_of_files_may_be_anything(copy: Copy, product: Path) -> None:
    strange = os.fsdecode(b"service/shop/a b\n\xff.yaml")
    folder = copy({strange: "mine\n"})
    commit(product, {strange: "theirs\n", os.fsdecode(b"\xe4.py"): ""}, tag="v0.3.0")
    report = update.update(folder, Wanted("v0.3.0"))
    assert strange in report.data["kept"]
    assert (folder / strange).read_text() == "mine\n"
    assert (folder / os.fsdecode(b"\xe4.py")).exists()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("echo x >> product.py", "product.py: not committed; commit it, or: git stash --include-untracked"),
        (
            "git rm --quiet product.py; touch new.py",
            "product.py and 1 other file: not committed; commit them, or: git stash --include-untracked",
        ),
        ("git remote rename upstream other", "upstream: no remote of this name, and no other source is named; "),
    ],
)
def test_a_clone_that_is_not_ready_is_refused(copy: Copy, command: str, message: str) -> None:
    folder = copy(EDITS)
    subprocess.run(["bash", "-c", command], cwd=folder, check=True)
    assert _refused(folder).startswith(message)


def test_all_problems_are_reported_at_once(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = copy(EDITS)
    git(folder, "switch", "--quiet", "--detach")
    git(folder, "merge", "--quiet", "--no-commit", "--no-ff", "--strategy=ours", "upstream/main")
    git(folder, "remote", "remove", "upstream")
    monkeypatch.setattr(update, "_OLDEST_GIT", (99, 1))
    monkeypatch.setenv("GIT_COMMITTER_NAME", "")
    monkeypatch.setenv("GIT_COMMITTER_EMAIL", "")
    with pytest.raises(OperationError) as raised:
        update.update(folder, Wanted("0.2.0"))
    lines = str(raised.value).splitlines()
    subjects = [line.partition(": ")[0] for line in lines]
    assert subjects[0].startswith("git 2.")
    assert subjects[1:] == ["version", "upstream", "HEAD", "MERGE_HEAD", "user.name"]
    assert lines[0].endswith("too old, because this needs 99.1 or newer; install a newer Git")


def test_a_folder_without_git_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OperationError, match=r"not a clone with commits; run this in a clone of your repository$"):
        update.update(tmp_path, RELEASE)


@pytest.mark.parametrize(
    "version", ["", "v1", "v1.2", "1.2.3", "v01.2.3", "v1.2.3-rc1", "v1.2.3\n", "--all", "v\uff11.2.3"]
)
def test_only_releases_are_taken(copy: Copy, version: str) -> None:
    expected = f"version: {version!r}: not the tag of a release; write one such as v0.2.0"
    assert _refused(copy({}), Wanted(version)) == expected


def test_unknown_releases_and_sources_are_refused(copy: Copy, product: Path, tmp_path: Path) -> None:
    folder = copy({})
    assert _refused(folder, Wanted("v9.0.0")) == "version: 'v9.0.0': no release of upstream; the newest is v0.2.0"
    remedy = "check the address and your access, or name another source with FROM (docs/updates.md)"
    nothing = str(tmp_path / "nothing")
    reason = f"{nothing}: '{nothing}' does not appear to be a git repository"
    assert _refused(folder, Wanted("v0.2.0", nothing)) == f"{reason}; {remedy}"
    with pytest.MonkeyPatch.context() as monkeypatch:
        bin_ = tmp_path / "bin"
        bin_.mkdir()
        (bin_ / "git").write_text(f'#!/bin/sh\n[ "$1" = fetch ] && exit 1\nexec {shutil.which("git")} "$@"\n')
        (bin_ / "git").chmod(0o755)
        monkeypatch.setenv("PATH", f"{bin_}:{os.environ['PATH']}")
        assert _refused(folder) == f"upstream: cannot be read; {remedy}"
    git(product, "tag", "--delete", "v0.1.0", "v0.2.0")
    assert _refused(folder) == f"version: 'v0.2.0': no release of upstream; it has no releases; {remedy}"
    assert "--upload-pack" in _refused(folder, Wanted("v0.2.0", "--upload-pack=touch here"))
    assert not (folder / "here").exists()


def test_the_release_can_be_taken_from_a_url(copy: Copy, product: Path) -> None:
    folder = copy(EDITS)
    git(folder, "remote", "remove", "upstream")
    assert update.update(folder, Wanted("v0.2.0", f"file://{product}")).data["branch"] == "main"


def test_a_copy_without_the_history_is_refused_and_can_be_joined(product: Path, tmp_path: Path) -> None:
    """As a repository that was made from a template: with the command of the page, it takes releases from then on."""
    folder = tmp_path / "template"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder, {**OLD, "stacks/owner.py": 'TEAM = "mine"\n'})
    git(folder, "remote", "add", "upstream", str(product))
    message = _refused(folder)
    assert message.startswith("v0.2.0: has no commit in common with main; fetch the rest of a shallow clone")
    assert message.endswith("docs/updates.md#a-copy-without-the-history")
    git(folder, "fetch", "--quiet", "--no-tags", "upstream", "v0.1.0")
    git(folder, "merge", "--quiet", "--strategy=ours", "--allow-unrelated-histories", "--no-edit", "FETCH_HEAD")
    update.update(folder, RELEASE)
    assert (folder / "stacks/owner.py").read_text() == 'TEAM = "mine"\n'
    assert (folder / "product.py").read_text() == "one = 1\n\n\ntwo = 22\n"


def test_a_path_to_keep_must_exist(copy: Copy) -> None:
    expected = "keep: 'servce': no file of your branch or of v0.2.0; write paths as `git ls-files` prints them"
    assert _refused(copy({}), Wanted("v0.2.0", kept=("servce", "stacks"))) == expected


def test_an_ignored_file_is_never_overwritten(copy: Copy, product: Path) -> None:
    folder = copy({})
    git(product, "add", "--force", ".")
    (product / "secret.ignored").write_text("theirs")
    git(product, "add", "--force", "secret.ignored")
    commit(product, {}, tag="v0.3.0")
    (folder / "secret.ignored").write_text("mine")
    assert _refused(folder, Wanted("v0.3.0")) == "secret.ignored: ignored by Git, and in the way; move it"


def test_files_that_cannot_be_written_leave_everything_as_before(copy: Copy, product: Path) -> None:
    """A filter that fails, as a full disk would, after some files were written."""
    folder = copy(EDITS)
    commit(product, {"a/new.py": "", "zz/last.broken": "x"}, tag="v0.3.0")
    (folder / ".git/info/attributes").write_text("*.broken filter=broken\n")
    git(folder, "config", "filter.broken.required", "true")
    git(folder, "config", "filter.broken.smudge", "false")
    message = _refused(folder, Wanted("v0.3.0"))
    assert message.startswith("git merge: ")
    assert message.endswith("; everything is as before")


def _started(folder: Path, programs: Path, when: str, then: str) -> "subprocess.Popen[str]":
    """`operations update`, with a `git` that does something before one of its commands."""
    programs.mkdir()
    real = subprocess.run(["which", "git"], check=True, capture_output=True, text=True).stdout.strip()
    (programs / "git").write_text(f'#!/bin/sh\ncase "$*" in\n  *{when}*) {then} ;;\nesac\nexec {real} "$@"\n')
    (programs / "git").chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": f"{ROOT / 'constructs'}{os.pathsep}{ROOT}",
        "TMPDIR": str(programs.parent / "tmp"),
    }
    (programs.parent / "tmp").mkdir()
    command = [sys.executable, "-m", "operations", "update", "v0.2.0"]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=folder, env=environment, text=True, **streams)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("when", ["ls-remote", "update-index"])
def test_an_interrupt_before_the_end_changes_nothing(
    copy: Copy, tmp_path: Path, when: str, number: signal.Signals
) -> None:
    folder = copy(EDITS)
    before = state(folder)
    reached = tmp_path / "reached"
    run = _started(folder, tmp_path / "bin", when, f"touch {reached}; sleep 300")
    while not reached.exists():
        assert run.poll() is None, run.communicate()
        time.sleep(0.05)
    run.send_signal(number)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "Traceback" not in errors
    assert state(folder) == before
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_at_the_end_waits_until_the_update_is_complete(
    copy: Copy, tmp_path: Path, number: signal.Signals
) -> None:
    folder = copy(EDITS)
    run = _started(folder, tmp_path / "bin", "--ff-only", f"kill -{number.value} $PPID")
    _, errors = run.communicate(timeout=60)
    assert "Traceback" not in errors
    assert git(folder, "log", "-1", "--format=%s") == "Merge release v0.2.0"
    assert git(folder, "status", "--porcelain") == ""
