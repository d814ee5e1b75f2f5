"""`--target` and `ignore` for every section: what is hit, what comes with it, what a slip gets."""

from __future__ import annotations

import pytest

from controller.errors import ControllerError
from controller.plan.change import create, delete, update
from controller.plan.plan import Note
from controller.reconcile.narrowing import without_ignored
from controller.reconcile.targets import aimed, check_targets, is_aimed_at
from tests.controller.stage import policy_of

POLICY = """
realm:
  name: acme
  identity_providers: {google: {type: google, client_id: x}}
roles: {viewer: {proxmox: [VM.Audit]}}
teams: {science: {}, ml: {parent: science}}
users: {jo: {teams: [ml], proxmox_tokens: {ci: {secret: {controller_file: /x}}}}}
clients: {grafana: {redirect: ["https://g.example.org/*"]}}
machines: {web-01: {assigned: {users: {jo: viewer}}}}
pools: {gpu: {}}
storages: {local: {}}
nodes: {pve1: {}}
"""
PVE = "proxmox:par1"
CHANGES = {
    "realm": update("keycloak", "realm", "acme", {"a": 1}, {"a": 2}),
    "provider": create("keycloak", "identity_providers", "google", {}, depends_on=("keycloak/realm/acme",)),
    "role": create("keycloak", "roles", "viewer", {}),
    "science": create("keycloak", "teams", "science", {}, depends_on=("keycloak/roles/viewer",)),
    "ml": create("keycloak", "teams", "ml", {}, depends_on=("keycloak/teams/science",)),
    "jo": create("keycloak", "users", "jo", {}, depends_on=("keycloak/teams/ml",)),
    "jo there": create(PVE, "users", "jo", {"userid": "jo@keycloak"}),
    "token": create(PVE, "tokens", "jo!ci", {"userid": "jo@keycloak"}, depends_on=(f"{PVE}/users/jo",)),
    "client": create("keycloak", "clients", "grafana", {}),
    "pool": create(PVE, "pools", "gpu", {}),
    "pool entry": create(
        PVE, "pools.assigned", "pool/gpu steward-ml x", {}, title="pool gpu ← team ml: viewer",
        depends_on=(f"{PVE}/pools/gpu",),
    ),
    "storage entry": create(PVE, "storages.assigned", "storage/a b", {}, title="storage local ← jo: viewer"),
    "node entry": create(PVE, "nodes.assigned", "nodes/pve1 a b", {}, title="node pve1 ← jo: viewer"),
    "entry": create(PVE, "machines.assigned", "vms/101 a b", {}, title="web-01 ← jo: viewer"),
    "power": update(PVE, "machines.power", "web-01", {"state": "stopped"}, {"state": "running"}),
    "other": delete(PVE, "machines.assigned", "vms/102 a b", {}, title="web-02 ← jo: viewer"),
}  # fmt: skip
HIT = {
    "realm/acme": {"realm", "provider"},
    "identity_providers/google": {"provider", "realm"},
    "roles/viewer": {"role"},
    "teams/ml": {"ml", "science", "role"},
    "users/jo": {"jo", "ml", "science", "role", "jo there", "token"},
    "clients/grafana": {"client"},
    "pools/gpu": {"pool", "pool entry"},
    "storages/local": {"storage entry"},
    "nodes/pve1": {"node entry"},
    "machines/web-01": {"entry", "power"},
    "machines/web-02": {"other"},
}


@pytest.mark.parametrize(("target", "hit"), HIT.items())
def test_a_target_hits_its_object_and_what_that_needs(target, hit):
    policy = policy_of(POLICY)
    check_targets([target], list(CHANGES.values()), policy)
    found = aimed(list(CHANGES.values()), [target], policy)
    assert {name for name, change in CHANGES.items() if change in found} == hit


@pytest.mark.parametrize(
    "target", ["users/joo", "teams/m", "machines/web-03", "pools/gpus", "nonsense", "users/"]
)
def test_a_slip_is_an_error_that_names_what_there_is(target):
    with pytest.raises(ControllerError) as caught:
        check_targets([target], list(CHANGES.values()), policy_of(POLICY))
    assert "machines/NAME" in caught.value.hint


def test_a_note_is_recorded_where_its_machine_is_aimed_at():
    note = Note(PVE, "machines.power", "web-01", "a slot was missed")
    assert is_aimed_at(note, [])
    assert is_aimed_at(note, ["machines/web-01"])
    assert not is_aimed_at(note, ["users/jo"])


IGNORED = {
    "a field": (
        "{users: '*', fields: [email]}",
        {"email": "a", "name": "x"},
        {"email": "b", "name": "y"},
        ("name",),
    ),
    "the only field": ("{users: jo, fields: [email]}", {"email": "a"}, {"email": "b"}, None),
    "another's field": ("{users: al, fields: [email]}", {"email": "a"}, {"email": "b"}, ("email",)),
    "another section": ("{teams: jo, fields: [email]}", {"email": "a"}, {"email": "b"}, ("email",)),
    "an entry of a map": (
        "{users: '*', fields: [attributes.theme]}",
        {"attributes": {"theme": "dark", "site": "a"}},
        {"attributes": {"theme": "light", "site": "b"}},
        ("attributes",),
    ),
    "the only entry": (
        "{users: '*', fields: [attributes.theme]}",
        {"attributes": {"site": "a"}},
        {"attributes": {"theme": "light", "site": "a"}},
        None,
    ),
    "a map that is none": ("{users: '*', fields: [email.a]}", {"email": "a"}, {"email": "b"}, ("email",)),
}


@pytest.mark.parametrize(("rule", "before", "after", "left"), IGNORED.values(), ids=IGNORED)
def test_ignored_fields_stay_as_they_are(rule, before, after, left):
    policy = policy_of(POLICY, settings=f"ignore: [{rule}]\n")
    changed = [
        one.changed for one in without_ignored([update("keycloak", "users", "jo", before, after)], policy)
    ]
    assert changed == ([] if left is None else [left])


def test_an_ignored_entry_keeps_its_value():
    policy = policy_of(POLICY, settings="ignore: [{users: '*', fields: [attributes.theme]}]\n")
    before, after = {"theme": "dark", "site": "a"}, {"theme": "light", "site": "b"}
    made = update("keycloak", "users", "jo", {"attributes": before}, {"attributes": after})
    (change,) = without_ignored([made], policy)
    assert change.after == {"attributes": {"site": "b", "theme": "dark"}}
