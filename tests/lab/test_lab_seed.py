"""The seeded cluster: the same each time, and with every odd thing that it promises."""

from __future__ import annotations

import pytest

from lab.errors import SeedError
from lab.proxmox.permissions import Permissions
from lab.proxmox.server import new_datacenter
from lab.seed import CONTROLLER_ID, LOOK_ID, ODD, environment, populate
from tests.lab.proxmox_replay import Clock


@pytest.fixture
def center():
    center = new_datacenter(environment(), clock=Clock())
    populate(center, steward_secret="a", look_secret="b")
    return center


def test_same_numbers_same_cluster():
    assert environment(nodes=3, guests=40) == environment(nodes=3, guests=40)
    assert len(environment(guests=1000)["guests"]) == 1000


def test_size(center):
    assert (len(center.environment.nodes), len(center.environment.guests)) == (3, 40)


@pytest.mark.parametrize("size", [{"nodes": 0}, {"guests": 3}])
def test_too_small(size):
    with pytest.raises(SeedError):
        environment(**size)


def test_odd_things_are_there(center):
    accounts, guests = center.accounts, {g.config["name"]: g for g in center.environment.guests.values()}
    rights = Permissions(accounts)
    holders = {entry.ugid for entry in accounts.acl if entry.type == "user"}
    for userid in ODD["administrator by an entry of their own on /"]:
        assert "Permissions.Modify" in rights.of(userid, "/")
    for userid in ODD["disabled user who still has entries"]:
        assert accounts.users[userid].enable == 0
        assert userid in holders
    assert holders >= set(ODD["user with entries of their own on guests"])
    for userid in ODD["user of a realm that does not exist"]:
        assert userid in accounts.users
        assert center.realms.type_of(userid.rpartition("@")[2]) is None
    for group in ODD["group without members that has rights"]:
        assert not accounts.groups[group].users
        assert any(entry.ugid == group for entry in accounts.acl)
    untagged = {name for name, guest in guests.items() if "owner-" not in guest.config["tags"]}
    assert untagged == set(ODD["guest without an owner tag"])
    assert guests["db-02"].config["lock"] == "backup"
    assert guests["web-03"].hangs


def test_the_controllers_token_has_what_reconciling_needs_and_no_more(center):
    rights = Permissions(center.accounts)
    assert rights.check(CONTROLLER_ID, "/access", ("Sys.Audit", "Sys.Modify"))
    assert rights.check(CONTROLLER_ID, "/access/groups", ("User.Modify", "Group.Allocate"))
    assert rights.check(CONTROLLER_ID, "/access/realm/keycloak", ("Realm.AllocateUser",))
    assert rights.check(CONTROLLER_ID, "/vms/101", ("Permissions.Modify", "VM.Audit", "VM.PowerMgmt"))
    assert not rights.check(CONTROLLER_ID, "/vms/101", ("VM.Allocate",), quiet=True)
    assert not rights.check(LOOK_ID, "/vms/101", ("Permissions.Modify",), quiet=True)
    assert rights.check(LOOK_ID, "/access", ("Sys.Audit",))
