"""What the server does behind the client's back, in raw HTTP: the lab's Keycloak and the real one alike."""

from __future__ import annotations

import base64
import json
import secrets
from typing import TYPE_CHECKING, Any

import pytest
import requests

from controller.keycloak_values import UserPatch
from tests.contract.keycloak_raw import Raw, logged_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from controller.clients.keycloak_writer import KeycloakWriter
    from lab.keycloak.real import RunningKeycloak

PASSWORD = "open sesame"
MANY = 120


@pytest.fixture(scope="module")
def writer(keycloak: RunningKeycloak, keycloak_realm: KeycloakWriter) -> KeycloakWriter:
    keycloak_realm.declare_owner()
    return keycloak_realm


@pytest.fixture(scope="module")
def raw(keycloak: RunningKeycloak, writer: KeycloakWriter) -> Iterator[Raw]:
    with logged_in(keycloak, writer.realm_name) as client:
        users = [{"username": f"many{n:03}", "enabled": True, "realmRoles": ["crowd"]} for n in range(MANY)]
        assert client.call("POST", "/partialImport", {"users": users}).status_code == 200
        yield client


class TestPages:
    @pytest.mark.parametrize("path", ["/users", "/roles/crowd/users", "/admin-events"])
    def test_a_hundred_where_nobody_asks_for_more(self, raw: Raw, path: str) -> None:
        assert len(raw.get(path)) == 100

    @pytest.mark.parametrize("path", ["/users", "/roles/crowd/users"])
    def test_the_rest_by_first_and_max(self, raw: Raw, path: str) -> None:
        pages = [raw.get(path, first=first, max=50) for first in (0, 50, 100, 150)]
        names = [user["username"] for page in pages for user in page if user["username"].startswith("many")]
        assert names == [f"many{n:03}" for n in range(MANY)]

    def test_a_negative_max_asks_for_all(self, raw: Raw) -> None:
        assert len(raw.get("/users", max=-1)) == raw.get("/users/count")

    def test_roles_come_without_attributes_unless_asked(self, raw: Raw) -> None:
        assert all("attributes" not in role for role in raw.get("/roles"))
        assert all("attributes" in role for role in raw.get("/roles", briefRepresentation="false"))


class TestPartialImport:
    def imported(self, raw: Raw, *users: dict[str, object]) -> requests.Response:
        return raw.call("POST", "/partialImport", {"ifResourceExists": "FAIL", "users": list(users)})

    def test_gives_no_default_role(self, raw: Raw, writer: KeycloakWriter) -> None:
        answer = self.imported(raw, {"username": "Bare", "enabled": True}).json()
        assert (answer["added"], answer["skipped"]) == (1, 0)
        (result,) = answer["results"]
        assert (result["action"], result["resourceName"]) == ("ADDED", "Bare")
        assert raw.get(f"/users/{result['id']}/role-mappings/realm") == []
        by_post = raw.new_user("dressed")
        mapped = raw.get(f"/users/{by_post}/role-mappings/realm")
        assert [role["name"] for role in mapped] == [f"default-roles-{raw.realm}"]

    def test_makes_up_roles(self, raw: Raw) -> None:
        assert self.imported(raw, {"username": "inventor", "realmRoles": ["invented"]}).ok
        assert raw.get("/roles/invented")["composite"] is False

    @pytest.mark.parametrize(
        ("second", "text"),
        [
            pytest.param({"username": "fresh"}, "Duplicate resource error", id="twice in the request"),
            pytest.param(
                {"username": "taken"}, "User with user name taken already exists.", id="name in use"
            ),
            pytest.param(
                {"username": "other", "email": "taken@example.org"},
                "User with user name other already exists.",
                id="e-mail in use, told as the name",
            ),
        ],
    )
    def test_one_conflict_undoes_all(self, raw: Raw, second: dict[str, object], text: str) -> None:
        if not raw.get("/users", username="taken", exact="true"):
            raw.new_user("taken")
        answer = self.imported(raw, {"username": "fresh"}, second)
        assert (answer.status_code, answer.json()) == (409, {"errorMessage": text})
        assert raw.get("/users", username="fresh", exact="true") == []

    def test_checks_neither_length_nor_address(self, raw: Raw) -> None:
        assert self.imported(raw, {"username": "n", "email": "nonsense"}).ok
        assert raw.call("POST", "/users", {"username": "m"}).status_code == 400

    def test_a_user_without_a_name_is_an_error_of_the_server(self, raw: Raw) -> None:
        assert self.imported(raw, {"email": "no@name.org"}).status_code == 500


