"""Clients, mail to people, searches and the record of writes: the lab's Keycloak and the real one alike."""

from __future__ import annotations

import socketserver
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.keycloak_raw import answer_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.keycloak_raw import Raw

BUILT_IN = [
    "account",
    "account-console",
    "admin-cli",
    "broker",
    "realm-management",
    "security-admin-console",
]
ROLES_MAPPER = {
    "name": "roles",
    "protocol": "openid-connect",
    "protocolMapper": "oidc-usermodel-realm-role-mapper",
    "config": {"claim.name": "roles", "multivalued": "true", "access.token.claim": "true"},
}


def new_client(raw: Raw, client_id: str, /, **fields: object) -> str:
    answer = raw.call("POST", "/clients", {"clientId": client_id, **fields})
    assert answer.status_code == 201, answer.text
    return str(answer.headers["Location"].rpartition("/")[2])


class TestClients:
    def test_built_in_ones(self, fresh: Raw) -> None:
        every = {client["clientId"]: client for client in fresh.get("/clients")}
        assert every.keys() >= set(BUILT_IN)
        assert (every["admin-cli"]["publicClient"], every["broker"]["bearerOnly"]) == (True, True)
        assert every["account"]["redirectUris"] == [f"/realms/{fresh.realm}/account/*"]
        refused = (403, {"error": "HTTP 403 Forbidden"})
        path = f"/clients/{every['realm-management']['id']}"
        assert answer_of(fresh.call("DELETE", path)) == refused

    def test_defaults(self, fresh: Raw) -> None:
        client = fresh.get(f"/clients/{new_client(fresh, 'plain')}")
        expected = {
            "enabled": True,
            "publicClient": False,
            "redirectUris": [],
            "webOrigins": [],
            "standardFlowEnabled": True,
            "directAccessGrantsEnabled": False,
            "serviceAccountsEnabled": False,
            "fullScopeAllowed": True,
            "nodeReRegistrationTimeout": -1,
            "protocol": "openid-connect",
        }
        assert {name: client[name] for name in expected} == expected
        assert client.keys().isdisjoint({"name", "description", "protocolMappers", "rootUrl"})
        assert client["attributes"].keys() == {"realm_client", "client.secret.creation.time"}
        assert client["secret"]

    def test_put_alters_what_it_names(self, fresh: Raw) -> None:
        attributes = {"post.logout.redirect.uris": "https://g/a##https://g/b", "steward.owner": "prod"}
        fields: dict[str, Any] = {"redirectUris": ["https://g/*"], "secret": "s3", "attributes": attributes}
        path = f"/clients/{new_client(fresh, 'grafana', name='G', **fields)}"
        assert fresh.get(path)["attributes"] == attributes | {"realm_client": "false"}
        for body in (
            {"description": "only"},
            {"attributes": {"pkce.code.challenge.method": "S256"}},
            {"attributes": {"steward.owner": ""}},
            {"redirectUris": []},
        ):
            assert fresh.call("PUT", path, {"clientId": "grafana", **body}).status_code == 204
        live = fresh.get(path)
        kept = {name: text for name, text in attributes.items() if name != "steward.owner"}
        assert live["attributes"] == kept | {"realm_client": "false", "pkce.code.challenge.method": "S256"}
        assert (live["name"], live["description"], live["secret"]) == ("G", "only", "s3")
        assert live["redirectUris"] == []

    def test_who_becomes_public_loses_the_secret(self, fresh: Raw) -> None:
        path = f"/clients/{new_client(fresh, 'swings', secret='s3')}"
        seen = []
        for is_public in (True, False):
            body = {"clientId": "swings", "publicClient": is_public}
            assert fresh.call("PUT", path, body).status_code == 204
            seen.append(fresh.get(path).get("secret"))
        assert seen[0] is None
        assert seen[1] not in {None, "s3"}
        assert fresh.get(f"{path}/client-secret") == {"type": "secret", "value": seen[1]}

    def test_the_service_account_comes_and_goes(self, fresh: Raw) -> None:
        path = f"/clients/{new_client(fresh, 'Robot-1')}"
        refused = (400, {"error": "Service account not enabled for the client 'Robot-1'"})
        assert answer_of(fresh.call("GET", f"{path}/service-account-user")) == refused
        body = {"clientId": "Robot-1", "serviceAccountsEnabled": True}
        assert fresh.call("PUT", path, body).status_code == 204
        assert fresh.get(f"{path}/service-account-user")["username"] == "service-account-robot-1"
        assert "service_account" in fresh.get(path)["defaultClientScopes"]
        assert fresh.call("PUT", path, body | {"serviceAccountsEnabled": False}).status_code == 204
        assert fresh.get("/users", username="service-account-robot-1", exact="true") == []

    @pytest.mark.parametrize(
        ("fields", "text"),
        [
            ({"redirectUris": ["https://x/*", "myapp://cb", "/rel/*", "*", "nonsense"]}, None),
            ({"redirectUris": ["http://x/a#f"]}, "A redirect URI must not contain an URL fragment"),
            ({"redirectUris": ["javascript:alert(1)"]}, "A redirect URI uses an illegal scheme"),
            ({"redirectUris": ["https://x/a b"]}, "A redirect URI is not a valid URI"),
            ({"redirectUris": ["http://[bad"]}, "A redirect URI is not a valid URI"),
            ({"webOrigins": ["https://x#f", "+"]}, None),
            ({"rootUrl": "javascript:x"}, "Root URL uses an illegal scheme"),
            ({"protocol": "nope"}, "Invalid protocol: nope"),
            (
                {"attributes": {"post.logout.redirect.uris": "https://x##http://y#f"}},
                "A post-logout redirect URI must not contain an URL fragment",
            ),
            ({"attributes": {"post.logout.redirect.uris": "+"}}, None),
        ],
    )
    def test_addresses(self, fresh: Raw, fields: dict[str, object], text: str | None) -> None:
        made = fresh.call("POST", "/clients", {"clientId": "addressed", **fields})
        if text is None:
            assert made.status_code == 201
            path = f"/clients/{made.headers['Location'].rpartition('/')[2]}"
            assert fresh.call("DELETE", path).status_code == 204
        else:
            assert answer_of(made) == (400, {"error": "invalid_input", "error_description": text})

    def test_refused(self, fresh: Raw) -> None:
        identity = new_client(fresh, "first")
        new_client(fresh, "second")
        conflict = {"error": "conflict", "error_description": "Duplicate resource error"}
        absent = (404, {"error": "Could not find client"})
        assert answer_of(fresh.call("POST", "/clients", {"clientId": "first"})) == (
            409,
            {"errorMessage": "Client first already exists"},
        )
        renamed = fresh.call("PUT", f"/clients/{identity}", {"clientId": "second"})
        assert answer_of(renamed) == (409, conflict)
        status, body = answer_of(fresh.call("POST", "/clients", {"clientId": "x", "bogus": 1}))
        assert status == 400
        assert body["error"].startswith("Invalid json representation for ClientRepresentation. Unrecognized")
        for method in ("GET", "PUT", "DELETE"):
            assert answer_of(fresh.call(method, "/clients/nope", {"clientId": "x"})) == absent

    def test_search(self, fresh: Raw) -> None:
        new_client(fresh, "needle-1")
        assert fresh.get("/clients", clientId="needle") == []
        (found,) = fresh.get("/clients", clientId="NEEDLE", search="true")
        assert found["clientId"] == "needle-1"
        every = [client["clientId"] for client in fresh.get("/clients")]
        assert every == sorted(every)
        pages = [fresh.get("/clients", first=first, max=3) for first in (0, 3)]
        assert [client["clientId"] for page in pages for client in page] == every[:6]

    def test_mappers(self, fresh: Raw) -> None:
        path = f"/clients/{new_client(fresh, 'mapped')}"
        models = f"{path}/protocol-mappers/models"
        made = fresh.call("POST", models, ROLES_MAPPER)
        assert made.status_code == 201
        identity = made.headers["Location"].rpartition("/")[2]
        live = fresh.get(f"{models}/{identity}")
        assert live["config"].items() >= ROLES_MAPPER["config"].items()
        assert [live] == fresh.get(models)
        (part,) = fresh.get(path)["protocolMappers"]
        assert live["config"] == part["config"] | {"introspection.token.claim": "true"}
        twice = (409, {"errorMessage": "Protocol mapper exists with same name"})
        assert answer_of(fresh.call("POST", models, ROLES_MAPPER)) == twice
        unknown = ROLES_MAPPER | {"name": "z", "protocolMapper": "nope"}
        missing = (404, {"error": "ProtocolMapper provider not found"})
        assert answer_of(fresh.call("POST", models, unknown)) == missing
        changed = live | {"config": live["config"] | {"claim.name": "groups"}}
        assert fresh.call("PUT", f"{models}/{identity}", changed).status_code == 204
        assert fresh.get(f"{models}/{identity}") == changed
        assert fresh.call("DELETE", f"{models}/{identity}").status_code == 204
        gone = (404, {"error": "Model not found"})
        assert answer_of(fresh.call("DELETE", f"{models}/{identity}")) == gone
        other = f"/clients/{new_client(fresh, 'born', protocolMappers=[ROLES_MAPPER])}"
        assert [one["name"] for one in fresh.get(other)["protocolMappers"]] == ["roles"]
        assert fresh.call("PUT", other, {"clientId": "born", "protocolMappers": []}).status_code == 204
        assert "protocolMappers" not in fresh.get(other)


