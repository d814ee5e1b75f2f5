"""The admin calls on users: lists, accounts, sessions, role mappings.

What the server does without being asked is done here too: names and e-mail addresses are stored in lower
case, attributes that the user profile does not declare are dropped without a word, PUT with attributes
replaces names and e-mail as well.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from lab.keycloak.answers import Created, Refusal, role_answer, user_answer
from lab.keycloak.model import User

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.keycloak.call import Call
    from lab.keycloak.model import Realm, Role

__all__ = ["DEFAULT_PAGE", "ROUTES", "declared"]

Json = dict[str, Any]
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_NAME_LENGTHS = (3, 255)
_BUILT_IN = frozenset({"username", "email", "firstName", "lastName"})

DEFAULT_PAGE = 100
"""Objects a page where the caller names no `max`."""


def list_users(call: Call) -> list[Json]:
    """GET users. Who may only query sees nobody, and no error."""
    call.require("view-users", "manage-users", "query-users")
    found = _matching(call) if not call.rights.isdisjoint({"view-users", "manage-users"}) else ()
    brief = call.is_asked("briefRepresentation")
    return [user_answer(user, brief=brief) for user in call.paged(found, DEFAULT_PAGE)]


def count_users(call: Call) -> int:
    """GET users/count, also for those who may not see them; service accounts are not counted."""
    call.require("view-users", "manage-users", "query-users")
    return sum(1 for _ in _matching(call))


def create_user(call: Call) -> Created:
    """POST users: the user gets the default role."""
    call.require("manage-users")
    realm, body = call.realm, call.body
    name = str(body.get("username") or "").lower()
    if not name:
        raise Refusal(400, errorMessage="User name is missing")
    _check_name(name)
    email = _checked_email(body)
    if name in realm.names:
        raise Refusal(409, errorMessage="User exists with same username")
    if email and email in realm.emails:
        raise Refusal(409, errorMessage="User exists with same email")
    user = User(call.keycloak.new_id(), name, call.keycloak.now_ms(), email)
    user.first_name, user.last_name = body.get("firstName"), body.get("lastName")
    user.enabled = bool(body.get("enabled", False))
    user.email_verified = bool(body.get("emailVerified", False))
    user.attributes = declared(realm, body.get("attributes"))
    user.required_actions = list(body.get("requiredActions") or ())
    user.roles.add(realm.default_role.id)
    _set_password(user, body.get("credentials"))
    realm.add_user(user)
    call.record("CREATE", "USER", f"users/{user.id}")
    return Created(f"users/{user.id}")


def get_user(call: Call) -> Json:
    """GET users/{id}."""
    call.require("view-users", "manage-users")
    return user_answer(call.user(), one=True)


def update_user(call: Call) -> None:
    """PUT users/{id}: attributes given replace all, and wipe names and e-mail that are not given."""
    call.require("manage-users")
    user, realm, body = call.user(), call.realm, call.body
    given = str(body.get("username") or user.username).lower()
    if given != user.username:
        raise Refusal(
            400,
            field="username",
            errorMessage="error-user-attribute-read-only",
            params=["username"],
        )
    email = _checked_email(body)
    if email and realm.emails.get(email, user.id) != user.id:
        raise Refusal(409, errorMessage="User exists with same email")
    replaces = body.get("attributes") is not None
    if replaces:
        user.attributes = declared(realm, body["attributes"])
    if email is not None or replaces:
        realm.set_email(user, email or None)
    for field, name in (("first_name", "firstName"), ("last_name", "lastName")):
        if body.get(name) is not None or replaces:
            setattr(user, field, body.get(name) or None)
    user.enabled = bool(body.get("enabled", user.enabled))
    user.email_verified = bool(body.get("emailVerified", user.email_verified))
    if body.get("requiredActions") is not None:
        user.required_actions = list(body["requiredActions"])
    call.record("UPDATE", "USER", f"users/{user.id}")


def delete_user(call: Call) -> None:
    """DELETE users/{id}."""
    call.require("manage-users")
    user = call.user()
    call.realm.drop_user(user)
    call.record("DELETE", "USER", f"users/{user.id}")


def log_out(call: Call) -> None:
    """POST users/{id}/logout: ends the sessions, not the offline ones."""
    call.require("manage-users")
    user = call.user()
    user.not_before = int(call.keycloak.clock())
    kept = {k: s for k, s in call.realm.sessions.items() if s.user != user.id or s.is_offline}
    call.realm.sessions = kept
    call.record("ACTION", "USER", f"users/{user.id}/logout")


def sessions(call: Call) -> list[Json]:
    """GET users/{id}/sessions; offline ones are not among them."""
    call.require("view-users", "manage-users")
    user = call.user()
    return [
        {"id": one.id, "username": user.username, "userId": user.id, "start": one.started * 1000}
        for one in call.realm.sessions.values()
        if one.user == user.id and not one.is_offline
    ]


def consents(call: Call) -> list[Json]:
    """GET users/{id}/consents: the way to learn of offline sessions."""
    call.require("view-users", "manage-users")
    user = call.user()
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
    call.require("manage-users")
    user, name = call.user(), call.names["client"]
    kept = {
        key: one
        for key, one in call.realm.sessions.items()
        if not (one.user == user.id and one.is_offline and one.client.client_id == name)
    }
    if len(kept) == len(call.realm.sessions):
        raise Refusal(404, error="Consent nor offline token not found")
    call.realm.sessions = kept
    call.record("ACTION", "USER", f"users/{user.id}/consents/{name}")


def credentials(call: Call) -> list[Json]:
    """GET users/{id}/credentials: kinds alone, no secrets."""
    call.require("view-users", "manage-users")
    user = call.user()
    kinds = [kind for kind, there in (("password", bool(user.password)), ("otp", user.has_otp)) if there]
    return [{"id": f"{user.id}-{kind}", "type": kind, "createdDate": user.created_ms} for kind in kinds]


def mapped_roles(call: Call) -> list[Json]:
    """GET users/{id}/role-mappings/realm."""
    call.require("view-users", "manage-users")
    known, user = call.realm.all_roles(), call.user()
    return [role_answer(role) for role in _of_realm(known[one] for one in sorted(user.roles))]


def effective_roles(call: Call) -> list[Json]:
    """GET users/{id}/role-mappings/realm/composite."""
    call.require("view-users", "manage-users")
    return [role_answer(role) for role in _of_realm(call.realm.effective(call.user().roles))]


def effective_client_roles(call: Call) -> list[Json]:
    """GET users/{id}/role-mappings/clients/{client}/composite."""
    call.require("view-users", "manage-users")
    roles = call.realm.effective(call.user().roles)
    return [role_answer(role) for role in roles if role.client == call.names["client"]]


def map_roles(call: Call) -> None:
    """POST users/{id}/role-mappings/realm; a role that is mapped already stays."""
    call.require("manage-users")
    user = call.user()
    user.roles |= {role.id for role in _named_roles(call)}
    call.record("CREATE", "REALM_ROLE_MAPPING", f"users/{user.id}/role-mappings/realm")


def unmap_roles(call: Call) -> None:
    """DELETE users/{id}/role-mappings/realm; a role that is not mapped is no error."""
    call.require("manage-users")
    user = call.user()
    user.roles -= {role.id for role in _named_roles(call)}
    call.record("DELETE", "REALM_ROLE_MAPPING", f"users/{user.id}/role-mappings/realm")


def map_client_roles(call: Call) -> None:
    """POST users/{id}/role-mappings/clients/{client}."""
    call.require("manage-users")
    user = call.user()
    client = call.realm.clients.get(call.names["client"])
    if client is None:
        raise Refusal(404, error="Client not found")
    for wanted in call.body:
        if str(wanted.get("name")) not in client.roles:
            raise Refusal(404, error="Role not found")
        user.roles.add(client.roles[str(wanted["name"])].id)
    call.record("CREATE", "CLIENT_ROLE_MAPPING", f"users/{user.id}/role-mappings/clients/{client.id}")


def declared(realm: Realm, attributes: Json | None) -> dict[str, list[str]]:
    """The attributes that the realm's user profile declares; the others vanish without a word."""
    names = {one["name"] for one in realm.profile.get("attributes", ())} - _BUILT_IN
    multiple = {one["name"] for one in realm.profile.get("attributes", ()) if one.get("multivalued")}
    kept: dict[str, list[str]] = {}
    for name, values in (attributes or {}).items():
        texts = [values] if isinstance(values, str) else [str(value) for value in values]
        if name not in names or not texts:
            continue
        if len(texts) > 1 and name not in multiple:
            text = "error-invalid-multivalued-size"
            raise Refusal(400, field=name, errorMessage=text, params=[name, 0, 1])
        kept[name] = texts
    return kept


