"""Idle machines, the guide's own example, who did it, and what holds whatever happens."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.resources.proxmox_power_history import power_history
from lab.proxmox.accounts import User
from tests.controller.resources.power_stage import (
    APPLIED,
    CATCH_UP,
    CLUSTER,
    FRIDAY_EVENING,
    OFFICE,
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


def test_in_report_mode_idleness_is_measured_and_told(tmp_path):
    text = "modes: {machines.power: report}\n" + IDLE
    with staged(tmp_path, FRIDAY_EVENING, text=text) as stage:
        quiet(stage)
        for _ in range(7):
            assert stage.results() == []
            stage.clock.move(stage.clock() + 300)
        assert [one.text for one in stage.reported] == [
            "would update (report mode): idle for 30 min, idle_shutdown is 30 min"
        ]
        stage.text = IDLE
        assert stage.results() == APPLIED


def test_in_report_mode_slots_are_told_and_let_go_with_that_reason(office):
    office.text = "modes: {machines.power: report}\n" + OFFICE
    assert office.results() == []
    assert [one.text for one in office.reported] == [
        "would update (report mode): stop of office at 20:00 Europe/Paris, due 4 min ago"
    ]
    office.clock.to("2026-11-23T19:30")  # Monday; nobody looked over the weekend
    assert office.results() == []
    assert office.reported == ()
    assert {(how, why) for _, how, why in office.slots()[:3]} == {
        ("skipped", "machines.power is in report mode")
    }
    office.text = OFFICE
    assert office.results() == []
    assert office.tasks() == []


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


def test_the_example_of_the_guide_does_what_the_guide_says(tmp_path):
    guide = (Path(__file__).parents[3] / "docs" / "power.md").read_text()
    example = guide.split("```yaml\n", 1)[1].split("```", 1)[0]
    lab_01 = {"vmid": 103, "type": "qemu", "node": "pve1", "config": "name: lab-01\n", "running": "running"}
    web_01 = {**SMALL["guests"][0], "running": "running"}
    environment = {**SMALL, "guests": [web_01, {**SMALL["guests"][1], "running": "stopped"}, lab_01]}
    with staged(tmp_path, "2026-11-20T19:04", text=example, environment=environment) as stage:
        reasons = {change.key: change.reason for change in stage.plan().changes}
        assert reasons == {
            "db-01": "the policy wants it running",
            "web-01": "stop of office-hours at 20:00 Europe/Paris, due 4 min ago",
        }
        assert stage.results() == APPLIED * 2
        assert stage.results() == []


def test_who_started_a_machine_is_told_from_the_task_log(office):
    accounts = office.lab.center.accounts
    office.guest().state = "stopped"
    office.run()
    office.clock.to("2026-11-23T05:00")  # Monday, before seven
    accounts.users["jo@pve"] = User()
    by_hand(office, "qmstart", "jo@pve")
    by_hand(office, "qmstart", "steward@pve!controller", minutes=5)
    office.text = OFFICE.replace("schedule: office", "state: stopped")
    [change] = office.plan().changes
    told = power_history(office.reader, [change])
    assert {name: (by.actor, by.detail) for name, by in told.items()} == {
        f"{CLUSTER}/machines.power/db-01": ("jo@pve", "task qmstart on pve2")
    }
    assert told[change.identity].at == datetime.fromisoformat("2026-11-23T05:00+00:00")
    office.node("pve2", online=False)
    assert power_history(office.reader, [change]) == {}


def by_hand(stage, kind, who, *, minutes=0):
    stage.clock.move(stage.clock() + 60 * minutes)
    now = stage.clock()
    stage.lab.center.tasks.start(
        kind, node="pve2", identifier="102", who=who, now=now, ends_at=now, outcome=list
    )
    stage.lab.center.tasks.sweep(now)
    stage.guest().state = "running"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(1, 400), st.booleans()), min_size=1, max_size=12))
def test_whatever_happens_a_slot_is_sent_once_at_most(tmp_path_factory, steps):
    """Passes at any distance, people who start the machine in between: never two stops for one slot."""
    with staged(tmp_path_factory.mktemp("once"), "2026-11-20T18:30", text=CATCH_UP) as stage:
        for minutes, is_started in steps:
            stage.clock.move(stage.clock() + 60 * minutes)
            if is_started:
                stage.guest().state = "running"
            stage.run()
        slots = stage.slots()
        assert len({when for when, _, _ in slots}) == len(slots)
        assert len(stage.tasks()) == sum(how == "fired" for _, how, _ in slots)