class _Post(socketserver.StreamRequestHandler):
    """As much SMTP as it takes to be handed a mail."""

    def handle(self) -> None:
        self.say("220 here")
        while line := self.rfile.readline().strip().upper():
            if line == b"DATA":
                self.say("354 go on")
                letter = b"".join(iter(self.rfile.readline, b".\r\n"))
                self.server.letters.append(letter.decode())  # type: ignore[attr-defined]
            self.say("221 bye" if line == b"QUIT" else "250 fine")

    def say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")


@pytest.fixture(scope="module")
def letters(fresh: Raw) -> Iterator[list[str]]:
    """What came by mail; the lab's Keycloak keeps it instead of sending it."""
    received: list[str] = []
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Post) as post:
        post.daemon_threads = True
        post.letters = received  # type: ignore[attr-defined]
        threading.Thread(target=post.serve_forever, daemon=True).start()
        port = post.server_address[1]
        mail = {"host": "127.0.0.1", "port": str(port), "from": "sso@example.org"}
        assert fresh.call("PUT", "", {"smtpServer": mail}).status_code == 204
        yield received
        post.shutdown()


class TestMail:
    def test_reaches_the_person(self, fresh: Raw, letters: list[str]) -> None:
        user = fresh.new_user("invitee", email="inv@example.org")
        new_client(fresh, "portal", redirectUris=["https://portal/*"], publicClient=True)
        query = {"client_id": "portal", "redirect_uri": "https://portal/x", "lifespan": 3600}
        sent = fresh.call("PUT", f"/users/{user}/execute-actions-email", ["UPDATE_PASSWORD"], **query)
        assert sent.status_code == 204, sent.text
        kept = fresh.session.get(f"{fresh.server.url}/lab/mails", timeout=30)
        if kept.ok:
            (mail,) = [one for one in kept.json() if one["realm"] == fresh.realm]
            letters.append(f"To: {mail['to']}\nSubject: {mail['subject']}\n{mail['link']}")
        (letter,) = letters
        assert "To: inv@example.org" in letter
        assert "Subject: Update Your Account" in letter
        assert f"/realms/{fresh.realm}/login-actions/action-token?key=" in letter.replace("=\r\n", "")
        assert fresh.get(f"/users/{user}")["requiredActions"] == []

    @pytest.mark.parametrize(
        ("query", "actions", "text"),
        [
            ({"client_id": "nope"}, ["UPDATE_PASSWORD"], "Client doesn't exist"),
            ({"redirect_uri": "https://x"}, ["UPDATE_PASSWORD"], "Client id missing"),
            (
                {"client_id": "account", "redirect_uri": "https://evil/"},
                ["UPDATE_PASSWORD"],
                "Invalid redirect uri.",
            ),
            ({}, ["NOPE"], "Provided invalid required actions"),
        ],
    )
    def test_refused(
        self, fresh: Raw, letters: list[str], query: dict[str, str], actions: list[str], text: str
    ) -> None:
        found = fresh.get("/users", username="uninvited", exact="true")
        user = found[0]["id"] if found else fresh.new_user("uninvited")
        before = len(letters)
        answer = fresh.call("PUT", f"/users/{user}/execute-actions-email", actions, **query)
        assert answer_of(answer) == (400, {"errorMessage": text})
        assert len(letters) == before

    def test_people_who_cannot_be_written_to(self, fresh: Raw, letters: list[str]) -> None:
        for fields, text in (
            ({"email": ""}, "User email missing"),
            ({"email": "off@example.org", "enabled": False}, "User is disabled"),
        ):
            user = fresh.new_user(f"mute{len(text)}", **fields)
            answer = fresh.call("PUT", f"/users/{user}/execute-actions-email", ["UPDATE_PASSWORD"])
            assert answer_of(answer) == (400, {"errorMessage": text})

    def test_without_a_mail_server(self, fresh: Raw, letters: list[str]) -> None:
        before = fresh.get("")["smtpServer"]
        user = fresh.new_user("waiting")
        assert fresh.call("PUT", "", {"smtpServer": {}}).status_code == 204
        answer = fresh.call("PUT", f"/users/{user}/execute-actions-email", ["UPDATE_PASSWORD"])
        assert answer.status_code == 500
        text = answer.json()["errorMessage"]
        assert text.startswith("Failed to send execute actions email: Invalid sender address 'null'.")
        assert fresh.call("PUT", "", {"smtpServer": before}).status_code == 204


