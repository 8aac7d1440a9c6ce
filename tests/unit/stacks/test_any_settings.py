"""Whatever stands in the settings: an error is one line with its field and remedy, and what is accepted synthesizes.

The example settings are changed at up to three random places. The examples are the same in every run; `make check`
runs few of them, and `make test` all.
"""

import re
import tempfile
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
from cdktf import App
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import main
from eks_gitops.config import Config, all_problems, as_far_as_known, deferred_errors, shape_errors
from eks_gitops.file_system import FileSystemConfig
from eks_gitops.node_group import Taint
from stacks import rules
from stacks.settings import Finding, Owner, Region
from tests.edited_settings import EditedSettings

with tempfile.TemporaryDirectory() as _folder:
    _edited = EditedSettings(Path(_folder))
    _OWNER, (_REGION,) = _edited.load()
    _edited.use_existing_vpc()
    _, (_OTHER,) = _edited.load()
_DEV = _REGION.environments[0]
_LITERALS: Mapping[str, Config] = {
    "stacks/owner.py": _OWNER,
    _REGION.shared_file: _REGION.shared,
    _DEV.file: _DEV.settings,
}
_WITH_EXISTING_VPC = {**_LITERALS, _REGION.shared_file: _OTHER.shared}

Path_ = tuple[str | int, ...]
Change = tuple[str, Path_, Any]
"""A file, the path of a field in it, and the new value."""

_REMOVED = object()
_REMEDY = re.compile(
    r"\b(add|assign|change|choose|correct|did you mean|enlarge|give|list|lower|omit|prints|raise|remove|set|use"
    r"|write)\b"
)


def _paths(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    """The paths of all fields and items in a config, those that are not set among them."""
    if isinstance(value, Config):
        for name in type(value).model_fields:
            yield (*path, name)
            yield from _paths(getattr(value, name), (*path, name))
        yield (*path, "no_such_field")
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield (*path, index)
            yield from _paths(item, (*path, index))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, Config):
        value = tuple(vars(value).values())
    if isinstance(value, tuple):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, str | IPv4Network):
        yield str(value)


_PLACES = list(
    dict.fromkeys(
        (file, path)
        for literals in (_LITERALS, _WITH_EXISTING_VPC)
        for file, literal in literals.items()
        for path in _paths(literal)
    )
)
_USED = sorted({text for literal in _LITERALS.values() for text in _strings(literal)})
_SIMPLE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 70_000),
    st.floats(),
    st.text(max_size=70),
    st.sampled_from(_USED),
    st.sampled_from(["", "${a}", "%{if}", "10.0.0.0/8", "0.0.0.0/0", "a" * 300, "arn:aws:iam::123456789012:role/*"]),
    st.binary(max_size=3),
    st.builds(object),
)
_CONFIGS = st.sampled_from([FileSystemConfig(), Taint(key="a", effect="NO_EXECUTE"), _DEV.settings.cluster])
_VALUES = st.one_of(
    _SIMPLE,
    _CONFIGS,
    st.lists(st.one_of(_SIMPLE, _CONFIGS), max_size=3).map(tuple),
    st.dictionaries(st.one_of(st.text(max_size=70), st.integers()), _SIMPLE, max_size=3),
    st.just(_REMOVED),
)
_CHANGES = st.lists(st.tuples(st.sampled_from(_PLACES), _VALUES).map(lambda pair: (*pair[0], pair[1])), max_size=3)


def _changed(value: Any, changes: list[tuple[Path_, Any]]) -> Any:
    """A copy of a config, made as a settings file makes it, with other values at the given paths."""
    here = [new for path, new in changes if not path]
    if here:
        return here[-1]
    below: dict[str | int, list[tuple[Path_, Any]]] = {}
    for path, new in changes:
        below.setdefault(path[0], []).append((path[1:], new))
    if isinstance(value, Config):
        given_ = {name: _changed(getattr(value, name), below.get(name, [])) for name in value.model_fields_set}
        given_ |= {str(name): _changed(None, new) for name, new in below.items() if name not in given_}
        return type(value)(**{name: new for name, new in given_.items() if new is not _REMOVED})
    if isinstance(value, tuple):
        items = [_changed(item, below.get(index, [])) for index, item in enumerate(value)]
        return tuple(item for item in items if item is not _REMOVED)
    return value


def _load(changes: list[Change], *, existing_vpc: bool) -> tuple[Owner, Region, list[Finding]]:
    """What `stacks.loading` makes of the changed files."""
    literals = _WITH_EXISTING_VPC if existing_vpc else _LITERALS
    known: dict[str, Any] = {}
    findings: list[Finding] = []
    for file, literal in literals.items():
        with deferred_errors():
            changed = _changed(literal, [(path, value) for of, path, value in changes if of == file])
        known[file] = as_far_as_known(changed)
        findings += [Finding(file, problem) for problem in (*shape_errors(changed), *all_problems(known[file]))]
    region = _REGION._replace(
        shared=known[_REGION.shared_file], environments=(_DEV._replace(settings=known[_DEV.file]),)
    )
    owner = known["stacks/owner.py"]
    return owner, region, [*findings, *rules.broken(owner, [region])]


def _assert_errors_are_lines_with_a_field_and_a_remedy(changes: list[Change], *, existing_vpc: bool) -> None:
    _, _, findings = _load(changes, existing_vpc=existing_vpc)
    for finding in findings:
        text = str(finding)
        assert "\n" not in text, text
        assert finding.problem.field, text
        assert _REMEDY.search(finding.problem.message), text


@pytest.mark.parametrize("examples", [100, pytest.param(2_000, marks=pytest.mark.slow)])
def test_errors_are_lines_with_a_field_and_a_remedy(examples: int) -> None:
    options = settings(max_examples=examples, deadline=None, derandomize=True, database=None)
    some = given(changes=_CHANGES, existing_vpc=st.booleans())
    options(some(_assert_errors_are_lines_with_a_field_and_a_remedy))()


@pytest.mark.slow
@settings(max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(changes=_CHANGES, existing_vpc=st.booleans())
def test_what_is_accepted_is_synthesized(
    tmp_path_factory: pytest.TempPathFactory, changes: list[Change], *, existing_vpc: bool
) -> None:
    owner, region, findings = _load(changes, existing_vpc=existing_vpc)
    assume(changes and not findings)
    folder: Path = tmp_path_factory.mktemp("out")
    app = App(outdir=str(folder), stack_traces=False)
    main.synthesize(app, owner, [region])
    assert (folder / "platform.json").is_file()
