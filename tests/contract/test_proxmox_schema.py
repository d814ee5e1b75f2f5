"""Every request that the product sends to Proxmox VE is one that the official schema of its API knows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from controller.power_values import GuestAddress
from controller.proxmox_values import ProxmoxEntry
from lab.proxmox.api import Request
from tests.contract.proxmox_schema import Schema
from tests.controller.resources.proxmox_world import POLICY, TODAY, cluster
from tests.real.servers import real_server

if TYPE_CHECKING:
    from datetime import date

    from tests.controller.resources.proxmox_world import World

CALLS = {
    ("DELETE", "/access/domains/{realm}"),
    ("DELETE", "/access/groups/{groupid}"),
    ("DELETE", "/access/roles/{roleid}"),
    ("DELETE", "/access/users/{userid}"),
    ("DELETE", "/access/users/{userid}/token/{tokenid}"),
    ("DELETE", "/pools"),
    ("GET", "/access/acl"),
    ("GET", "/access/domains"),
    ("GET", "/access/domains/{realm}"),
    ("GET", "/access/groups"),
    ("GET", "/access/permissions"),
    ("GET", "/access/roles"),
    ("GET", "/access/users"),
    ("GET", "/cluster/backup"),
    ("GET", "/cluster/resources"),
    ("GET", "/nodes/{node}/lxc/{vmid}/status/current"),
    ("GET", "/nodes/{node}/qemu/{vmid}/status/current"),
    ("GET", "/nodes/{node}/tasks"),
    ("GET", "/nodes/{node}/tasks/{upid}/status"),
    ("GET", "/pools"),
    ("GET", "/version"),
    ("POST", "/access/domains"),
    ("POST", "/access/groups"),
    ("POST", "/access/roles"),
    ("POST", "/access/users"),
    ("POST", "/access/users/{userid}/token/{tokenid}"),
    ("POST", "/nodes/{node}/lxc/{vmid}/status/shutdown"),
    ("POST", "/nodes/{node}/lxc/{vmid}/status/start"),
    ("POST", "/nodes/{node}/lxc/{vmid}/status/stop"),
    ("POST", "/nodes/{node}/qemu/{vmid}/status/shutdown"),
    ("POST", "/nodes/{node}/qemu/{vmid}/status/start"),
    ("POST", "/nodes/{node}/qemu/{vmid}/status/stop"),
    ("POST", "/pools"),
    ("PUT", "/access/acl"),
    ("PUT", "/access/domains/{realm}"),
    ("PUT", "/access/groups/{groupid}"),
    ("PUT", "/access/roles/{roleid}"),
    ("PUT", "/access/users/{userid}"),
    ("PUT", "/access/users/{userid}/token/{tokenid}"),
    ("PUT", "/pools"),
}
"""Every call that a client of ours makes; a new one belongs here and into the run below."""

BARE = "version: 1\nowner: prod\nlimits: {delete_after: 30d}\n"


def everything(world: World) -> None:
    """All operations of the product once: make, alter, disable, delete, look, explain, switch."""
    world.apply()
    center = world.lab.center
    center.accounts.groups["steward-ml"].users.clear()
    center.accounts.groups["steward-science"].comment = "steward.owner=prod"
    center.accounts.pools["gpu"].comment = "steward.owner=prod"
    center.accounts.roles["steward-viewer"].clear()
    center.accounts.users["ada@sso"].tokens["ci"].privsep = 0
    for entry in [entry for entry in center.accounts.acl if entry.roleid.startswith("steward-")]:
        del center.accounts.acl[entry]
    center.accounts.settle()
    center.realms.by_name["sso"]["autocreate"] = 1
    world.apply(POLICY.replace("  dee: {}", "  dee: {email: dee@example.org, first_name: Dee, last_name: D}"))
    center.realms.by_name["sso"]["client-key"] = "another"
    world.apply(POLICY.replace("secret: {controller_file: SECRETS/client}, ", "public: true, "))
    world.apply(BARE)
    world.today = _later(TODAY)
    world.apply(BARE)


def _later(day: date) -> date:
    return day.replace(year=day.year + 1)


def look_and_switch(world: World) -> None:
    reader, writer = world.reader, world.writer
    reader.access()
    reader.realms()
    reader.backup_jobs()
    reader.privileges_on("/vms/101")
    reader.version()
    for address in (GuestAddress("pve1", "qemu", 101), GuestAddress("pve3", "lxc", 202)):
        reader.power.current(address)
        upid = writer.switch.start(address)
        writer.power.task(address.node, upid)
        writer.switch.shutdown(address, timeout_seconds=60, force=True)
        writer.switch.start(address)
        writer.switch.stop(address)
    reader.power.running_tasks("pve1")
    reader.power.tasks("pve1", since=1)
    for entry in (ProxmoxEntry("/vms/101", "user", "root@pam", "NoAccess"),):
        writer.set_entry(entry)
        writer.delete_entry(replace(entry, propagate=False))


@pytest.fixture(scope="module")
def schema() -> Schema:
    return Schema.read(real_server("proxmox-schema"))


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> list[Request]:
    sent: list[Request] = []
    with cluster(tmp_path_factory.mktemp("cluster")) as world:
        world.lab.center.journal = sent
        everything(world)
        look_and_switch(world)
    return sent


def test_every_request_is_as_the_schema_says(schema, journal):
    assert len(journal) > 100
    assert sorted({fault for request in journal for fault in schema.faults(request)}) == []


def test_every_call_of_ours_was_tried(schema, journal):
    assert {schema.call_of(request) for request in journal} == CALLS


FAULTY = [
    pytest.param(Request("GET", "/access/nothing"), "there is no such call", id="path"),
    pytest.param(Request("PATCH", "/access/acl"), "there is no such call", id="verb"),
    pytest.param(Request("GET", "/access/users", {"ful": "1"}), "ful is no parameter", id="parameter"),
    pytest.param(Request("GET", "/access/users", {"full": "yes"}), "full='yes' is no boolean", id="boolean"),
    pytest.param(Request("PUT", "/access/acl", {"path": "/"}), "roles is missing", id="required"),
    pytest.param(
        Request("POST", "/access/domains", {"realm": "x", "type": "saml"}),
        "type='saml' is none of",
        id="enum",
    ),
    pytest.param(
        Request("POST", "/access/users", {"userid": "a@pve", "expire": "-1"}), "is less than 0", id="minimum"
    ),
    pytest.param(
        Request("POST", "/access/users", {"userid": "a@pve", "email": "x" * 255}),
        "is longer than",
        id="length",
    ),
    pytest.param(Request("POST", "/access/users/a@pve/token/9x"), "does not match", id="pattern"),
]


@pytest.mark.parametrize(("request_", "fault"), FAULTY)
def test_what_the_schema_does_not_allow_is_seen(schema, request_, fault):
    assert any(fault in one for one in schema.faults(request_))
