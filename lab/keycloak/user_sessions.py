"""The admin calls on a user's logins, and on the accounts elsewhere that are the same person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.keycloak.answers import Refusal, linked
from lab.keycloak.representations import LINK

if TYPE_CHECKING:
    from lab.keycloak.call import Call

__all__ = ["ROUTES"]

Json = dict[str, Any]
_SEERS = ("view-users", "manage-users")


def log_out(call: Call) -> None:
    """POST users/{id}/logout: ends the sessions, not the offline ones."""
    user = call.user()
    call.require("manage-users")
    user.not_before = int(call.keycloak.clock())
    kept = {k: s for k, s in call.realm.sessions.items() if s.user != user.id or s.is_offline}
    call.realm.sessions = kept
    call.record("ACTION", "USER", f"users/{user.id}/logout")


def sessions(call: Call) -> list[Json]:
    """GET users/{id}/sessions; offline ones are not among them."""
    user = call.user()
    call.require(*_SEERS)
    return [
        {"id": one.id, "username": user.username, "userId": user.id, "start": one.started * 1000}
        for one in call.realm.sessions.values()
        if one.user == user.id and not one.is_offline
    ]


def consents(call: Call) -> list[Json]:
    """GET users/{id}/consents: the way to learn of offline sessions."""
    user = call.user()
    call.require(*_SEERS)
    held = {s.client.id: s.client for s in call.realm.sessions.values() if s.user == user.id and s.is_offline}
    return [
        {
            "clientId": client.client_id,
            "grantedClientScopes": [],
            "additionalGrants": [{"client": client.id, "key": "Offline Token"}],
        }
        for client in held.values()
    ]


def revoke_consent(call: Call) -> None:
    """DELETE users/{id}/consents/{client}: revokes the offline sessions too."""
    user, name = call.user(), call.names["client"]
    call.require("manage-users")
    kept = {
        key: one
        for key, one in call.realm.sessions.items()
        if not (one.user == user.id and one.is_offline and one.client.client_id == name)
    }
    if len(kept) == len(call.realm.sessions):
        raise Refusal(404, error="Consent nor offline token not found")
    call.realm.sessions = kept
    call.record("ACTION", "USER", f"users/{user.id}/consents/{name}")


def links(call: Call) -> list[Json]:
    """GET users/{id}/federated-identity: those of providers that the realm has."""
    user = call.user()
    call.require(*_SEERS)
    return linked(user, call.realm)


def link(call: Call) -> None:
    """POST users/{id}/federated-identity/{alias}; a link to an unknown provider is kept, and not shown."""
    user, alias = call.user(), call.names["alias"]
    call.require("manage-users")
    body = call.given(LINK)
    if alias in user.links:
        raise Refusal(409, errorMessage="User is already linked with provider")
    user.links[alias] = {**body, "identityProvider": alias}
    call.record("CREATE", "USER", f"users/{user.id}/federated-identity/{alias}", of=call.body)


def unlink(call: Call) -> None:
    """DELETE users/{id}/federated-identity/{alias}."""
    user, alias = call.user(), call.names["alias"]
    call.require("manage-users")
    if user.links.pop(alias, None) is None:
        raise Refusal(404, error="Link not found")
    call.record("DELETE", "USER", f"users/{user.id}/federated-identity/{alias}")


_USER = "/users/{user}"
ROUTES = (
    ("POST", f"{_USER}/logout", log_out),
    ("GET", f"{_USER}/sessions", sessions),
    ("GET", f"{_USER}/consents", consents),
    ("DELETE", f"{_USER}/consents/{{client}}", revoke_consent),
    ("GET", f"{_USER}/federated-identity", links),
    ("POST", f"{_USER}/federated-identity/{{alias}}", link),
    ("DELETE", f"{_USER}/federated-identity/{{alias}}", unlink),
)
