"""Power of machines on the simulated cluster: schedules, states, sets of days, holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from controller.plan.change import Result
from controller.policy import PolicyErrors
from controller.resources.overrides import Hold, Overrides
from tests.controller.resources.power_stage import (
    APPLIED,
    CATCH_UP,
    CLUSTER,
    FRIDAY_EVENING,
    OFFICE,
    STATE,
    staged,
)


@pytest.fixture
def office(tmp_path):
    """Friday, 20:04 in Paris; the start of the morning was carried out."""
    with staged(tmp_path, "2026-11-20T06:01") as stage:
        assert stage.results() == []
        stage.clock.to("2026-11-20T19:04")
        yield stage


def test_a_stop_is_planned_with_its_reason_and_carried_out_once(office):
    plan = office.plan()
    [change] = plan.changes
    assert change.identity == f"{CLUSTER}/machines.power/db-01"
    assert change.before == {"state": "running"}
    assert change.after == {
        "state": "stopped",
        "slot": "2026-11-20T20:00+01:00",
        "until": "2026-11-20T20:10+01:00",
        "how": "shutdown",
        "timeout": "300s",
        "on_timeout": "leave",
    }
    assert change.reason == "stop of office at 20:00 Europe/Paris, due 4 min ago"
    assert str(change.source) == "policy.yaml:9:40"
    assert office.results() == APPLIED
    assert not office.guest().is_running
    assert office.tasks() == ["shutdown 102"]
    assert office.slots()[0] == ("stop 11-20 19:00", "fired", "")
    assert office.results() == []
    assert office.tasks() == ["shutdown 102"]


def test_who_starts_a_machine_after_its_stop_is_left_alone(office):
    office.run()
    office.guest().state = "running"
    for _ in range(5):
        office.clock.move(office.clock() + 60)
        assert office.results() == []
    office.clock.to("2026-11-21T12:00")
    assert office.results() == []
    assert office.guest().is_running


def test_a_machine_that_is_so_already_costs_no_task(office):
    office.guest().state = "stopped"
    assert office.results() == []
    assert office.tasks() == []
    assert office.slots()[0] == ("stop 11-20 19:00", "satisfied", "it was stopped already")
    office.guest().state = "running"
    assert office.results() == []


def test_the_clock_of_the_list_may_lag_the_guest_is_looked_at(office):
    """The list is up to ten seconds old: what is so by now needs no task."""
    plan = office.plan()
    office.guest().state = "stopped"
    [outcome] = office.carry_out(plan)
    assert (outcome.result, outcome.reason) == (Result.APPLIED, "it was stopped already")
    assert office.tasks() == []
    assert office.slots()[0][1] == "satisfied"


def test_a_slot_that_nobody_was_there_for_is_let_go_with_the_reason(office):
    office.clock.to("2026-11-20T19:11")
    assert office.results() == []
    assert office.guest().is_running
    assert office.slots()[0] == (
        "stop 11-20 19:00",
        "skipped",
        "missed: due 11 min ago, and nothing carried it out in the 10 min that it was good for",
    )


@pytest.mark.parametrize(("back_at", "ends"), [("20:59", "fired"), ("21:00", "skipped")])
def test_after_a_pause_one_slot_is_made_good_while_catch_up_lasts(tmp_path, back_at, ends):
    with staged(tmp_path, "2026-11-19T06:01", text=CATCH_UP) as stage:
        stage.run()
        stage.clock.to(f"2026-11-20T{back_at}")
        stage.run()
        assert [(when, how) for when, how, _ in stage.slots()] == [
            ("stop 11-20 19:00", ends),
            ("start 11-20 06:00", "skipped"),
            ("stop 11-19 19:00", "skipped"),
            ("start 11-19 06:00", "satisfied"),
        ]
        assert stage.guest().is_running is (ends == "skipped")
        assert stage.slots()[1][2] == "missed: nothing carried it out in its time"


def test_a_window_ends_where_the_next_slot_begins(tmp_path):
    text = CATCH_UP.replace("07:00", "21:00").replace("start: {days: mon-fri", "start: {days: daily")
    with staged(tmp_path, "2026-11-20T18:00", text=text) as stage:
        stage.run()
        stage.lock("backup")
        stage.clock.to("2026-11-20T20:00")
        stage.run()
        assert stage.slots()[0][:2] == ("start 11-20 20:00", "satisfied")
        assert stage.guest().is_running


def test_a_schedule_that_is_new_does_not_blame_anybody_for_the_past(tmp_path):
    with staged(tmp_path, "2026-11-20T12:00") as stage:
        assert stage.results() == []
        assert stage.slots() == [
            ("start 11-20 06:00", "skipped", "due 6 h ago, before this controller first saw the schedule")
        ]


NIGHTS = """\
schedules:
  nights: {time_zone: Europe/Paris, start: {days: daily, at: "02:30"}, stop: {days: daily, at: "03:30"}}
