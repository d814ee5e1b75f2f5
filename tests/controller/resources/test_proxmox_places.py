"""Pools, storages, nodes and sets of guests on the simulated cluster."""

from __future__ import annotations

from controller.plan.change import Result
from lab.proxmox.accounts import Entry
from tests.controller.resources.proxmox_world import (
    POLICY,
    keys,
    texts,
)


def test_pools_that_hold_something_are_never_deleted(world):
    world.apply()
    accounts = world.lab.center.accounts
    accounts.pools["gpu"].vms.add(201)
    less = POLICY.replace("  gpu: {comment: for models, assigned: {teams: {ml: power}}}\n", "  other: {}\n")
    plan = world.plan(less)
    assert "delete pools/gpu" not in keys(plan)
    assert "no longer in the policy, and still holds guest 201: left alone until it is empty" in texts(
        plan, "pools"
    )
    accounts.pools["gpu"].vms.clear()
    assert "delete pools/gpu" in keys(world.plan(less))
    assert world.apply(less) == {Result.APPLIED}
    assert "gpu" not in accounts.pools


def test_places_that_are_not_there_are_named(world):
    odd = POLICY.replace("nfs-1:", "nfs-9:").replace("pve1:", "pve9:").replace("{vmid: 101", "{vmid: 109")
    plan = world.plan(odd)
    where = {report.text: str(report.source) for report in plan.reported}
    assert where['no storage "nfs-9" on par1: nothing is assigned there'] == "policy.yaml:29:3"
    assert where['no node "pve9" on par1: nothing is assigned there'] == "policy.yaml:31:3"
    assert where["no guest 109 on par1: nothing is assigned there"] == "policy.yaml:23:18"


def test_a_set_of_unexpected_size_takes_nothing_away(world):
    world.apply()
    guests = world.lab.center.environment.guests
    guests[202].config["tags"] = "old"
    plan = world.plan()
    assert keys(plan) == []
    (gap,) = plan.unobserved
    assert gap.verdict == "not applied"
    assert gap.why == 'policy.yaml:25:3: the set "every" holds 1 guests, not 2 or more as expected on par1'


def test_a_guest_that_leaves_a_set_loses_what_the_set_gave(world):
    world.apply()
    world.lab.center.environment.guests[202].config["tags"] = "old"
    smaller = POLICY.replace("expect: {min: 2}, ", "")
    assert keys(world.plan(smaller)) == ["delete machines.assigned/vms/202 steward-ops steward-viewer"]


def test_guests_of_a_node_that_is_off_are_still_assigned(world):
    world.lab.center.environment.nodes["pve2"].online = False
    world.lab.center.environment.nodes["pve3"].online = False
    assert world.apply() == {Result.APPLIED}
    assert Entry("/vms/201", "group", "steward-ops", "steward-viewer") in world.lab.center.accounts.acl
