"""The order in which changes are begun, what is written together, and what a fault takes with it."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.plan.change import Change, Operation, Outcome, Result, create, delete, update
from controller.plan.plan import Plan, stage
from controller.reconcile.applier import Applier, Target
from controller.resources.resource import Difference, Resource


class World:
    """Keeps what was written, in the order in which it was begun."""

    def __init__(self, failing=(), raising=()):
        self.written: list[str] = []
        self.batches: list[int] = []
        self._failing, self._raising = set(failing), set(raising)
        self._lock = threading.Lock()

    def write(self, change: Change) -> Outcome:
        with self._lock:
            self.written.append(change.identity)
        if change.key in self._raising:
            raise ZeroDivisionError("a bug")
        if change.key in self._failing:
            return Outcome(change, Result.FAILED, "refused")
        return Outcome(change, Result.APPLIED)

    def write_many(self, changes) -> list[Outcome]:
        with self._lock:
            self.batches.append(len(changes))
        return [self.write(change) for change in changes]


def resource(section: str, **more) -> Resource:
    return Resource(
        section,
        "keycloak",
        desired=lambda _policy, _context: {},
        observe=lambda _client, _context: {},
        diff=lambda _observed, _desired, _context: Difference(),
        apply=lambda world, change: world.write(change),
        **more,
    )


SECTIONS = ("roles", "teams", "users", "machines.power")


def applied(world: World, changes, *, on_outcomes=None, concurrency: int = 4, **more) -> list[Outcome]:
    resources = tuple(resource(section, **more) for section in SECTIONS)
    applier = Applier([Target("keycloak", world, resources, concurrency)])
    return applier.apply(Plan("prod", tuple(changes)), on_outcomes=on_outcomes)


def user(key: str, **more) -> Change:
    return create("keycloak", "users", key, {}, **more)


def team(key: str, parent: str = "") -> Change:
    return create("keycloak", "teams", key, {}, depends_on=(f"keycloak/teams/{parent}",) if parent else ())


def test_power_comes_after_deletions():
    power = create("keycloak", "machines.power", "web", {})
    world = World()
    applied(world, [power, delete("keycloak", "users", "jo", {}), user("al")])
    assert world.written == [
        "keycloak/users/al",
        "keycloak/users/jo",
        "keycloak/machines.power/web",
    ]


def test_one_that_waits_begins_as_soon_as_what_it_needs_has_ended():
    """`slow` ends only once `grandchild` was written: with a barrier between generations it never would."""
    reached = threading.Event()

    class Meeting(World):
        def write(self, change):
            if change.key == "slow" and not reached.wait(30):
                return Outcome(change, Result.FAILED, "nobody came")
            if change.key == "grandchild":
                reached.set()
            return super().write(change)

    changes = [team("slow"), team("parent"), team("child", "parent"), team("grandchild", "child")]
    assert {outcome.result for outcome in applied(Meeting(), changes)} == {Result.APPLIED}


def test_what_a_system_takes_together_goes_together_by_operation():
    world = World()
    changes = [user(f"user{n}") for n in range(7)]
    changes += [update("keycloak", "users", "jo", {"a": 1}, {"a": 2})]
    outcomes = applied(
        world,
        changes,
        apply_many=lambda client, many: client.write_many(many),
        many=frozenset({Operation.CREATE}),
        batch=3,
    )
    assert sorted(world.batches) == [1, 3, 3]
    assert len(outcomes) == len(world.written) == 8


def test_a_bug_fails_its_own_change_and_skips_what_needs_it():
    changes = [
        team("a"),
        team("b", "a"),
        team("c", "b"),
        team("z"),
        user("jo", depends_on=("keycloak/teams/c",)),
    ]
    outcomes = {one.change.key: one for one in applied(World(raising=["a"]), changes)}
    assert {key: one.result for key, one in outcomes.items()} == {
        "a": Result.FAILED,
        "b": Result.SKIPPED,
        "c": Result.SKIPPED,
        "jo": Result.SKIPPED,
        "z": Result.APPLIED,
    }
    assert outcomes["a"].reason == "unexpected ZeroDivisionError: a bug"
    assert outcomes["b"].reason == "needs keycloak/teams/a, which ended as failed"


@pytest.mark.parametrize("told", [[], ["user0"], ["user0", "stranger"]])
def test_a_batch_of_which_something_is_untold_is_unknown(told):
    def forgetful(_client, changes):
        return [Outcome(user(key), Result.APPLIED) for key in told]

    outcomes = applied(
        World(),
        [user("user0"), user("user1")],
        apply_many=forgetful,
        many=frozenset({Operation.CREATE}),
        batch=9,
    )
    assert [one.change.key for one in outcomes] == ["user0", "user1"]
    assert [one.result is Result.APPLIED for one in outcomes] == ["user0" in told, False]
    assert outcomes[1].result is Result.UNKNOWN


def test_what_the_listener_raises_stops_before_more_is_begun():
    world = World()

    def full(_outcomes):
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        applied(world, [team("a"), team("b", "a"), user("jo")], on_outcomes=full)
    assert world.written == ["keycloak/teams/a"]


def test_a_circle_ends():
    changes = [
        create("keycloak", "roles", "a", {}, depends_on=("keycloak/roles/b",)),
        create("keycloak", "roles", "b", {}, depends_on=("keycloak/roles/a", "keycloak/roles/b")),
    ]
    assert len(applied(World(), changes)) == 2


@st.composite
def graphs(draw) -> list[Change]:
    """Up to 12 changes, each needing earlier ones of any section before or at its own."""
    made: list[Change] = []
    for number in range(draw(st.integers(1, 12))):
        section = draw(st.sampled_from(SECTIONS[:3]))
        needs = [one.identity for one in made if SECTIONS.index(one.section) <= SECTIONS.index(section)]
        depends_on = tuple(draw(st.lists(st.sampled_from(needs), max_size=3))) if needs else ()
        made.append(create("keycloak", section, f"n{number}", {}, depends_on=depends_on))
    return made


@settings(max_examples=60, deadline=None)
@given(graphs(), st.data(), st.integers(1, 4))
def test_nothing_is_begun_before_what_it_needs_and_nothing_after_a_failure(changes, data, concurrency):
    failing = data.draw(st.sets(st.sampled_from([change.key for change in changes]), max_size=3))
    world = World(failing)
    heard: list[Outcome] = []
    outcomes = applied(world, changes, on_outcomes=heard.extend, concurrency=concurrency)
    by_identity = {one.change.identity: one for one in outcomes}
    assert len(outcomes) == len(changes) == len(heard)
    places = {identity: place for place, identity in enumerate(world.written)}
    for change in changes:
        lost = [name for name in change.depends_on if by_identity[name].result is not Result.APPLIED]
        assert (by_identity[change.identity].result is Result.SKIPPED) == bool(lost)
        for name in change.depends_on if change.identity in places else ():
            assert places[name] < places[change.identity]
    begun = [stage(by_identity[identity].change) for identity in world.written]
    assert begun == sorted(begun)
