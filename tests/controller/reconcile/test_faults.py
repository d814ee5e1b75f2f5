"""What goes wrong around the engine: hooks that raise, a lease that goes, a store that is full."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from controller.errors import ControllerError, Unobserved
from controller.plan.change import ChangedBy, Operation, Result, create, delete, update
from controller.plan.plan import Gap, Plan, Report
from controller.reconcile.authors import with_authors
from controller.reconcile.passes import Act, apply_pass
from controller.reconcile.planner import System
from controller.store import LeaseLost
from controller.store.database import StoreError
from tests.controller.stage import NOON, SMALL, Stage, policy_of, staged
from tests.controller.worlds import results

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from controller.plan.change import Change, Outcome
    from controller.store import Store


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as one:
        yield one


def drifted() -> Plan:
    told = update("keycloak", "roles", "viewer", {"description": "a"}, {"description": "b"})
    return Plan(
        "prod",
        (
            create("keycloak", "users", "new", {}),
            update("keycloak", "users", "jo", {"email": "a"}, {"email": "b"}),
            delete("proxmox:par1", "users", "al", {}),
        ),
        reported=(Report("keycloak", "roles", "viewer", "would update", change=told),),
    )


def systems(history) -> list[System]:
    return [
        System("keycloak", "", "acme", None, (), history=history),
        System("proxmox:par1", "", "keycloak", None, ()),
    ]


BY = ChangedBy("mallory", datetime.fromtimestamp(NOON, UTC))


def test_a_history_is_asked_about_what_differs_and_nothing_else():
    asked: list[Change] = []

    def history(changes: Sequence[Change]) -> dict[str, ChangedBy]:
        asked.extend(changes)
        return {change.identity: BY for change in changes}

    plan = with_authors(drifted(), systems(history))
    assert [(one.section, one.key) for one in asked] == [("users", "jo"), ("roles", "viewer")]
    assert [one.changed_by for one in plan.changes] == [None, BY, None]
    (report,) = plan.reported
    assert report.change is not None
    assert report.change.changed_by == BY
    assert plan.digest == drifted().digest


TROUBLE = {
    "events are not kept": (
        ControllerError("the realm keeps no admin events"),
        "the realm keeps no admin events",
    ),
    "a bug": (ZeroDivisionError("division by zero"), "unexpected ZeroDivisionError: division by zero"),
}


@pytest.mark.parametrize(("error", "said"), TROUBLE.values(), ids=TROUBLE)
def test_a_history_that_cannot_be_read_spoils_no_plan(error, said):
    def history(_changes):
        raise error

    plan = with_authors(drifted(), systems(history))
    assert plan.changes == drifted().changes
    assert plan.reported[-1].text == f"who changed it is not known: {said}"


@pytest.mark.parametrize("error", [Unobserved("keycloak", "hidden"), RuntimeError("a bug")])
@pytest.mark.parametrize("section", ["realm", "profile", "roles", "users"])
def test_a_section_that_cannot_be_seen_is_a_gap_and_loses_nothing(stage, section, error):
    stage.apply(policy_of(SMALL))

    def blind(_client, _context):
        raise error

    with stage.controller() as controller:
        policy = policy_of("realm: {name: acme}")
        planner = controller.planner(policy)
        (system,) = planner.systems
        resources = tuple(
            replace(one, observe=blind) if one.section == section else one for one in system.resources
        )
        planner = replace(planner, systems=[replace(system, resources=resources)])
        plan = planner.compare(policy, planner.observe(policy), controller.memory(policy))
    (gap,) = [gap for gap in plan.unobserved if gap.section == section]
    assert gap == Gap("keycloak", section, gap.why)
    assert not [change for change in plan.changes if change.section == section]


@dataclass
class Breaking:
    """The real store whose record of outcomes breaks after so many calls."""

    store: Store
    after: int
    error: Exception

    @property
    def runs(self):
        return self.store.runs

    @property
    def outcomes(self):
        return self

    def __getattr__(self, name: str):
        return getattr(self.store, name)

    def record_all(self, run, ended) -> None:
        self.after -= 1
        if self.after < 0:
            raise self.error
        self.store.outcomes.record_all(run, ended)


BROKEN = {
    "the lease was lost": LeaseLost("term 1 is over"),
    "the disk is full": StoreError("database or disk is full"),
    "a bug": ZeroDivisionError("division by zero"),
}


def applied(stage: Stage, breaks: Callable[[Store], object]) -> list[Outcome]:
    with stage.controller() as controller, controller.lease("test") as lease:
        policy = policy_of(SMALL)
        planned = controller.plan(policy)
        record = breaks(controller.store())
        act = Act("01JD0000000000000000000000", "test", lease.term)
        return apply_pass(planned, controller.planner(policy), controller.applier(policy), record, act)  # type: ignore[arg-type]


@pytest.mark.parametrize("after", range(4))
@pytest.mark.parametrize("error", BROKEN.values(), ids=BROKEN)
def test_a_record_that_breaks_stops_the_pass_and_the_next_one_does_the_rest(stage, error, after):
    with pytest.raises(type(error)):
        applied(stage, lambda store: Breaking(store, after, error))
    writes = stage.writes
    left = stage.plan(policy_of(SMALL)).plan.changes
    assert left or after > 2
    assert results(stage.apply(policy_of(SMALL))) == []
    assert stage.plan(policy_of(SMALL)).plan.is_empty
    assert stage.writes > writes or not left


def test_a_lease_that_somebody_else_took_stops_the_pass(stage):
    def overtaken(store: Store) -> Store:
        store.lease.release(store.lease.current(), int(stage.clock()))
        store.lease.acquire("somebody else", 15, int(stage.clock()))
        return store

    with pytest.raises(LeaseLost):
        applied(stage, overtaken)
    assert stage.writes == 0


def test_names_of_a_pass_that_broke_off_are_remembered(stage):
    """What it wrote and could not record is ours all the same: its name stood in the pass."""
    with pytest.raises(StoreError):
        applied(stage, lambda store: Breaking(store, 1, StoreError("full")))
    bare = policy_of("realm: {name: acme}")
    plan = stage.plan(bare).plan
    assert not [report for report in plan.reported if "foreign mark" in report.text]
    assert {change.operation for change in plan.changes} <= {
        Operation.CREATE,
        Operation.UPDATE,
        Operation.DELETE,
    }
    assert {one.result for one in stage.apply(bare)} <= {Result.APPLIED}
