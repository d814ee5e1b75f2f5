"""Which rights our account needs in the realm, and that it needs no more: both Keycloaks alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from controller.clients.keycloak import KeycloakReader
from controller.clients.keycloak_connection import KeycloakAccess
from controller.clients.keycloak_writer import KeycloakWriter
from controller.errors import NotAllowed, Unobserved
from controller.keycloak_values import (
    KeycloakRealm,
    KeycloakRole,
    KeycloakUser,
    RealmPatch,
    RolePatch,
    UserPatch,
    attributes_of,
)

if TYPE_CHECKING:
    from lab.keycloak.real import RunningKeycloak

READING = ("view-realm", "view-users")
WRITING = ("manage-realm", "manage-users")


def service_account(
    keycloak: RunningKeycloak, realm: KeycloakWriter, name: str, rights: tuple[str, ...]
) -> KeycloakAccess:
    """A service account of the realm with these rights over it, made as an administrator would."""
    body = {"clientId": name, "secret": name, "publicClient": False, "serviceAccountsEnabled": True}
    realm._send("POST", f"{realm._base}/clients", body)
    account = realm.find_user(f"service-account-{name}")
    assert account is not None
    (management,) = realm._read("/clients", list[dict[str, object]], clientId="realm-management")
    base = f"/clients/{management['id']}/roles"
    roles = [realm._read(f"{base}/{right}", dict[str, object]) for right in rights]
    path = f"{realm._base}/users/{account.id}/role-mappings/clients/{management['id']}"
    realm._send("POST", path, roles)
    return KeycloakAccess(keycloak.url, realm.realm_name, name, client_secret=name, ca_file=keycloak.ca_file)


def test_two_rights_are_enough_to_read(keycloak: RunningKeycloak, keycloak_realm: KeycloakWriter) -> None:
    access = service_account(keycloak, keycloak_realm, "reads", READING)
    with KeycloakReader(access, keycloak_realm.realm_name) as reader:
        assert reader.rights().missing(frozenset(READING)) == frozenset()
        assert reader.realm() == keycloak_realm.realm()
        assert reader.users() == keycloak_realm.users()
        assert reader.roles(expand=lambda _: True) == keycloak_realm.roles(expand=lambda _: True)
        names = [role.name for role in reader.roles(expand=lambda _: False)]
        assert reader.members(names) == keycloak_realm.members(names)
        assert not reader.owner_declared()
        with pytest.raises(NotAllowed):
            reader.admin_events()


def test_who_may_read_may_not_write(keycloak: RunningKeycloak, keycloak_realm: KeycloakWriter) -> None:
    access = service_account(keycloak, keycloak_realm, "wishes", READING)
    before = keycloak_realm.admin_events()
    with KeycloakWriter(access, keycloak_realm.realm_name) as writer:
        done = writer.create_users([KeycloakUser("wished")])
        assert isinstance(done.failed["wished"], NotAllowed)
        default = writer.role(f"default-roles-{keycloak_realm.realm_name}")
        for call in (
            lambda: writer.update_realm(RealmPatch(failures=3)),
            writer.declare_owner,
            lambda: writer.create_role(KeycloakRole("wished")),
            lambda: writer.update_role(default.id, RolePatch(description="wished")),
            lambda: writer.create_realm(KeycloakRealm("wished")),
        ):
            with pytest.raises(NotAllowed):
                call()
    assert keycloak_realm.admin_events() == before


def test_two_rights_are_enough_to_write(keycloak: RunningKeycloak, keycloak_realm: KeycloakWriter) -> None:
    access = service_account(keycloak, keycloak_realm, "writes", WRITING)
    with KeycloakWriter(access, keycloak_realm.realm_name) as writer:
        assert writer.rights().missing(frozenset({*READING, *WRITING})) == frozenset()
        writer.update_realm(RealmPatch(brute_force=True))
        writer.declare_owner()
        role = writer.create_role(KeycloakRole("worker"))
        writer.update_role(role.id, RolePatch(includes=frozenset({"offline_access"})))
        user = KeycloakUser("made.by.us", attributes=attributes_of({"steward.owner": "prod"}))
        (user_id,) = writer.create_users([user]).ids.values()
        writer.update_user(user_id, UserPatch(first_name="Made"))
        writer.grant(user_id, ["worker"])
        assert writer.members(["worker"])["worker"] == {user_id}
        writer.revoke(user_id, ["worker"])
        writer.offboard(user_id)
        assert not writer.user(user_id).enabled
        writer.delete_user(user_id)
        writer.delete_role(role.id)
        assert writer.count_users() == len(writer.users())


def test_querying_alone_shows_nobody(keycloak: RunningKeycloak, keycloak_realm: KeycloakWriter) -> None:
    """Too few rights look like a realm without users, but for the count, which tells."""
    keycloak_realm.create_users([KeycloakUser("somebody")])
    access = service_account(keycloak, keycloak_realm, "blind", ("query-users",))
    with KeycloakReader(access, keycloak_realm.realm_name) as reader:
        assert reader.find_user("somebody") is None
        with pytest.raises(Unobserved):
            reader.users()
        assert reader.rights().missing(frozenset(READING)) == frozenset(READING)
