"""The admin calls on what clients are made of: their roles, protocol mappers and client scopes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.keycloak.answers import Created, Refusal, group_answer, role_answer, user_answer
from lab.keycloak.built_in import DEFAULT_SCOPES, OPTIONAL_SCOPES
from lab.keycloak.call import DEFAULT_PAGE
from lab.keycloak.representations import MAPPER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.keycloak.call import Call
    from lab.keycloak.things import Role

__all__ = ["ROUTES", "mapper_kept"]

Json = dict[str, Any]
_SEERS = ("view-clients", "manage-clients")
_MAPPERS = frozenset(
    [
        "oidc-usermodel-realm-role-mapper",
        "oidc-usermodel-client-role-mapper",
        "oidc-usermodel-attribute-mapper",
        "oidc-usermodel-property-mapper",
        "oidc-full-name-mapper",
        "oidc-address-mapper",
        "oidc-audience-mapper",
        "oidc-audience-resolve-mapper",
        "oidc-hardcoded-claim-mapper",
        "oidc-hardcoded-role-mapper",
        "oidc-group-membership-mapper",
        "oidc-usersessionmodel-note-mapper",
        "oidc-role-name-mapper",
        "oidc-sub-mapper",
        "oidc-amr-mapper",
        "oidc-acr-mapper",
        "oidc-allowed-origins-mapper",
        "oidc-sha256-pairwise-sub-mapper",
        "oidc-claims-param-token-mapper",
        "oidc-nonce-backwards-compatible-mapper",
        "oidc-session-state-mapper",
        "oidc-organization-membership-mapper",
    ]
)


def client_roles(call: Call) -> list[Json]:
    """GET clients/{id}/roles."""
    client = call.client()
    call.require(*_SEERS)
    roles = sorted(client.roles.values(), key=lambda role: role.name)
    return [role_answer(role) for role in call.paged(roles, None)]


def client_role(call: Call) -> Json:
    """GET clients/{id}/roles/{name}."""
    call.require(*_SEERS)
    return role_answer(_role(call), brief=False)


def client_role_composites(call: Call) -> list[Json]:
    """GET clients/{id}/roles/{name}/composites."""
    call.require(*_SEERS)
    return [role_answer(call.realm.roles_by_id[one]) for one in sorted(_role(call).composites)]


def client_role_members(call: Call) -> list[Json]:
    """GET clients/{id}/roles/{name}/users: those who have it directly."""
    call.require(*_SEERS)
    role, realm = _role(call), call.realm
    holders = sorted((u for u in realm.users.values() if role.id in u.roles), key=lambda u: u.username)
    brief = call.is_asked("briefRepresentation")
    return [user_answer(user, realm, brief=brief) for user in call.paged(holders, DEFAULT_PAGE)]


def client_role_groups(call: Call) -> list[Json]:
    """GET clients/{id}/roles/{name}/groups: those that it is mapped to directly."""
    call.require(*_SEERS)
    role, realm = _role(call), call.realm
    found = sorted((one for one in realm.groups.values() if role.id in one.roles), key=lambda one: one.name)
    brief = call.is_asked("briefRepresentation", default=True)
    return [group_answer(one, realm, brief=brief, bare=True) for one in call.paged(found, DEFAULT_PAGE)]


def list_mappers(call: Call) -> list[Json]:
    """GET clients/{id}/protocol-mappers/models."""
    client = call.client()
    call.require(*_SEERS)
    return [_shown(mapper) for mapper in client.mappers.values()]


def get_mapper(call: Call) -> Json:
    """GET clients/{id}/protocol-mappers/models/{mapper}."""
    call.client()
    call.require(*_SEERS)
    return _shown(_mapper(call))


def create_mapper(call: Call) -> Created:
    """POST clients/{id}/protocol-mappers/models."""
    client = call.client()
    call.require("manage-clients")
    body = call.given(MAPPER)
    if body.get("protocolMapper") not in _MAPPERS:
        raise Refusal(404, error="ProtocolMapper provider not found")
    if not body.get("name"):
        raise Refusal(409, error="conflict", error_description="Duplicate resource error")
    if any(one["name"] == body["name"] for one in client.mappers.values()):
        raise Refusal(409, errorMessage="Protocol mapper exists with same name")
    made = call.keycloak.new_id()
    client.mappers[made] = mapper_kept(made, body)
    path = f"clients/{client.id}/protocol-mappers/models/{made}"
    call.record("CREATE", "PROTOCOL_MAPPER", path, of=call.body)
    return Created(path)


def update_mapper(call: Call) -> None:
    """PUT clients/{id}/protocol-mappers/models/{mapper}: replaced."""
    client = call.client()
    call.require("manage-clients")
    mapper, body = _mapper(call), call.given(MAPPER)
    mapper |= mapper_kept(mapper["id"], body)
    path = f"clients/{client.id}/protocol-mappers/models/{mapper['id']}"
    call.record("UPDATE", "PROTOCOL_MAPPER", path, of=call.body)


def delete_mapper(call: Call) -> None:
    """DELETE clients/{id}/protocol-mappers/models/{mapper}."""
    client = call.client()
    call.require("manage-clients")
    mapper = _mapper(call)
    del client.mappers[mapper["id"]]
    call.record("DELETE", "PROTOCOL_MAPPER", f"clients/{client.id}/protocol-mappers/models/{mapper['id']}")


def list_scopes(call: Call) -> list[Json]:
    """GET client-scopes."""
    call.require(*_SEERS, "query-clients")
    return [] if call.rights.isdisjoint(_SEERS) else list(call.realm.scopes.values())


def default_scopes(call: Call) -> list[Json]:
    """GET default-default-client-scopes: what a new client gets."""
    return _brief_scopes(call, DEFAULT_SCOPES)


def optional_scopes(call: Call) -> list[Json]:
    """GET default-optional-client-scopes."""
    return _brief_scopes(call, OPTIONAL_SCOPES)


def scopes_of_client(call: Call) -> list[Json]:
    """GET clients/{id}/default-client-scopes and …/optional-client-scopes."""
    client = call.client()
    call.require(*_SEERS)
    names = client.default_scopes if call.names["kind"] == "default" else client.optional_scopes
    return [{"id": call.realm.scopes[name]["id"], "name": name} for name in names]


def add_scope(call: Call) -> None:
    """PUT clients/{id}/{default|optional}-client-scopes/{scope}; one that the client has already stays."""
    client = call.client()
    call.require("manage-clients")
    name = _scope(call)
    if name not in (*client.default_scopes, *client.optional_scopes):
        (client.default_scopes if call.names["kind"] == "default" else client.optional_scopes).append(name)
    _record_scope(call, "CREATE")


def remove_scope(call: Call) -> None:
    """DELETE clients/{id}/{default|optional}-client-scopes/{scope}."""
    client = call.client()
    call.require("manage-clients")
    name = _scope(call)
    client.default_scopes = [one for one in client.default_scopes if one != name]
    client.optional_scopes = [one for one in client.optional_scopes if one != name]
    _record_scope(call, "DELETE")


def _record_scope(call: Call, operation: str) -> None:
    path = f"clients/{call.names['client']}/{call.names['kind']}-client-scopes/{call.names['scope']}"
    call.record(operation, "CLIENT_SCOPE_CLIENT_MAPPING", path)


def _role(call: Call) -> Role:
    found = call.client().roles.get(call.names["client_role"])
    if found is None:
        raise Refusal(404, error="Could not find role")
    return found


def _mapper(call: Call) -> Json:
    found = call.client().mappers.get(call.names["mapper"])
    if found is None:
        raise Refusal(404, error="Model not found")
    return found


def mapper_kept(identity: str, body: Json) -> Json:
    """The mapper as the realm keeps it: what is in the ID token is told about the user too."""
    config = _following(body.get("config", {}), "userinfo.token.claim", "id.token.claim")
    return {"consentRequired": False, **body, "id": identity, "config": config}


def _shown(mapper: Json) -> Json:
    """By itself it tells more than as a part of its client: what is in access tokens is looked up too."""
    config = _following(mapper["config"], "introspection.token.claim", "access.token.claim")
    return mapper | {"config": config}


def _following(config: Json, name: str, other: str) -> Json:
    """Where a setting is not given, it is that of another one; what is empty is not kept."""
    derived = {name: config[other]} if config.get(other) else {}
    return derived | {key: text for key, text in config.items() if text}


def _brief_scopes(call: Call, names: Iterable[str]) -> list[Json]:
    call.require(*_SEERS)
    scopes = (call.realm.scopes[name] for name in names)
    return [{key: scope[key] for key in ("id", "name", "protocol")} for scope in scopes]


def _scope(call: Call) -> str:
    wanted = call.names["scope"]
    found = next((one["name"] for one in call.realm.scopes.values() if one["id"] == wanted), None)
    if found is None:
        raise Refusal(404, error="Client scope not found")
    return str(found)


_CLIENT = "/clients/{client}"
_MODELS = f"{_CLIENT}/protocol-mappers/models"
_OF_CLIENT = f"{_CLIENT}/{{kind:default|optional}}-client-scopes"
ROUTES = (
    ("GET", f"{_CLIENT}/roles", client_roles),
    ("GET", f"{_CLIENT}/roles/{{client_role}}", client_role),
    ("GET", f"{_CLIENT}/roles/{{client_role}}/composites", client_role_composites),
    ("GET", f"{_CLIENT}/roles/{{client_role}}/users", client_role_members),
    ("GET", f"{_CLIENT}/roles/{{client_role}}/groups", client_role_groups),
    ("GET", _MODELS, list_mappers),
    ("POST", _MODELS, create_mapper),
    ("GET", f"{_MODELS}/{{mapper}}", get_mapper),
    ("PUT", f"{_MODELS}/{{mapper}}", update_mapper),
    ("DELETE", f"{_MODELS}/{{mapper}}", delete_mapper),
    ("GET", "/client-scopes", list_scopes),
    ("GET", "/default-default-client-scopes", default_scopes),
    ("GET", "/default-optional-client-scopes", optional_scopes),
    ("GET", _OF_CLIENT, scopes_of_client),
    ("PUT", f"{_OF_CLIENT}/{{scope}}", add_scope),
    ("DELETE", f"{_OF_CLIENT}/{{scope}}", remove_scope),
)
