"""The admin calls on realm roles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.keycloak.answers import Created, Refusal, role_answer, user_answer
from lab.keycloak.call import DEFAULT_PAGE
from lab.keycloak.representations import ROLE
from lab.keycloak.shapes import not_json, server_error

if TYPE_CHECKING:
    from lab.keycloak.call import Call
    from lab.keycloak.things import Role

__all__ = ["ROUTES"]

Json = dict[str, Any]
_SEERS = ("view-realm", "manage-realm")
_LONGEST_NAME = 255


def list_roles(call: Call) -> list[Json]:
    """GET roles: all of them where no `max` is given."""
    call.require(*_SEERS, "manage-identity-providers")
    roles = sorted(call.realm.roles.values(), key=lambda role: role.name)
    if call.query.get("search"):
        roles = [role for role in roles if call.query["search"].lower() in role.name.lower()]
    brief = call.is_asked("briefRepresentation", default=True)
    return [role_answer(role, brief=brief) for role in call.paged(roles, None)]


def create_role(call: Call) -> Created:
    """POST roles."""
    call.require("manage-realm")
    name, body = _name(call), call.given(ROLE)
    if name in call.realm.roles:
        raise Refusal(409, errorMessage=f"Role with name {name} already exists")
    if len(name) > _LONGEST_NAME:
        raise server_error()
    role = call.keycloak.new_role(call.realm, name, body.get("description", ""))
    role.attributes = body.get("attributes", {})
    call.record("CREATE", "REALM_ROLE", f"roles/{name}", of={"id": role.id, **call.body, "composite": False})
    return Created(f"roles/{name}")


def get_role(call: Call) -> Json:
    """GET roles/{name} and roles-by-id/{id}."""
    call.require(*_SEERS)
    return role_answer(call.role(), brief=False)


def update_role(call: Call) -> None:
    """PUT roles/{name} and roles-by-id/{id}: the description is replaced, attributes where they are given."""
    call.require("manage-realm")
    role, realm = call.role(), call.realm
    name, body = _name(call), call.given(ROLE)
    if realm.roles.get(name, role) is not role:
        raise Refusal(409, error="conflict", error_description="Duplicate resource error")
    del realm.roles[role.name]
    role.name, role.description = name, body.get("description", "")
    realm.roles[name] = role
    if "attributes" in body:
        role.attributes = body["attributes"]
    call.record("UPDATE", "REALM_ROLE", _path(call, role), of=call.body)


def delete_role(call: Call) -> None:
    """DELETE roles/{name} and roles-by-id/{id}; the default role stays."""
    call.require("manage-realm")
    role = call.role()
    if role is call.realm.default_role:
        text = f"{role.name} is default role of the realm and cannot be removed."
        raise Refusal(400, errorMessage=text)
    call.realm.drop_role(role)
    call.record("DELETE", "REALM_ROLE", _path(call, role))


def members(call: Call) -> list[Json]:
    """GET roles/{name}/users: those who have it directly, by name; service accounts are among them."""
    call.require(*_SEERS)
    return _holders(call, call.role())


def composites(call: Call) -> list[Json]:
    """GET …/composites."""
    call.require(*_SEERS)
    known = call.realm.roles_by_id
    return [role_answer(known[one]) for one in sorted(call.role().composites)]


def realm_composites(call: Call) -> list[Json]:
    """GET …/composites/realm."""
    return [role for role in composites(call) if not role["clientRole"]]


def add_composites(call: Call) -> None:
    """POST …/composites."""
    call.require("manage-realm")
    role = call.role()
    role.composites |= _ids(call)
    call.record("CREATE", "REALM_ROLE", f"{_path(call, role)}/composites", of=call.body)


def remove_composites(call: Call) -> None:
    """DELETE …/composites; one that is not included is no error."""
    call.require("manage-realm")
    role = call.role()
    role.composites -= _ids(call)
    call.record("DELETE", "REALM_ROLE", f"{_path(call, role)}/composites", of=call.body)


def _holders(call: Call, role: Role) -> list[Json]:
    realm = call.realm
    found = (user for user in realm.users.values() if role.id in user.roles)
    holders = sorted(found, key=lambda user: user.username)
    brief = call.is_asked("briefRepresentation")
    return [user_answer(user, realm, brief=brief) for user in call.paged(holders, DEFAULT_PAGE)]


def _ids(call: Call) -> set[str]:
    if not isinstance(call.body, list):
        raise not_json()
    ids = {str(wanted.get("id")) for wanted in call.body}
    if not ids <= call.realm.roles_by_id.keys():
        raise Refusal(404, error="Could not find composite role")
    return ids


def _name(call: Call) -> str:
    name = str(call.given(ROLE).get("name", ""))
    if not name:
        raise Refusal(400, error="role has no name")
    return name


def _path(call: Call, role: Role) -> str:
    return f"roles/{role.name}" if "role" in call.names else f"roles-by-id/{role.id}"


_NAME, _ID = "/roles/{role}", "/roles-by-id/{role_id}"
ROUTES = (
    ("GET", "/roles", list_roles),
    ("POST", "/roles", create_role),
    ("GET", f"{_NAME}/users", members),
    *(
        (method, f"{base}{rest}", handler)
        for base in (_NAME, _ID)
        for method, rest, handler in (
            ("GET", "", get_role),
            ("PUT", "", update_role),
            ("DELETE", "", delete_role),
            ("GET", "/composites", composites),
            ("GET", "/composites/realm", realm_composites),
            ("POST", "/composites", add_composites),
            ("DELETE", "/composites", remove_composites),
        )
    ),
)
