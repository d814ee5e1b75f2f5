"""A plan as data: its order, its digest, what can be told from two of them."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from controller.plan.change import Change, Operation, create, delete, update
from controller.plan.plan import Plan, difference, ordered, rank

_KEYS = st.text("abcd", min_size=1, max_size=3)
_VALUES = st.one_of(st.text(max_size=3), st.booleans(), st.lists(_KEYS, max_size=3))
_FIELDS = st.dictionaries(_KEYS, _VALUES, max_size=3)


@st.composite
def changes(draw) -> list[Change]:
    """Changes of distinct objects, each depending on some that sort anywhere, never in a circle."""
    made: dict[str, Change] = {}
    for _ in range(draw(st.integers(0, 8))):
        section = draw(st.sampled_from(["realm", "roles", "users", "machines.assigned"]))
        key, before, after = draw(_KEYS), draw(_FIELDS), draw(_FIELDS)
        needs = [name for name, one in made.items() if rank(one.section) <= rank(section)]
        depends_on = tuple(draw(st.lists(st.sampled_from(needs), max_size=2))) if needs else ()
        operation = draw(st.sampled_from(list(Operation)))
        if operation is Operation.DELETE:
            change = delete("keycloak", section, key, before)
        elif operation is Operation.CREATE:
            change = create("keycloak", section, key, after, depends_on=depends_on)
        else:
            change = update("keycloak", section, key, before, after, depends_on=depends_on)
        made.setdefault(change.identity, change)
    return list(made.values())


@given(changes(), st.randoms(use_true_random=False))
def test_the_digest_and_the_order_do_not_depend_on_the_order_of_finding(found, random):
    shuffled = list(found)
    random.shuffle(shuffled)
    assert ordered(shuffled) == ordered(found)
    assert Plan("prod", tuple(shuffled)).digest == Plan("prod", tuple(found)).digest


@given(changes())
def test_what_is_needed_comes_first(found):
    places = {change.identity: place for place, change in enumerate(ordered(found))}
    written = {change.identity: change for change in found if change.operation is not Operation.DELETE}
    for change in written.values():
        for needed in change.depends_on:
            if needed in written:
                assert places[needed] < places[change.identity]


@given(changes())
def test_deletions_come_last_and_in_reverse(found):
    order = ordered(found)
    deletions = [change for change in order if change.operation is Operation.DELETE]
    assert list(order[len(order) - len(deletions) :]) == deletions
    ranks = [rank(change.section) for change in deletions]
    assert ranks == sorted(ranks, reverse=True)


@given(changes())
def test_a_plan_survives_json_and_differs_from_itself_in_nothing(found):
    plan = Plan("prod", ordered(found))
    read = json.loads(json.dumps(plan.to_json()))
    assert read["digest"] == plan.digest
    assert difference(read["changes"], plan) == ()


def test_everything_that_a_reviewer_agrees_to_is_in_the_digest():
    change = create("keycloak", "users", "jo", {"email": "jo@example.org"})
    plan = Plan("prod", (change,), instances={"keycloak": "https://a"}, scope=("users",), limits={"count": 5})
    others = [
        replace(plan, owner="test"),
        replace(plan, instances={"keycloak": "https://b"}),
        replace(plan, scope=("roles",)),
        replace(plan, limits={"count": 6}),
        replace(plan, changes=()),
        replace(plan, changes=(create("keycloak", "users", "jo", {"email": "al@example.org"}),)),
    ]
    assert len({plan.digest, *(one.digest for one in others)}) == 7


def test_words_about_a_change_are_not_in_the_digest():
    one = create("keycloak", "users", "jo", {}, reason="because")
    assert Plan("prod", (one,)).digest == Plan("prod", (replace(one, reason="why not"),)).digest


def test_a_difference_names_what_came_went_and_changed():
    reviewed = [
        change.to_json()
        for change in (
            create("keycloak", "users", "gone", {}),
            create("keycloak", "users", "same", {"a": 1}),
            create("keycloak", "users", "other", {"a": 1}),
        )
    ]
    current = Plan(
        "prod",
        (
            create("keycloak", "users", "same", {"a": 1}),
            create("keycloak", "users", "other", {"a": 2}),
            create("keycloak", "users", "new", {}),
        ),
    )
    assert [line.split(":")[0] for line in difference(reviewed, current)] == [
        "- create keycloak/users/gone",
        "+ create keycloak/users/new",
        "~ create keycloak/users/other",
    ]