def _matching(call: Call) -> Iterable[User]:
    """The users that the filters of the query allow; asked by name, service accounts are found as well."""
    realm, query = call.realm, call.query
    is_exact = call.is_asked("exact")
    if is_exact and "username" in query:
        found = realm.users.get(realm.names.get(query["username"].lower(), ""))
        return () if found is None else (found,)
    users: Iterable[User] = realm.people()
    if "username" in query:
        part = query["username"].lower()
        users = (realm.users[realm.names[name]] for name in sorted(realm.names) if part in name)
    if "email" in query:
        part = query["email"].lower()
        users = (u for u in users if (u.email == part if is_exact else part in (u.email or "")))
    if "search" in query:
        part = query["search"].lower()
        users = (u for u in users if any(part in (t or "").lower() for t in _searchable(u)))
    for condition in query.get("q", "").split():
        users = _with_attribute(users, *condition.split(":", 1))
    return users


def _searchable(user: User) -> tuple[str | None, ...]:
    return (user.username, user.email, user.first_name, user.last_name)


def _with_attribute(users: Iterable[User], name: str, value: str = "") -> list[User]:
    return [user for user in users if value in user.attributes.get(name, ())]


def _of_realm(roles: Iterable[Role]) -> list[Role]:
    return [role for role in roles if not role.client]


