"""When slots fall due: the odd nights of real zones, calendars, and what holds in every zone and year."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.schedule.slots import Kind, Rule, Timetable, following, slots

PARIS = ZoneInfo("Europe/Paris")
ALL_DAYS = frozenset(range(7))
WORKDAYS = frozenset(range(5))
ZONES = (
    *("Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Sao_Paulo"),
    *("Africa/Casablanca", "Pacific/Apia", "Antarctica/Troll", "America/Caracas", "Asia/Pyongyang", "UTC"),
)


def rule(kind=Kind.STOP, at="20:00", days=ALL_DAYS):
    return Rule(kind, days, time.fromisoformat(at))


def table(*rules, zone=PARIS, skip=()):
    return Timetable(zone, rules, {date.fromisoformat(day): "fr" for day in skip})


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def between(timetable, after, until):
    return [slot.instant.strftime("%m-%d %H:%M") for slot in slots(timetable, utc(after), utc(until))]


ODD_NIGHTS = [
    # at, from, to, when in UTC
    pytest.param(
        "02:30", "2026-03-28", "2026-03-31", ["03-28 01:30", "03-29 01:00", "03-30 00:30"], id="jump"
    ),
    pytest.param("02:00", "2026-03-28", "2026-03-29T12:00", ["03-28 01:00", "03-29 01:00"], id="jump begins"),
    pytest.param("03:00", "2026-03-28", "2026-03-30", ["03-28 02:00", "03-29 01:00"], id="jump ends"),
    pytest.param(
        "02:30", "2026-10-24", "2026-10-27", ["10-24 00:30", "10-25 00:30", "10-26 01:30"], id="twice"
    ),
    pytest.param(
        "02:00", "2026-10-23T12:00", "2026-10-25T12:00", ["10-24 00:00", "10-25 00:00"], id="twice begins"
    ),
    pytest.param("03:00", "2026-10-24", "2026-10-26", ["10-24 01:00", "10-25 02:00"], id="twice ends"),
    pytest.param("20:00", "2026-03-28", "2026-03-30", ["03-28 19:00", "03-29 18:00"], id="evening of a jump"),
]


@pytest.mark.parametrize(("at", "after", "until", "due"), ODD_NIGHTS)
def test_both_odd_nights_of_paris(at, after, until, due):
    assert between(table(rule(at=at)), after, until) == due


def test_two_times_that_a_jump_brings_together_keep_their_order():
    both = table(rule(Kind.START, "02:40"), rule(Kind.STOP, "02:10"))
    found = list(slots(both, utc("2026-03-29"), utc("2026-03-29T12:00")))
    assert [slot.kind for slot in found] == [Kind.STOP, Kind.START]
    assert found[0].instant == found[1].instant == utc("2026-03-29T01:00")


def test_a_day_that_a_zone_leaves_out_has_no_slot():
    apia = table(rule(at="07:00"), zone=ZoneInfo("Pacific/Apia"))
    days = [slot.local.day for slot in slots(apia, utc("2011-12-28"), utc("2012-01-01"))]
    assert days == [28, 29, 31, 1]


def test_a_window_over_midnight_is_two_rules_on_their_own_days():
    nights = table(
        rule(Kind.START, "22:00", WORKDAYS), rule(Kind.STOP, "06:00", frozenset({1, 2, 3, 4, 5})), zone=PARIS
    )
    found = [
        (slot.local.strftime("%a %H:%M"), str(slot.kind))
        for slot in slots(nights, utc("2026-11-20T12:00"), utc("2026-11-24T12:00"))
    ]
    assert found == [
        ("Fri 22:00", "start"),
        ("Sat 06:00", "stop"),
        ("Mon 22:00", "start"),
        ("Tue 06:00", "stop"),
    ]


def test_days_are_those_of_the_zone():
    # Monday 07:00 in Auckland is Sunday evening in UTC.
    monday = table(rule(at="07:00", days=frozenset({0})), zone=ZoneInfo("Pacific/Auckland"))
    assert between(monday, "2026-11-21", "2026-11-24") == ["11-22 18:00"]


def test_a_calendar_makes_nothing_of_a_whole_local_day():
    office = table(rule(Kind.START, "07:00"), rule(Kind.STOP, "20:00"), skip=["2026-12-25"])
    found = list(slots(office, utc("2026-12-24T12:00"), utc("2026-12-26T12:00")))
    assert [(slot.local.day, slot.skipped_by) for slot in found] == [
        (24, ""),
        (25, "fr"),
        (25, "fr"),
        (26, ""),
    ]
    after = following(office, utc("2026-12-24T19:30"))
    assert after is not None
    assert after.local == datetime.combine(date(2026, 12, 26), time(7))


def test_nothing_follows_where_every_day_is_skipped():
    every_day = [date(2026, 1, 1) + timedelta(days=n) for n in range(900)]
    never = Timetable(PARIS, (rule(),), dict.fromkeys(every_day, "fr"))
    assert following(never, utc("2026-01-02")) is None
    assert following(table(), utc("2026-01-02")) is None


def test_the_ends_of_a_span_are_after_and_until():
    evening = table(rule(at="20:00"))
    due = utc("2026-11-20T19:00")
    assert [slot.instant for slot in slots(evening, due - timedelta(hours=1), due)] == [due]
    assert list(slots(evening, due, due + timedelta(hours=1))) == []


zones = st.sampled_from(ZONES).map(ZoneInfo)
times = st.builds(time, st.integers(0, 23), st.integers(0, 59))
days = st.frozensets(st.integers(0, 6))
rules = st.builds(Rule, st.sampled_from(Kind), days, times)
midnights = st.dates(date(1995, 1, 1), date(2045, 1, 1))
instants = st.builds(datetime.combine, midnights, st.times(), st.just(UTC))
tables = st.builds(Timetable, zones, st.lists(rules, max_size=3).map(tuple))


@settings(max_examples=150, deadline=None)
@given(tables, instants, st.integers(1, 40))
def test_what_holds_in_every_zone_and_year(timetable, start, length):
    end = start + timedelta(days=length)
    found = list(slots(timetable, start, end))
    assert all(start < slot.instant <= end for slot in found)
    assert all(one <= other for one, other in pairwise(found))
    names = [(slot.local, slot.kind) for slot in found]
    written = [(one.at, one.kind) for one in timetable.rules]
    assert all(names.count(name) <= written.count((name[0].time(), name[1])) for name in names)
    for slot in found:
        wall = slot.instant.astimezone(timetable.zone).replace(tzinfo=None)
        is_written = wall == slot.local
        earlier = (slot.instant - timedelta(seconds=1)).astimezone(timetable.zone)
        jumped = wall > slot.local > earlier.replace(tzinfo=None)
        assert is_written or jumped


@settings(max_examples=100, deadline=None)
@given(tables, instants, st.integers(1, 20 * 24), st.integers(1, 20 * 24))
def test_no_slot_is_lost_and_none_comes_twice_between_two_looks(timetable, start, first, second):
    middle, end = start + timedelta(hours=first), start + timedelta(hours=first + second)
    whole = list(slots(timetable, start, end))
    assert whole == [*slots(timetable, start, middle), *slots(timetable, middle, end)]


@settings(max_examples=60, deadline=None)
@given(tables, instants)
def test_every_day_of_a_rule_that_the_zone_has_yields_its_slot(timetable, start):
    found = {(slot.local, slot.kind) for slot in slots(timetable, start, start + timedelta(days=12))}
    for offset in range(2, 10):
        day = (start + timedelta(days=offset)).astimezone(timetable.zone).date()
        if day == date(2011, 12, 30):  # Apia has no such day
            continue
        for one in timetable.rules:
            if day.weekday() in one.days:
                assert (datetime.combine(day, one.at), one.kind) in found


@settings(max_examples=60, deadline=None)
@given(tables, instants)
def test_what_follows_is_the_first_of_what_comes(timetable, start):
    first = next(slots(timetable, start, start + timedelta(days=30)), None)
    assert first is None or following(timetable, start) == first
