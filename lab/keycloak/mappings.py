"""The admin calls on who has which role: users and groups alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.keycloak.answers import Refusal, role_answer
from lab.keycloak.shapes import not_json
from lab.keycloak.things import Group

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.keycloak.call import Call
    from lab.keycloak.things import Role, User

__all__ = ["ROUTES"]

Json = dict[str, Any]
_SEERS = ("view-users", "manage-users")


def all_mapped(call: Call) -> Json:
    """GET …/role-mappings: by realm and by client."""
    holder = _seen(call)
    roles = [call.realm.roles_by_id[one] for one in sorted(holder.roles)]
    answer: Json = {}
    of_realm = [role_answer(role) for role in roles if not role.client]
    if of_realm:
        answer["realmMappings"] = of_realm
    for client in call.realm.clients.values():
        mine = [role_answer(role) for role in roles if role.client == client.id]
        if mine:
            shown = {"id": client.id, "client": client.client_id, "mappings": mine}
            answer.setdefault("clientMappings", {})[client.client_id] = shown
    return answer


def mapped(call: Call) -> list[Json]:
    """GET …/role-mappings/realm."""
    roles = (call.realm.roles_by_id[one] for one in sorted(_seen(call).roles))
    return [role_answer(role) for role in _of_realm(roles)]


def effective(call: Call) -> list[Json]:
    """GET …/role-mappings/realm/composite: with what roles include, and what the groups above give."""
    return [role_answer(role) for role in _of_realm(_effective(call, _seen(call)))]


def available(call: Call) -> list[Json]:
    """GET …/role-mappings/realm/available."""
    held = _seen(call).roles
    return [role_answer(role) for role in call.realm.roles.values() if role.id not in held]


def effective_of_client(call: Call) -> list[Json]:
    """GET …/role-mappings/clients/{client}/composite."""
    wanted = call.names["client"]
    return [role_answer(role) for role in _effective(call, _seen(call)) if role.client == wanted]


def map_roles(call: Call) -> None:
    """POST …/role-mappings/realm; a role that is mapped already stays."""
    holder = _altered(call)
    roles = _named_roles(call)
    holder.roles |= {role.id for role in roles}
    if roles:
        call.record("CREATE", "REALM_ROLE_MAPPING", f"{_path(call)}/realm", of=call.body)


def unmap_roles(call: Call) -> None:
    """DELETE …/role-mappings/realm: without a body all of them; one that is not mapped is no error."""
    holder = _altered(call)
    if call.body is None:
        holder.roles -= {role.id for role in call.realm.roles.values()}
    else:
        holder.roles -= {role.id for role in _named_roles(call)}
    call.record("DELETE", "REALM_ROLE_MAPPING", f"{_path(call)}/realm", of=call.body)


def map_client_roles(call: Call) -> None:
    """POST …/role-mappings/clients/{client}."""
    holder = _altered(call)
    client = call.realm.clients.get(call.names["client"])
    if client is None:
        raise Refusal(404, error="Client not found")
    for wanted in _list(call):
        if str(wanted.get("name")) not in client.roles:
            raise Refusal(404, error="Role not found")
        holder.roles.add(client.roles[str(wanted["name"])].id)
    call.record("CREATE", "CLIENT_ROLE_MAPPING", f"{_path(call)}/clients/{client.id}", of=call.body)


def _holder(call: Call) -> User | Group:
    return call.user() if "user" in call.names else call.group()


def _seen(call: Call) -> User | Group:
    holder = _holder(call)
    call.require(*_SEERS)
    return holder


def _altered(call: Call) -> User | Group:
    holder = _holder(call)
    call.require("manage-users")
    return holder


def _effective(call: Call, holder: User | Group) -> list[Role]:
    realm = call.realm
    if isinstance(holder, Group):
        above = [group.roles for group in realm.lineage(holder)]
        return realm.effective(set[str]().union(*above))
    return realm.effective(realm.held(holder))


def _of_realm(roles: Iterable[Role]) -> list[Role]:
    return [role for role in roles if not role.client]


def _list(call: Call) -> list[Json]:
    if not isinstance(call.body, list) or not all(isinstance(one, dict) for one in call.body):
        raise not_json()
    return call.body


def _named_roles(call: Call) -> list[Role]:
    """The roles of the body; id and name must both be right."""
    found: list[Role] = []
    for wanted in _list(call):
        role = call.realm.roles.get(str(wanted.get("name")))
        if role is None or role.id != wanted.get("id"):
            raise Refusal(404, error="Role not found")
        found.append(role)
    return found


def _path(call: Call) -> str:
    kind = "user" if "user" in call.names else "group"
    return f"{kind}s/{call.names[kind]}/role-mappings"


ROUTES = tuple(
    (method, f"{base}/role-mappings{rest}", handler)
    for base in ("/users/{user}", "/groups/{group}")
    for method, rest, handler in (
        ("GET", "", all_mapped),
        ("GET", "/realm", mapped),
        ("GET", "/realm/composite", effective),
        ("GET", "/realm/available", available),
        ("POST", "/realm", map_roles),
        ("DELETE", "/realm", unmap_roles),
        ("POST", "/clients/{client}", map_client_roles),
        ("GET", "/clients/{client}/composite", effective_of_client),
    )
)
