"""Clusters in the policy's words: whom the policy knows is assigned, everybody else is told."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from controller.editing.workspace import Workspace
from controller.errors import ControllerError
from controller.importing.adopting import adopt, targets_of
from controller.importing.folder import imported
from controller.importing.logins import add_login
from controller.importing.machines import Known, place_entries, proxmox_roles
from controller.importing.people import user_entries
from controller.importing.saying import Entries, LeftOut
from controller.importing.world import ClusterWorld, KeycloakWorld
from controller.keycloak_login_values import OidcClient
from controller.keycloak_values import KeycloakUser
from controller.policy.parse import parse
from controller.proxmox_values import (
    ProxmoxAccess,
    ProxmoxEntry,
    ProxmoxGuest,
    ProxmoxNode,
    ProxmoxOpenId,
    ProxmoxPool,
    ProxmoxResources,
    ProxmoxRights,
    ProxmoxRole,
    ProxmoxStorage,
)

if TYPE_CHECKING:
    from pathlib import Path

KNOWN = Known("prod", frozenset({"jo", "bo"}), frozenset({"ops"}), frozenset({"PVEVMUser", "viewer"}))
ENTRIES = (
    ProxmoxEntry("/", "user", "admin@pve", "Administrator"),
    ProxmoxEntry("/nodes/pve1", "user", "bo@keycloak", "viewer"),
    ProxmoxEntry("/pool/gpu", "group", "ops", "PVEVMUser"),
    ProxmoxEntry("/pool/gpu", "group", "strangers", "PVEVMUser"),
    ProxmoxEntry("/storage/nfs", "user", "jo@keycloak", "PVEVMUser", propagate=False),
    ProxmoxEntry("/storage/local", "token", "jo@keycloak!ci", "PVEVMUser"),
    ProxmoxEntry("/vms/101", "user", "jo@keycloak", "PVEVMUser"),
    ProxmoxEntry("/vms/101", "user", "jo@keycloak", "steward-viewer"),
    ProxmoxEntry("/vms/101", "user", "bo@pve", "PVEVMUser"),
    ProxmoxEntry("/vms/102", "user", "eve@keycloak", "PVEVMUser"),
)


def cluster(name: str = "par1") -> ClusterWorld:
    guests = (
        ProxmoxGuest(101, "qemu", "pve1", "running", "web"),
        ProxmoxGuest(102, "qemu", "pve1", "stopped", "db"),
        ProxmoxGuest(103, "lxc", "pve1", "stopped", "db"),
        ProxmoxGuest(900, "qemu", "pve1", "stopped", "golden", is_template=True),
    )
    pools = {
        "gpu": ProxmoxPool("gpu", "for models"),
        "gpu/inner": ProxmoxPool("gpu/inner"),
        "theirs": ProxmoxPool("theirs", "x steward.owner=lab"),
    }
    roles = {
        "PVEVMUser": ProxmoxRole("PVEVMUser", ("VM.Audit", "VM.Console"), built_in=True),
        "steward-viewer": ProxmoxRole("steward-viewer", ("VM.Audit",)),
        "viewer": ProxmoxRole("viewer", ("VM.Audit", "VM.PowerMgmt")),
    }
    return ClusterWorld(
        name,
        "keycloak",
        ProxmoxAccess(ProxmoxRights({}), {}, {}, roles, ENTRIES),
        ProxmoxResources(
            guests=guests,
            nodes=(ProxmoxNode("pve1", "online"),),
            storages=(
                ProxmoxStorage("nfs", "pve1", "available"),
                ProxmoxStorage("local", "pve1", "available"),
            ),
            pools=(),
        ),
        pools,
    )


def test_places_and_what_is_left_out() -> None:
    left_out = LeftOut()
    places = place_entries([cluster()], KNOWN, left_out)
    assert places.sections == {
        "machines": {
            "web": {"vmid": 101, "assigned": {"users": {"jo": "viewer"}}},
            "db-102": {"vmid": 102},
            "db-103": {"vmid": 103},
        },
        "pools": {
            "gpu": {"comment": "for models", "assigned": {"teams": {"ops": "PVEVMUser"}}, "adopt": True}
        },
        "nodes": {"pve1": {"assigned": {"users": {"bo": "viewer"}}}},
    }
    assert places.roles == {"viewer", "PVEVMUser"}
    told = dict(one for ones in left_out.told.values() for one in ones)
    assert told["/vms/101 ← user jo@keycloak: PVEVMUser"] == "jo has viewer there already"
    assert told["/vms/101 ← user bo@pve: PVEVMUser"] == "of the realm pve, not keycloak"
    assert told["/vms/102 ← user eve@keycloak: PVEVMUser"] == "no such account in Keycloak"
    assert told["/pool/gpu ← group strangers: PVEVMUser"] == "there is no team of this name"
    assert told["/storage/nfs ← user jo@keycloak: PVEVMUser"].startswith("it does not hold below the path")
    assert told["theirs"] == "belongs to lab"
    assert "is not a name" in told["gpu/inner"]
    assert "/ ← user admin@pve: Administrator" in told


def test_several_clusters_are_named_and_names_that_both_have_stay_apart() -> None:
    left_out = LeftOut()
    places = place_entries([cluster("par1"), cluster("lyo1")], KNOWN, left_out)
    machines = places.sections["machines"]
    assert {(name, one["cluster"]) for name, one in machines.items()} == {
        ("web", "par1"), ("db-102", "par1"), ("db-103", "par1"),
        ("web-101", "lyo1"), ("db-102-lyo1", "lyo1"), ("db-103-lyo1", "lyo1"),
    }  # fmt: skip
    assert places.sections["pools"]["gpu"]["cluster"] == "par1"
    assert ("gpu of lyo1", "another cluster has one of this name") in left_out.told["pools"]


def test_roles_have_the_privileges_of_proxmox_and_ours_win() -> None:
    roles = proxmox_roles([cluster()], LeftOut())
    assert roles["viewer"] == {"proxmox": ["VM.Audit"]}
    assert roles["PVEVMUser"]["description"] == "as the Proxmox role PVEVMUser"


ISSUER = "https://sso.example.org/realms/acme"
LOGIN = ProxmoxOpenId(
    "keycloak",
    issuer_url=ISSUER,
    client_id="pve",
    client_key="x" * 20,
    username_claim="username",
    default=True,
    comment="Company login",
)
NO_LOGIN = {
    "another issuer": (replace(LOGIN, issuer_url="https://elsewhere"), "its realm keycloak asks https://els"),
    "another client": (replace(LOGIN, client_id="old"), "the client old, which no policy names"),
    "another claim": (replace(LOGIN, username_claim="email"), "names people by email"),
    "accounts by themselves": (replace(LOGIN, autocreate=True), "makes accounts by itself"),
    "of somebody": (replace(LOGIN, comment="x steward.owner=lab"), "belongs to lab"),
    "none": (None, "there is no OpenID realm keycloak"),
}


def test_the_client_that_clusters_log_in_through() -> None:
    clients: Entries = {"pve": {}}
    add_login(clients, [replace(cluster(), login=LOGIN)], ISSUER, "prod", LeftOut())
    assert clients == {"pve": {"proxmox": {"default": True, "comment": "Company login"}}}
    other = replace(cluster("lyo1"), login=replace(LOGIN, default=False))
    add_login(clients, [replace(cluster(), login=LOGIN), other], ISSUER, "prod", LeftOut())
    assert clients == {"pve": {"proxmox": {"comment": "Company login"}}}


@pytest.mark.parametrize("name", NO_LOGIN)
def test_where_one_cluster_differs_no_client_is_named(name: str) -> None:
    login, why = NO_LOGIN[name]
    clients: Entries = {"pve": {}}
    left_out = LeftOut()
    worlds = [replace(cluster(), login=LOGIN), replace(cluster("lyo1"), login=login)]
    add_login(clients, worlds, ISSUER, "prod", left_out)
    assert clients == {"pve": {}}
    assert [why in told for what, told in left_out.told["clients"] if what == "proxmox on lyo1"] == [True]


def test_roles_that_differ_between_clusters_are_told() -> None:
    other = cluster("lyo1")
    roles = {**other.access.roles, "PVEVMUser": ProxmoxRole("PVEVMUser", ("VM.Audit",))}
    left_out = LeftOut()
    proxmox_roles([cluster(), replace(other, access=replace(other.access, roles=roles))], left_out)
    assert [what for what, _ in left_out.told["roles"]] == [
        "viewer of par1",
        "PVEVMUser of lyo1",
        "viewer of lyo1",
    ]


def test_a_pool_is_adopted_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("version: 1\nowner:   prod\n")
    workspace = Workspace(tmp_path)
    adopt(workspace, targets_of(["pools/gpu"]), None, [cluster()])
    workspace.finished().write()
    assert (
        tmp_path / "pools.yaml"
    ).read_text() == "pools:\n  gpu:\n    comment: for models\n    adopt: true\n"
    assert (tmp_path / "policy.yaml").read_text() == "version: 1\nowner:   prod\n"
    for name, why in {"theirs": "belongs to lab", "gpus": "there is no pools/gpus"}.items():
        with pytest.raises(ControllerError, match=why):
            adopt(workspace, targets_of([f"pools/{name}"]), None, [cluster()])


def test_our_own_account_is_no_part_of_a_policy() -> None:
    world = KeycloakWorld(
        "acme",
        {},
        users=(KeycloakUser("steward", id="1"), KeycloakUser("jo", id="2")),
        clients=(OidcClient("steward", id="3"), OidcClient("grafana", id="4")),
        own=frozenset({"1", "3"}),
    )
    made = imported("prod", world, [])
    policy = parse({name: text.encode() for name, text in made.files.items()}, "")
    assert (set(policy.users), set(policy.clients)) == ({"jo"}, {"grafana"})
    assert len([line for line in made.left_out if "Steward acts with it" in line]) == 2


def test_several_values_of_an_attribute_are_told() -> None:
    both = KeycloakUser("jo", id="1", attributes=(("desk", ("4", "5")), ("theme", ("dark",))))
    left_out = LeftOut()
    said = user_entries(KeycloakWorld("acme", {}, users=(both,)), (), "prod", left_out)
    assert said["jo"]["attributes"] == {"theme": "dark"}
    assert left_out.told["users"] == [("jo.attributes.desk", "it has 2 values")]


def test_the_folder_is_a_policy() -> None:
    people = KeycloakWorld("acme", {}, users=(KeycloakUser("jo", id="1"), KeycloakUser("bo", id="2")))
    made = imported("prod", people, [cluster()])
    policy = parse({name: text.encode() for name, text in made.files.items()}, "")
    assert set(made.files) == {
        "policy.yaml", "realm.yaml", "roles.yaml", "people.yaml", "machines.yaml", "pools.yaml", "nodes.yaml",
    }  # fmt: skip
    assert policy.machines["web"].assigned.users == {"jo": "viewer"}
    assert (
        "# left out: /vms/102 ← user eve@keycloak: PVEVMUser: no such account" in made.files["machines.yaml"]
    )
