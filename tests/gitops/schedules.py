"""Schedules of cron, as Kubernetes and Karpenter read them.

Source: github.com/robfig/cron v3.0.1, parser.go and spec.go.
"""

import re
from collections.abc import Sequence

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
# The fields of a schedule: the least number, the greatest, and the names of the numbers.
_FIELDS: Sequence[tuple[int, int, Sequence[str]]] = (
    (0, 59, ()), (0, 23, ()), (1, 31, ()), (1, 12, _MONTHS), (0, 6, _DAYS),
)  # fmt: skip
# The days of each month in a leap year.
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def is_schedule(text: str) -> bool:
    """Whether a text is a schedule: five fields, or a name such as `@daily`."""
    if text.startswith("@"):
        return text[1:] in {"annually", "yearly", "monthly", "weekly", "daily", "midnight", "hourly"}
    return _numbers(text) is not None


def never_comes(text: str) -> bool:
    """Whether no month of a schedule is long enough for its first day. With days of the week it comes on those."""
    numbers = _numbers(text)
    if numbers is None or not text.split()[4].startswith(("*", "?")):
        return False
    _, _, days, months, _ = numbers
    return min(days) > max(_LONGEST[month - 1] for month in months)


def _numbers(text: str) -> list[list[int]] | None:
    """The numbers of each field; None if the text is no schedule."""
    fields = text.split()
    if len(fields) != len(_FIELDS):
        return None
    ranges = [
        [_range(part, *bounds) for part in field.split(",")] for field, bounds in zip(fields, _FIELDS, strict=True)
    ]
    if None in (one for of_field in ranges for one in of_field):
        return None
    return [[number for one in of_field for number in one or ()] for of_field in ranges]


def _range(part: str, least: int, greatest: int, names: Sequence[str]) -> range | None:
    numbers = {name: str(number) for number, name in enumerate(names, least)}
    found = re.fullmatch(r"(?:[*?]|(\w+)(?:-(\w+))?)(?:/0*([1-9]\d*))?", part)
    if found is None:
        return None
    *given, step = found.groups()
    bounds = [numbers.get(bound.lower(), bound) for bound in given if bound]
    if not all(bound.isdecimal() and least <= int(bound) <= greatest for bound in bounds):
        return None
    first, *last = map(int, bounds or [str(least), str(greatest)])
    end = last[0] if last else greatest if step else first
    return range(first, end + 1, int(step or 1)) if first <= end else None
