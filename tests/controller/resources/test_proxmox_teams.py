"""Groups of teams on the simulated cluster, and the people in them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from controller.plan.brakes import check
from controller.plan.change import Result
from controller.plan.limits import DEFAULT_LIMITS, strictest
from controller.reconcile.planner import Memory
from controller.resources.overrides import Overrides, Suspension
from lab.proxmox.accounts import Group, User
from tests.controller.resources.proxmox_world import (
    POLICY,
    keys,
    texts,
)


def test_other_groups_of_a_person_stay_when_teams_change(world):
    world.apply()
    accounts = world.lab.center.accounts
    accounts.groups["nights"] = Group(None, {"bo@sso"})
    moved = POLICY.replace("ml: {parent: science, members: [bo]}", "ml: {parent: science, members: [dee]}")
    assert keys(world.plan(moved)) == ["update users/bo", "update users/dee"]
    world.apply(moved)
    assert {name for name, group in accounts.groups.items() if "bo@sso" in group.users} == {"nights"}
    assert {name for name, group in accounts.groups.items() if "dee@sso" in group.users} == {
        "steward-ml",
        "steward-science",
    }


def test_strangers_in_our_groups_wake_somebody(world):
    world.apply()
    accounts = world.lab.center.accounts
    accounts.users["eve@pve"] = User()
    accounts.groups["steward-ops"].users.add("eve@pve")
    plan = world.plan()
    assert keys(plan) == []
    assert [(one.key, one.text) for one in plan.reported if one.pages] == [
        ("ops", "eve@pve is in the group steward-ops, and no policy says so")
    ]


def test_a_group_of_ours_by_name_alone_gets_neither_people_nor_rights(world):
    accounts = world.lab.center.accounts
    accounts.users["eve@pve"] = User()
    accounts.groups["steward-ops"] = Group("by hand", {"eve@pve"})
    plan = world.plan()
    assert not any("ops" in key for key in keys(plan))
    assert texts(plan, "teams") == ["group exists and is not ours; adopt: true takes it over"]
    assert "ops does not become viewer: the group steward-ops is not ours" in texts(plan, "machines.assigned")
    assert world.apply() == {Result.APPLIED}
    assert accounts.groups["steward-ops"].users == {"eve@pve"}
    adopted = world.plan(POLICY.replace("ops: {members", "ops: {adopt: true, members"))
    assert keys(adopted)[0] == "update teams/ops"
    assert "update users/cy" in keys(adopted)


def test_a_team_that_has_nothing_here_any_more_loses_its_group(world):
    world.apply()
    less = POLICY.replace("teams: {ops: viewer}", "users: {cy: viewer}")
    assert keys(world.plan(less))[-1] == "delete teams/ops"
    world.known = False
    assert "delete teams/ops" not in keys(world.plan(less))
    world.known = True
    assert world.apply(less) == {Result.APPLIED}
    assert "steward-ops" not in world.lab.center.accounts.groups
    assert keys(world.plan(less)) == []


def test_somebody_who_leaves_is_out_of_every_team_at_once(world):
    world.apply()
    left = POLICY.replace("members: [bo]", "members: []").replace("  bo: {}\n", "")
    assert keys(world.plan(left)) == ["update users/bo"]
    world.apply(left)
    accounts = world.lab.center.accounts
    assert accounts.users["bo@sso"].enable == 0
    assert not any("bo@sso" in group.users for group in accounts.groups.values())


def test_a_suspended_person_is_disabled_until_the_suspension_ends(world):
    world.apply()
    until = datetime(2026, 11, 25, tzinfo=UTC)
    overrides = Overrides(suspended={"bo": Suspension("bo", until, "ada", "lost laptop")})
    policy = world.policy(POLICY)
    planner = world.planner()
    memory = Memory(strictest([DEFAULT_LIMITS]), lambda *_: True, overrides=overrides)
    plan = planner.compare(policy, planner.observe(policy), memory)
    assert keys(plan) == ["update users/bo"]
    world.carry_out(plan)
    assert world.lab.center.accounts.users["bo@sso"].enable == 0
    assert keys(world.plan()) == ["update users/bo"], "without the override the account is enabled again"


def test_what_protected_people_have_in_groups_is_told_to_the_brakes(world):
    world.apply()
    protected = strictest([replace(DEFAULT_LIMITS, protected=frozenset({"bo"}), source="a test")])
    plan = world.plan(POLICY.replace("members: [bo]", "members: [dee]"), limits=protected)
    assert [(one.rule, [change.key for change in one.changes]) for one in check(plan, protected)] == [
        ("protected_users", ["bo"])
    ]
    nothing = world.plan(POLICY.replace("pools:", "pools: {}\nunused:").split("unused:")[0], limits=protected)
    rules = {one.rule: {change.identity for change in one.changes} for one in check(nothing, protected)}
    assert "proxmox:par1/teams/ml" in rules["protected_users"]
