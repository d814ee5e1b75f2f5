"""Whatever a pass does, what is not ours stays byte for byte: the real server's own export says so."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from controller.keycloak_values import KeycloakRealm
from controller.plan.change import Result
from tests.controller.place import Place, placed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lab.keycloak.real import RunningKeycloak

EVENTS = "  events: {admin: true}"
WHOLE = """
  default_roles: [viewer]
  identity_providers: {google: {type: google, client_id: x}}
"""
SECTIONS = """
roles:
  viewer: {api: [vm:read]}
  operator: {includes: [viewer]}
teams:
  science: {roles: [viewer], managers: [jo]}
  research: {parent: science}
users:
  jo: {email: jo@example.org, first_name: Jo, last_name: Doe, roles: [operator], teams: [research],
       mfa: required, links: {google: {id: "1042"}}}
  al: {email: al@example.org, roles: [viewer], state: disabled}
clients:
  grafana: {redirect: ["https://grafana.example.org/*"], roles_claim: true}
"""
CHANGED = (
    SECTIONS.replace("research: {parent: science}", "research: {}")
    .replace("roles: [operator], teams", "roles: [viewer], teams")
    .replace("roles_claim: true", "roles_claim: false, web_origins: [+]")
    .replace("  al: {email: al@", "  li: {email: li@")
)
GROUPS = "/groups?search=*&populateHierarchy=false&briefRepresentation=false&max=1000"


@pytest.fixture
def place(real_keycloak: RunningKeycloak, tmp_path: Path) -> Iterator[Place]:
    with placed(real_keycloak, tmp_path) as place:
        place.writer.create_realm(KeycloakRealm(place.realm, admin_events=True))
        _populate(place)
        yield place


def _populate(place: Place) -> None:
    """A realm in which others work: of every kind of object one, with everything that hangs on it."""
    (management,) = place.get("/clients?clientId=realm-management")
    right = place.get(f"/clients/{management['id']}/roles/view-events")
    place.post("/roles", {"name": "theirs", "description": "d", "attributes": {"a": ["b", "c"]}})
    place.post("/roles/theirs/composites", [right, place.get("/roles/offline_access")])
    place.post("/groups", {"name": "theirs", "attributes": {"a": ["b"]}, "description": "d"})
    above = place.group("theirs")["id"]
    place.post(f"/groups/{above}/children", {"name": "science"})
    place.post(f"/groups/{above}/role-mappings/realm", [place.get("/roles/theirs")])
    place.post(f"/groups/{above}/role-mappings/clients/{management['id']}", [right])
    place.put(f"/default-groups/{above}", {})
    mapper = {
        "name": "m",
        "protocol": "openid-connect",
        "protocolMapper": "oidc-hardcoded-claim-mapper",
        "config": {"claim.name": "a", "claim.value": "b", "access.token.claim": "true"},
    }
    app = {"clientId": "app", "secret": "kept", "redirectUris": ["https://a.example.org/*"]}
    place.post("/clients", app | {"protocolMappers": [mapper], "attributes": {"x": "y"}})
    place.post("/clients", {"clientId": "saml", "protocol": "saml"})
    place.post("/client-scopes", {"name": "theirs", "protocol": "openid-connect"})
    corp = {
        "clientId": "c",
        "clientSecret": "s",
        "authorizationUrl": "https://x/a",
        "tokenUrl": "https://x/t",
    }
    place.post("/identity-provider/instances", {"alias": "corp", "providerId": "oidc", "config": corp})
    hard = {
        "name": "m",
        "identityProviderMapper": "hardcoded-attribute-idp-mapper",
        "config": {"attribute": "a"},
    }
    place.post("/identity-provider/instances/corp/mappers", hard | {"identityProviderAlias": "corp"})
    place.post("/authentication/flows/browser/copy", {"newName": "theirs"})
    person = {"username": "stranger", "email": "s@example.org", "enabled": True, "firstName": "S"}
    place.post("/users", person | {"requiredActions": ["VERIFY_EMAIL"]})
    stranger = place.user("stranger")["id"]
    place.put(f"/users/{stranger}/groups/{above}", {})
    place.post(f"/users/{stranger}/role-mappings/realm", [place.get("/roles/theirs")])
    place.post(f"/users/{stranger}/federated-identity/corp", {"userId": "7", "userName": "s"})


def _world(place: Place) -> dict[str, Any]:
    """The whole export, groups and people with what they have; what carries our mark is left out."""
    export = place.answer("/partial-export?exportClients=true&exportGroupsAndRoles=true")
    default = f"default-roles-{place.realm}"
    export["roles"]["client"].pop("grafana", None)
    for role in export["roles"]["realm"]:
        if role["name"] == default:
            role["composites"]["realm"] = sorted({*role["composites"]["realm"]} - {"viewer"})
    export["groups"] = [
        one | {"members": sorted(who["username"] for who in place.get(f"/groups/{one['id']}/members"))}
        for one in place.get(GROUPS)
    ]
    export["users"] = [
        one
        | {"roles": place.get(f"/users/{one['id']}/role-mappings")}
        | {"links": place.get(f"/users/{one['id']}/federated-identity")}
        for one in place.get("/users?briefRepresentation=false&max=1000")
    ]
    # The profile stands among the components as one text: it is compared as the server tells it.
    export["components"].pop("org.keycloak.userprofile.UserProfileProvider", None)
    export["profile"] = place.get("/users/profile")
    return _without_ours(export)


def _without_ours(value: Any) -> Any:
    """The value without objects that carry our mark, in an order of its own."""
    if isinstance(value, dict):
        return {key: _without_ours(one) for key, one in value.items()}
    if isinstance(value, list):
        kept = [_without_ours(one) for one in value if not _is_ours(one)]
        return sorted(kept, key=lambda one: json.dumps(one, sort_keys=True))
    return value


def _is_ours(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    marks = [value.get("attributes"), value.get("config")]
    named = str(value.get("name", "")).startswith("steward.")  # our attributes of the profile
    return named or any(isinstance(one, dict) and "steward.owner" in one for one in marks)


def _told(place: Place, policy: Any) -> None:
    outcomes = place.apply(policy)
    assert [str(one.reason) for one in outcomes if one.result is not Result.APPLIED] == []


PASSES: dict[str, Callable[[Place], Any]] = {
    "made": lambda place: place.policy(EVENTS + WHOLE, SECTIONS),
    "altered": lambda place: place.policy(EVENTS + WHOLE, CHANGED),
    "taken away": lambda place: place.policy(EVENTS + "\n  default_roles: []", "roles: {}"),
}


def test_what_is_not_ours_stays_byte_for_byte_through_every_section(place: Place) -> None:
    before = _world(place)
    for name, policy in PASSES.items():
        _told(place, policy(place))
        after = _world(place)
        for key in sorted(before.keys() | after.keys()):
            assert after.get(key) == before.get(key), f"{name}: {key}"