class TestPeople:
    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ({"search": "needle1"}, ["needle1"]),
            ({"search": "EEDLE"}, []),
            ({"search": "*EEDLE1*"}, ["needle1"]),
            ({"search": '"needle1"'}, ["needle1"]),
            ({"search": "needle1 needle2"}, []),
            ({"firstName": "nee"}, ["needle1", "needle2"]),
            ({"username": "eedle"}, ["needle1", "needle2"]),
            ({"username": "eedle", "emailVerified": "true"}, ["needle2"]),
            ({"username": "eedle", "enabled": "false"}, []),
        ],
    )
    def test_search(self, fresh: Raw, query: dict[str, str], found: list[str]) -> None:
        if not fresh.get("/users", username="needle1", exact="true"):
            fresh.new_user("needle1", firstName="Neena")
            fresh.new_user("needle2", firstName="Neel", emailVerified=True)
        assert [user["username"] for user in fresh.get("/users", **query)] == found
        assert fresh.get("/users/count", **query) == len(found)

    @pytest.mark.parametrize(
        ("body", "field", "text"),
        [
            ({"username": "a b c"}, "username", "error-username-invalid-character"),
            ({"username": "o'brien"}, "username", "error-username-invalid-character"),
            ({"username": "\u0430dmin"}, "username", "error-username-invalid-character"),
            ({"username": "x" * 256}, "username", "error-invalid-length"),
            ({"email": "a@x..org"}, "email", "error-invalid-email"),
            ({"email": ".a@x.org"}, "email", "error-invalid-email"),
            ({"email": "a@x_y.org"}, "email", "error-invalid-email"),
            ({"firstName": "<b>"}, "firstName", "error-person-name-invalid-character"),
            ({"lastName": "x" * 256}, "lastName", "error-invalid-length-too-long"),
        ],
    )
    def test_refused(self, fresh: Raw, body: dict[str, str], field: str, text: str) -> None:
        status, told = answer_of(fresh.call("POST", "/users", {"username": "refused", **body}))
        assert (status, told["field"], told["errorMessage"]) == (400, field, text)

    @pytest.mark.parametrize("name", ["ä.öü", "straße", "x@y.org", "under_score-1"])
    def test_names_that_are_taken(self, fresh: Raw, name: str) -> None:
        user = fresh.new_user(name, email="")
        assert fresh.get(f"/users/{user}")["username"] == name

    def test_several_faults_are_told_together(self, fresh: Raw) -> None:
        status, told = answer_of(fresh.call("POST", "/users", {"username": "ab", "email": "x"}))
        assert (status, [one["field"] for one in told["errors"]]) == (400, ["username", "email"])

    def test_an_imported_name_that_is_too_short_can_be_kept(self, fresh: Raw) -> None:
        users = [{"username": "jo", "firstName": "<b>"}]
        (made,) = fresh.call("POST", "/partialImport", {"users": users}).json()["results"]
        path = f"/users/{made['id']}"
        assert fresh.call("PUT", path, {"enabled": True}).json()["field"] == "firstName"
        assert fresh.call("PUT", path, {"firstName": "Jo", "enabled": True}).status_code == 204
        assert fresh.get(path)["username"] == "jo"

    def test_unknown_fields(self, fresh: Raw) -> None:
        text = 'Invalid json representation for UserRepresentation. Unrecognized field "bogus"'
        status, told = answer_of(fresh.call("POST", "/users", {"username": "odd", "bogus": 1}))
        assert (status, told["error"]) == (400, f"{text} at line 1 column 31.")


