"""The admin calls on clients: their settings, secret, protocol mappers, scopes and service account.

PUT alters what it names: attributes are laid over the ones there, an empty one is removed; who becomes
public loses the secret, who stops being it gets a new one; mappers are replaced where they are given, scopes
left alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.keycloak.answers import Created, Refusal, client_answer, user_answer
from lab.keycloak.client_checks import check
from lab.keycloak.client_parts import mapper_kept
from lab.keycloak.model import SERVICE_SCOPE
from lab.keycloak.representations import CLIENT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.keycloak.call import Call
    from lab.keycloak.things import Client

__all__ = ["ROUTES"]

Json = dict[str, Any]
_APART = frozenset(
    {
        "id",
        "clientId",
        "secret",
        "attributes",
        "protocolMappers",
        "defaultClientScopes",
        "optionalClientScopes",
        "access",
    }
)
_SEERS = ("view-clients", "manage-clients")
_CREATION_TIME = "client.secret.creation.time"


def list_clients(call: Call) -> list[Json]:
    """GET clients, by `clientId` where given. Who may only query sees none."""
    call.require(*_SEERS, "query-clients")
    if "q" in call.query:
        names = sorted(one.partition(":")[0] for one in call.query["q"].split())
        text = f"Attributes [{', '.join(names)}] not allowed for search"
        raise Refusal(400, error="invalid_request", error_description=text)
    seen = () if call.rights.isdisjoint(_SEERS) else call.realm.clients.values()
    clients: Iterable[Client] = sorted(seen, key=lambda one: one.client_id)
    wanted = call.query.get("clientId")
    if wanted is not None and call.is_asked("search"):
        clients = [one for one in clients if wanted.lower() in one.client_id.lower()]
    elif wanted is not None:
        clients = [one for one in clients if one.client_id == wanted]
    return [_answer(call, one) for one in call.paged(clients, None)]


def create_client(call: Call) -> Created:
    """POST clients, with its service account where one is wanted; it is named by its id where by nothing."""
    call.require("manage-clients")
    realm, body = call.realm, call.given(CLIENT)
    if "clientId" in body and not body["clientId"].strip():
        raise Refusal(400, error="invalid_input", error_description="Client ID cannot be blank")
    check(body)
    if "clientId" in body and realm.client_named(body["clientId"]) is not None:
        raise Refusal(409, errorMessage=f"Client {body['clientId']} already exists")
    client = call.keycloak.new_client(realm, "")
    client.client_id = body.get("clientId", client.id)
    client.settings["publicClient"], client.secret = False, body.get("secret", "")
    for field, name in (
        ("default_scopes", "defaultClientScopes"),
        ("optional_scopes", "optionalClientScopes"),
    ):
        if name in body:
            setattr(client, field, [scope for scope in body[name] if scope in realm.scopes])
    _apply(call, client, body)
    call.record("CREATE", "CLIENT", f"clients/{client.id}", of=call.body)
    return Created(f"clients/{client.id}")


def get_client(call: Call) -> Json:
    """GET clients/{id}."""
    client = call.client()
    call.require(*_SEERS)
    return _answer(call, client)


def update_client(call: Call) -> None:
    """PUT clients/{id}."""
    client = call.client()
    call.require("manage-clients")
    body = call.given(CLIENT)
    check(body)
    name = body.get("clientId", client.client_id)
    if _is_taken(call, name, client):
        raise Refusal(409, error="conflict", error_description="Duplicate resource error")
    client.client_id = name
    if "secret" in body and body["secret"] != client.secret:
        client.secret = body["secret"]
    _apply(call, client, body)
    call.record("UPDATE", "CLIENT", f"clients/{client.id}", of=call.body)


def delete_client(call: Call) -> None:
    """DELETE clients/{id}; those that the realm cannot do without stay."""
    client = call.client()
    call.require("manage-clients")
    if client.client_id == "realm-management" or client.client_id.endswith("-realm"):
        raise Refusal(403, error="HTTP 403 Forbidden")
    call.realm.drop_client(client)
    call.record("DELETE", "CLIENT", f"clients/{client.id}")


def get_secret(call: Call) -> Json:
    """GET clients/{id}/client-secret."""
    client = call.client()
    call.require(*_SEERS)
    return {"type": "secret", **({"value": client.secret} if client.secret else {})}


def new_secret(call: Call) -> Json:
    """POST clients/{id}/client-secret: another one."""
    client = call.client()
    call.require("manage-clients")
    _make_secret(call, client)
    call.record("ACTION", "CLIENT", f"clients/{client.id}/client-secret")
    return {"type": "secret", "value": client.secret}


def service_account(call: Call) -> Json:
    """GET clients/{id}/service-account-user."""
    client = call.client()
    call.require(*_SEERS)
    users = (one for one in call.realm.users.values() if one.service_account_of == client.id)
    user = next(users, None)
    if user is None:
        raise Refusal(400, error=f"Service account not enabled for the client '{client.client_id}'")
    answer = user_answer(user, call.realm)
    return {name: value for name, value in answer.items() if name != "access"}


def _answer(call: Call, client: Client) -> Json:
    is_mine = "manage-clients" in call.rights and client.client_id != "realm-management"
    return client_answer(client, call.realm, mine=is_mine)


def _is_taken(call: Call, name: str, client: Client) -> bool:
    other = call.realm.client_named(name)
    return other is not None and other is not client


def _apply(call: Call, client: Client, body: Json) -> None:
    """Lay settings and attributes of the body over the client's own, and draw what follows from them."""
    if "protocolMappers" in body:
        client.mappers = _mappers(call, client, body["protocolMappers"])
    client.settings |= {name: value for name, value in body.items() if name not in _APART}
    merged = client.attributes | body.get("attributes", {})
    client.attributes = {name: text for name, text in merged.items() if text}
    if client.settings["publicClient"] or client.settings["bearerOnly"]:
        client.secret = ""
    elif not client.secret:
        _make_secret(call, client)
    wants_account = client.settings["serviceAccountsEnabled"]
    accounts = [one for one in call.realm.users.values() if one.service_account_of == client.id]
    if wants_account and not accounts:
        call.keycloak.new_service_account(call.realm, client)
    for account in accounts:
        if not wants_account:
            call.realm.drop_user(account)
            client.default_scopes = [one for one in client.default_scopes if one != SERVICE_SCOPE]


def _mappers(call: Call, client: Client, given: list[Json]) -> dict[str, Json]:
    """These mappers and no others; one of a name that is there keeps its id."""
    held = {mapper["name"]: mapper["id"] for mapper in client.mappers.values()}
    found: dict[str, Json] = {}
    for mapper in given:
        made = held.get(mapper.get("name")) or call.keycloak.new_id()
        found[made] = mapper_kept(made, mapper)
    return found


def _make_secret(call: Call, client: Client) -> None:
    client.secret = call.keycloak.new_id().replace("-", "")
    client.attributes[_CREATION_TIME] = str(int(call.keycloak.clock()))


_CLIENT = "/clients/{client}"
ROUTES = (
    ("GET", "/clients", list_clients),
    ("POST", "/clients", create_client),
    ("GET", _CLIENT, get_client),
    ("PUT", _CLIENT, update_client),
    ("DELETE", _CLIENT, delete_client),
    ("GET", f"{_CLIENT}/client-secret", get_secret),
    ("POST", f"{_CLIENT}/client-secret", new_secret),
    ("GET", f"{_CLIENT}/service-account-user", service_account),
)