class TestUsers:
    @pytest.mark.parametrize(
        ("body", "status", "text"),
        [
            pytest.param({"username": "MANY000"}, 409, "User exists with same username", id="name"),
            pytest.param({"email": "x@example.org"}, 400, "User name is missing", id="no name"),
            pytest.param({"username": "ab"}, 400, "error-invalid-length", id="short name"),
            pytest.param({"username": "abc", "email": "a"}, 400, "error-invalid-email", id="e-mail"),
        ],
    )
    def test_create_refused(self, raw: Raw, body: dict[str, str], status: int, text: str) -> None:
        answer = raw.call("POST", "/users", body)
        assert (answer.status_code, answer.json()["errorMessage"]) == (status, text)

    def test_put_without_attributes_alters_what_it_names(self, raw: Raw) -> None:
        user_id = raw.new_user("partial", attributes={"steward.owner": ["a"]})
        assert raw.call("PUT", f"/users/{user_id}", {"firstName": "Other"}).status_code == 204
        live = raw.get(f"/users/{user_id}")
        assert (live["firstName"], live["lastName"], live["email"]) == (
            "Other",
            "Last",
            "partial@example.org",
        )
        assert live["attributes"] == {"steward.owner": ["a"]}

    def test_put_with_attributes_wipes_what_it_does_not_name(self, raw: Raw) -> None:
        user_id = raw.new_user("wiped", attributes={"steward.owner": ["a"]})
        assert raw.call("PUT", f"/users/{user_id}", {"attributes": {}}).status_code == 204
        live = raw.get(f"/users/{user_id}")
        assert live.keys().isdisjoint({"attributes", "email", "firstName", "lastName"})

    def test_a_name_is_not_altered(self, raw: Raw) -> None:
        user_id = raw.new_user("constant")
        answer = raw.call("PUT", f"/users/{user_id}", {"username": "fickle"})
        assert (answer.status_code, answer.json()["errorMessage"]) == (400, "error-user-attribute-read-only")

    def test_owned_users_are_found_by_their_mark(self, raw: Raw) -> None:
        user_id = raw.new_user("marked", attributes={"steward.owner": ["team-q"], "shoe": ["44"]})
        (found,) = raw.get("/users", q="steward.owner:team-q")
        assert found["id"] == user_id
        assert found["attributes"] == {"steward.owner": ["team-q"]}

    def test_a_declared_attribute_takes_one_value(self, raw: Raw) -> None:
        answer = raw.call(
            "POST", "/users", {"username": "double", "attributes": {"steward.owner": ["a", "b"]}}
        )
        text = "error-invalid-multivalued-size"
        assert (answer.status_code, answer.json()["errorMessage"]) == (400, text)

    def test_mapping_needs_the_right_id(self, raw: Raw) -> None:
        user_id = raw.new_user("mapped")
        answer = raw.call("POST", f"/users/{user_id}/role-mappings/realm", [{"id": "nope", "name": "crowd"}])
        assert (answer.status_code, answer.json()) == (404, {"error": "Role not found"})

    @pytest.mark.parametrize(
        ("method", "path", "error"),
        [
            ("GET", "/users/nobody", "User not found"),
            ("GET", "/roles/nothing", "Could not find role"),
            ("GET", "/roles-by-id/nothing", "Could not find role with id"),
        ],
    )
    def test_absent(self, raw: Raw, method: str, path: str, error: str) -> None:
        answer = raw.call(method, path)
        assert (answer.status_code, answer.json()) == (404, {"error": error})

    def test_of_a_realm_that_is_not_there(self, raw: Raw) -> None:
        answer = Raw(raw.server, "nowhere", raw.session).call("GET", "/users")
        assert (answer.status_code, answer.json()) == (404, {"error": "Realm not found."})


