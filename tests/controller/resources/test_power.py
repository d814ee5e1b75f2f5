"""Power of machines on the simulated cluster: schedules, states, holds, and all that gets in the way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from controller.plan.change import Result
from controller.power_values import SlotName, SlotState
from controller.resources.overrides import Hold, Overrides
from tests.controller.resources.power_stage import CLUSTER, OFFICE, seconds, staged
from tests.lab_servers import SMALL

FRIDAY_EVENING = "2026-11-20T19:00"  # 20:00 in Paris
APPLIED = [("applied", "")]


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
        "missed: due 11 min ago, and no pass came in the 10 min that it was good for",
    )


CATCH_UP = OFFICE.replace('at: "20:00"}', 'at: "20:00"}\n    catch_up: 2h')


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
        assert stage.slots()[1][2] == "missed: no pass came in its time"


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


def test_a_locked_guest_is_tried_again_within_the_pass(office):
    office.lock("backup")
    office.clock.at[office.clock() + 40] = office.unlock
    assert office.results() == APPLIED
    assert not office.guest().is_running
    assert 40 <= office.clock.waited < 90
    assert office.slots()[0][1] == "fired"


def test_a_locked_guest_is_tried_again_until_its_window_ends(tmp_path):
    with staged(tmp_path, "2026-11-20T06:01", text=CATCH_UP) as stage:
        stage.run()
        stage.lock("backup")
        stage.clock.to("2026-11-20T19:01")
        results = []
        while stage.clock() < seconds("2026-11-20T21:30"):
            results += stage.results()
            stage.clock.move(stage.clock() + 300)
        assert {result for result, _ in results} == {"skipped"}
        assert results[0][1] == "VM is locked (backup): tried again until 21:00 UTC"
        assert len(results) > 10
        assert stage.slots()[0] == (
            "stop 11-20 19:00",
            "skipped",
            "VM is locked (backup): tried again until 21:00 UTC; its window is over",
        )
        assert stage.guest().is_running


def test_a_lock_that_goes_away_between_two_passes(tmp_path):
    with staged(tmp_path, "2026-11-20T06:01", text=CATCH_UP) as stage:
        stage.run()
        stage.lock("backup")
        stage.clock.to("2026-11-20T19:01")
        assert [result for result, _ in stage.results()] == ["skipped"]
        assert stage.slots()[0][1] == "waiting"
        stage.unlock()
        stage.clock.move(stage.clock() + 300)
        assert stage.results() == APPLIED
        assert stage.slots()[0][1] == "fired"


def test_warnings_are_success(tmp_path):
    with staged(tmp_path, "2026-11-23T05:50") as stage:
        stage.guest().state, stage.guest().warns = "stopped", True
        stage.run()
        stage.clock.to("2026-11-23T06:01")
        assert stage.results() == APPLIED
        assert stage.guest().is_running
        [task] = stage.lab.center.tasks.archive("pve2", stage.clock() + 100)
        assert task.exitstatus == "WARNINGS: 1"
        assert stage.tasks() == ["start 102"]


def test_a_shutdown_that_is_not_obeyed_never_becomes_a_stop(office):
    office.guest().hangs = True
    [(result, reason)] = office.results()
    assert (result, reason) == (
        "failed",
        "did not shut down in 300 s and is left running: VM quit/powerdown failed - got timeout",
    )
    assert office.guest().is_running
    assert office.tasks() == ["shutdown 102"]
    assert office.slots()[0][1] == "failed"
    assert office.results() == []


@pytest.mark.parametrize(
    ("rule", "tasks"),
    [
        ("timeout: 60s, on_timeout: stop", ["shutdown 102"]),
        ("how: stop", ["stop 102"]),
    ],
)
def test_force_is_used_where_the_policy_says_so(tmp_path, rule, tasks):
    text = OFFICE.replace('at: "20:00"', f'at: "20:00", {rule}')
    with staged(tmp_path, "2026-11-20T19:01", text=text) as stage:
        stage.guest().hangs = True
        assert stage.results() == APPLIED
        assert not stage.guest().is_running
        assert stage.tasks() == tasks


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


STATE = """\
machines:
  db-01: {{vmid: 102, power: {{state: {0}}}}}
  web-01: {{vmid: 101, power: {{state: {0}}}}}
