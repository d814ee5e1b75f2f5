"""What gets in the way of a start or a stop: locks, dead nodes, lost answers, a controller that is killed."""

from __future__ import annotations

import pytest

from controller.power_values import SlotName, SlotState
from tests.controller.resources.power_stage import (
    APPLIED,
    CATCH_UP,
    CLUSTER,
    FRIDAY_EVENING,
    OFFICE,
    STATE,
    seconds,
    staged,
)
from tests.lab_servers import SMALL


@pytest.fixture
def office(tmp_path):
    """Friday, 20:04 in Paris; the start of the morning was carried out."""
    with staged(tmp_path, "2026-11-20T06:01") as stage:
        assert stage.results() == []
        stage.clock.to("2026-11-20T19:04")
        yield stage


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


def test_killed_after_it_was_done_and_the_guest_moved_and_was_started_since(office):
    """The task is on the node where the guest was then: the slot says which."""
    office.guest().hangs = True
    kill_while_waiting(office)
    [task] = office.lab.center.tasks.running("pve2")
    task.ends_at, task.outcome = office.clock() + 10, list
    office.clock.move(office.clock() + 120)
    office.guest().node = "pve1"
    [(result, reason)] = office.results()
    assert result == "applied"
    assert "somebody has changed it since" in reason
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


def test_who_stands_in_line_behind_others_is_in_time(tmp_path):
    text = OFFICE[: OFFICE.index("machines:")].replace('20:00"', '20:00", timeout: 300s, on_timeout: stop')
    machines = ", ".join(f"g{n}: {{power: {{schedule: office}}}}" for n in range(8))
    environment = fleet(8, nodes=1)
    with staged(
        tmp_path, FRIDAY_EVENING, text=f"{text}machines: {{{machines}}}\n", environment=environment
    ) as stage:
        for guest in stage.lab.center.environment.guests.values():
            guest.state, guest.hangs = "running", True
        assert stage.results() == APPLIED * 8
        assert stage.clock() > seconds("2026-11-20T19:15")
