"""The line of a cluster, worked off by one thread while passes hand over, take back and look on."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest

from controller.reconcile.powering import Ledger
from controller.resources.overrides import Hold, Overrides
from controller.resources.power_jobs import Desk, job_of
from controller.resources.power_line import Line
from controller.resources.proxmox_power_apply import Shift
from controller.store import LeaseLost
from tests.controller.resources.power_stage import (
    APPLIED,
    CLUSTER,
    FRIDAY_EVENING,
    OFFICE,
    STATE,
    staged,
)
from tests.controller.resources.test_power_trouble import fleet
from tests.lab_servers import SMALL

BUSY = OFFICE[: OFFICE.index("machines:")].replace('20:00"', '20:00", timeout: 300s, on_timeout: stop')


class Shop:
    """A shift over a stage; `meanwhile` holds what happens at each of its waits."""

    def __init__(self, stage, *, goes_on=lambda: True):
        self.stage = stage
        self.line = Line()
        self.meanwhile = []
        self.outcomes = []
        ledger = Ledger(stage.store.power_slots, "controller", 0, stage.clock, stage.ended)
        self.desk = Desk(ledger, stage.clock, self.wait, goes_on=goes_on)
        self.stop = False

    def wait(self, length):
        if self.meanwhile:
            self.meanwhile.pop(0)()
        self.look_on()
        return not self.stop and self.stage.clock.wait(length)

    def look_on(self):
        self.stage.in_hand = {(CLUSTER, name): taken for name, taken in self.line.in_hand().items()}

    def hand_over(self, plan):
        self.line.take([job_of(one) for one in self.line.keep(plan.changes)])
        self.look_on()

    def work(self):
        Shift(self.stage.writer, self.desk, self.line, on_ended=self.told).run()
        return self.outcomes

    def told(self, jobs):
        self.outcomes += [(job.name, str(job.outcome.result), job.outcome.reason) for job in jobs]


@pytest.fixture
def crowd(tmp_path):
    """20:00, and four guests of one node that end only after five minutes: two at a time."""
    machines = ", ".join(f"g{n}: {{power: {{schedule: office}}}}" for n in range(4))
    text = f"{BUSY}machines: {{{machines}}}\n"
    with staged(tmp_path, FRIDAY_EVENING, text=text, environment=fleet(4, nodes=1)) as stage:
        for guest in stage.lab.center.environment.guests.values():
            guest.state, guest.hangs = "running", True
        stage.ended = Counter()
        yield stage


def test_what_stands_in_line_is_as_the_newest_plan_has_it_and_what_was_begun_goes_on(crowd):
    shop = Shop(crowd)
    shop.hand_over(crowd.plan())

    def held():
        shop.look_on()
        until = datetime.fromtimestamp(crowd.clock() + 3600, UTC)
        holds = {name: Hold(name, until, actor="local:ann") for name in ("g0", "g3")}
        crowd.overrides = Overrides(held=holds)
        shop.hand_over(crowd.plan())

    shop.meanwhile = [held]
    shop.work()
    assert sorted(shop.outcomes) == [
        ("g0", "applied", ""),
        ("g1", "applied", ""),
        ("g2", "applied", ""),
        ("g3", "skipped", "the policy does not want it any more; nothing was begun"),
    ]
    assert sorted(crowd.tasks()) == ["shutdown 1000", "shutdown 1001", "shutdown 1002"]


def test_what_was_begun_stays_in_the_plan_and_nothing_is_noted_of_it(crowd):
    shop, plans = Shop(crowd), []
    shop.hand_over(crowd.plan())
    shop.meanwhile = [shop.look_on, lambda: plans.append(crowd.plan())]
    shop.work()
    [plan] = plans
    told = {one.key: one.reason.endswith("; under way") for one in plan.changes}
    assert told == {"g0": True, "g1": True, "g2": False, "g3": False}
    assert plan.notes == ()


def test_the_window_of_who_stands_in_line_stays_open(crowd):
    shop, plans = Shop(crowd), []
    shop.hand_over(crowd.plan())
    late = crowd.clock() + 900  # the window is ten minutes long
    shop.meanwhile = [lambda: (crowd.clock.move(late), shop.look_on(), plans.append(crowd.plan()))]
    shop.work()
    [plan] = plans
    assert {one.key for one in plan.changes} == {"g0", "g1", "g2", "g3"}
    assert plan.notes == ()
    assert {result for _, result, _ in shop.outcomes} == {"applied"}
    assert {how for _, how, _ in crowd.slots("")} == {"fired"}


def test_more_may_be_handed_over_while_others_are_under_way(tmp_path):
    with staged(tmp_path, FRIDAY_EVENING, text=STATE.format("stopped")) as stage:
        stage.ended = Counter()
        for vmid in (101, 102):
            stage.guest(vmid).state, stage.guest(vmid).hangs = "running", True
        shop, begun = Shop(stage), stage.clock()
        plan = stage.plan()
        shop.line.take([job_of(plan.changes[0])])
        shop.meanwhile = [lambda: shop.hand_over(plan)]
        shop.work()
        assert sorted(stage.tasks()) == ["shutdown 101", "shutdown 102"]  # neither of them twice
        assert stage.clock() - begun < 310  # one did not wait for the other


def test_the_same_plan_twice_hands_over_nothing_twice(crowd):
    shop = Shop(crowd)
    for _ in range(3):
        shop.hand_over(crowd.plan())
    assert len(shop.line.open()) == 4


def test_what_is_begun_is_not_taken_back_by_a_plan_without_it(crowd):
    line, plan = Line(), crowd.plan()
    first, second, *_ = jobs = [job_of(one) for one in plan.changes]
    assert line.take(jobs) is True
    assert line.begin(first) is True
    assert line.keep(()) == []
    assert line.begin(second) is False
    assert line.open() == [first]
    assert {name: taken.is_begun for name, taken in line.in_hand().items()} == {first.name: True}
    assert [job.name for job in line.ended()] == [job.name for job in jobs[1:]]


def test_whoever_works_a_line_off_goes_once_and_another_is_asked_for(crowd):
    line, (first, second, *_) = Line(), [job_of(one) for one in crowd.plan().changes]
    assert line.take([]) is False
    assert line.take([first]) is True
    assert line.take([second]) is False  # somebody is at work
    assert line.rest() is False
    assert line.abandon() == [first, second]
    assert line.take([first]) is True


def test_a_machine_that_the_policy_moved_to_another_guest_is_another_job(tmp_path):
    text = "machines: {db-01: {vmid: 102, power: {state: stopped}}}\n"
    with staged(tmp_path, FRIDAY_EVENING, text=text) as stage:
        stage.ended, stage.guest(101).state = Counter(), "running"
        shop = Shop(stage)
        shop.hand_over(stage.plan())
        stage.text = text.replace("102", "101")
        shop.hand_over(stage.plan())
        assert [result for _, result, _ in shop.work()] == ["skipped", "applied"]
        assert stage.tasks() == ["shutdown 101"]


def test_whoever_may_not_write_any_more_sends_nothing(crowd):
    may = [True]
    shop = Shop(crowd, goes_on=lambda: may[0])
    shop.hand_over(crowd.plan())
    may[0], shop.stop = False, True
    shop.work()
    assert crowd.tasks() == []
    assert {result for _, result, _ in shop.outcomes} == {"skipped"}


def test_an_overtaken_controller_claims_nothing_and_sends_nothing(crowd):
    lease = crowd.store.lease
    ours = lease.acquire("we", 15, now=100)
    lease.release(ours, now=101)
    lease.acquire("they", 15, now=102)
    shop = Shop(crowd)
    shop.desk = Desk(
        Ledger(crowd.store.power_slots, "controller", ours.term, crowd.clock, crowd.ended),
        crowd.clock,
        shop.wait,
    )
    shop.hand_over(crowd.plan())
    with pytest.raises(LeaseLost):
        shop.work()
    assert crowd.tasks() == []


class Killed(BaseException):
    """What no code of ours catches, as kill -9."""


class Mortal:
    """An object whose calls are counted together with those of others; one of them is the last.

    The call that kills is made, or not, as `is_made` says: an end before a write, or right after it.
    """

    def __init__(self, inner, life, path=""):
        self._inner, self._life, self._path = inner, life, path

    def __getattr__(self, name):
        found = getattr(self._inner, name)
        if name == "switch":
            return Mortal(found, self._life)
        if not callable(found):
            return found

        def call(*args, **kwargs):
            self._life["left"] -= 1
            if self._life["left"] > 0:
                return found(*args, **kwargs)
            if self._life["left"] == 0 and self._life["is_made"]:
                found(*args, **kwargs)
            raise Killed

        return call


@pytest.mark.parametrize("is_made", [True, False], ids=["after", "before"])
@pytest.mark.parametrize("hangs", [True, False], ids=["slow", "quick"])
def test_killed_at_any_call_the_next_pass_finishes_and_sends_nothing_twice(tmp_path, hangs, is_made):
    calls = 0
    for last in range(1, 40):
        calls += 1
        folder = tmp_path / str(last)
        folder.mkdir()
        if not lives(folder, {"left": last, "is_made": is_made}, hangs=hangs):
            break
    assert 8 < calls < 39  # the whole of it was gone through, and came to its end


def lives(folder, life, *, hangs):
    """One controller that dies at a call, and one after it; whether the first one did die."""
    with staged(folder, "2026-11-20T06:01", text=BUSY.replace("300s", "20s") + ON) as stage:
        stage.run()
        stage.clock.to("2026-11-20T19:01")
        stage.guest().hangs = hangs
        jobs = [job_of(one) for one in stage.plan().changes]
        ledger = Mortal(Ledger(stage.store.power_slots, "controller", 0, stage.clock, Counter()), life)
        died = False
        try:
            Shift(Mortal(stage.writer, life), Desk(ledger, stage.clock, stage.clock.wait), Line(jobs)).run()
        except Killed:
            died = True
        stage.clock.move(stage.clock() + 30)
        stage.run()
        assert not stage.guest().is_running
        assert stage.tasks() == ["shutdown 102"]
        assert stage.slots()[0][:2] == ("stop 11-20 19:00", "fired")
        assert stage.results() == []
    return died


ON = "machines: {db-01: {vmid: 102, power: {schedule: office}}}\n"


def test_a_slot_that_waits_for_a_lock_is_on_record_as_waiting(tmp_path):
    """Whoever reads it after a kill knows that nothing was begun."""
    with staged(tmp_path, "2026-11-20T19:04") as stage:
        seen = []
        stage.lock("backup")

        def wait(length):
            seen.append(stage.slots()[0])
            return stage.clock.wait(length)

        stage.wait = wait
        stage.clock.at[stage.clock() + 40] = stage.unlock
        assert stage.results() == APPLIED
        assert ("stop 11-20 19:00", "waiting", "VM is locked (backup)") in seen
        assert stage.slots()[0][1] == "fired"


@pytest.mark.parametrize("name", ["while-locked", "while-it-shuts-down"])
def test_a_guest_that_moves_to_another_node_is_looked_for(tmp_path, name):
    with staged(tmp_path, "2026-11-20T19:04") as stage:
        if name == "while-locked":
            stage.lock("migrate")
            stage.clock.at[stage.clock() + 30] = lambda: (stage.unlock(), move(stage))
        else:
            stage.guest().hangs = True
            stage.clock.at[stage.clock() + 30] = lambda: (end(stage), move(stage))
        assert stage.results() == APPLIED
        assert not stage.guest().is_running
        assert stage.slots()[0][1] == "fired"
        assert set(stage.tasks()) == {"shutdown 102"}


def move(stage):
    stage.guest().node = "pve1"


def end(stage):
    [task] = stage.lab.center.tasks.running("pve2")
    task.ends_at, task.outcome = stage.clock(), list
    stage.guest().state = "stopped"


def test_a_task_whose_log_is_gone_is_judged_by_its_guest(tmp_path):
    with staged(tmp_path, "2026-11-20T19:04") as stage:
        stage.guest().hangs = True

        def rotate():
            stage.guest().state = "stopped"
            stage.lab.center.tasks._by_upid.clear()

        stage.clock.at[stage.clock() + 30] = rotate
        begun = stage.clock()
        assert stage.results() == APPLIED
        assert stage.clock() - begun < 60


def test_a_number_that_was_given_to_a_container_meanwhile_is_nobodys(tmp_path):
    with staged(tmp_path, "2026-11-20T19:04") as stage:
        plan = stage.plan()
        stage.guest().type = "lxc"
        [outcome] = stage.carry_out(plan)
        assert (str(outcome.result), outcome.reason) == ("conflict", "guest 102 is gone")
        assert stage.tasks() == []


@pytest.mark.parametrize("days", [-1, 1, 365])
def test_a_clock_that_jumps_and_comes_back_sends_nothing_twice_and_loses_no_later_day(tmp_path, days):
    with staged(tmp_path, "2026-11-23T05:50") as stage:  # Monday
        stage.run()
        stage.clock.to("2026-11-23T06:01")
        assert stage.results() == []  # it runs already
        right = stage.clock()
        stage.clock.now = right + days * 86_400
        stage.run()
        stage.clock.now = right + 60
        assert stage.results() == []
        stage.clock.to("2026-11-26T19:01")
        stage.run()
        assert stage.slots()[-1][0] != ""
        fired = [when for when, how, _ in stage.slots() if how == "fired"]
        assert "stop 11-26 19:00" in fired
        assert len(fired) == len(set(fired)) == len(stage.tasks())


def test_hidden_guests_are_a_gap_only_where_something_asks_for_power(tmp_path):
    with staged(tmp_path, FRIDAY_EVENING, text="machines: {db-01: {vmid: 102}}\n", role="NoAccess") as stage:
        assert stage.plan().unobserved == ()
        stage.text = OFFICE
        plan = stage.plan()
        assert plan.changes == ()
        [gap] = plan.unobserved
        assert (gap.section, "VM.Audit on /vms" in gap.why) == ("machines.power", True)


def test_a_schedule_that_changes_while_its_slot_waits(tmp_path):
    with staged(tmp_path, "2026-11-20T19:04") as stage:
        stage.lock("backup")
        stage.run()
        stage.text = OFFICE.replace("20:00", "21:00")
        stage.unlock()
        assert stage.results() == []
        when, how, why = stage.slots()[0]
        assert (when, how) == ("stop 11-20 19:00", "skipped")
        assert why.endswith("the schedule has it no more") or "overtaken" in why
        assert stage.guest().is_running


def test_a_thousand_machines_at_seven(tmp_path):
    """Ten nodes, two at a time on each: every slot is carried out, at four requests a machine."""
    machines = ", ".join(f"g{n}: {{power: {{schedule: office}}}}" for n in range(1000))
    text = f"{BUSY}machines: {{{machines}}}\n"
    nodes = [{**SMALL["nodes"][0], "node": f"pve{n}", "id": n} for n in range(1, 11)]
    environment = {**fleet(1000, nodes=10), "nodes": nodes}
    with staged(tmp_path, "2026-11-20T06:00:01", text=text, environment=environment) as stage:
        for guest in stage.lab.center.environment.guests.values():
            guest.state = "stopped"
        plan = stage.plan()
        stage.lab.center.requests.clear()
        outcomes = stage.carry_out(plan)
        assert {str(one.result) for one in outcomes} == {"applied"}
        assert all(guest.is_running for guest in stage.lab.center.environment.guests.values())
        assert sum(stage.lab.center.requests.values()) <= 1000 * 5 + 10 * (stage.clock.waited / 2 + 2)
        assert stage.clock.waited <= 1000 / 20 * 2 + 2