"""


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


def test_a_node_that_does_not_answer_defers_and_is_no_failure(office):
    office.node("pve2", online=False)
    plan = office.plan()
    assert plan.changes == ()
    assert plan.unobserved == ()
    assert [report.text for report in plan.reported] == [
        "the node pve2 does not answer: deferred (stop of office at 20:00 Europe/Paris, due 4 min ago)"
    ]
    assert office.results() == []
    assert office.slots()[0] == ("stop 11-20 19:00", "waiting", "the node pve2 does not answer")
    office.node("pve2", online=True)
    assert office.results() == APPLIED


def test_a_node_that_stays_away_is_the_reason_of_the_skip(office):
    office.node("pve2", online=False)
    office.run()
    office.clock.to("2026-11-20T19:12")
    office.run()
    assert office.slots()[0] == (
        "stop 11-20 19:00",
        "skipped",
        "the node pve2 does not answer; its window is over",
    )


def test_a_node_that_goes_away_while_it_is_asked(office):
    plan = office.plan()
    office.node("pve2", online=False)
    office.clock.at[office.clock() + 30] = lambda: office.node("pve2", online=True)
    assert [str(one.result) for one in office.carry_out(plan)] == ["applied"]


def test_an_answer_that_was_lost_is_looked_for_and_nothing_is_sent_twice(office):
    office.lab.center.faults.lost_answers = 1
    office.guest().hangs = True  # the first shutdown is still under way
    office.clock.at[office.clock() + 20] = lambda: setattr(office.guest(), "hangs", False)
    assert office.results() == APPLIED
    assert office.tasks() == ["shutdown 102"]
    assert office.slots()[0][1] == "fired"


def test_killed_between_claim_and_send(office):
    """Nobody sent anything: the next pass does, while the window is open."""
    claim(office)
    assert office.results() == APPLIED
    assert office.tasks() == ["shutdown 102"]
    assert office.slots()[0][1] == "fired"


def test_killed_between_claim_and_send_and_nobody_came_back_in_time(office):
    claim(office)
    office.clock.to("2026-11-20T19:12")
    assert office.results() == []
    when, state, reason = office.slots()[0]
    assert (when, state) == ("stop 11-20 19:00", "unknown")
    assert "how it ended is not known" in reason
    [report] = office.reported
    assert report.text.startswith("the stop due 2026-11-20 19:00 UTC is unknown")
    assert office.guest().is_running


def test_killed_after_the_send_while_the_task_runs(office):
    """The task that is there is watched; a second one is not sent."""
    office.guest().hangs = True
    kill_while_waiting(office)
    office.guest().hangs = False
    office.clock.move(office.clock() + 30)
    assert office.results() == APPLIED
    assert office.tasks() == ["shutdown 102"]
    assert office.slots()[0][1] == "fired"


def test_killed_after_the_send_and_done_when_it_came_back(office):
    claim(office)
    office.guest().state = "stopped"
    assert office.results() == []
    assert office.slots()[0] == ("stop 11-20 19:00", "fired", "seen as done after an interruption")


def test_killed_after_it_was_done_and_somebody_started_the_machine_since(office):
    plan = office.plan()
    office.carry_out(plan)
    reopen(office)
    office.clock.move(office.clock() + 90)
    office.guest().state = "running"
    [(result, reason)] = office.results()
    assert result == "applied"
    assert "somebody has changed it since" in reason
    assert office.guest().is_running
    assert office.tasks() == ["shutdown 102"]


def claim(stage):
    name = SlotName(CLUSTER, "db-01", "stop", int(seconds(FRIDAY_EVENING)))
    stage.store.power_slots.claim(name, term=0, now=int(stage.clock()))


def reopen(stage):
    """The slot as a controller leaves it that dies before it writes down the end."""
    from sqlalchemy import create_engine, text

    engine = create_engine(f"sqlite:///{stage.database}")
    with engine.begin() as connection:
        connection.execute(text("UPDATE power_slots SET state='claimed', ended_at=NULL WHERE kind='stop'"))
    engine.dispose()


def kill_while_waiting(stage):
    class Killed(BaseException):
        pass

    def die(_seconds):
        raise Killed

    stage.wait = die
    with pytest.raises(Killed):
        stage.run()
    stage.wait = None
    assert stage.slots()[0][1] == SlotState.CLAIMED


def test_a_pass_that_is_broken_off_says_what_it_left(office):
    office.guest().hangs = True
    office.wait = lambda _seconds: False
    [(result, reason)] = office.results()
    assert (result, reason) == ("unknown", "the pass was broken off meanwhile")
    assert office.slots()[0][1] == "claimed"


def test_a_guest_that_cannot_start_fails_with_proxmox_own_words(tmp_path):
    with staged(tmp_path, FRIDAY_EVENING, text=STATE.format("running")) as stage:
        stage.guest(101).fails_to_start = True
        assert stage.results() == [("failed", "start failed: QEMU exited with code 1")]


def test_a_right_that_we_lack_is_named(tmp_path):
    with staged(tmp_path, FRIDAY_EVENING, text=STATE.format("running"), role="PVEAuditor") as stage:
        [(result, reason)] = stage.results()
        assert result == "failed"
        assert "VM.PowerMgmt" in reason


def test_a_template_is_never_started(tmp_path):
    with staged(tmp_path, FRIDAY_EVENING, text=STATE.format("running")) as stage:
        stage.guest(101).config["template"] = "1"
        plan = stage.plan()
        assert plan.changes == ()
        assert [report.text for report in plan.reported] == [
            "is a template: it is never started and never stopped"
        ]


@pytest.mark.parametrize(("delay", "result"), [(20, "applied"), (1000, "failed")])
def test_a_wish_filed_with_the_high_availability_manager_is_watched(tmp_path, delay, result):
    environment = {**SMALL, "ha_managed": [101], "ha_delay_seconds": delay}
    with staged(tmp_path, FRIDAY_EVENING, text=STATE.format("running"), environment=environment) as stage:
        [(ended, _)] = stage.results()
        assert ended == result
        assert stage.guest(101).is_running is (result == "applied")


def fleet(number, nodes=3):
    guests = [
        {"vmid": 1000 + n, "type": "qemu", "node": f"pve{n % nodes + 1}", "config": f"name: g{n}\n"}
        for n in range(number)
    ]
    return {**SMALL, "guests": guests}


def test_two_at_a_time_on_each_node_and_one_list_a_node_and_tick(tmp_path):
    machines = ", ".join(f"g{n}: {{power: {{state: stopped, stop: {{timeout: 20s}}}}}}" for n in range(12))
    with staged(tmp_path, FRIDAY_EVENING, text=f"machines: {{{machines}}}\n", environment=fleet(12)) as stage:
        center, most = stage.lab.center, 0
        for guest in center.environment.guests.values():
            guest.state, guest.hangs = "running", True

        def watch(seconds_):
            nonlocal most
            most = max(most, *(len(center.tasks.running(f"pve{n}")) for n in (1, 2, 3)))
            return stage.clock.wait(seconds_)

        stage.wait = watch
        center.requests.clear()
        outcomes = stage.run()
        assert {str(one.result) for one in outcomes} == {"failed"}
        assert most == 2
        ticks = stage.clock.waited / 2
        lists = sum(number for asked, number in center.requests.items() if asked.endswith("/tasks"))
        assert lists <= 3 * (ticks + 2)
        assert 40 <= stage.clock.waited < 60  # four on a node, two at a time, twenty seconds each


IDLE = "machines: {db-01: {vmid: 102, power: {idle_shutdown: 30m}}}\n"


def test_an_idle_machine_is_shut_down_after_its_time_and_not_before(tmp_path):
    with staged(tmp_path, FRIDAY_EVENING, text=IDLE) as stage:
        quiet(stage)
        for _ in range(6):
            assert stage.results() == []
            stage.clock.move(stage.clock() + 300)
        [change] = stage.plan().changes
        assert change.reason == "idle for 30 min, idle_shutdown is 30 min"
        assert stage.results() == APPLIED
        assert not stage.guest().is_running


def quiet(stage, vmid=102):
    """A guest that does nothing: the simulator's own numbers grow with the vmid and the time."""
    guest = stage.guest(vmid)
    guest.load, guest.started_at = (0.0, 0), guest.started_at or stage.clock() - 3600


@pytest.mark.parametrize("what", ["busy", "traffic", "reboot", "gap"])
def test_what_counts_as_use(tmp_path, what):
    with staged(tmp_path, FRIDAY_EVENING, text=IDLE) as stage:
        quiet(stage)
        for _ in range(5):
            stage.run()
            stage.clock.move(stage.clock() + 300)
        if what == "busy":
            stage.guest().load = (0.5, 0)
            stage.run()
            quiet(stage)
        elif what == "traffic":
            stage.guest().load = (0.0, 10**6)
        elif what == "reboot":
            stage.guest().started_at = stage.clock() - 5
        else:
            stage.clock.move(stage.clock() + 1800)
        stage.clock.move(stage.clock() + 300)
        assert stage.results() == []
        for _ in range(5):
            stage.clock.move(stage.clock() + 300)
            assert stage.results() == []
        stage.clock.move(stage.clock() + 300)
        assert stage.results() == APPLIED
