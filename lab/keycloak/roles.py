"""The admin calls on realm roles, and the one on a client's roles that tells who may do what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.keycloak.answers import Created, Refusal, client_answer, role_answer, user_answer
from lab.keycloak.users import DEFAULT_PAGE

if TYPE_CHECKING:
    from lab.keycloak.call import Call
    from lab.keycloak.model import Client, Role

__all__ = ["ROUTES"]

Json = dict[str, Any]


def list_roles(call: Call) -> list[Json]:
    """GET roles: all of them where no `max` is given."""
    call.require("view-realm", "manage-realm")
    roles = sorted(call.realm.roles.values(), key=lambda role: role.name)
    brief = call.is_asked("briefRepresentation", default=True)
    return [role_answer(role, brief=brief) for role in call.paged(roles, None)]


def create_role(call: Call) -> Created:
    """POST roles."""
    call.require("manage-realm")
    name = str(call.body.get("name") or "")
    if not name:
        raise Refusal(400, error="role has no name")
    if name in call.realm.roles:
        raise Refusal(409, errorMessage=f"Role with name {name} already exists")
    role = call.keycloak.new_role(call.realm, name, str(call.body.get("description") or ""))
    role.attributes = dict(call.body.get("attributes") or {})
    call.record("CREATE", "REALM_ROLE", f"roles/{name}")
    return Created(f"roles/{name}")


def get_role(call: Call) -> Json:
    """GET roles/{name} and roles-by-id/{id}."""
    call.require("view-realm", "manage-realm")
    return role_answer(call.role(), brief=False)


def update_role(call: Call) -> None:
    """PUT roles/{name} and roles-by-id/{id}: the description is replaced, attributes where they are given."""
    call.require("manage-realm")
    role, realm = call.role(), call.realm
    name = str(call.body.get("name") or "")
    if not name:
        raise Refusal(400, error="role has no name")
    if realm.roles.get(name, role) is not role:
        raise Refusal(409, error="conflict", error_description="Duplicate resource error")
    del realm.roles[role.name]
    role.name, role.description = name, str(call.body.get("description") or "")
    realm.roles[name] = role
    if call.body.get("attributes") is not None:
        role.attributes = dict(call.body["attributes"])
    call.record("UPDATE", "REALM_ROLE", _path(call, role))


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
    call.require("view-realm", "manage-realm")
    return _holders(call, call.role())


def composites(call: Call) -> list[Json]:
    """GET …/composites."""
    call.require("view-realm", "manage-realm")
    known = call.realm.all_roles()
    return [role_answer(known[one]) for one in sorted(call.role().composites) if one in known]


def realm_composites(call: Call) -> list[Json]:
    """GET …/composites/realm."""
    return [role for role in composites(call) if not role["clientRole"]]


def add_composites(call: Call) -> None:
    """POST …/composites."""
    call.require("manage-realm")
    role = call.role()
    role.composites |= _ids(call)
    call.record("CREATE", "REALM_ROLE", f"{_path(call, role)}/composites")


def remove_composites(call: Call) -> None:
    """DELETE …/composites; one that is not included is no error."""
    call.require("manage-realm")
    role = call.role()
    role.composites -= _ids(call)
    call.record("DELETE", "REALM_ROLE", f"{_path(call, role)}/composites")


def list_clients(call: Call) -> list[Json]:
    """GET clients, by `clientId` where given."""
    call.require("view-clients", "manage-clients", "query-clients")
    wanted = call.query.get("clientId")
    clients = sorted(call.realm.clients.values(), key=lambda one: one.client_id)
    found = [one for one in clients if wanted in {None, one.client_id}]
    return [client_answer(one) for one in call.paged(found, None)]


def create_client(call: Call) -> Created:
    """POST clients, with its service account where one is wanted."""
    call.require("manage-clients", "create-client")
    name = str(call.body.get("clientId") or "")
    if call.realm.client_named(name) is not None:
        raise Refusal(409, errorMessage=f"Client {name} already exists")
    secret = "" if call.body.get("publicClient") else str(call.body.get("secret") or call.keycloak.new_id())
    client = call.keycloak.new_client(call.realm, name, secret=secret)
    if call.body.get("serviceAccountsEnabled"):
        call.keycloak.new_service_account(call.realm, client)
    call.record("CREATE", "CLIENT", f"clients/{client.id}")
    return Created(f"clients/{client.id}")


def client_roles(call: Call) -> list[Json]:
    """GET clients/{id}/roles."""
    call.require("view-clients", "manage-clients")
    roles = sorted(_client(call).roles.values(), key=lambda role: role.name)
    return [role_answer(role) for role in call.paged(roles, None)]


def client_role(call: Call) -> Json:
    """GET clients/{id}/roles/{name}."""
    call.require("view-clients", "manage-clients")
    return role_answer(_client_role(call), brief=False)


def client_role_members(call: Call) -> list[Json]:
    """GET clients/{id}/roles/{name}/users."""
    call.require("view-clients", "manage-clients")
    return _holders(call, _client_role(call))


def _holders(call: Call, role: Role) -> list[Json]:
    realm = call.realm
    users = (realm.users[realm.names[name]] for name in sorted(realm.names))
    holders = [user for user in users if role.id in user.roles]
    brief = call.is_asked("briefRepresentation")
    return [user_answer(user, brief=brief) for user in call.paged(holders, DEFAULT_PAGE)]


def _client(call: Call) -> Client:
    found = call.realm.clients.get(call.names["client"])
    if found is None:
        raise Refusal(404, error="Could not find client")
    return found


def _client_role(call: Call) -> Role:
    found = _client(call).roles.get(call.names["client_role"])
    if found is None:
        raise Refusal(404, error="Could not find role")
    return found


def _ids(call: Call) -> set[str]:
    ids = {str(wanted.get("id")) for wanted in call.body}
    if not ids <= set(call.realm.all_roles()):
        raise Refusal(404, error="Could not find composite role")
    return ids


def _path(call: Call, role: Role) -> str:
    return f"roles/{role.name}" if "role" in call.names else f"roles-by-id/{role.id}"


_NAME, _ID, _CLIENT = "/roles/{role}", "/roles-by-id/{role_id}", "/clients/{client}"
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
    ("GET", "/clients", list_clients),
    ("POST", "/clients", create_client),
    ("GET", f"{_CLIENT}/roles", client_roles),
    ("GET", f"{_CLIENT}/roles/{{client_role}}", client_role),
    ("GET", f"{_CLIENT}/roles/{{client_role}}/users", client_role_members),
)
