"""Roles, people and assignments on Proxmox: planned, applied, drifted and pruned on the simulated cluster."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

import pytest

from controller.clients.proxmox import ProxmoxLogin, ProxmoxReader
from controller.clients.proxmox_writer import ProxmoxWriter
from controller.plan.change import Operation, Result
from controller.plan.limits import DEFAULT_LIMITS, strictest
from controller.policy import PolicyErrors, parse
from controller.reconcile.applier import Applier, Target
from controller.reconcile.planner import Memory, Planner, System
from controller.resources.proxmox_clusters import check_clusters
from controller.resources.proxmox_table import PROXMOX
from lab.proxmox.accounts import Entry, User
from tests.lab_servers import SMALL, ProxmoxLab, proxmox_lab

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from controller.plan.plan import Plan

TODAY = date(2026, 11, 20)
POLICY = """\
version: 1
owner: prod
limits: {delete_after: 30d}
roles:
  viewer: {proxmox: [VM.Audit]}
  power: {proxmox: [VM.Audit, VM.PowerMgmt]}
users:
  ada: {email: ada@example.org, first_name: Ada}
  bo: {}
  cy: {state: disabled}
  no-machine: {}
machines:
  web-01: {cluster: par1, vmid: 101, assigned: {users: {ada: power, bo: viewer}}}
  db-01: {assigned: {users: {ada: viewer, cy: viewer}}}
