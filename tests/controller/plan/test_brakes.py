"""What holds a plan, and what does not."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.plan.brakes import DEFAULT_LIMITS, Limits, check, strictest
from controller.plan.change import create, delete, update
from controller.plan.plan import Plan


def deletions(number: int) -> tuple:
    return tuple(delete("keycloak", "users", f"user{n}", {"enabled": True}) for n in range(number))


def disabling(name: str, **removals: int):
    before, after = {"enabled": True}, {"enabled": False}
    return update("keycloak", "users", name, before, after, removals={"users": 1, **removals})


def entry(operation, holder: str, **more):
    fields = {"path": "/vms/101", "kind": "user", "holder": holder, "role": "steward-viewer"}
    return operation(
        "proxmox:par1", "machines.assigned", f"vms/101 {holder} steward-viewer", fields, removals={}, **more
    )


CASES = {
    "five of twenty is the count": (deletions(5), 20, DEFAULT_LIMITS, None),
    "six of twenty is too many": (deletions(6), 20, DEFAULT_LIMITS, "max_deletes"),
    "ten of a hundred is the share": (deletions(10), 100, DEFAULT_LIMITS, None),
    "eleven of a hundred is too many": (deletions(11), 100, DEFAULT_LIMITS, "max_deletes"),
    "disabling counts as removing": (
        tuple(disabling(f"user{n}") for n in range(6)),
        20,
        DEFAULT_LIMITS,
        "max_deletes",
    ),
    "creating never counts": (
        tuple(create("keycloak", "users", f"user{n}", {}) for n in range(99)),
        0,
        DEFAULT_LIMITS,
        None,
    ),
    "nothing may go at zero": (deletions(1), 100, Limits(count=0, share=Fraction(0)), "max_deletes"),
    "no limit at all": (deletions(50), 50, Limits(), None),
    "a protected user": (deletions(1), 100, Limits(protected=frozenset({"user0"})), "protected_users"),
    "a protected user whose name holds an @": (
        (delete("keycloak", "users", "jo@example.org", {"enabled": True}),),
        100,
        Limits(protected=frozenset({"jo@example.org"})),
        "protected_users",
    ),
    "what a protected user is assigned": (
        (entry(delete, "user0@keycloak"),),
        100,
        Limits(protected=frozenset({"user0"})),
        "protected_users",
    ),
    "what a protected user is newly assigned": (
        (entry(create, "user0@keycloak"),),
        100,
        Limits(protected=frozenset({"user0"})),
        None,
    ),
    "a protected user may be created": (
        (create("keycloak", "users", "user0", {}),),
        100,
        Limits(protected=frozenset({"user0"})),
        None,
    ),
}


@pytest.mark.parametrize(("changes", "seen", "limits", "rule"), CASES.values(), ids=CASES)
def test_brakes(changes, seen, limits, rule):
    held = check(Plan("prod", changes, populations={"keycloak/users": seen}), limits)
    assert [one.rule for one in held] == ([] if rule is None else [rule])
    for one in held:
        assert one.changes
        assert one.changes[0].label in str(one)


def test_the_last_administrator_stays():
    plan = Plan(
        "prod", (disabling("root", admins=1),), populations={"keycloak/admins": 1, "keycloak/users": 9}
    )
    assert [one.rule for one in check(plan, DEFAULT_LIMITS)] == ["last_admin"]


def test_one_administrator_of_two_may_go():
    plan = Plan(
        "prod", (disabling("root", admins=1),), populations={"keycloak/admins": 2, "keycloak/users": 9}
    )
    assert check(plan, DEFAULT_LIMITS) == ()


def test_we_never_change_ourselves():
    plan = Plan("prod", (update("keycloak", "users", "steward", {"email": "a"}, {"email": "b"}),))
    held = check(plan, DEFAULT_LIMITS, ourselves=frozenset({"keycloak/users/steward"}))
    assert [one.rule for one in held] == ["ourselves"]


def test_we_never_take_from_ourselves():
    plan = Plan("prod", (entry(delete, "steward@keycloak"),))
    held = check(plan, DEFAULT_LIMITS, ourselves=frozenset({"proxmox:par1/users/steward"}))
    assert [one.rule for one in held] == ["ourselves"]


_LIMITS = st.builds(
    Limits,
    count=st.none() | st.integers(0, 9),
    share=st.none() | st.fractions(0, 1),
    delete_after_days=st.none() | st.integers(0, 90),
    protected=st.frozensets(st.sampled_from("abc")),
)


@given(st.lists(_LIMITS, min_size=1), _LIMITS, st.integers(0, 200))
def test_another_source_only_tightens_what_is_said(sources, more, population):
    before, after = strictest(sources), strictest([*sources, more])
    assert after.protected >= before.protected
    assert (after.delete_after_days or 0) >= (before.delete_after_days or 0)
    if before.count is not None and before.share is not None:
        assert after.allowed(population) <= before.allowed(population)
