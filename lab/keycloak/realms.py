"""The admin calls on a realm as a whole: settings, user profile, bulk import, recorded writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.keycloak.answers import Refusal, event_answer, realm_answer
from lab.keycloak.model import User
from lab.keycloak.users import DEFAULT_PAGE, declared

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.keycloak.call import Call

__all__ = ["ROUTES"]

Json = dict[str, Any]
_READ_ONLY = frozenset({"id", "realm", "defaultRole", "attributes"})


def get_realm(call: Call) -> Json:
    """GET the realm: whole for those who may view it, little for others with any right."""
    if not call.rights:
        raise Refusal(403, error="HTTP 403 Forbidden")
    return realm_answer(call.realm, whole=not call.rights.isdisjoint({"view-realm", "manage-realm"}))


def update_realm(call: Call) -> None:
    """PUT the realm: settings not given stay, attributes given replace all of them."""
    call.require("manage-realm")
    given = {name: value for name, value in call.body.items() if value is not None}
    call.realm.settings |= {name: value for name, value in given.items() if name not in _READ_ONLY}
    if "attributes" in given:
        call.realm.attributes = dict(given["attributes"])
    call.record("UPDATE", "REALM", "")


def delete_realm(call: Call) -> None:
    """DELETE the realm."""
    call.require("manage-realm")
    if call.realm.name == "master":
        raise Refusal(400, errorMessage="Can't delete the master realm")
    call.keycloak.delete_realm(call.realm)


def get_profile(call: Call) -> Json:
    """GET users/profile."""
    call.require("view-realm", "manage-realm", "view-users", "manage-users", "query-users")
    return call.realm.profile


def put_profile(call: Call) -> Json:
    """PUT users/profile: replaced as a whole."""
    call.require("manage-realm")
    call.realm.profile = dict(call.body)
    call.record("UPDATE", "USER_PROFILE", "users/profile")
    return call.realm.profile


def partial_import(call: Call) -> Json:
    """POST partialImport of users: all or none.

    Unlike POST users it checks neither length nor e-mail, gives no default role, and makes up roles that do
    not exist. A doubled e-mail is told as a doubled user name.
    """
    call.require("manage-realm")
    policy = call.body.get("ifResourceExists", "FAIL")
    if policy == "OVERWRITE":
        raise Refusal(501, error="the lab does not overwrite users: nobody should")
    new = [_imported(call, body) for body in call.body.get("users") or ()]
    fresh: list[tuple[str, User]] = []
    results: list[Json] = []
    for given, user in new:
        at = call.realm.names.get(user.username) or call.realm.emails.get(user.email or "")
        if at is None:
            fresh.append((given, user))
        elif policy == "SKIP":
            results.append(_result("SKIPPED", given, at))
        else:
            raise Refusal(409, errorMessage=f"User with user name {given} already exists.")
    names = [user.username for _, user in fresh]
    emails = [user.email for _, user in fresh if user.email]
    if len(set(names)) < len(names) or len(set(emails)) < len(emails):
        raise Refusal(409, errorMessage="Duplicate resource error")
    by_name = {str(body.get("username")): body for body in call.body.get("users") or ()}
    for given, user in fresh:
        _give_roles(call, user, by_name[given].get("realmRoles") or ())
        call.realm.add_user(user)
        call.record("CREATE", "REALM", f"users/{user.id}")
        results.append(_result("ADDED", given, user.id))
    skipped = len(results) - len(fresh)
    return {"overwritten": 0, "added": len(fresh), "skipped": skipped, "results": results}


def admin_events(call: Call) -> list[Json]:
    """GET admin-events, the latest first."""
    call.require("view-events", "manage-events")
    events = call.paged(call.realm.events, DEFAULT_PAGE)
    return [event_answer(event, call.keycloak, call.realm) for event in events]


def clear_admin_events(call: Call) -> None:
    """DELETE admin-events."""
    call.require("manage-events")
    call.realm.events.clear()


def _imported(call: Call, body: Json) -> tuple[str, User]:
    given = body.get("username")
    if not given:
        description = "For more on this error consult the server log."
        raise Refusal(500, error="unknown_error", error_description=description)
    email = str(body.get("email") or "").lower() or None
    user = User(call.keycloak.new_id(), str(given).lower(), call.keycloak.now_ms(), email)
    user.first_name, user.last_name = body.get("firstName"), body.get("lastName")
    user.enabled = bool(body.get("enabled", False))
    user.email_verified = bool(body.get("emailVerified", False))
    user.attributes = declared(call.realm, body.get("attributes"))
    user.required_actions = list(body.get("requiredActions") or ())
    return str(given), user


def _give_roles(call: Call, user: User, names: Iterable[str]) -> None:
    for name in names:
        role = call.realm.roles.get(name) or call.keycloak.new_role(call.realm, name)
        user.roles.add(role.id)


def _result(action: str, name: str, user_id: str) -> Json:
    return {"action": action, "resourceType": "USER", "resourceName": name, "id": user_id}


ROUTES = (
    ("GET", "", get_realm),
    ("PUT", "", update_realm),
    ("DELETE", "", delete_realm),
    ("GET", "/users/profile", get_profile),
    ("PUT", "/users/profile", put_profile),
    ("POST", "/partialImport", partial_import),
    ("GET", "/admin-events", admin_events),
    ("DELETE", "/admin-events", clear_admin_events),
)