"""


@dataclass
class Pass:
    """Plans and applies like the controller does, on one cluster."""

    lab: ProxmoxLab
    reader: ProxmoxReader
    writer: ProxmoxWriter
    today: date = TODAY
    known: bool = True

    def plan(self, text: str = POLICY) -> Plan:
        policy = parse({"policy.yaml": text.encode()}, "")
        system = System(
            "proxmox:par1", self.lab.url, "keycloak", self.reader, PROXMOX, glance=ProxmoxReader.glance
        )
        planner = Planner([system], datetime.combine(self.today, time(12), UTC))
        limits = strictest([replace(DEFAULT_LIMITS, delete_after_days=30)])
        return planner.compare(policy, planner.observe(policy), Memory(limits, lambda *_: self.known))

    def apply(self, text: str = POLICY) -> list[str]:
        applier = Applier([Target("proxmox:par1", self.writer, PROXMOX, 3)])
        outcomes = applier.apply(self.plan(text))
        return [str(one.result) for one in outcomes]


@contextmanager
def cluster(tmp_path: Path, **details: object) -> Iterator[Pass]:
    with proxmox_lab(tmp_path, **details) as lab:
        login = ProxmoxLogin(lab.url, lab.token_id, lab.token_secret, lab.ca_file)
        with ProxmoxReader(login, cluster="par1") as reader, ProxmoxWriter(login, cluster="par1") as writer:
            yield Pass(lab, reader, writer)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Pass]:
    with cluster(tmp_path) as running:
        yield running


def keys(plan: Plan) -> list[str]:
    return [f"{change.operation} {change.section}/{change.key}" for change in plan.changes]


def writes(lab: ProxmoxLab) -> int:
    return sum(number for what, number in lab.center.requests.items() if "GET" not in str(what))


def test_what_is_planned_is_made_and_then_nothing_is_left(world):
    plan = world.plan()
    assert keys(plan) == [
        "create roles/power",
        "create roles/viewer",
        "create users/ada",
        "create users/bo",
        "create users/cy",
        "create machines.assigned/vms/101 ada@keycloak steward-power",
        "create machines.assigned/vms/101 bo@keycloak steward-viewer",
        "create machines.assigned/vms/102 ada@keycloak steward-viewer",
        "create machines.assigned/vms/102 cy@keycloak steward-viewer",
    ]
    assert str(plan.changes[5].source) == "policy.yaml:13:62"
    assert set(world.apply()) == {Result.APPLIED}
    accounts = world.lab.center.accounts
    assert accounts.roles["steward-power"] == {"VM.Audit", "VM.PowerMgmt"}
    assert accounts.users["ada@keycloak"].comment == "steward.owner=prod"
    assert accounts.users["ada@keycloak"].email == "ada@example.org"
    assert accounts.users["cy@keycloak"].enable == 0
    assert accounts.acl[Entry("/vms/102", "user", "ada@keycloak", "steward-viewer")] == 1
    world.lab.center.requests.clear()
    second = world.plan()
    assert second.is_empty
    assert keys(second) == []
    assert writes(world.lab) == 0
    assert sum(world.lab.center.requests.values()) <= 10


def test_drift_of_our_objects_is_planned_and_repaired(world):
    world.apply()
    accounts = world.lab.center.accounts
    accounts.roles["steward-viewer"].add("VM.Allocate")
    accounts.users["ada@keycloak"].enable = 0
    accounts.users["bo@keycloak"].comment = "on leave steward.owner=prod"
    accounts.acl[Entry("/vms/101", "user", "bo@keycloak", "steward-viewer")] = 0
    del accounts.acl[Entry("/vms/102", "user", "ada@keycloak", "steward-viewer")]
    assert keys(world.plan()) == [
        "update roles/viewer",
        "update users/ada",
        "update machines.assigned/vms/101 bo@keycloak steward-viewer",
        "create machines.assigned/vms/102 ada@keycloak steward-viewer",
    ]
    assert set(world.apply()) == {Result.APPLIED}
    assert world.plan().is_empty
    assert accounts.users["bo@keycloak"].comment == "on leave steward.owner=prod"


def test_what_is_not_ours_is_never_touched(world):
    accounts = world.lab.center.accounts
    accounts.users["ada@keycloak"] = User(comment="by hand")
    accounts.users["bo@keycloak"] = User(comment="steward.owner=staging")
    accounts.acl[Entry("/vms/101", "user", "ada@keycloak", "PVEVMAdmin")] = 1
    accounts.acl[Entry("/vms", "user", "bo@keycloak", "NoAccess")] = 1
    before = dict(accounts.acl)
    plan = world.plan()
    texts = {report.key: report.text for report in plan.reported if report.section == "users"}
    assert "exists and is not ours" in texts["ada"]
    assert "belongs to staging" in texts["bo"]
    assert [report.key for report in plan.reported if report.section == "machines.assigned"] == [
        "vms bo@keycloak NoAccess",
        "vms/101 ada@keycloak PVEVMAdmin",
    ]
    counted = world.plan(POLICY + "unlisted: {acls: count}\n").reported
    assert any("2 entries on guests that are not ours" in report.text for report in counted)
    world.apply()
    assert before.items() <= accounts.acl.items()
    assert accounts.users["ada@keycloak"].comment == "by hand"
    assert keys(world.plan(POLICY.replace("ada: {", "ada: {adopt: true, "))) == ["update users/ada"]


def test_an_entry_of_ours_that_no_policy_asks_for_is_removed_only_where_we_know_it(world):
    world.apply()
    less = POLICY.replace(", bo: viewer", "")
    world.known = False
    plan = world.plan(less)
    assert keys(plan) == []
    assert [report.key for report in plan.reported if report.pages] == ["vms/101 bo@keycloak steward-viewer"]
    world.known = True
    assert keys(world.plan(less)) == ["delete machines.assigned/vms/101 bo@keycloak steward-viewer"]
    assert world.apply(less) == [Result.APPLIED]
    accounts = world.lab.center.accounts
    assert Entry("/vms/101", "user", "bo@keycloak", "steward-viewer") not in accounts.acl
    assert accounts.users["bo@keycloak"].enable == 1, "still in the policy: the account stays"


def test_somebody_who_leaves_is_disabled_and_later_deleted(world):
    world.apply()
    left = POLICY.replace("  bo: {}\n", "").replace(", bo: viewer", "")
    assert keys(world.plan(left)) == [
        "update users/bo",
        "delete machines.assigned/vms/101 bo@keycloak steward-viewer",
    ]
    world.apply(left)
    accounts = world.lab.center.accounts
    assert accounts.users["bo@keycloak"].enable == 0
    assert accounts.users["bo@keycloak"].comment == "steward.owner=prod steward.vanished=2026-11-20"
    world.today = TODAY + timedelta(days=29)
    assert world.plan(left).is_empty
    world.today = TODAY + timedelta(days=30)
    assert keys(world.plan(left)) == ["delete users/bo"]
    world.apply(left)
    assert "bo@keycloak" not in accounts.users


def test_somebody_who_comes_back_before_that_is_enabled_again(world):
    world.apply()
    world.apply(POLICY.replace("  bo: {}\n", "").replace(", bo: viewer", ""))
    assert set(world.apply()) == {Result.APPLIED}
    assert world.lab.center.accounts.users["bo@keycloak"].comment == "steward.owner=prod"
    assert world.plan().is_empty


def test_a_role_that_is_gone_is_deleted_after_its_entries(world):
    world.apply()
    less = POLICY.replace("  power: {proxmox: [VM.Audit, VM.PowerMgmt]}\n", "").replace(
        "ada: power", "ada: viewer"
    )
    plan = world.plan(less)
    assert keys(plan)[-2:] == [
        "delete machines.assigned/vms/101 ada@keycloak steward-power",
        "delete roles/power",
    ]
    assert set(world.apply(less)) == {Result.APPLIED}
    assert world.plan(less).is_empty


def test_an_absent_person_is_deleted_at_once(world):
    world.apply()
    gone = POLICY.replace("bo: {}", "bo: {state: absent}").replace(", bo: viewer", "")
    world.apply(gone)
    assert "bo@keycloak" not in world.lab.center.accounts.users


def test_a_role_with_privileges_that_the_version_lacks_is_left_as_it_is(world):
    world.apply()
    odd = POLICY.replace("[VM.Audit]", "[VM.Audit, VM.Monitor, VM.Audt]")
    plan = world.plan(odd)
    assert plan.is_empty
    (gap,) = plan.unobserved
    assert (gap.section, gap.verdict) == ("roles", "not applied")
    assert gap.why == (
        'the role "viewer" is left as it is: '
        'policy.yaml:5:44: "VM.Audt" is no privilege of this Proxmox VE 9.2; did you mean "VM.Audit"?; '
        'policy.yaml:5:32: "VM.Monitor" is no privilege of this Proxmox VE 9.2; use VM.GuestAgent.Audit '
        "(a role for both versions lists both)"
    )
    assert world.lab.center.accounts.roles["steward-viewer"] == {"VM.Audit"}


def test_nobody_gets_a_role_that_cannot_be_made(world):
    odd = POLICY.replace("[VM.Audit]", "[VM.Audit, VM.Monitor]")
    plan = world.plan(odd)
    assert not any("viewer" in key for key in keys(plan))
    texts = [report.text for report in plan.reported if report.section == "machines.assigned"]
    why = "this Proxmox VE cannot have the role, for want of VM.Monitor"
    assert texts == [f"{name} does not become viewer: {why}" for name in ("bo", "ada", "cy")]
    assert set(world.apply(odd)) == {Result.APPLIED}
    assert world.plan(odd).is_empty


def test_a_role_for_both_versions_has_on_each_what_that_knows(world):
    both = POLICY.replace("[VM.Audit]", "[VM.Audit, VM.Monitor, VM.GuestAgent.Audit]")
    assert set(world.apply(both)) == {Result.APPLIED}
    assert world.lab.center.accounts.roles["steward-viewer"] == {"VM.Audit", "VM.GuestAgent.Audit"}
    plan = world.plan(both)
    assert plan.is_empty
    assert not plan.unobserved


def test_what_changed_between_plan_and_apply_is_a_conflict(world):
    world.apply()
    accounts = world.lab.center.accounts
    accounts.roles["steward-viewer"].add("VM.Allocate")
    accounts.users["ada@keycloak"].enable = 0
    accounts.acl[Entry("/vms/101", "user", "bo@keycloak", "steward-viewer")] = 0
    plan = world.plan()
    accounts.roles["steward-viewer"].add("VM.Clone")
    accounts.users["ada@keycloak"].firstname = "Eve"
    del accounts.acl[Entry("/vms/101", "user", "bo@keycloak", "steward-viewer")]
    outcomes = Applier([Target("proxmox:par1", world.writer, PROXMOX, 3)]).apply(plan)
    assert [str(one.result) for one in outcomes][:2] == [Result.CONFLICT, Result.CONFLICT]
    assert {one.result for one in outcomes} <= {Result.CONFLICT, Result.SKIPPED}
    assert "VM.Clone" in accounts.roles["steward-viewer"]


def test_a_guest_that_is_not_there_gets_nothing_and_keeps_what_it_may_have(world):
    world.apply()
    world.lab.center.environment.nodes["pve2"].online = False
    plan = world.plan()
    assert keys(plan) == []
    assert any('no guest named "db-01"' in report.text for report in plan.reported)


def test_two_guests_of_one_name_are_a_mistake_of_the_policy(tmp_path):
    twins = [{**SMALL["guests"][1], "vmid": vmid} for vmid in (102, 103)]
    environment = {**SMALL, "guests": [SMALL["guests"][0], *twins]}
    with cluster(tmp_path, environment=environment) as world, pytest.raises(PolicyErrors) as caught:
        world.plan()
    assert str(caught.value) == 'policy.yaml:14:3: "db-01" is the name of guests 102, 103 of par1: say vmid'


def test_a_number_that_now_belongs_to_another_guest_is_reported(world):
    renamed = POLICY.replace("web-01: {", "shop-01: {")
    assert any('guest 101 is named "web-01"' in report.text for report in world.plan(renamed).reported)


@pytest.mark.parametrize(
    ("role", "missing"), [("PVEVMUser", "Sys.Audit"), ("PVESysAdmin", "VM.Audit on /vms")]
)
def test_what_our_token_does_not_see_whole_is_no_ground_for_anything(tmp_path, role, missing):
    with cluster(tmp_path, role=role) as world:
        plan = world.plan()
    assert any(gap.section == "machines.assigned" and missing in gap.why for gap in plan.unobserved)
    assert not any(change.section == "machines.assigned" for change in plan.changes)


def test_nothing_is_assigned_by_a_role_without_privileges(world):
    idle = POLICY.replace("viewer: {proxmox: [VM.Audit]}", "viewer: {}")
    plan = world.plan(idle)
    assert not any("viewer" in key for key in keys(plan))
    assert sum("has no privileges on Proxmox" in report.text for report in plan.reported) == 3


def test_machines_must_stand_on_a_cluster_of_the_configuration():
    policy = parse({"policy.yaml": POLICY.encode()}, "")
    check_clusters(policy, {"par1": "keycloak"})
    with pytest.raises(PolicyErrors) as caught:
        check_clusters(policy, {"par2": "keycloak", "lon1": "sso"})
    assert str(caught.value).splitlines() == [
        'policy.yaml:13:21: controller.yaml names no cluster "par1"; did you mean "par2"?',
        'policy.yaml:14:3: "db-01" names no cluster, and controller.yaml names 2',
    ]


def test_any_prefix_of_a_plan_converges(world):
    """Kill at any point, run again: what is left is planned again, and then nothing."""
    plan = world.plan()
    applier = Applier([Target("proxmox:par1", world.writer, PROXMOX, 3)])
    for done in range(len(plan.changes)):
        rest = world.plan()
        assert len(rest.changes) == len(plan.changes) - done
        first = replace(rest, changes=rest.changes[:1])
        assert first.changes[0].operation is Operation.CREATE
        assert [one.result for one in applier.apply(first)] == [Result.APPLIED]
    assert world.plan().is_empty
