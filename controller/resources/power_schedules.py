"""Schedules of a policy at one instant: which slot counts now, until when, and what comes next. Pure.

Of the slots that have come only the newest counts: after a pause of the controller one of them is made good,
not all. It may be carried out for `catch_up` and never for less than `GRACE`, and no longer than until the
next slot.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from controller.policy.days import parse_days
from controller.schedule.slots import Kind, Rule, Slot, Timetable, following, slots

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime

    from controller.policy.machines import Schedule, Stopping
    from controller.policy.model import Policy

__all__ = ["GRACE", "LOOKED_BACK", "Due", "due", "next_slot", "span", "timetable"]

GRACE = timedelta(minutes=10)
"""How late a slot may always be: two passes, five minutes apart, may fail to come in time."""

LOOKED_BACK = timedelta(days=8)
"""A slot is looked for that far back, so that a weekly one is found."""


@dataclass(frozen=True)
class Due:
    """A schedule at an instant.

    `newest` is the slot that counts, None where none has come for days; `until` the end of its window.
    `come` are all slots that have come, those that a calendar skips among them, ascending.
    """

    name: str
    zone: str
    newest: Slot | None
    until: datetime
    catch_up: timedelta
    come: tuple[Slot, ...] = field(default=(), repr=False)
    stopping: Stopping | None = None

    def told(self, slot: Slot) -> str:
        """A slot in words: `stop of office-hours at 20:00 Europe/Paris`."""
        return f"{slot.kind} of {self.name} at {slot.local:%H:%M} {self.zone}"

    def in_zone(self, instant: datetime) -> str:
        """An instant on the schedule's own clock, with its offset: 2026-11-20T20:00+01:00."""
        return instant.astimezone(ZoneInfo(self.zone)).isoformat(timespec="minutes")

    def told_with_age(self, slot: Slot, now: datetime) -> str:
        """A slot in words, with how long it has been due."""
        return f"{self.told(slot)}, due {span(now - slot.instant)} ago"


def due(policy: Policy, name: str, now: datetime) -> Due:
    """The schedule of that name at `now`."""
    schedule = policy.schedules[name]
    table = timetable(schedule, policy.calendars)
    come = tuple(slots(table, now - LOOKED_BACK, now))
    newest = next((slot for slot in reversed(come) if not slot.skipped_by), None)
    catch_up = max(schedule.catch_up or timedelta(), GRACE)
    until = now
    if newest is not None:
        coming = following(table, newest.instant)
        ends = newest.instant + catch_up
        until = ends if coming is None else min(ends, coming.instant)
    return Due(name, schedule.time_zone, newest, until, catch_up, come, schedule.stop)


def next_slot(policy: Policy, now: datetime) -> datetime | None:
    """When the next slot of any schedule in use falls due; None where none does."""
    powers = [one.power for one in policy.machines.values()]
    powers += [one.power for one in policy.machine_sets.values()]
    names = {power.schedule for power in powers if power is not None}
    coming = [
        following(timetable(policy.schedules[name], policy.calendars), now)
        for name in names
        if name is not None
    ]
    return min((slot.instant for slot in coming if slot is not None), default=None)


def timetable(schedule: Schedule, calendars: Mapping[str, tuple[date, ...]]) -> Timetable:
    """The timetable of a schedule; days of several calendars are told of the first that names them."""
    lines = ((Kind.START, schedule.start), (Kind.STOP, schedule.stop))
    rules = tuple(
        Rule(kind, parse_days(line.days), time.fromisoformat(line.at)) for kind, line in lines if line
    )
    skipped: dict[date, str] = {}
    for name in schedule.skip:
        for day in calendars[name]:
            skipped.setdefault(day, name)
    return Timetable(ZoneInfo(schedule.time_zone), rules, skipped)


def span(length: timedelta) -> str:
    """A length of time as people say it: `40 s`, `12 min`, `3 h`, `5 d`."""
    seconds = int(length.total_seconds())
    for limit, unit, name in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds // unit} {name}"
    return f"{seconds // 86_400} d"
