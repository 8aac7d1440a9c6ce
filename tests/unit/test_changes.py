"""The list of changes of the settings: complete, and as the page was made from."""

import re
from pathlib import Path

import stacks
from eks_gitops.config import Config
from scripts.settings_docs import FILES as TOPS
from scripts.settings_docs import classes
from tests.changes.cases import BASES, CHANGES, FILES
from tests.changes.make import PAGE

_HOW = ("set", "unset", "add", "remove", "raise", "lower", "replace")


def _declared(kind: type[Config], name: str) -> str:
    """The field, with the class that declares it: a class that inherits it need not be changed, too."""
    return f"{next(one for one in kind.__mro__ if name in vars(one).get('__annotations__', {})).__name__}.{name}"


def _fields() -> set[str]:
    """The fields that are no config themselves: those are changed by their own fields."""
    kinds = {kind for top in TOPS.values() for kind in classes(top)}
    return {
        _declared(kind, name)
        for kind in kinds
        for name, field in kind.model_fields.items()
        if not (isinstance(field.annotation, type) and issubclass(field.annotation, Config))
    }


def test_every_field_is_changed() -> None:
    changed = {change.field for change in CHANGES}
    whole = {
        f"{kind.__name__}.{name}": _declared(kind, name)
        for top in TOPS.values()
        for kind in classes(top)
        for name in kind.model_fields
    }
    assert changed <= whole.keys()
    assert not _fields() - {whole[name] for name in changed}


def test_changes_differ_and_say_how() -> None:
    names = [change.name for change in CHANGES]
    assert len(names) == len(set(names))
    assert not [change.name for change in CHANGES if change.how.split()[0] not in _HOW]


def test_every_change_has_a_base() -> None:
    assert {change.base for change in CHANGES} == BASES.keys()


def test_changes_apply_to_the_committed_settings() -> None:
    folder = Path(stacks.__file__).parent
    for name, base in BASES.items():
        texts = {file: (folder / path).read_text(encoding="utf-8") for file, path in FILES.items()}
        for edit in base:
            assert edit.old in texts[edit.file], edit
            texts[edit.file] = texts[edit.file].replace(edit.old, edit.new)
        for change in [change for change in CHANGES if change.base == name]:
            for edit in change.edits:
                assert edit.old in texts[edit.file], change.name


def test_the_page_has_a_row_for_each_change() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \| ([^|]+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [(change.field, change.how) for change in CHANGES]
