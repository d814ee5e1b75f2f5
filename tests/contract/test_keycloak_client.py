"""What the product's client relies on, over the lab's Keycloak and the real one alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from controller.clients.keycloak import KeycloakReader
from controller.clients.keycloak_connection import KeycloakAccess
from controller.errors import Conflict, ControllerError, NotAllowed, NotThere, Refused, Unreachable
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
    from collections.abc import Iterator

    from controller.clients.keycloak_writer import KeycloakWriter
    from lab.keycloak.real import RunningKeycloak

MARK = attributes_of({"steward.owner": "prod"})


def person(name: str, **fields: object) -> KeycloakUser:
    return KeycloakUser(name, **{"email": f"{name}@example.org", "attributes": MARK, **fields})  # type: ignore[arg-type]


def make(realm: KeycloakWriter, *users: KeycloakUser) -> list[str]:
    created = realm.create_users(users)
    assert not created.failed
    return [created.ids[user.username] for user in users]


@pytest.fixture(scope="module")
def access(keycloak: RunningKeycloak) -> KeycloakAccess:
    return KeycloakAccess(
        url=keycloak.url, username=keycloak.username, password=keycloak.password, ca_file=keycloak.ca_file
    )


@pytest.fixture(scope="module")
def realm(keycloak_realm: KeycloakWriter) -> KeycloakWriter:
    keycloak_realm.declare_owner()
    for name in ("viewer", "operator"):
        keycloak_realm.create_role(KeycloakRole(name, attributes=MARK))
    return keycloak_realm


@pytest.fixture
def reader(access: KeycloakAccess, realm: KeycloakWriter) -> Iterator[KeycloakReader]:
    with KeycloakReader(access, realm.realm_name) as client:
        yield client


class TestRealm:
    def test_absent(self, access: KeycloakAccess) -> None:
        with KeycloakReader(access, "no-such-realm") as client:
            assert client.realm() is None
            rights = client.rights()
        assert rights.create_realm
        assert rights.roles == frozenset()

    def test_created_twice(self, realm: KeycloakWriter) -> None:
        with pytest.raises(Conflict, match="already exists"):
            realm.create_realm(KeycloakRealm(realm.realm_name))

    def test_rights_on_a_realm_made_a_moment_ago(self, realm: KeycloakWriter) -> None:
        assert (
            realm.rights().missing(frozenset({"manage-users", "manage-realm", "view-users"})) == frozenset()
        )

    def test_update_keeps_what_is_not_named(self, realm: KeycloakWriter) -> None:
        realm.update_realm(RealmPatch(display_name="Acme", attributes=(("steward.owner", ("prod",)),)))
        before = realm.realm()
        realm.update_realm(RealmPatch(brute_force=True, failures=5, lockout_seconds=600))
        after = realm.realm()
        assert before is not None
        assert after is not None
        assert (after.brute_force, after.failures, after.lockout_seconds) == (True, 5, 600)
        assert (after.display_name, after.owner) == ("Acme", "prod")
        assert dict(before.attributes).items() <= dict(after.attributes).items()
        assert after.default_role == f"default-roles-{realm.realm_name}"

    def test_update_that_comes_too_late(self, realm: KeycloakWriter) -> None:
        with pytest.raises(Conflict):
            realm.update_realm(RealmPatch(failures=9), still=lambda live: live.failures == 8)

    def test_the_mark_is_declared_once(self, realm: KeycloakWriter) -> None:
        assert realm.owner_declared()
        assert not realm.declare_owner()


class TestRoles:
    def test_round_trip(self, realm: KeycloakWriter) -> None:
        made = realm.create_role(
            KeycloakRole("admin/ops 1", description="d", attributes=MARK, includes=frozenset({"viewer"}))
        )
        listed = {role.name: role for role in realm.roles(expand=lambda role: bool(role.owner))}
        assert listed["admin/ops 1"] == made
        assert made.owner == "prod"
        assert made.includes == {"viewer"}
        assert listed["viewer"].includes == frozenset()
        assert listed[f"default-roles-{realm.realm_name}"].includes is None

    def test_update_changes_only_what_is_named(self, realm: KeycloakWriter) -> None:
        role = realm.create_role(
            KeycloakRole("patched", description="old", attributes=MARK, includes=frozenset({"viewer"}))
        )
        realm.update_role(role.id, RolePatch(description="new"))
        assert realm.role("patched") == KeycloakRole("patched", role.id, "new", MARK, frozenset({"viewer"}))
        realm.update_role(role.id, RolePatch(includes=frozenset({"operator"})))
        assert realm.role("patched") == KeycloakRole("patched", role.id, "new", MARK, frozenset({"operator"}))
        realm.update_role(role.id, RolePatch(attributes=(("steward.owner", ()),)))
        assert realm.role("patched").owner == ""

    @pytest.mark.parametrize(
        ("role", "error"),
        [
            pytest.param(KeycloakRole("viewer"), Conflict, id="exists"),
            pytest.param(
                KeycloakRole("x1", includes=frozenset({"nobody"})), NotThere, id="includes an unknown one"
            ),
        ],
    )
    def test_refused(self, realm: KeycloakWriter, role: KeycloakRole, error: type[ControllerError]) -> None:
        with pytest.raises(error):
            realm.create_role(role)

    def test_delete(self, realm: KeycloakWriter) -> None:
        role = realm.create_role(KeycloakRole("short-lived"))
        with pytest.raises(Conflict):
            realm.delete_role(role.id, still=lambda live: live.owner == "prod")
        realm.delete_role(role.id, still=lambda live: live == role)
        with pytest.raises(NotThere):
            realm.delete_role(role.id)
        with pytest.raises(NotThere):
            realm.role("short-lived")

    def test_the_default_role_stays(self, realm: KeycloakWriter) -> None:
        default = realm.role(f"default-roles-{realm.realm_name}")
        with pytest.raises(ControllerError, match="cannot be removed"):
            realm.delete_role(default.id)


class TestUsers:
    def test_created_with_all_they_have(self, realm: KeycloakWriter) -> None:
        wanted = person(
            "Made.Whole",
            email="Made@Example.org",
            first_name="Mad",
            last_name="Whole",
            required_actions=("UPDATE_PASSWORD",),
            roles=frozenset({"viewer"}),
        )
        (user_id,) = realm.create_users([wanted]).ids.values()
        live = realm.user(user_id)
        assert live.username == "made.whole"
        assert live.email == "made@example.org"
        assert (live.first_name, live.last_name, live.enabled) == ("Mad", "Whole", True)
        assert live.owner == "prod"
        assert live.required_actions == ("UPDATE_PASSWORD",)
        members = realm.members(["viewer", "operator", f"default-roles-{realm.realm_name}", "no-such-role"])
        assert [role for role, ids in members.items() if user_id in ids] == [
            "viewer",
            f"default-roles-{realm.realm_name}",
        ]
        assert members["no-such-role"] == frozenset()

    def test_more_than_a_page_of_the_server(self, realm: KeycloakWriter, reader: KeycloakReader) -> None:
        people = [person(f"many{number:03}", roles=frozenset({"operator"})) for number in range(130)]
        ids = set(make(realm, *people))
        listed = [user for user in reader.users() if user.username.startswith("many")]
        assert {user.id for user in listed} == ids
        assert [user.username for user in listed] == sorted(user.username for user in listed)
        assert reader.members(["operator"])["operator"] >= ids

    def test_conflicts_are_found_and_the_others_created(self, realm: KeycloakWriter) -> None:
        make(realm, person("first"), person("second"))
        heard: list[int] = []
        done = realm.create_users(
            [
                person("first", email=""),
                person("third", email="second@example.org"),
                person("fourth"),
                person("FOURTH", email="other@example.org"),
                person("fifth", email="fourth@example.org"),
                person("sixth", roles=frozenset({"unheard-of"})),
                person("seventh"),
            ],
            on_batch=lambda batch: heard.append(len(batch.ids)),
        )
        assert set(done.ids) == {"seventh"}
        assert {name: type(error) for name, error in done.failed.items()} == {
            "first": Conflict,
            "third": Conflict,
            "fourth": Conflict,
            "fifth": Conflict,
            "sixth": NotThere,
        }
        assert sum(heard) == len(done.ids)
        assert "unheard-of" not in {role.name for role in realm.roles(expand=lambda _: False)}

    def test_conflicts_in_several_requests(self, realm: KeycloakWriter) -> None:
        taken = [person(f"crowd{number:03}") for number in (3, 77, 110)]
        make(realm, *taken)
        everybody = [person(f"crowd{number:03}") for number in range(120)]
        done = realm.create_users(everybody)
        assert set(done.failed) == {user.username for user in taken}
        assert set(done.ids) == {user.username for user in everybody} - set(done.failed)
        assert realm.user(done.ids["crowd119"]).username == "crowd119"

    def test_a_name_that_a_service_account_has(self, realm: KeycloakWriter) -> None:
        realm._send("POST", f"{realm._base}/clients", SERVICE_CLIENT)  # the product makes no clients yet
        done = realm.create_users([person("service-account-robot"), person("beside-robot")])
        assert set(done.ids) == {"beside-robot"}
        assert isinstance(done.failed["service-account-robot"], Conflict)

    def test_service_accounts_are_no_users_but_members(self, realm: KeycloakWriter) -> None:
        realm._send("POST", f"{realm._base}/clients", SERVICE_CLIENT | {"clientId": "robot2"})
        robot = realm.find_user("Service-Account-Robot2")
        assert robot is not None
        assert robot.id not in {user.id for user in realm.users()}
        default = f"default-roles-{realm.realm_name}"
        assert robot.id in realm.members([default])[default]
        assert realm.count_users() == len(realm.users())

    def test_update_changes_only_what_is_named(self, realm: KeycloakWriter) -> None:
        (user_id,) = make(realm, person("patched", first_name="Pat", last_name="Ched"))
        before = realm.user(user_id)
        realm.update_user(user_id, UserPatch(email="New@example.org"))
        after = realm.user(user_id)
        assert after.email == "new@example.org"
        assert (after.first_name, after.last_name, after.attributes) == ("Pat", "Ched", before.attributes)
        realm.update_user(user_id, UserPatch(attributes=(("steward.owner", ()),)))
        assert realm.user(user_id).owner == ""
        assert realm.user(user_id).email == "new@example.org"

    def test_update_refused(self, realm: KeycloakWriter) -> None:
        user_id, _ = make(realm, person("left"), person("right"))
        with pytest.raises(Conflict, match="same email"):
            realm.update_user(user_id, UserPatch(email="right@example.org"))
        with pytest.raises(Conflict, match="no longer"):
            realm.update_user(user_id, UserPatch(enabled=False), still=lambda live: not live.enabled)
        assert realm.user(user_id).enabled
        with pytest.raises(NotThere):
            realm.update_user("no-such-id", UserPatch(enabled=False))

    def test_undeclared_attributes_vanish(self, realm: KeycloakWriter) -> None:
        (user_id,) = make(
            realm, person("vanish", attributes=attributes_of({"steward.owner": "a", "shoe": "44"}))
        )
        assert realm.user(user_id).attributes == attributes_of({"steward.owner": "a"})
        realm.update_user(user_id, UserPatch(attributes=(("shoe", ("45",)),)))
        assert realm.user(user_id).attributes == attributes_of({"steward.owner": "a"})

    def test_grant_and_revoke(self, realm: KeycloakWriter) -> None:
        (user_id,) = make(realm, person("granted"))
        realm.grant(user_id, ["viewer", "operator"])
        realm.grant(user_id, ["viewer"])
        realm.revoke(user_id, ["operator"])
        realm.revoke(user_id, ["operator"])
        members = realm.members(["viewer", "operator"])
        assert [role for role, ids in members.items() if user_id in ids] == ["viewer"]
        for call in (realm.grant, realm.revoke):
            with pytest.raises(NotThere):
                call(user_id, ["no-such-role"])
            with pytest.raises(NotThere):
                call("no-such-id", ["viewer"])
        with pytest.raises(Refused):
            realm.revoke(user_id, [f"default-roles-{realm.realm_name}"])

    def test_delete(self, realm: KeycloakWriter) -> None:
        (user_id,) = make(realm, person("gone"))
        with pytest.raises(Conflict):
            realm.delete_user(user_id, still=lambda live: live.owner == "lab")
        realm.delete_user(user_id, still=lambda live: live.owner == "prod")
        for call in (realm.user, realm.delete_user):
            with pytest.raises(NotThere):
                call(user_id)
        assert realm.find_user("gone") is None


class TestReading:
    def test_writes_nothing(self, realm: KeycloakWriter, reader: KeycloakReader) -> None:
        make(realm, person("watched"))
        before = realm.admin_events()
        reader.realm(), reader.rights(), reader.owner_declared()
        reader.users(), reader.roles(expand=lambda _: True), reader.members(["viewer"])
        assert realm.admin_events() == before
        assert before[0].operation == "CREATE"
        assert before[0].actor == realm.rights().user_id

    @pytest.mark.parametrize("method", ["raw_post", "raw_put", "raw_delete"])
    def test_cannot_write(self, reader: KeycloakReader, method: str) -> None:
        with pytest.raises(Refused):
            getattr(reader._connection, method)(f"{reader._base}/roles", data={})

    def test_not_allowed(self, keycloak: RunningKeycloak, realm: KeycloakWriter) -> None:
        """A service account without rights reads nothing, and is told so rather than shown an empty realm."""
        realm._send("POST", f"{realm._base}/clients", SERVICE_CLIENT | {"clientId": "weak", "secret": "pale"})
        weak = KeycloakAccess(
            keycloak.url, realm.realm_name, "weak", client_secret="pale", ca_file=keycloak.ca_file
        )
        with KeycloakReader(weak, realm.realm_name) as client:
            rights = client.rights()
            assert rights.username == "service-account-weak"
            assert rights.roles == frozenset()
            for call in (client.realm, client.users, lambda: client.roles(expand=lambda _: True)):
                with pytest.raises(NotAllowed):
                    call()


class TestLogin:
    @pytest.mark.parametrize(
        "changes",
        [
            pytest.param({"password": "wrong"}, id="password"),
            pytest.param({"username": "nobody"}, id="user"),
            pytest.param({"client_id": "nobody"}, id="client"),
            pytest.param({"auth_realm": "nowhere"}, id="realm"),
            pytest.param({"username": "", "client_secret": "x"}, id="no service account"),
        ],
    )
    def test_refused(self, keycloak: RunningKeycloak, changes: dict[str, str]) -> None:
        fields = {"username": keycloak.username, "password": keycloak.password, **changes}
        access = KeycloakAccess(keycloak.url, ca_file=keycloak.ca_file, **fields)  # type: ignore[arg-type]
        with KeycloakReader(access, "master") as client, pytest.raises(NotAllowed) as refusal:
            client.users()
        assert keycloak.password not in str(refusal.value) or keycloak.password == keycloak.username

    def test_only_the_given_authority_is_trusted(self, keycloak: RunningKeycloak) -> None:
        access = KeycloakAccess(keycloak.url, username=keycloak.username, password=keycloak.password)
        with (
            KeycloakReader(access, "master") as client,
            pytest.raises(Unreachable, match="certificate is not trusted"),
        ):
            client.users()


SERVICE_CLIENT = {
    "clientId": "robot",
    "secret": "robot",
    "publicClient": False,
    "serviceAccountsEnabled": True,
}
