"""What holds a plan, and what does not."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.plan.brakes import ACTIVE_USERS, EVERY_ADMIN, OURSELVES, check
from controller.plan.change import create, delete, update
from controller.plan.limits import DEFAULT_LIMITS, Allowance, Limits, strictest
from controller.plan.plan import Plan

DEFAULT = strictest([DEFAULT_LIMITS])


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
    held = check(Plan("prod", changes, populations={"keycloak/users": seen}), strictest([limits]))
    assert [one.rule for one in held] == ([] if rule is None else [rule])
    for one in held:
        assert one.changes
        assert one.changes[0].label in str(one)


def test_the_last_administrator_stays():
    plan = Plan(
        "prod", (disabling("root", admins=1),), populations={"keycloak/admins": 1, "keycloak/users": 9}
    )
    assert [one.rule for one in check(plan, DEFAULT)] == ["last_admin"]


def test_one_administrator_of_two_may_go():
    plan = Plan(
        "prod", (disabling("root", admins=1),), populations={"keycloak/admins": 2, "keycloak/users": 9}
    )
    assert check(plan, DEFAULT) == ()


def test_we_never_change_ourselves():
    plan = Plan("prod", (update("keycloak", "users", "steward", {"email": "a"}, {"email": "b"}),))
    held = check(plan, DEFAULT, ourselves=frozenset({"keycloak/users/steward"}))
    assert [one.rule for one in held] == ["ourselves"]


def test_we_never_take_from_ourselves():
    plan = Plan("prod", (entry(delete, "steward@keycloak"),))
    held = check(plan, DEFAULT, ourselves=frozenset({"proxmox:par1/users/steward"}))
    assert [one.rule for one in held] == ["ourselves"]


def team_without(role: str):
    return update("keycloak", "teams", "ops", {"roles": ["admin", "viewer"]}, {"roles": ["viewer"]})


EDGES = {
    "their role is deleted": delete("keycloak", "roles", "admin", {}),
    "their team is deleted": delete("keycloak", "teams", "ops", {}),
    "their team loses a role": team_without("admin"),
    "they lose a team": update("keycloak", "users", "user0", {"teams": ["ops"]}, {"teams": []}),
    "their group loses an entry": entry(delete, "steward-ops"),
    "their token is deleted": delete("proxmox:par1", "tokens", "user0@keycloak!ci", {}),
}


@pytest.mark.parametrize("change", EDGES.values(), ids=EDGES)
def test_protected_people_keep_what_they_have_by_any_way(change):
    if change.section == "machines.assigned":
        change = replace(change, before={**change.before, "kind": "group"})
    theirs = {"user0": frozenset({"keycloak/roles/admin", "keycloak/teams/ops", "proxmox:par1/teams/ops"})}
    limits = strictest([Limits(protected=frozenset({"user0"}), source="the policy")])
    plan = Plan("prod", (change,), populations={f"{change.system}/{change.section}": 50}, possessions=theirs)
    (refusal,) = check(plan, limits)
    assert refusal.rule == "protected_users"
    assert "the policy" in refusal.remedy
    assert check(replace(plan, possessions={"user1": theirs["user0"]}), strictest([Limits()])) == ()


def test_what_a_team_gains_is_held_by_nothing():
    gain = update("keycloak", "teams", "ops", {"roles": ["viewer"]}, {"roles": ["admin", "viewer"]})
    limits = strictest([Limits(protected=frozenset({"user0"}))])
    assert (
        check(Plan("prod", (gain,), possessions={"user0": frozenset({"keycloak/teams/ops"})}), limits) == ()
    )


def test_a_section_may_be_held_tighter_than_the_rest():
    limits = strictest([DEFAULT_LIMITS, Limits(sections={"users": Allowance(count=2)}, source="the policy")])
    (refusal,) = check(Plan("prod", deletions(3), populations={"keycloak/users": 100}), limits)
    assert "more than the 2 that limits allow" in refusal.text
    assert "limits.sections.users of the policy" in refusal.remedy
    assert "at most 2 at a time" in refusal.remedy
    teams = tuple(delete("keycloak", "teams", f"team{n}", {}) for n in range(3))
    assert check(Plan("prod", teams, populations={"keycloak/teams": 100}), limits) == ()


GOVERNED = {"tokens": "users", "pools.assigned": "pools", "identity_providers": "realm", "clients": "clients"}


@pytest.mark.parametrize(("section", "key"), GOVERNED.items())
def test_a_section_is_held_by_the_key_of_the_policy_that_governs_it(section, key):
    limits = strictest([Limits(sections={key: Allowance(count=0)})])
    plan = Plan("prod", (delete("keycloak", section, "x", {}),), populations={f"keycloak/{section}": 9})
    assert [one.rule for one in check(plan, limits)] == ["max_deletes"]


MINIMA = {
    "exactly what must stay": (2, 12, 0, None),
    "one too many": (3, 12, 0, "minimum"),
    "one too many, and one who comes": (3, 12, 1, None),
    "less already, and less still": (1, 9, 0, "minimum"),
    "less already, and nothing goes": (0, 9, 1, None),
}


@pytest.mark.parametrize(("gone", "seen", "come", "rule"), MINIMA.values(), ids=MINIMA)
def test_so_many_must_be_left(gone, seen, come, rule):
    changes = tuple(disabling(f"user{n}", active_users=1) for n in range(gone))
    changes += tuple(create("keycloak", "users", f"new{n}", {"enabled": True}) for n in range(come))
    changes += (create("keycloak", "users", "asleep", {"enabled": False}),)
    populations = {"keycloak/users": 40, "keycloak/active_users": seen, "proxmox:par1/active_users": 1}
    limits = strictest([Limits(minimum={"users": 10}, source="the policy"), Limits()])
    held = check(Plan("prod", changes, populations=populations), limits)
    assert [one.rule for one in held] == ([] if rule is None else [rule])
    for one in held:
        assert len(one.changes) == gone
        assert "limits.minimum.users of the policy" in one.remedy


def test_without_a_keycloak_each_other_system_keeps_its_minimum():
    change = update(
        "proxmox:par1", "users", "jo", {"enabled": True}, {"enabled": False}, removals={ACTIVE_USERS: 1}
    )
    limits = strictest([Limits(minimum={"users": 3})])
    plan = Plan("prod", (change,), populations={"proxmox:par1/active_users": 3})
    assert [one.rule for one in check(plan, limits)] == ["minimum"]
    assert check(replace(plan, instances={"keycloak": "https://kc"}), limits) == ()


def test_a_client_and_an_entry_of_our_own_stay():
    ourselves = frozenset({"keycloak/clients/steward", "proxmox:par1/holders/steward@pve!controller"})
    client = update("keycloak", "clients", "steward", {"redirect": []}, {"redirect": ["https://a"]})
    token = entry(delete, "steward@pve!controller")
    for change in (client, token):
        assert [one.rule for one in check(Plan("prod", (change,)), DEFAULT, ourselves=ourselves)] == [
            "ourselves"
        ]


def test_many_changes_are_named_in_part_and_carried_whole():
    (refusal,) = check(Plan("prod", deletions(500), populations={"keycloak/users": 500}), DEFAULT)
    assert str(refusal).endswith("and 480 more")
    assert len(refusal.to_json()["changes"]) == 500


_ALLOWANCES = st.builds(Allowance, count=st.none() | st.integers(0, 9), share=st.none() | st.fractions(0, 1))
_LIMITS = st.builds(
    Limits,
    count=st.none() | st.integers(0, 9),
    share=st.none() | st.fractions(0, 1),
    delete_after_days=st.none() | st.integers(0, 90),
    protected=st.frozensets(st.sampled_from("abc")),
    sections=st.dictionaries(st.sampled_from(["users", "teams"]), _ALLOWANCES),
    minimum=st.dictionaries(st.sampled_from(["users", "teams"]), st.integers(0, 9)),
)


@given(st.lists(_LIMITS, min_size=1), _LIMITS, st.integers(0, 200))
def test_another_source_only_tightens(sources, more, population):
    before, after = strictest(sources), strictest([*sources, more])
    assert after.protected >= before.protected
    assert (after.delete_after_days or 0) >= (before.delete_after_days or 0)
    for section in ("users", "teams", "clients"):
        assert after.allowed(population, section) <= min(
            before.allowed(population, section), more.allowed(population, section)
        )
        assert after.least(section) >= before.least(section)


KEPT = {
    "deleted": delete("keycloak", "teams", "ops", {"roles": ["operator"]}),
    "its roles taken": update("keycloak", "teams", "ops", {"roles": ["operator"]}, {"roles": []}),
    "moved away from the one above": update("keycloak", "teams", "ops", {"parent": "it"}, {"parent": ""}),
    "what it includes taken": update("keycloak", "roles", "boss", {"includes": ["b"]}, {"includes": []}),
}
LEFT = {
    "described": update("keycloak", "teams", "ops", {"description": "a"}, {"description": "b"}),
    "given more": update("keycloak", "roles", "boss", {"includes": []}, {"includes": ["b"]}),
    "another team": delete("keycloak", "teams", "lab", {"roles": ["operator"]}),
}
WHOSE = {OURSELVES: "ourselves", EVERY_ADMIN: "last_admin"}


@pytest.mark.parametrize(("whose", "rule"), WHOSE.items(), ids=WHOSE.values())
@pytest.mark.parametrize("change", [*KEPT.values(), *LEFT.values()], ids=[*KEPT, *LEFT])
def test_what_we_or_every_administrator_hang_on_is_kept(whose, rule, change):
    needed = frozenset({"keycloak/teams/ops", "keycloak/roles/boss"})
    plan = Plan("prod", (change,), possessions={whose: needed}, populations={"keycloak/teams": 9})
    rules = [one.rule for one in check(plan, DEFAULT)]
    assert rules == ([rule] if change in KEPT.values() else [])