class TestRoles:
    def test_put_replaces_the_description(self, raw: Raw) -> None:
        assert raw.call("POST", "/roles", {"name": "described", "description": "d"}).status_code == 201
        assert raw.call("PUT", "/roles/described", {"name": "described"}).status_code == 204
        assert "description" not in raw.get("/roles/described")

    def test_put_needs_a_name(self, raw: Raw) -> None:
        answer = raw.call("PUT", "/roles/crowd", {"description": "d"})
        assert (answer.status_code, answer.json()) == (400, {"error": "role has no name"})

    def test_twice(self, raw: Raw) -> None:
        answer = raw.call("POST", "/roles", {"name": "crowd"})
        assert (answer.status_code, answer.json()["errorMessage"]) == (
            409,
            "Role with name crowd already exists",
        )


class TestSessions:
    def login(self, raw: Raw, name: str, **fields: str) -> requests.Response:
        return raw.token(grant_type="password", username=name, password=PASSWORD, **fields)

    def person(self, raw: Raw) -> tuple[str, str]:
        name = f"person-{secrets.token_hex(4)}"
        return name, raw.new_user(name, credentials=[{"type": "password", "value": PASSWORD}])

    def test_offboarding_holds_even_after_the_account_is_enabled_again(
        self, raw: Raw, writer: KeycloakWriter
    ) -> None:
        name, user_id = self.person(raw)
        online = self.login(raw, name).json()
        offline = self.login(raw, name, scope="offline_access").json()
        assert raw.refreshed(online).ok
        assert raw.refreshed(offline).ok
        writer.offboard(user_id)
        assert self.login(raw, name).json()["error_description"] == "Account disabled"
        for enabled in (False, True):
            writer.update_user(user_id, UserPatch(enabled=enabled))
            assert raw.refreshed(online).json()["error_description"] == "Session not active"
            assert raw.refreshed(offline).json()["error_description"] == "Offline user session not found"
        assert self.login(raw, name).ok

    def test_a_disabled_account_refreshes_nothing(self, raw: Raw) -> None:
        name, user_id = self.person(raw)
        login = self.login(raw, name).json()
        assert raw.call("PUT", f"/users/{user_id}", {"enabled": False}).status_code == 204
        assert raw.refreshed(login).json()["error_description"] == "User disabled"

    def test_enabling_alone_revives_an_offline_session(self, raw: Raw) -> None:
        """Why offboarding revokes them: https://github.com/keycloak/keycloak/issues/50926 ."""
        name, user_id = self.person(raw)
        login = self.login(raw, name, scope="offline_access").json()
        for enabled in (False, True):
            assert raw.call("PUT", f"/users/{user_id}", {"enabled": enabled}).status_code == 204
        assert raw.refreshed(login).ok

    def test_logout_of_an_administrator_leaves_offline_sessions(self, raw: Raw) -> None:
        name, user_id = self.person(raw)
        self.login(raw, name)
        self.login(raw, name, scope="offline_access")
        assert raw.call("POST", f"/users/{user_id}/logout").status_code == 204
        assert raw.get(f"/users/{user_id}/sessions") == []
        (consent,) = raw.get(f"/users/{user_id}/consents")
        assert consent["clientId"] == "admin-cli"
        assert [grant["key"] for grant in consent["additionalGrants"]] == ["Offline Token"]
        path = f"/users/{user_id}/consents/admin-cli"
        assert [raw.call("DELETE", path).status_code for _ in range(2)] == [204, 404]

    def test_logout_by_the_client(self, raw: Raw) -> None:
        name, user_id = self.person(raw)
        login = self.login(raw, name).json()
        for _ in range(2):
            form = {"refresh_token": login["refresh_token"]}
            assert raw.form("/protocol/openid-connect/logout", **form).status_code == 204
        assert raw.get(f"/users/{user_id}/sessions") == []
        assert raw.refreshed(login).json()["error_description"] == "Session not active"

    @pytest.mark.parametrize(
        ("form", "status", "error"),
        [
            pytest.param({"password": "wrong"}, 400, "invalid_grant", id="password"),
            pytest.param({"client_id": "nobody"}, 401, "invalid_client", id="client"),
            pytest.param({"grant_type": "magic"}, 400, "unsupported_grant_type", id="grant"),
            pytest.param(
                {"grant_type": "refresh_token", "refresh_token": "x"}, 400, "invalid_grant", id="token"
            ),
        ],
    )
    def test_refused(self, raw: Raw, form: dict[str, str], status: int, error: str) -> None:
        fields = {"grant_type": "password", "username": "many000", "password": PASSWORD, **form}
        answer = raw.token(**fields)
        assert (answer.status_code, answer.json()["error"]) == (status, error)

    @pytest.mark.parametrize("header", ["", "Bearer nonsense", "Bearer a.b.c"])
    def test_no_token(self, raw: Raw, header: str) -> None:
        address = f"{raw.server.url}/admin/realms/{raw.realm}/users"
        verify = str(raw.server.ca_file)
        answer = requests.get(address, headers={"Authorization": header}, verify=verify, timeout=30)
        assert (answer.status_code, answer.json()) == (401, {"error": "HTTP 401 Unauthorized"})