class TestAdminEvents:
    def test_filters(self, fresh: Raw) -> None:
        role = fresh.call("POST", "/roles", {"name": "noted"})
        user = fresh.new_user("noted")
        assert role.status_code == 201
        assert fresh.call("DELETE", f"/users/{user}").status_code == 204
        path = f"users/{user}"
        assert self.told(fresh, resourcePath=path) == [("DELETE", "USER", path), ("CREATE", "USER", path)]
        assert self.told(fresh, resourcePath=path, operationTypes="CREATE") == [("CREATE", "USER", path)]
        both = self.told(fresh, resourceTypes=["USER", "REALM_ROLE"], max=3)
        assert both[-1] == ("CREATE", "REALM_ROLE", "roles/noted")
        assert len(self.told(fresh, resourcePath="users/*", max=1)) == 1
        assert self.told(fresh, resourcePath=path, direction="asc")[0][0] == "CREATE"
        assert self.told(fresh, authUser="nobody") == []

    def told(self, raw: Raw, **query: object) -> list[tuple[str, str, str]]:
        events = raw.get("/admin-events", **query)
        assert all({"id", "time", "realmId", "authDetails"} <= event.keys() for event in events)
        return [(e["operationType"], e["resourceType"], e["resourcePath"]) for e in events]

    def test_dates(self, fresh: Raw) -> None:
        fresh.new_user("dated")
        (latest,) = fresh.get("/admin-events", max=1)
        assert fresh.get("/admin-events", dateFrom=latest["time"] + 10_000_000) == []
        assert latest in fresh.get("/admin-events", dateFrom=latest["time"])
        assert fresh.get("/admin-events", dateFrom="2020-01-01", max=1) == [latest]
        assert fresh.get("/admin-events", dateTo="2020-01-01") == []

    @pytest.mark.parametrize(
        ("query", "status"),
        [
            ({"resourceTypes": "NOPE"}, 500),
            ({"operationTypes": "NOPE"}, 500),
            ({"dateFrom": "nonsense"}, 400),
            ({"direction": "up"}, 400),
        ],
    )
    def test_refused(self, fresh: Raw, query: dict[str, str], status: int) -> None:
        assert fresh.call("GET", "/admin-events", **query).status_code == status

    def test_details_where_they_are_wanted(self, fresh: Raw) -> None:
        assert fresh.call("PUT", "", {"adminEventsDetailsEnabled": True}).status_code == 204
        user = fresh.new_user("shown")
        (event,) = fresh.get("/admin-events", resourcePath=f"users/{user}")
        assert '"username":"shown"' in event["representation"]
        assert fresh.call("PUT", "", {"adminEventsDetailsEnabled": False}).status_code == 204
        (event,) = fresh.get("/admin-events", resourceTypes="REALM", max=1)
        assert "resourcePath" not in event
