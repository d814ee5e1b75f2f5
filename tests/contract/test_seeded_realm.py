"""The lab's seeded realm is the same on the simulated Keycloak and on a real one, read by our own client."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import requests

from controller.cli.main import main
from controller.clients.keycloak import KeycloakReader
from controller.clients.keycloak_connection import KeycloakAccess
from lab.errors import LabError
from lab.keycloak.model import Keycloak
from lab.keycloak.real import RunningKeycloak
from lab.keycloak.real_realm import create_realm, representation
from lab.keycloak.seed import LOOK_CLIENT, ODD, STEWARD_CLIENT, organisation
from lab.keycloak.server import serve
from lab.serving import serve_in_thread
from lab.tls import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REALM, PEOPLE = "seeded", 200
BUILT_IN = {"offline_access", "uma_authorization"}


@pytest.fixture(scope="module")
def seeded() -> Keycloak:
    keycloak = Keycloak(seed=0, clock=time.time)
    organisation(keycloak, REALM, people=PEOPLE)
    return keycloak


@pytest.fixture(scope="module")
def simulated(seeded: Keycloak, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningKeycloak]:
    authority = Authority.create(tmp_path_factory.mktemp("seeded"))
    with serve_in_thread(serve(seeded), tls=authority.server_context()) as url:
        yield RunningKeycloak(url, url, authority.ca_file, "admin", "admin")


@pytest.fixture(scope="module")
def real(seeded: Keycloak, real_keycloak: RunningKeycloak) -> RunningKeycloak:
    create_realm(real_keycloak, representation(seeded.realms[REALM]))
    return real_keycloak


def reader(server: RunningKeycloak, client: str = LOOK_CLIENT) -> KeycloakReader:
    access = KeycloakAccess(server.url, REALM, client, client_secret=client, ca_file=server.ca_file)
    return KeycloakReader(access, REALM)


def seen(server: RunningKeycloak) -> dict[str, object]:
    """Everything that our client reads of the realm, ids replaced by names."""
    with reader(server) as client:
        realm = client.realm()
        users = client.users()
        roles = client.roles(expand=lambda _: True)
        accounts = [client.find_user(f"service-account-{name}") for name in (STEWARD_CLIENT, LOOK_CLIENT)]
        names = {user.id: user.username for user in (*users, *accounts) if user is not None}
        members = client.members([role.name for role in roles])
        assert realm is not None
        return {
            "realm": replace(realm, id="", attributes=()),
            "users": [replace(user, id="") for user in users],
            "roles": {role.name: replace(role, id="") for role in roles},
            "members": {role: {names[one] for one in ids} for role, ids in members.items()},
            "administrators": {names[one] for one in client.administrators()},
            "service accounts": set(names.values()) - {user.username for user in users},
        }


def test_both_hold_the_same(simulated, real):
    one, other = seen(simulated), seen(real)
    assert one == other
    assert len(other["users"]) == PEOPLE
    assert set(other["roles"]) > {"operator", *BUILT_IN, *ODD["role of nobody"]}


@pytest.mark.parametrize("client", [STEWARD_CLIENT, LOOK_CLIENT])
def test_service_accounts_have_the_same_rights(simulated, real, client):
    with reader(simulated, client) as one, reader(real, client) as other:
        assert one.rights().roles == other.rights().roles
        assert other.rights().create_realm is False


@pytest.mark.parametrize("username", ["alma.abel", "ada.admin"])
def test_people_log_in_with_their_password_and_no_other(simulated, real, username):
    for server in (simulated, real):
        assert logged_in(server, username, f"{username}-password")
        assert not logged_in(server, username, "another")


def test_the_real_server_asks_for_the_second_factor(real):
    assert not logged_in(real, "bela.abel", "bela.abel-password")


def logged_in(server: RunningKeycloak, username: str, password: str) -> bool:
    form = {"grant_type": "password", "client_id": "admin-cli", "username": username, "password": password}
    address = f"{server.url}/realms/{REALM}/protocol/openid-connect/token"
    answer = requests.post(address, data=form, verify=str(server.ca_file), timeout=30)
    assert answer.ok or answer.json()["error_description"] == "Invalid user credentials"
    return answer.ok


def test_look_finds_the_same_people(simulated, real, tmp_path, capsys):
    secret = tmp_path / "secret"
    secret.write_text(LOOK_CLIENT)
    found = [looked(server, secret, capsys) for server in (simulated, real)]
    assert found[0] == found[1]
    assert found[1]["people"] == PEOPLE
    assert found[1]["administrators_without_second_factor"] == sorted(ODD["admin without second factor"])


def looked(server: RunningKeycloak, secret: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    arguments = {
        "--keycloak": f"{server.url}/realms/{REALM}",
        "--keycloak-client-id": LOOK_CLIENT,
        "--keycloak-client-secret-file": str(secret),
        "--ca-file": str(server.ca_file),
        "--output": "json",
    }
    with pytest.raises(SystemExit) as ended:
        main(["look", *(word for pair in arguments.items() for word in pair)])
    assert ended.value.code == 0
    findings: dict[str, dict[str, object]] = json.loads(capsys.readouterr().out)
    return findings["people"]


def test_a_realm_that_is_there_already_is_not_made_again(seeded, real):
    with pytest.raises(LabError, match="409"):
        create_realm(real, representation(seeded.realms[REALM]))
