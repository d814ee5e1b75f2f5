"""Days of the week as schedules name them: `mon-fri`, `mon,wed`, `sat-mon`, `daily`."""

from __future__ import annotations

from typing import Final

__all__ = ["DAYS", "parse_days"]

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""Their names, in the order of `datetime.weekday()`."""

_GROUPS: Final = {"daily": "mon-sun", "weekdays": "mon-fri", "weekends": "sat-sun"}


def parse_days(text: str) -> frozenset[int]:
    """The days that `text` names, 0 = Monday as `datetime.weekday()` has it.

    Names and ranges of names between commas; a range may run over the end of the week (`sat-mon`); `daily`,
    `weekdays` and `weekends` stand for ranges. Raises ValueError, whose text says what does not fit.
    """
    found: set[int] = set()
    for part in text.split(","):
        found |= _range(_GROUPS.get(part.strip(), part.strip()))
    return frozenset(found)


def _range(part: str) -> set[int]:
    first, dash, last = (end.strip() for end in part.partition("-"))
    start, end = _day(first), _day(last if dash else first)
    return {(start + offset) % 7 for offset in range((end - start) % 7 + 1)}


def _day(name: str) -> int:
    if name not in DAYS:
        raise ValueError(f"{name!r} is no day: {', '.join(DAYS)}, or daily, weekdays, weekends")
    return DAYS.index(name)
