"""The Proxmox client over the simulator that the recordings verify, through real HTTPS."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from controller.clients.proxmox import ProxmoxLogin, ProxmoxReader
from controller.clients.proxmox_writer import ProxmoxWriter
from controller.errors import (
    Conflict,
    ControllerError,
    NotAllowed,
    NotThere,
    OutcomeUnknown,
    TerminalError,
    TransientError,
    Unobserved,
    Unreachable,
)
from controller.proxmox_values import (
    ProxmoxEntry,
    ProxmoxGroup,
    ProxmoxRole,
    ProxmoxUser,
    UserPatch,
)
from lab.tls import Authority
from tests.lab_servers import SMALL, ProxmoxLab, proxmox_lab

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lab.proxmox.datacenter import Datacenter

JO = ProxmoxUser(
    "jo@keycloak",
    first_name="Jo",
    last_name="Doe",
    email="jo@example.org",
    comment="steward:prod",
    realm_type="openid",
)
OPERATOR = ProxmoxRole("steward-operator", ("VM.Audit", "VM.PowerMgmt"))
ENTRY = ProxmoxEntry("/vms/101", "user", "jo@keycloak", "steward-operator")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[ProxmoxLab]:
    with proxmox_lab(tmp_path) as running:
        yield running


def login(lab: ProxmoxLab, **changes: object) -> ProxmoxLogin:
    values = {
        "url": lab.url,
        "token_id": lab.token_id,
        "token_secret": lab.token_secret,
        "ca_file": lab.ca_file,
    }
    return ProxmoxLogin(**{**values, **changes})


@pytest.fixture
def client(lab: ProxmoxLab) -> Iterator[ProxmoxWriter]:
    with ProxmoxWriter(login(lab), cluster="par1") as writer:
        yield writer


def test_version(client):
    assert client.version().release == "9.2"


def test_resources_come_in_one_request(lab, client):
    lab.center.requests.clear()
    found = client.resources()
    assert [(guest.vmid, guest.kind, guest.name, guest.status) for guest in found.guests] == [
        (101, "qemu", "web-01", "stopped"),
        (102, "qemu", "db-01", "running"),
        (200, "lxc", "ct-01", "stopped"),
    ]
    assert found.guests[0].tags == ("prod",)
    assert [node.status for node in found.nodes] == ["online"] * 3
    assert sum(lab.center.requests.values()) == 1


def test_guests_of_a_dead_node_lose_name_and_status(lab, client):
    lab.center.environment.nodes["pve2"].online = False
    found = client.resources()
    guest = next(guest for guest in found.guests if guest.vmid == 102)
    assert (guest.name, guest.status) == ("", "unknown")
    assert [node.status for node in found.nodes] == ["online", "offline", "online"]


def test_access_is_five_requests_whatever_the_number_of_users(lab, client):
    for number in range(50):
        client.create_user(ProxmoxUser(f"u{number}@keycloak"))
    lab.center.requests.clear()
    assert len(client.access().users) == 52
    assert sum(lab.center.requests.values()) == 5


def test_user_comes_back_as_it_was_created_and_changed(client):
    client.create_group("steward-ops", comment="operators")
    client.create_user(JO)
    assert client.users()["jo@keycloak"] == JO
    client.update_user("jo@keycloak", UserPatch(enabled=False, email="", groups=("steward-ops",)))
    changed = client.users()["jo@keycloak"]
    assert (changed.enabled, changed.email, changed.groups, changed.first_name) == (
        False,
        "",
        ("steward-ops",),
        "Jo",
    )
    assert client.groups()["steward-ops"] == ProxmoxGroup("steward-ops", "operators", ("jo@keycloak",))
    client.update_group("steward-ops", comment="")
    client.delete_user("jo@keycloak")
    assert client.groups()["steward-ops"] == ProxmoxGroup("steward-ops")
    client.delete_group("steward-ops")
    assert "jo@keycloak" not in client.users()


def test_tokens_are_seen_with_their_separation(client):
    tokens = client.users()["steward@pve"].tokens
    assert [(token.name, token.separated) for token in tokens] == [("controller", False)]


def test_role_is_set_whole_and_emptied(client):
    client.create_role(OPERATOR)
    assert client.roles()["steward-operator"] == OPERATOR
    client.set_role(ProxmoxRole("steward-operator", ("VM.Audit",)))
    assert client.roles()["steward-operator"].privileges == ("VM.Audit",)
    client.set_role(ProxmoxRole("steward-operator"))
    assert client.roles()["steward-operator"].privileges == ()
    assert client.roles()["Administrator"].built_in
    client.delete_role("steward-operator")
    assert "steward-operator" not in client.roles()


def test_entry_set_twice_flag_replaced_deleted_twice(client):
    client.create_user(JO)
    client.create_role(OPERATOR)
    client.set_entry(ENTRY)
    client.set_entry(ENTRY)
    assert ENTRY in client.entries()
    only_here = ProxmoxEntry("/vms/101", "user", "jo@keycloak", "steward-operator", propagate=False)
    client.set_entry(only_here)
    assert only_here in client.entries()
    assert ENTRY not in client.entries()
    client.delete_entry(ENTRY)
    client.delete_entry(ENTRY)
    assert not [entry for entry in client.entries() if entry.holder == "jo@keycloak"]


def test_realms(client):
    assert {realm.name: realm.type for realm in client.realms().values()} == {
        "pam": "pam",
        "pve": "pve",
        "keycloak": "openid",
    }


def test_rights_and_privileges_on_a_path(client):
    assert client.rights().has("/access", "Sys.Audit", "Sys.Modify")
    assert "VM.Allocate" in client.privileges_on("/vms/4711")
    assert client.own_userid == "steward@pve"


REFUSALS = [
    pytest.param(lambda c: c.create_role(ProxmoxRole("Administrator")), Conflict, id="role exists"),
    pytest.param(lambda c: c.create_role(ProxmoxRole("pve-x")), TerminalError, id="reserved name"),
    pytest.param(lambda c: c.create_role(ProxmoxRole("x", ("VM.Fly",))), TerminalError, id="no privilege"),
    pytest.param(lambda c: c.set_role(ProxmoxRole("nosuch")), NotThere, id="no role to set"),
    pytest.param(lambda c: c.set_role(ProxmoxRole("PVEAdmin")), TerminalError, id="built-in role"),
    pytest.param(lambda c: c.delete_role("nosuch"), NotThere, id="no role to delete"),
    pytest.param(lambda c: c.create_user(ProxmoxUser("root@pam")), Conflict, id="user exists"),
    pytest.param(lambda c: c.create_user(ProxmoxUser("x@pve", groups=("nosuch",))), NotThere, id="no group"),
    pytest.param(lambda c: c.create_user(ProxmoxUser("jo")), ControllerError, id="no user id"),
    pytest.param(
        lambda c: c.update_user("x@pve", UserPatch(enabled=False)), NotThere, id="no user to update"
    ),
    pytest.param(lambda c: c.delete_user("x@pve"), NotThere, id="no user to delete"),
    pytest.param(lambda c: c.delete_group("nosuch"), NotThere, id="no group to delete"),
    pytest.param(lambda c: c.set_entry(ENTRY), NotThere, id="entry without role"),
    pytest.param(
        lambda c: c.set_entry(ProxmoxEntry("/nonsense", "user", "root@pam", "PVEAdmin")),
        TerminalError,
        id="bad path",
    ),
]


@pytest.mark.parametrize(("write", "error"), REFUSALS)
def test_refused_write_is_classified_and_changes_nothing(lab, client, write, error):
    before = (dict(lab.center.accounts.acl), set(lab.center.accounts.users), dict(lab.center.accounts.roles))
    with pytest.raises(error):
        write(client)
    after = (dict(lab.center.accounts.acl), set(lab.center.accounts.users), dict(lab.center.accounts.roles))
    assert before == after


def test_writes_are_not_repeated(lab, client):
    lab.center.requests.clear()
    with pytest.raises(Conflict):
        client.create_user(ProxmoxUser("root@pam"))
    assert lab.center.requests["POST /access/users"] == 1


def test_proxmox_down_is_said(lab, client):
    lab.center.faults.down = True
    with pytest.raises(TransientError):
        client.access()


def test_a_write_without_an_answer_in_time_is_unknown(lab):
    lab.center.faults.latency_seconds = 3600
    with ProxmoxWriter(login(lab, timeout_seconds=0.2)) as writer:
        with pytest.raises(OutcomeUnknown):
            writer.create_role(OPERATOR)
        with pytest.raises(Unreachable):
            writer.roles()


def test_nobody_listens():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    target = ProxmoxLogin(f"https://127.0.0.1:{port}", "a@pve!t", "secret")
    with ProxmoxWriter(target) as writer, pytest.raises(Unreachable):
        writer.create_role(OPERATOR)


def test_malformed_body_is_an_error_and_not_an_empty_list(lab, client):
    lab.center.faults.malformed = True
    with pytest.raises(ControllerError, match="not its JSON"):
        client.users()


def test_wrong_authority_is_refused(lab, tmp_path):
    other = Authority.create(tmp_path / "other")
    with (
        ProxmoxReader(login(lab, ca_file=other.ca_file)) as reader,
        pytest.raises(Unreachable, match="ca_file"),
    ):
        reader.version()
    assert not lab.center.requests


def test_wrong_secret_is_refused_and_not_shown(lab):
    secret = "00000000-dead-4000-8000-000000000000"
    with ProxmoxReader(login(lab, token_secret=secret)) as reader, pytest.raises(NotAllowed) as caught:
        reader.users()
    assert secret not in f"{caught.value!r} {caught.value} {login(lab, token_secret=secret)!r}"


@pytest.mark.parametrize(
    ("role", "missing"), [("PVEVMAdmin", "users and groups"), ("PVEUserAdmin", "access control entries")]
)
def test_lists_that_our_rights_shorten_are_unobserved(tmp_path, role, missing):
    with (
        proxmox_lab(tmp_path, role=role) as lab,
        ProxmoxReader(login(lab), cluster="par1") as reader,
        pytest.raises(Unobserved, match=missing) as caught,
    ):
        reader.access()
    assert caught.value.system == "proxmox:par1"


def test_auditor_sees_everything_and_writes_nothing(tmp_path):
    with proxmox_lab(tmp_path, role="PVEAuditor") as lab, ProxmoxWriter(login(lab)) as writer:
        assert "root@pam" in writer.access().users
        with pytest.raises(NotAllowed, match=r"/access, Sys\.Modify"):
            writer.create_role(OPERATOR)


def test_thousand_guests_are_one_request(tmp_path):
    def populate(center: Datacenter) -> None:
        center.requests.clear()

    guests = [
        {"vmid": 1000 + n, "type": "qemu", "node": f"pve{n % 3 + 1}", "config": f"name: g{n}\n"}
        for n in range(1000)
    ]
    with (
        proxmox_lab(tmp_path, {**SMALL, "guests": guests}, populate=populate) as lab,
        ProxmoxReader(login(lab)) as reader,
    ):
        assert len(reader.resources().guests) == 1000
        assert sum(lab.center.requests.values()) == 1