class TestTokens:
    def test_admin_cli_tokens_do_not_say_who_we_are(self, raw: Raw) -> None:
        token = str(raw.session.headers["Authorization"]).removeprefix("Bearer ")
        assert claims_of(token).keys().isdisjoint({"sub", "resource_access", "realm_access"})

    def test_a_service_account_shows_its_rights_and_sees_no_more(self, raw: Raw) -> None:
        body = {"clientId": "eyes", "secret": "eyes", "publicClient": False, "serviceAccountsEnabled": True}
        assert raw.call("POST", "/clients", body).status_code == 201
        (account,) = raw.get("/users", username="service-account-eyes", exact="true")
        (management,) = raw.get("/clients", clientId="realm-management")
        role = raw.get(f"/clients/{management['id']}/roles/view-users")
        path = f"/users/{account['id']}/role-mappings/clients/{management['id']}"
        assert raw.call("POST", path, [role]).status_code == 204
        token = raw.token(grant_type="client_credentials", client_id="eyes", client_secret="eyes").json()
        assert "refresh_token" not in token
        granted = claims_of(token["access_token"])["resource_access"]["realm-management"]["roles"]
        assert sorted(granted) == ["query-groups", "query-users", "view-users"]
        with requests.Session() as session:
            session.verify = raw.session.verify
            session.trust_env = False
            session.headers["Authorization"] = f"Bearer {token['access_token']}"
            eyes = Raw(raw.server, raw.realm, session)
            assert eyes.get("").keys() == {
                "realm",
                "displayName",
                "registrationEmailAsUsername",
                "bruteForceProtected",
                "supportedLocales",
                "organizationsEnabled",
            }
            assert eyes.get("/users/count") == raw.get("/users/count")
            for method, path in (("GET", "/roles"), ("POST", "/users"), ("POST", "/partialImport")):
                assert eyes.call(method, path, {"username": "eye"}).status_code == 403

    def test_discovery_leads_to_the_keys(self, raw: Raw) -> None:
        base = f"{raw.server.url}/realms/{raw.realm}"
        found = raw.session.get(f"{base}/.well-known/openid-configuration", timeout=30).json()
        assert found["issuer"] == base
        keys = raw.session.get(found["jwks_uri"], timeout=30).json()["keys"]
        assert "RS256" in {key["alg"] for key in keys}


def claims_of(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=="))
    return claims
