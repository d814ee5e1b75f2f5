"""The admin calls on accounts.

What the server does without being asked is done here too: names and e-mail addresses are stored in lower
case, attributes that the user profile does not declare are dropped without a word, PUT with attributes
replaces names and e-mail as well, unknown required actions vanish, default ones are added.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.keycloak.answers import Created, Refusal, user_answer
from lab.keycloak.call import DEFAULT_PAGE
from lab.keycloak.profile import check
from lab.keycloak.representations import USER
from lab.keycloak.shapes import server_error
from lab.keycloak.things import User
from lab.keycloak.user_search import matching

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.keycloak.call import Call
    from lab.keycloak.model import Realm

__all__ = ["ROUTES", "filled", "known_groups"]

Json = dict[str, Any]
_SEERS = ("view-users", "manage-users")


def list_users(call: Call) -> list[Json]:
    """GET users. Who may only query sees nobody, and no error."""
    call.require(*_SEERS, "query-users")
    found = matching(call) if not call.rights.isdisjoint(_SEERS) else ()
    brief = call.is_asked("briefRepresentation")
    return [user_answer(user, call.realm, brief=brief) for user in call.paged(found, DEFAULT_PAGE)]


def count_users(call: Call) -> int:
    """GET users/count, also for those who may not see them; service accounts are not counted."""
    call.require(*_SEERS, "query-users")
    return sum(1 for _ in matching(call))


def create_user(call: Call) -> Created:
    """POST users: the user gets the default role and the default required actions."""
    call.require("manage-users")
    realm, body = call.realm, call.given(USER)
    name, email = body.get("username", "").lower(), body.get("email", "").lower() or None
    if not name:
        raise Refusal(400, errorMessage="User name is missing")
    if name in realm.names:
        raise Refusal(409, errorMessage="User exists with same username")
    if email and email in realm.emails:
        raise Refusal(409, errorMessage="User exists with same email")
    user = filled(User(call.keycloak.new_id(), name, call.keycloak.now_ms(), email), body)
    user.attributes = realm.declared(body.get("attributes", {}))
    check(realm, {"username": [name]} | _values(user) | user.attributes)
    user.required_actions = _known_actions(realm, body.get("requiredActions", ()))
    defaults = [one["alias"] for one in realm.required_actions if one["enabled"] and one["defaultAction"]]
    user.required_actions = sorted({*user.required_actions, *defaults})
    user.groups = known_groups(realm, body.get("groups", ()))
    user.roles.add(realm.default_role.id)
    realm.add_user(user)
    call.record("CREATE", "USER", f"users/{user.id}", of=_without_secrets(call.body))
    return Created(f"users/{user.id}")


def get_user(call: Call) -> Json:
    """GET users/{id}."""
    user = call.user()
    call.require(*_SEERS)
    return user_answer(user, call.realm, one=True)


def update_user(call: Call) -> None:
    """PUT users/{id}: attributes given replace all, and wipe names and e-mail that are not given."""
    user, realm = call.user(), call.realm
    call.require("manage-users")
    body = call.given(USER)
    if body.get("username", user.username).lower() != user.username:
        text = "error-user-attribute-read-only"
        raise Refusal(400, field="username", errorMessage=text, params=["username"])
    replaces = "attributes" in body
    email = body["email"].lower() if "email" in body else None
    if email and realm.emails.get(email, user.id) != user.id:
        raise Refusal(409, errorMessage="User exists with same email")
    attributes = realm.declared(body["attributes"]) if replaces else user.attributes
    kept = {} if replaces else _values(user)
    given = {key: [body[key]] for key in ("firstName", "lastName", "email") if body.get(key)}
    check(realm, kept | given | attributes)
    user.attributes = attributes
    if email is not None or replaces:
        realm.set_email(user, email or None)
    for field, name in (("first_name", "firstName"), ("last_name", "lastName")):
        if name in body or replaces:
            setattr(user, field, body.get(name) or None)
    user.enabled = body.get("enabled", user.enabled)
    user.email_verified = body.get("emailVerified", user.email_verified)
    if "requiredActions" in body:
        user.required_actions = _known_actions(realm, body["requiredActions"])
    _take_password(user, body)
    call.record("UPDATE", "USER", f"users/{user.id}", of=_without_secrets(call.body))


def delete_user(call: Call) -> None:
    """DELETE users/{id}."""
    user = call.user()
    call.require("manage-users")
    call.realm.drop_user(user)
    call.record("DELETE", "USER", f"users/{user.id}", of={"id": user.id, "username": user.username})


def credentials(call: Call) -> list[Json]:
    """GET users/{id}/credentials: kinds alone, no secrets."""
    user = call.user()
    call.require(*_SEERS)
    kinds = [kind for kind, there in (("password", bool(user.password)), ("otp", user.has_otp)) if there]
    return [{"id": f"{user.id}-{kind}", "type": kind, "createdDate": user.created_ms} for kind in kinds]


def filled(user: User, body: Json) -> User:
    """The user with names, flags and password of the body."""
    user.first_name, user.last_name = body.get("firstName"), body.get("lastName")
    user.enabled, user.email_verified = body.get("enabled", False), body.get("emailVerified", False)
    _take_password(user, body)
    return user


def _take_password(user: User, body: Json) -> None:
    for credential in body.get("credentials", ()):
        if credential.get("type") == "password":
            user.password = str(credential.get("value", ""))


def known_groups(realm: Realm, paths: Iterable[str]) -> set[str]:
    """The ids of the groups at these paths. Raises `Refusal` 500 where there is none: the server stumbles."""
    found = [realm.group_at(path) for path in paths]
    if None in found:
        raise server_error()
    return {group.id for group in found if group is not None}


def _known_actions(realm: Realm, actions: Iterable[str]) -> list[str]:
    known = {one["alias"] for one in realm.required_actions}
    return sorted(known.intersection(actions))


def _values(user: User) -> dict[str, list[str]]:
    """What the profile checks beside the attributes; the name, which nobody can alter, is checked once."""
    texts = {
        "email": user.email,
        "firstName": user.first_name,
        "lastName": user.last_name,
    }
    return {name: [text] for name, text in texts.items() if text}


def _without_secrets(body: Json) -> Json:
    return {name: value for name, value in body.items() if name != "credentials"}


_USER = "/users/{user}"
ROUTES = (
    ("GET", "/users", list_users),
    ("POST", "/users", create_user),
    ("GET", "/users/count", count_users),
    ("GET", _USER, get_user),
    ("PUT", _USER, update_user),
    ("DELETE", _USER, delete_user),
    ("GET", f"{_USER}/credentials", credentials),
)
