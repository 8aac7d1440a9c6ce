"""The version of the product, its changelog, and the fields of the settings in it."""

from pathlib import Path

import pytest

from operations.clients import git
from operations.errors import OperationError
from operations.repository import release, settings_fields
from tests import ROOT

CHANGELOG = """\
# Changelog

## [Unreleased]

### Added

- More.

## [0.2.0] - 2026-02-01

### Migration

- Set `a`,
  then `b`.
- Deploy.

### Fixed

- Something.

## [0.1.0] - 2026-01-01

First.
"""


def _product(folder: Path, version: str = "0.2.0", changelog: str = CHANGELOG) -> Path:
    (folder / "constructs").mkdir()
    (folder / "constructs/pyproject.toml").write_text(f'[project]\nversion = "{version}"\n')
    (folder / "CHANGELOG.md").write_text(changelog)
    return folder


def test_the_version_of_the_product_is_that_of_its_newest_release() -> None:
    assert release.notes(ROOT, f"v{release.version(ROOT)}")


def test_every_release_says_what_an_owner_has_to_do() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    noted = {name for name, _ in release.migration_notes("", text)}
    assert noted == {name for name, (date, _) in release.sections(text).items() if date}


def test_the_notes_of_a_release_are_its_section_of_the_changelog(tmp_path: Path) -> None:
    assert release.notes(_product(tmp_path), "v0.2.0").startswith("### Migration\n\n- Set `a`,\n")
    assert release.notes(tmp_path, "v0.2.0").endswith("### Fixed\n\n- Something.")


@pytest.mark.parametrize(
    ("tag", "version", "changelog", "problems"),
    [
        (
            "v0.3.0",
            "0.2.0",
            CHANGELOG,
            ["tag: 'v0.3.0': constructs/pyproject.toml has the version 0.2.0; change one of them"],
        ),
        (
            "v0.3.0",
            "0.3.0",
            CHANGELOG,
            ["CHANGELOG.md: the newest release is 0.2.0, not 0.3.0; write its notes below `## [0.3.0] - YYYY-MM-DD`"],
        ),
        (
            "0.1.0",
            "0.1.0",
            "# Changelog\n\n## [0.1.0]\n",
            [
                "tag: '0.1.0': not the tag of a release; write one such as v0.1.0",
                "CHANGELOG.md: the newest release is None, not 0.1.0; write its notes below `## [0.1.0] - YYYY-MM-DD`",
            ],
        ),
    ],
)
def test_a_tag_that_disagrees_is_refused(
    tmp_path: Path, tag: str, version: str, changelog: str, problems: list[str]
) -> None:
    with pytest.raises(OperationError) as raised:
        release.notes(_product(tmp_path, version, changelog), tag)
    assert str(raised.value).splitlines() == problems


@pytest.mark.parametrize("text", ["", "project = 1", "[project]\nversion = 1", '[project]\nversion = "1"', "[" * 9999])
def test_a_version_that_cannot_be_read_is_refused(tmp_path: Path, text: str) -> None:
    (_product(tmp_path) / "constructs/pyproject.toml").write_text(text)
    with pytest.raises(OperationError, match=r"^constructs/pyproject.toml: project.version: not found; write one such"):
        release.version(tmp_path)


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("", [("0.2.0", "Set `a`, then `b`."), ("0.2.0", "Deploy.")]),
        ("## [0.1.0] - 2026-01-01\n", [("0.2.0", "Set `a`, then `b`."), ("0.2.0", "Deploy.")]),
        ("## [0.2.0]\n", [("0.2.0", "Set `a`, then `b`."), ("0.2.0", "Deploy.")]),
        (CHANGELOG, []),
    ],
)
def test_migration_notes_are_those_of_the_releases_in_between(before: str, expected: list[tuple[str, str]]) -> None:
    assert release.migration_notes(before, CHANGELOG) == expected


_HEAD = "| field | type | default | limits | description |\n| --- | --- | --- | --- | --- |\n"


def test_differences_of_settings_are_those_of_their_fields() -> None:
    before = (
        f"### Vpc\n\n{_HEAD}| `cidr` | IPv4 network | **required** |  | a |\n| `old` | text | `1` |  |  |\n"
        "| `same` | text | `1` |  | a |\n| `less` | text | `1` | 1 to 9 | a |\n"
    )
    after = (
        f"### Vpc\n\n{_HEAD}| `cidr` | [Cidr](#cidr) or `None` | `None` | use one<br>or two |  |\n"
        f"| `same` | text | `1` |  | b \\| c |\n| `size` | integer | **required** | 1 \\| 2 | |\n"
        '| `less` | text | `1` | 1 to 8 | a |\n| `zone` | text | `"a"` |  |  |\n'
        f'### Zone\n\n{_HEAD}| `name` | text | `"a"` |  |  |\n'
    )
    assert settings_fields.differences(before, after) == [
        ("Zone", "new"),
        ("Vpc.cidr", "type: IPv4 network -> Cidr or `None`"),
        ("Vpc.cidr", "default: required -> `None`"),
        ("Vpc.cidr", "limits: use one; or two"),
        ("Vpc.less", "limits: 1 to 8"),
        ("Vpc.old", "removed"),
        ("Vpc.size", "new, required"),
        ("Vpc.zone", 'new, `"a"` by default'),
    ]
    assert ("Vpc.cidr", "limits: none") in settings_fields.differences(after, before)
    assert ("Zone", "removed") in settings_fields.differences(after, before)


def test_the_page_of_the_settings_has_fields() -> None:
    found = settings_fields.fields((ROOT / settings_fields.PAGE).read_text())
    assert found["Owner.team"] == ("text", '`"platform"`', found["Owner.cost_center"].limits)
    assert "EnvironmentSettings.cluster" in found


def test_records_of_git_that_fail_have_its_message(tmp_path: Path) -> None:
    with pytest.raises(OperationError, match=r"^git ls-tree: fatal: "):
        git.records(tmp_path, "ls-tree", "-z", "HEAD")
    git.output(tmp_path, "init", "--quiet")
    with pytest.raises(OperationError, match=r"^git diff: failed with status 1$"):
        git.records(tmp_path, "diff", "--quiet", "--no-index", "/dev/null", str(ROOT / "Makefile"))
