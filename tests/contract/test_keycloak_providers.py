"""Identity providers and login flows: the lab's Keycloak and the real one alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.keycloak_raw import answer_of

if TYPE_CHECKING:
    import requests

    from tests.contract.keycloak_raw import Raw

NOT_FOUND = (404, {"error": "HTTP 404 Not Found"})
LINKING = "steward link by e-mail"
SERVER_ERROR = (
    500,
    {"error": "unknown_error", "error_description": "For more on this error consult the server log."},
)


class TestIdentityProviders:
    PATH = "/identity-provider/instances"

    def new(self, raw: Raw, alias: str, provider: str = "oidc", **fields: object) -> requests.Response:
        return raw.call("POST", self.PATH, {"alias": alias, "providerId": provider, **fields})

    def test_round_trip(self, fresh: Raw) -> None:
        config = {"clientId": "c", "clientSecret": "s", "tokenUrl": "https://i/t", "steward.owner": "prod"}
        assert self.new(fresh, "corp", trustEmail=True, displayName="Corp", config=config).status_code == 201
        path = f"{self.PATH}/corp"
        live = fresh.get(path)
        assert live["config"] == config | {"clientSecret": "**********"}
        assert (live["trustEmail"], live["enabled"], live["displayName"]) == (True, True, "Corp")
        assert fresh.call("PUT", path, live | {"displayName": "Corp2"}).status_code == 204
        assert fresh.get(path) == live | {"displayName": "Corp2"}
        assert live | {"displayName": "Corp2"} in fresh.get(self.PATH, briefRepresentation="false", max=1000)
        smaller = {"alias": "corp", "providerId": "oidc", "config": {"clientId": "c2"}}
        assert fresh.call("PUT", path, smaller).status_code == 204
        live = fresh.get(path)
        assert live["config"] == {"clientId": "c2"}
        assert live.keys().isdisjoint({"displayName", "trustEmail"})
        assert fresh.call("DELETE", path).status_code == 204
        assert [answer_of(fresh.call(method, path)) for method in ("GET", "DELETE")] == [NOT_FOUND] * 2

    def test_google_knows_its_issuer(self, fresh: Raw) -> None:
        config = {"clientId": "c", "clientSecret": "s", "hostedDomain": "example.org"}
        assert self.new(fresh, "google", "google", config=config).status_code == 201
        assert fresh.get(f"{self.PATH}/google")["config"] == {
            **config,
            "clientSecret": "**********",
            "issuer": "https://accounts.google.com",
        }

    @pytest.mark.parametrize(
        ("body", "answer"),
        [
            pytest.param(
                {"providerId": "nope"},
                (400, {"errorMessage": "Invalid identity provider id [nope]"}),
                id="kind",
            ),
            pytest.param(
                {"alias": "a b"}, (400, {"error": "Empty Space not allowed."}), id="space in the alias"
            ),
            pytest.param(
                {"config": {"authorizationUrl": "ftp://x"}},
                (400, {"errorMessage": "Invalid protocol/scheme for url [authorization_url]"}),
                id="scheme",
            ),
            pytest.param(
                {"config": {"tokenUrl": "http://x.example.org/t"}},
                (400, {"errorMessage": "The url [token_url] requires secure connections"}),
                id="plain HTTP",
            ),
            pytest.param({"firstBrokerLoginFlowAlias": "nope"}, SERVER_ERROR, id="unknown flow"),
        ],
    )
    def test_refused(self, fresh: Raw, body: dict[str, object], answer: tuple[int, object]) -> None:
        whole = {"alias": "z", "providerId": "oidc", **body}
        assert answer_of(fresh.call("POST", self.PATH, whole)) == answer

    def test_conflicts(self, fresh: Raw) -> None:
        assert self.new(fresh, "once").status_code == 201
        taken = (409, {"errorMessage": "Identity Provider once already exists"})
        assert answer_of(self.new(fresh, "once")) == taken
        renamed = fresh.get(f"{self.PATH}/once") | {"alias": "twice"}
        refused = (400, {"errorMessage": "Identity Provider alias cannot be changed"})
        assert answer_of(fresh.call("PUT", f"{self.PATH}/once", renamed)) == refused

    def test_links_of_users(self, fresh: Raw) -> None:
        assert self.new(fresh, "hub", "github").status_code == 201
        user = fresh.new_user("linked")
        path = f"/users/{user}/federated-identity"
        link = {"identityProvider": "hub", "userId": "1042", "userName": "jo"}
        assert fresh.call("POST", f"{path}/hub", {"userId": "1042", "userName": "jo"}).status_code == 204
        taken = (409, {"errorMessage": "User is already linked with provider"})
        assert answer_of(fresh.call("POST", f"{path}/hub", {"userId": "7"})) == taken
        assert fresh.get(path) == fresh.get(f"/users/{user}")["federatedIdentities"] == [link]
        users = [{"username": "linked2", "federatedIdentities": [link | {"userId": "7"}]}]
        assert fresh.call("POST", "/partialImport", {"users": users}).status_code == 200
        found = fresh.get("/users", idpAlias="hub", briefRepresentation="true")
        assert [one["username"] for one in found] == ["linked", "linked2"]
        assert fresh.get("/users", idpAlias="other") == []
        assert fresh.call("DELETE", f"{path}/hub").status_code == 204
        assert answer_of(fresh.call("DELETE", f"{path}/hub")) == (404, {"error": "Link not found"})
        assert fresh.call("DELETE", f"{self.PATH}/hub").status_code == 204
        assert fresh.get("/users", username="linked2", exact="true", briefRepresentation="false")
        assert fresh.get("/users", idpAlias="hub") == []


class TestFlows:
    PATH = "/authentication/flows"

    def test_a_flow_of_our_own(self, fresh: Raw) -> None:
        body = {"alias": LINKING, "providerId": "basic-flow", "topLevel": True, "builtIn": False}
        made = fresh.call("POST", self.PATH, body | {"description": "d"})
        assert made.status_code == 201
        identity = made.headers["Location"].rpartition("/")[2]
        twice = (409, {"errorMessage": f"Flow {LINKING} already exists"})
        assert answer_of(fresh.call("POST", self.PATH, body)) == twice
        steps = f"{self.PATH}/{LINKING}/executions"
        for provider in ("idp-create-user-if-unique", "idp-auto-link"):
            assert fresh.call("POST", f"{steps}/execution", {"provider": provider}).status_code == 201
        unknown = (400, {"error": "No authentication provider found for id: nope"})
        assert answer_of(fresh.call("POST", f"{steps}/execution", {"provider": "nope"})) == unknown
        for step in fresh.get(steps):
            assert fresh.call("PUT", steps, step | {"requirement": "ALTERNATIVE"}).status_code == 204
        assert [self.told(step) for step in fresh.get(steps)] == [
            ("idp-create-user-if-unique", "ALTERNATIVE", 0, 0),
            ("idp-auto-link", "ALTERNATIVE", 1, 1),
        ]
        self.used_and_deleted(fresh, identity)

    def told(self, step: dict[str, Any]) -> tuple[object, ...]:
        return tuple(step[name] for name in ("providerId", "requirement", "index", "priority"))

    def used_and_deleted(self, raw: Raw, identity: str) -> None:
        providers = TestIdentityProviders.PATH
        body = {"alias": "linking", "providerId": "oidc", "firstBrokerLoginFlowAlias": LINKING}
        assert raw.call("POST", providers, body).status_code == 201
        live = raw.get(f"{providers}/linking")
        assert live["firstBrokerLoginFlowAlias"] == LINKING
        assert answer_of(raw.call("DELETE", f"{self.PATH}/{identity}")) == SERVER_ERROR
        bare = live | {"firstBrokerLoginFlowAlias": ""}
        assert raw.call("PUT", f"{providers}/linking", bare).status_code == 204
        assert "firstBrokerLoginFlowAlias" not in raw.get(f"{providers}/linking")
        assert raw.call("DELETE", f"{self.PATH}/{identity}").status_code == 204
        assert answer_of(raw.call("DELETE", f"{self.PATH}/{identity}")) == (404, {"error": "Flow not found"})

    def test_built_in_ones_stay(self, fresh: Raw) -> None:
        flows = {flow["alias"]: flow for flow in fresh.get(self.PATH)}
        assert {"browser", "direct grant", "first broker login"} <= flows.keys()
        refused = (400, {"error": "Can't delete built in flow"})
        assert answer_of(fresh.call("DELETE", f"{self.PATH}/{flows['browser']['id']}")) == refused
        missing = (404, {"error": "Flow not found"})
        assert answer_of(fresh.call("GET", f"{self.PATH}/nope/executions")) == missing
