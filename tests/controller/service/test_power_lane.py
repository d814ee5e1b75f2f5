"""The lane of power: the record of a pass ends with its last change, and what breaks ends nothing else."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from controller.errors import ControllerError
from controller.plan.change import Outcome, Result
from controller.power_lane import Errand, PowerLane
from controller.reconcile.powering import Ledger
from controller.resources.power_jobs import Desk
from tests.controller.resources.power_stage import CLUSTER, FRIDAY_EVENING, STATE, staged


class Place:
    """A lane over a stage. `fault` is raised where the lane opens its controller."""

    def __init__(self, stage):
        self.stage, self.fault, self.told = stage, None, []
        stage.guest(101).state = "running"
        leadership = SimpleNamespace(may_write=lambda: True)
        self.lane = PowerLane(self.open, stage.store, leadership, actor="c", is_stopping=lambda: False)
        self.lane.on_ended = self.told.append

    @contextmanager
    def open(self):
        if self.fault is not None:
            raise self.fault
        yield self

    def desk(self, *, actor, term, wait, goes_on, ended):
        ledger = Ledger(self.stage.store.power_slots, actor, term, self.stage.clock, ended)
        return Desk(ledger, self.stage.clock, self.stage.clock.wait, goes_on=goes_on)

    def proxmox_writer(self, cluster):
        assert cluster == "par1"
        return self.stage.writer

    def errand(self, name="1"):
        plan = self.stage.plan()
        new, _ = self.lane.keep(plan.changes, self.lane.in_hand())
        run = self.stage.store.runs.start(name, kind="reconcile", actor="c")
        return Errand(self.lane, new), run

    def run(self, name="1"):
        [found] = [one for one in self.stage.store.runs.latest(10) if one.id == name]
        return found.result, found.detail


@pytest.fixture
def place(tmp_path):
    with staged(tmp_path, FRIDAY_EVENING, text=STATE.format("stopped")) as stage:
        yield Place(stage)


@pytest.mark.parametrize("closes_first", [True, False])
def test_the_record_of_a_pass_ends_when_both_its_halves_have(place, closes_first):
    errand, run = place.errand()
    if closes_first:  # nobody works the line off before it is handed over
        errand.left = {one.identity for one in errand.changes}
        errand.close([], is_seen_whole=True)
        assert place.run() == (None, "")
    errand.take(run)
    place.lane.join()
    if not closes_first:
        assert place.run() == (None, "")
        errand.close([], is_seen_whole=True)
    assert place.run() == ("done", "2 applied")
    assert sorted(place.stage.tasks()) == ["shutdown 101", "shutdown 102"]
    assert len(place.stage.store.outcomes.of_run("1")) == 2
    assert place.told[-1].is_over
    assert all(one.is_whole for one in place.told)
    assert place.lane.in_hand() == {}


@pytest.mark.parametrize(("seen_whole", "result"), [(True, "applied"), (False, "applied"), (True, "failed")])
def test_a_pass_of_which_anything_is_missing_is_partial(place, seen_whole, result):
    errand, run = place.errand()
    errand.take(run)
    place.lane.join()
    other = Outcome(errand.changes[0], Result(result), "")
    errand.close([other], is_seen_whole=seen_whole)
    assert place.run()[0] == ("done" if seen_whole and result == "applied" else "partial")


@pytest.mark.parametrize("fault", [ControllerError("the secret cannot be read"), ValueError("a bug")])
def test_what_breaks_is_told_and_the_next_pass_hands_over_again(place, fault):
    place.fault = fault
    errand, run = place.errand()
    errand.take(run)
    place.lane.join()
    errand.close([], is_seen_whole=True)
    result, detail = place.run()
    assert result == "failed"
    assert "cannot be read" in detail or detail == "unexpected ValueError"
    assert [(one.is_over, one.outcomes) for one in place.told] == [(True, ())]
    assert place.lane.in_hand() == {}
    place.fault = None
    errand, run = place.errand("2")
    errand.take(run)
    errand.close([], is_seen_whole=True)
    place.lane.join()
    assert place.run("2") == ("done", "2 applied")


def test_a_change_of_a_machine_that_has_ended_since_the_plan_saw_it_is_dropped(place):
    """The plan was made while it was under way: it did not know the end."""
    errand, run = place.errand()
    changes = place.stage.plan().changes
    errand.run = run
    place.lane._lines[CLUSTER].take([])  # nobody has begun
    seen = {(CLUSTER, one.key): None for one in changes}
    assert place.lane.keep(changes, seen) == ([], frozenset())
    new, begun = place.lane.keep(changes, {})
    assert (len(new), begun) == (2, frozenset())
