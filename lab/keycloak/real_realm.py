"""The lab's seeded realm for a real Keycloak: as a realm representation, and made by one request.

Source: RealmRepresentation, UserRepresentation and CredentialRepresentation of
https://www.keycloak.org/docs-api/latest/rest-api/ ; hashes and second factors as a realm export has them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

from lab.errors import LabError
from lab.keycloak.defaults import REALM_SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.keycloak.model import Realm
    from lab.keycloak.real import RunningKeycloak
    from lab.keycloak.things import Client, Role, User

__all__ = ["create_realm", "representation"]

Json = dict[str, Any]
_REQUEST_SECONDS = 120
_SAID = 400
_HASH_ROUNDS = 1  # throw-away passwords; the server hashes anew at the first login


def create_realm(server: RunningKeycloak, realm: Json) -> None:
    """Make a realm as a representation says, in one request. Raises `LabError`."""
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}),
        urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=str(server.ca_file))),
    )
    form = {
        "grant_type": "password",
        "client_id": "admin-cli",
        "username": server.username,
        "password": server.password,
    }
    tokens = f"{server.url}/realms/master/protocol/openid-connect/token"
    answer = _sent(opener, urllib.request.Request(tokens, urllib.parse.urlencode(form).encode()))  # noqa: S310
    headers = {
        "Authorization": f"Bearer {json.loads(answer)['access_token']}",
        "Content-Type": "application/json",
    }
    address = f"{server.url}/admin/realms"
    _sent(opener, urllib.request.Request(address, json.dumps(realm).encode(), headers))  # noqa: S310


def _sent(opener: urllib.request.OpenerDirector, request: urllib.request.Request) -> bytes:
    try:
        with opener.open(request, timeout=_REQUEST_SECONDS) as answer:
            content: bytes = answer.read()
    except urllib.error.HTTPError as error:
        with error:
            said = error.read().decode(errors="replace")[:_SAID]
        raise LabError(f"{request.full_url} answered {error.code}: {said}") from error
    except OSError as error:
        raise LabError(f"{request.full_url} does not answer: {error}") from error
    return content


def representation(realm: Realm) -> Json:
    """The realm as `POST /admin/realms` takes it: roles, accounts with their credentials, service accounts.

    Settings are those that differ from a new realm's; roles and clients that every realm has are left out.
    """
    names = {one.id: one.name for one in realm.roles.values()}
    clients = [client for client in realm.clients.values() if client.secret]
    return {
        "realm": realm.name,
        **{name: value for name, value in realm.settings.items() if REALM_SETTINGS.get(name) != value},
        "roles": {"realm": [_role(role, names) for role in _own_roles(realm)]},
        "clients": [_client(client) for client in clients],
        "users": [_user(user, realm, names) for user in realm.users.values()],
    }


def _own_roles(realm: Realm) -> Iterable[Role]:
    given = {realm.default_role.id, *realm.default_role.composites}
    return (role for role in realm.roles.values() if role.id not in given)


def _role(role: Role, names: dict[str, str]) -> Json:
    included = sorted(names[one] for one in role.composites)
    return {"name": role.name, "description": role.description, "composites": {"realm": included}}


def _client(client: Client) -> Json:
    return {
        "clientId": client.client_id,
        "secret": client.secret,
        "publicClient": False,
        "serviceAccountsEnabled": True,
        "standardFlowEnabled": False,
        "directAccessGrantsEnabled": False,
    }


def _user(user: User, realm: Realm, names: dict[str, str]) -> Json:
    rights: dict[str, list[str]] = {}
    for client in realm.clients.values():
        held = sorted(role.name for role in client.roles.values() if role.id in user.roles)
        if held:
            rights[client.client_id] = held
    account: Json = {
        "username": user.username,
        "enabled": user.enabled,
        "emailVerified": user.email_verified,
        "createdTimestamp": user.created_ms,
        "realmRoles": sorted(names[one] for one in user.roles if one in names),
        "clientRoles": rights,
        "requiredActions": user.required_actions,
        "credentials": _credentials(user),
    }
    texts = {"email": user.email, "firstName": user.first_name, "lastName": user.last_name}
    account |= {name: text for name, text in texts.items() if text is not None}
    if user.service_account_of:
        account["serviceAccountClientId"] = realm.clients[user.service_account_of].client_id
    return account


def _credentials(user: User) -> list[Json]:
    """The password hashed already: the server would take longer for 200 of them than for all the rest."""
    found: list[Json] = []
    if user.password:
        salt = hashlib.sha256(user.username.encode()).digest()[:16]
        digest = hashlib.pbkdf2_hmac("sha256", user.password.encode(), salt, _HASH_ROUNDS)
        secret = {"value": base64.b64encode(digest).decode(), "salt": base64.b64encode(salt).decode()}
        found.append(
            _credential("password", secret, {"algorithm": "pbkdf2-sha256", "hashIterations": _HASH_ROUNDS})
        )
    if user.has_otp:
        factor = {"subType": "totp", "algorithm": "HmacSHA1", "digits": 6, "period": 30, "counter": 0}
        seed = hashlib.sha256(f"{user.username} second factor".encode()).hexdigest()[:20]
        found.append(_credential("otp", {"value": seed}, factor))
    return found


def _credential(kind: str, secret: Json, data: Json) -> Json:
    return {"type": kind, "secretData": json.dumps(secret), "credentialData": json.dumps(data)}