def _named_roles(call: Call) -> list[Role]:
    """The roles of the body; id and name must both be right."""
    found: list[Role] = []
    for wanted in call.body:
        role = call.realm.roles.get(str(wanted.get("name")))
        if role is None or role.id != wanted.get("id"):
            raise Refusal(404, error="Role not found")
        found.append(role)
    return found


def _check_name(name: str) -> None:
    shortest, longest = _NAME_LENGTHS
    if not shortest <= len(name) <= longest:
        params = ["username", shortest, longest]
        raise Refusal(400, field="username", errorMessage="error-invalid-length", params=params)


def _checked_email(body: Json) -> str | None:
    if body.get("email") is None:
        return None
    email = str(body["email"]).lower()
    if email and not _EMAIL.fullmatch(email):
        raise Refusal(400, field="email", errorMessage="error-invalid-email", params=["email", email])
    return email


def _set_password(user: User, given: list[Json] | None) -> None:
    for credential in given or ():
        if credential.get("type") == "password":
            user.password = str(credential.get("value", ""))


_USER = "/users/{user}"
ROUTES = (
    ("GET", "/users", list_users),
    ("POST", "/users", create_user),
    ("GET", "/users/count", count_users),
    ("GET", _USER, get_user),
    ("PUT", _USER, update_user),
    ("DELETE", _USER, delete_user),
    ("POST", f"{_USER}/logout", log_out),
    ("GET", f"{_USER}/sessions", sessions),
    ("GET", f"{_USER}/credentials", credentials),
    ("GET", f"{_USER}/consents", consents),
    ("DELETE", f"{_USER}/consents/{{client}}", revoke_consent),
    ("GET", f"{_USER}/role-mappings/realm", mapped_roles),
    ("GET", f"{_USER}/role-mappings/realm/composite", effective_roles),
    ("POST", f"{_USER}/role-mappings/realm", map_roles),
    ("DELETE", f"{_USER}/role-mappings/realm", unmap_roles),
    ("POST", f"{_USER}/role-mappings/clients/{{client}}", map_client_roles),
    ("GET", f"{_USER}/role-mappings/clients/{{client}}/composite", effective_client_roles),
)
