"""What a timetable means: which starts and stops fall due when, in the time of its own zone. Pure.

A slot is one start or stop on one local day. The two odd nights of a year are settled so (PEP 495):

- a time that the clocks jump over (02:30 on the last Sunday of March in Paris) falls due once, at the end of
  the jump (03:00);
- a time that comes twice (02:30 on the last Sunday of October) falls due once, the first time;
- a day that a zone leaves out (Apia, 2011-12-30) has no slots.

Days of the week and days of calendars are those of the zone. A stop whose time is before the start's simply
belongs to another day: `start mon-fri 22:00`, `stop tue-sat 06:00` are nights.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from zoneinfo import ZoneInfo

__all__ = ["Kind", "Rule", "Slot", "Timetable", "following", "slots"]

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_LONGEST_SEARCH_DAYS = 800
"""A timetable whose next slot is further away than that (all days in calendars) has none."""


class Kind(StrEnum):
    """What falls due."""

    START = "start"
    STOP = "stop"


@dataclass(frozen=True)
class Rule:
    """One line of a timetable: on these days of the week (0 = Monday) at this local time."""

    kind: Kind
    days: frozenset[int]
    at: time


@dataclass(frozen=True)
class Timetable:
    """Rules in a zone; on a day in `skip` nothing happens, its value names the calendar."""

    zone: ZoneInfo
    rules: tuple[Rule, ...]
    skip: Mapping[date, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, order=True)
class Slot:
    """A start or stop due at `instant` (UTC), written on `local` (a local date and time without a zone).

    Slots sort by instant; those that the end of a jump brings together, as the wall clock would have had
    them. `skipped_by` is the calendar that makes nothing of it.
    """

    instant: datetime
    local: datetime
    kind: Kind
    skipped_by: str = ""


def slots(table: Timetable, after: datetime, until: datetime) -> Iterator[Slot]:
    """The slots in (after, until], ascending. Both instants know their zone."""
    day = after.astimezone(table.zone).date() - _DAY
    last = until.astimezone(table.zone).date() + _DAY
    waiting: list[Slot] = []
    while day <= last:
        waiting = sorted([*waiting, *_of_day(table, day)])
        # No slot of a later day is earlier than the first one of the day after this.
        waiting, ready = _split(waiting, day, table.zone)
        yield from (slot for slot in ready if after < slot.instant <= until)
        day += _DAY
    yield from (slot for slot in waiting if after < slot.instant <= until)


def following(table: Timetable, after: datetime) -> Slot | None:
    """The next slot after an instant that no calendar skips; None where there is none in sight."""
    until = after + timedelta(days=_LONGEST_SEARCH_DAYS)
    return next((slot for slot in slots(table, after, until) if not slot.skipped_by), None)


def _of_day(table: Timetable, day: date) -> list[Slot]:
    found = []
    for rule in table.rules:
        if day.weekday() not in rule.days:
            continue
        local = datetime.combine(day, rule.at)
        instant = _instant(local, table.zone)
        if instant is not None:
            found.append(Slot(instant, local, rule.kind, table.skip.get(day, "")))
    return found


def _split(waiting: list[Slot], day: date, zone: ZoneInfo) -> tuple[list[Slot], list[Slot]]:
    """What may still be overtaken by a slot of a later day, and what may not."""
    edge = _instant(datetime.combine(day + _DAY, time()), zone)
    if edge is None:
        return waiting, []
    return [slot for slot in waiting if slot.instant >= edge], [
        slot for slot in waiting if slot.instant < edge
    ]


def _instant(local: datetime, zone: ZoneInfo) -> datetime | None:
    """When a wall clock shows this time first; the end of the jump where it never does.

    None on a day that the zone leaves out.
    """
    first = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    second = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if first <= second:  # the usual case, and a time that comes twice: fold 0 is the first
        return first
    # In a jump fold 0 counts with the offset before it and comes out later (PEP 495, "Time zone gap").
    end = _end_of_jump(second, first, zone)
    return None if _is_left_out(local.date(), zone) else end


def _end_of_jump(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The first second in (before, after] at which the zone has its later offset."""
    low, high = 0, int((after - before).total_seconds())
    offset = after.astimezone(zone).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if (before + middle * _SECOND).astimezone(zone).utcoffset() == offset:
            high = middle
        else:
            low = middle
    return before + high * _SECOND


def _is_left_out(day: date, zone: ZoneInfo) -> bool:
    return not any(_exists(datetime.combine(day, at), zone) for at in (time(), time(23, 59, 59)))


def _exists(local: datetime, zone: ZoneInfo) -> bool:
    there = local.replace(tzinfo=zone, fold=0).astimezone(UTC).astimezone(zone)
    return there.replace(tzinfo=None) == local
