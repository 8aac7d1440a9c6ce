"""A small product with releases in a Git repository, and the clone of an owner, for tests of updates."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

ATTRIBUTES = """\
* writer=product
.gitattributes writer=both
stacks/*.py writer=owner
service/** writer=owner
deploy.yaml writer=both
Pipfile.lock writer=make-lock
"""
SETTINGS = """\
### Owner

| field | type | default | limits | description |
| --- | --- | --- | --- | --- |
"""
OLD: Mapping[str, str] = {
    ".gitattributes": ATTRIBUTES,
    ".gitignore": "*.ignored\n",
    "CHANGELOG.md": "# Changelog\n\n## [0.1.0] - 2026-01-01\n\n### Migration\n\n- Nothing.\n",
    "Pipfile.lock": "one\n",
    "constructs/pyproject.toml": '[project]\nversion = "0.1.0"\n',
    "deploy.yaml": "first\n\n\nlast\n",
    "docs/settings.md": f'{SETTINGS}| `team` | text | `"a"` |  | Who. |\n',
    "management/kyverno/values.yaml": "replicas: 1\n",
    "product.py": "one = 1\n\n\ntwo = 2\n",
    "removed.py": "",
    "service/guestbook/base.yaml": "kind: Rollout\n",
    "service/shop/base.yaml": "kind: Rollout\n",
    "stacks/owner.py": 'TEAM = "a"\n',
}
"""The files of v0.1.0."""
NEW: Mapping[str, str | None] = {
    "CHANGELOG.md": (
        "# Changelog\n\n## [Unreleased]\n\n### Migration\n\n- Later.\n\n## [0.2.0] - 2026-02-01\n\n### Added\n\n- Much."
        "\n\n### Migration\n\n- First\n  this.\n- Then that.\n\n## [0.1.0] - 2026-01-01\n\n### Migration\n\n- No.\n"
    ),
    "constructs/pyproject.toml": '[project]\nversion = "0.2.0"\n',
    "deploy.yaml": "first\n\n\nlast of the release\n",
    "docs/settings.md": f"{SETTINGS}| `team` | text | **required** |  | Who. |\n",
    "management/kyverno/values.yaml": "replicas: 2\n",
    "management/kyverno/new.yaml": "kind: ConfigMap\n",
    "product.py": "one = 1\n\n\ntwo = 22\n",
    "removed.py": None,
    "service/guestbook/base.yaml": "kind: Deployment\n",
    "service/shop/base.yaml": "kind: Deployment\n",
    "service/shop/new.yaml": "kind: Service\n",
    "stacks/owner.py": 'TEAM = "b"\n',
}
"""The files that v0.2.0 changes."""


def git(folder: Path, *arguments: str) -> str:
    """Run Git as somebody with a name, without the configuration of this machine."""
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def identify(patch: pytest.MonkeyPatch) -> None:
    """Let Git know who commits, and nothing else of this machine."""
    for role in ("AUTHOR", "COMMITTER"):
        patch.setenv(f"GIT_{role}_NAME", "minji")
        patch.setenv(f"GIT_{role}_EMAIL", "minji@your-domain.com")
    patch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    patch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")


def write(folder: Path, files: Mapping[str, str | None]) -> None:
    """Write files; None removes one."""
    for name, text in files.items():
        file = folder / name
        if text is None:
            file.unlink()
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)


def commit(folder: Path, files: Mapping[str, str | None], *, tag: str = "") -> str:
    """Commit files, with an annotated tag, and return the commit."""
    write(folder, files)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=change")
    if tag:
        git(folder, "tag", "--annotate", tag, "--message", tag)
    return git(folder, "rev-parse", "HEAD")


def make_product(folder: Path) -> Path:
    """The repository of the product, with v0.1.0 and v0.2.0."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder, OLD, tag="v0.1.0")
    commit(folder, NEW, tag="v0.2.0")
    return folder


def make_copy(product: Path, folder: Path, edits: Mapping[str, str | None]) -> Path:
    """The clone of an owner, at v0.1.0 and with edits."""
    git(product.parent, "clone", "--quiet", "--no-tags", "--origin=upstream", str(product), str(folder))
    git(folder, "switch", "--quiet", "--force-create", "main", "main~1")
    if edits:
        commit(folder, edits)
    return folder


def state(folder: Path) -> dict[str, object]:
    """Everything of a clone that an update must not change if it fails."""
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(folder).parts[:1]
    }
    names = sorted(path.name for path in (folder / ".git").iterdir() if path.name not in {"ORIG_HEAD", "index"})
    return {
        "files": files,
        "index": git(folder, "ls-files", "--stage"),
        "refs": git(folder, "for-each-ref"),
        "head": git(folder, "symbolic-ref", "HEAD"),
        "worktrees": git(folder, "worktree", "list"),
        "status": git(folder, "status", "--porcelain", "--ignored"),
        "in .git": names,
    }
