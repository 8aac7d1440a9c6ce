"""How tests of the tree fail: with a line for each problem, and nothing else."""

import re
from collections.abc import Iterable, Iterator, Mapping

import pytest

_ENVIRONMENT = re.compile(r"service/[^/]+/overlays/([\w-]+)(?:/.*)?|([\w-]+)")


def fail_with(problems: Iterable[str]) -> None:
    """Fail if there are problems, each with the place in front: the same is said once, with all of its places."""
    if lines := [*once(problems)]:
        pytest.fail("\n".join(lines), pytrace=False)


def fail_with_entries(found: Mapping[str, Iterable[str]]) -> None:
    """Fail if there are problems of entries of the tree, or of environments."""
    fail_with(f"{entry}: {line}" for entry, lines in found.items() for line in lines)


def once(problems: Iterable[str]) -> Iterator[str]:
    """The problems, of which each overlay or environment may have the same, except for the name of the environment."""
    alike: dict[str, dict[str, str]] = {}
    for problem in problems:
        place, colon, said = problem.partition(": ")
        environment = _ENVIRONMENT.fullmatch(place)
        name = rf"\b{environment[1] or environment[2]}\b" if environment else "(?!)"
        alike.setdefault(re.sub(name, "ENVIRONMENT", said) if colon else place, {})[place] = said
    for said, places in alike.items():
        if len(places) == 1:
            yield from (f"{place}: {own}" if own else place for place, own in places.items())
        else:
            yield f"{_together([*places])}: {said}"


def _together(places: list[str]) -> str:
    """The places; those that differ only in a folder or an environment as one: `overlays/{dev,prod}`."""
    folders: dict[tuple[str, str], list[str]] = {}
    for place in places:
        found = re.fullmatch(r"(service/[^/]+/overlays/)([^/]+)(.*)", place) or re.fullmatch(r"(.*/)([^/]+)()", place)
        above, name, below = found.groups() if found else ("", place, "")
        folders.setdefault((above, below), []).append(name)
    return ", ".join(
        f"{above}{{{','.join(names)}}}{below}" if above and len(names) > 1 else f"{above}{', '.join(names)}{below}"
        for (above, below), names in folders.items()
    )


def subject(problem: str) -> tuple[str, ...]:
    """The object and the field of a problem without a place: another line about them means the same mistake."""
    return tuple(problem.split(": ")[:2])
