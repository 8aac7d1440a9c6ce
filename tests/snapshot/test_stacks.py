"""Snapshots of all stacks. `make snapshots` updates the files, whose changes are then reviewed."""

from pathlib import Path

from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from stacks.settings import Owner, Region
from tests.edited_settings import EditedSettings
from tests.template import Template, every_stack


def test_stack_is_as_reviewed(own_platform: dict[str, Template], snapshot: SnapshotAssertion) -> None:
    files = snapshot.use_extension(JSONSnapshotExtension)
    for name, stack in own_platform.items():
        assert stack.raw == files(name=name)


def test_stacks_of_two_accounts_are_as_reviewed(tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    """Those that differ from the stacks of one account: tests/unit/stacks/test_accounts.py looks at the others."""
    settings = EditedSettings(tmp_path)
    settings.add_account("prod")
    (tmp_path / "out").mkdir()
    stacks = every_stack(settings.load(), tmp_path / "out")
    files = snapshot.use_extension(JSONSnapshotExtension)
    for name in ("backend-production", "shared", "shared-production", "prod", "prod-gitops"):
        assert stacks[f"ap-northeast-2-{name}"].raw == files(name=name)


def test_synth_is_deterministic(own: tuple[Owner, list[Region]], tmp_path: Path) -> None:
    once, again = tmp_path / "once", tmp_path / "again"
    for folder in (once, again):
        folder.mkdir()
        every_stack(own, folder)
    files = [path.relative_to(once) for path in once.rglob("*") if path.is_file()]
    assert files
    assert sorted(files) == sorted(path.relative_to(again) for path in again.rglob("*") if path.is_file())
    assert [file for file in files if (once / file).read_bytes() != (again / file).read_bytes()] == []
