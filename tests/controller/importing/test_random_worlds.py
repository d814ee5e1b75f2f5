"""Whatever a realm holds: a plan finds what import says of it to be so; enforcing it only sets our mark."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.app import Controller
from controller.clients.keycloak_connection import KeycloakAccess
from controller.clients.keycloak_writer import KeycloakWriter
from controller.config import Configuration
from controller.importing import imported, read_keycloak_world
from controller.keycloak_groups import KeycloakGroup
from controller.keycloak_login_values import OidcClient
from controller.keycloak_values import KeycloakRealm, KeycloakRole, KeycloakUser
from controller.policy.parse import parse
from tests.controller.importing.test_import_keycloak import SETTINGS

if TYPE_CHECKING:
    from pathlib import Path

    from controller.plan.plan import Plan
    from lab.keycloak.real import RunningKeycloak

_NAMES = ["viewer", "editor", "a b", "on", "x.y", "1", "Zoë", "null"]
_TEXTS = [
    "",
    "plain",
    "on",
    "20:00",
    "a: b # c",
    "it's",
    "Zoë",
    "  blanks  ",
    "{x}",
    "glpat-aaaaaaaaaaaaaaaaaaaaaa",
]


@dataclass(frozen=True)
class World:
    """What somebody makes in a realm, in this order."""

    settings: dict[str, object]
    roles: tuple[KeycloakRole, ...]
    groups: tuple[tuple[KeycloakGroup, int], ...]
    clients: tuple[OidcClient, ...]
    users: tuple[KeycloakUser, ...]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    texts, names = st.sampled_from(_TEXTS), st.lists(st.sampled_from(_NAMES), unique=True, max_size=4)
    roles: list[KeycloakRole] = []
    for name in draw(names):
        there = [*(role.name for role in roles), "offline_access"]
        includes = frozenset(draw(st.lists(st.sampled_from(there), max_size=2)))
        roles.append(KeycloakRole(name, description=draw(texts), includes=includes))
    some_roles = st.frozensets(
        st.sampled_from([role.name for role in roles] or ["offline_access"]), max_size=2
    )
    groups: list[tuple[KeycloakGroup, int]] = []
    paths: list[str] = []
    for number, name in enumerate(draw(st.lists(st.sampled_from(_NAMES), max_size=5))):
        above = draw(st.integers(-1, number - 1))
        path = (paths[above] if above >= 0 else "") + "/" + name
        paths.append(path if path not in paths else "")
        groups.append((KeycloakGroup(name, description=draw(texts), roles=draw(some_roles)), above))
    places = st.frozensets(st.sampled_from([path for path in paths if path] or [""]), max_size=2)
    users = [
        KeycloakUser(
            name,
            email=draw(st.sampled_from(["", f"{name}@example.org"])),
            first_name=draw(st.sampled_from(["", "on", "Zoë", "a b"])),
            enabled=draw(st.booleans()),
            email_verified=draw(st.booleans()),
            roles=draw(some_roles),
            groups=frozenset(filter(None, draw(places))),
        )
        for name in draw(
            st.lists(st.sampled_from(["jo", "yes", "1", "bo.b", "zoë"]), unique=True, max_size=4)
        )
    ]
    clients = [
        OidcClient(
            name,
            description=draw(texts),
            redirect=draw(st.sampled_from([(), ("https://a.example.org/*",)])),
            public=draw(st.booleans()),
            roles_claim=draw(st.booleans()),
            direct_grant=draw(st.booleans()),
        )
        for name in draw(names)
    ]
    chosen = draw(st.frozensets(st.sampled_from(sorted(SETTINGS))))
    given_settings = {name: value for name, value in SETTINGS.items() if name in chosen}
    if "mail.host" not in chosen or "mail.sender" not in chosen:
        given_settings = {name: one for name, one in given_settings.items() if not name.startswith("mail.")}
    return World(given_settings, tuple(roles), tuple(groups), tuple(clients), tuple(users))


def make(server: KeycloakWriter, world: World) -> None:
    server.create_realm(KeycloakRealm(server.realm_name), world.settings)  # type: ignore[arg-type]
    server.declare_owner()
    for role in world.roles:
        server.create_role(role)
    ids: list[str] = []
    taken: set[tuple[str, str]] = set()
    for group, above in world.groups:
        parent = ids[above] if above >= 0 else ""
        if (parent, group.name) in taken:
            ids.append(parent)
            continue
        taken.add((parent, group.name))
        made = KeycloakGroup(group.name, parent_id=parent, description=group.description, roles=group.roles)
        ids.append(server.create_group(made))
    for client in world.clients:
        server.create_client(client)
    there = {group.path for group in server.groups()}
    people = [
        KeycloakUser(
            user.username,
            email=user.email,
            first_name=user.first_name,
            enabled=user.enabled,
            email_verified=user.email_verified,
            roles=user.roles,
            groups=user.groups & there,
        )
        for user in world.users
    ]
    assert not server.create_users(people).failed


@pytest.fixture(scope="module")
def account(simulated_keycloak: RunningKeycloak, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("account")
    (folder / "password").write_text(simulated_keycloak.password)
    return folder


def planned(configuration: Configuration, files: dict[str, str]) -> Plan:
    with Controller(configuration) as controller:
        return controller.plan(parse({name: text.encode() for name, text in files.items()}, "")).plan


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(worlds())
def test_an_imported_world_is_planned_empty(
    account: Path, simulated_keycloak: RunningKeycloak, world: World
) -> None:
    server = simulated_keycloak
    access = KeycloakAccess(
        server.url, username=server.username, password=server.password, ca_file=server.ca_file
    )
    realm = f"random-{secrets.token_hex(6)}"
    with KeycloakWriter(access, realm) as writer:
        make(writer, world)
        made = imported("prod", read_keycloak_world(writer), [])
    keycloak = {
        "url": server.url,
        "username": server.username,
        "password_file": str(account / "password"),
        "ca_file": str(server.ca_file),
    }
    configuration = Configuration.of({"owners": ["prod"], "data": str(account / realm), "keycloak": keycloak})
    files = dict(made.files)
    plan = planned(configuration, files)
    assert (plan.changes, plan.unobserved) == ((), ())
    files["policy.yaml"] = "version: 1\nowner: prod\n"
    for change in planned(configuration, files).changes:
        before, after = change.before or {}, change.after or {}
        assert {name for name in after if before.get(name) != after[name]} == {"owner"}, change