machines: {db-01: {vmid: 102, power: {schedule: nights}}}
"""


@pytest.mark.parametrize(
    ("begin", "fired"),
    [
        pytest.param("2026-03-28T12:00", ["start 03-29 01:00", "stop 03-29 01:30"], id="the clocks jump"),
        pytest.param("2026-10-24T12:00", ["start 10-25 00:30", "stop 10-25 02:30"], id="an hour comes twice"),
    ],
)
def test_on_both_odd_nights_each_slot_is_carried_out_once(tmp_path, begin, fired):
    with staged(tmp_path, begin, text=NIGHTS) as stage:
        stage.guest().state = "stopped"
        stage.run()
        for _ in range(24 * 12):
            stage.run()
            stage.clock.move(stage.clock() + 300)
        slots = [(when, how) for when, how, _ in reversed(stage.slots()) if how == "fired"]
        assert [when for when, _ in slots] == fired
        assert stage.tasks() == ["start 102", "shutdown 102"]


def test_a_night_over_midnight_is_a_window_like_any_other(tmp_path):
    text = OFFICE.replace('mon-fri, at: "07:00"', 'mon-fri, at: "22:00"').replace(
        'mon-fri, at: "20:00"', 'tue-sat, at: "06:00"'
    )
    with staged(tmp_path, "2026-11-20T12:00", text=text) as stage:
        stage.guest().state = "stopped"
        stage.run()
        seen = []
        for _ in range(48):
            stage.clock.move(stage.clock() + 1800)
            stage.run()
            now = datetime.fromtimestamp(stage.clock(), UTC)
            seen.append((now.strftime("%d %H:%M"), stage.guest().is_running))
        changes = [one for before, one in pairwise(seen) if before[1] != one[1]]
        assert changes == [("20 21:00", True), ("21 05:00", False)]


def test_a_holiday_is_said_and_nothing_happens(tmp_path):
    text = "calendars: {fr: [2026-12-25]}\n" + OFFICE.replace("machines:", "    skip: [fr]\nmachines:")
    with staged(tmp_path, "2026-12-24T19:01", text=text) as stage:
        assert stage.results() == APPLIED
        stage.clock.to("2026-12-25T19:01")
        assert stage.results() == []
        assert stage.slots()[:2] == [
            ("stop 12-25 19:00", "skipped", "2026-12-25 is in the calendar fr"),
            ("start 12-25 06:00", "skipped", "2026-12-25 is in the calendar fr"),
        ]
        assert stage.plan().reported == ()


def hold(state="as-is", hours=2, machine="db-01"):
    until = datetime.fromisoformat(FRIDAY_EVENING).replace(tzinfo=UTC) + timedelta(hours=hours)
    return Overrides(held={machine: Hold(machine, until, state, "local:ann", "inventory")})


def test_a_hold_is_honoured_and_afterwards_nothing_is_made_good(office):
    office.overrides = hold()
    assert office.results() == []
    assert office.slots()[0] == (
        "stop 11-20 19:00",
        "held",
        "held as-is by local:ann until 2026-11-20 21:00 UTC: inventory",
    )
    office.overrides = Overrides()
    assert office.results() == []
    assert office.guest().is_running


def test_a_hold_can_say_a_state(office):
    office.overrides = hold("stopped")
    [change] = office.plan().changes
    assert change.reason == "held stopped by local:ann until 2026-11-20 21:00 UTC: inventory"
    assert office.results() == APPLIED
    office.guest().state = "running"
    assert office.results() == APPLIED
    office.overrides = hold("running")
    assert office.results() == APPLIED
    assert office.guest().is_running


def test_a_hold_of_a_machine_that_nobody_knows_is_told(office):
    office.overrides = hold(machine="db-02")
    [report] = [one for one in office.plan().reported if one.key == "db-02"]
    assert "no machine here is called so" in report.text


def test_a_state_is_compared_by_each_pass(tmp_path):
    with staged(tmp_path, FRIDAY_EVENING, text=STATE.format("running")) as stage:
        assert stage.tasks() == []
        assert stage.results() == APPLIED
        assert stage.guest(101).is_running
        stage.guest(102).state = "stopped"
        assert stage.results() == APPLIED
        assert stage.results() == []
        assert stage.tasks() == ["start 101", "start 102"]
        stage.text = STATE.format("stopped")
        assert stage.results() == APPLIED * 2
        stage.text = STATE.format("unmanaged")
        assert stage.results() == []


def test_a_template_is_never_started(tmp_path):
    with staged(tmp_path, FRIDAY_EVENING, text=STATE.format("running")) as stage:
        stage.guest(101).config["template"] = "1"
        plan = stage.plan()
        assert plan.changes == ()
        assert [report.text for report in plan.reported] == [
            "is a template: it is never started and never stopped"
        ]


SET = """\
machine_sets:
  all: {match: {tags: [prod]}, power: {state: running}}
  web: {match: {name: "web-*"}, power: {state: OTHER}}
"""


def test_a_set_gives_its_guests_their_power_and_the_machine_itself_wins(tmp_path):
    own = "machines: {web-01: {vmid: 101, power: {state: unmanaged}}}\n"
    with staged(tmp_path, FRIDAY_EVENING, text=SET.replace("OTHER", "running")) as stage:
        [change] = stage.plan().changes
        assert (change.key, change.reason) == ("web-01", "the policy wants it running")
        stage.text += own
        assert stage.plan().changes == ()


def test_two_sets_that_differ_are_named(tmp_path):
    with (
        staged(tmp_path, FRIDAY_EVENING, text=SET.replace("OTHER", "stopped")) as stage,
        pytest.raises(PolicyErrors, match='in the sets "web" and "all"'),
    ):
        stage.plan()
