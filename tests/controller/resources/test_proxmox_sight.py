"""What our token must see on the simulated cluster, and what is left alone where it does not."""

from __future__ import annotations

from typing import Any

import pytest

from controller.plan.change import Result
from lab.proxmox.accounts import Entry
from tests.controller.resources.proxmox_world import (
    cluster,
    keys,
)

RIGHTS = {
    "/access": "Sys.Audit Sys.Modify User.Modify Group.Allocate",
    "/access/realm": "Sys.Audit Realm.Allocate Realm.AllocateUser",
    "/vms": "VM.Audit Permissions.Modify",
    "/pool": "Pool.Audit Pool.Allocate Permissions.Modify",
    "/storage": "Datastore.Audit Permissions.Modify",
    "/nodes": "Permissions.Modify",
}


def with_exactly(rights: dict[str, str]) -> Any:
    def populate(center: Any) -> None:
        accounts = center.accounts
        accounts.acl.clear()
        accounts.users["steward@pve"].tokens["controller"].privsep = 1
        for number, (path, privileges) in enumerate(rights.items()):
            accounts.roles[f"Exact{number}"] = set(privileges.split())
            for kind, holder in (("user", "steward@pve"), ("token", "steward@pve!controller")):
                accounts.acl[Entry(path, kind, holder, f"Exact{number}")] = 1
        accounts.settle()

    return populate


def test_the_rights_that_are_documented_are_enough(tmp_path):
    with cluster(tmp_path, populate=with_exactly(RIGHTS)) as world:
        assert world.plan().unobserved == ()
        assert world.apply() == {Result.APPLIED}
        assert keys(world.plan()) == []
        bare = "version: 1\nowner: prod\n"
        assert world.apply(bare) == {Result.APPLIED}
        assert keys(world.plan(bare)) == []


SECTIONS_BY_RIGHT = [
    pytest.param("/vms", {"machines.assigned", "pools"}, id="guests"),
    pytest.param("/pool", {"pools", "pools.assigned"}, id="pools"),
    pytest.param("/storage", {"storages.assigned"}, id="storages"),
]


@pytest.mark.parametrize(("path", "sections"), SECTIONS_BY_RIGHT)
def test_what_is_hidden_is_a_gap_and_nothing_of_it_is_changed(tmp_path, path, sections):
    rights = {name: privileges for name, privileges in RIGHTS.items() if name != path}
    with cluster(tmp_path, populate=with_exactly(rights)) as world:
        plan = world.plan()
        assert {gap.section for gap in plan.unobserved} == sections
        assert not any(change.section in sections for change in plan.changes)
        other = world.plan("version: 1\nowner: prod\nusers: {ada: {}}\n")
        assert other.unobserved == ()


def test_a_path_on_which_our_token_has_nothing_hides_what_is_there(tmp_path):
    def populate(center: Any) -> None:
        with_exactly(RIGHTS)(center)
        center.accounts.acl[Entry("/vms/202", "token", "steward@pve!controller", "NoAccess")] = 1

    with cluster(tmp_path, populate=populate) as world:
        (gap, *_) = [gap for gap in world.plan().unobserved if gap.section == "machines.assigned"]
        assert "/vms/202 are hidden" in gap.why
