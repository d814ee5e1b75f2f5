"""The admin calls on identity providers and their mappers.

PUT replaces the whole but for a masked secret, which stays; the flow of the first login must exist.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lab.keycloak.answers import MASK, Created, Refusal
from lab.keycloak.representations import IDENTITY_PROVIDER, PROVIDER_MAPPER
from lab.keycloak.shapes import server_error

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.keycloak.call import Call

__all__ = ["ROUTES"]

Json = dict[str, Any]
_SEERS = ("view-identity-providers", "manage-identity-providers")
_ORDER = tuple(IDENTITY_PROVIDER.fields)
_SHOWN_FIRST = ("alias", "displayName", "internalId", "providerId", "enabled")
_OIDC_TYPES = [
    "USER_AUTHENTICATION",
    "CLIENT_ASSERTION",
    "TRUST_MATERIAL",
    "EXCHANGE_EXTERNAL_TOKEN",
    "JWT_AUTHORIZATION_GRANT",
]
_TYPES = {
    "oidc": _OIDC_TYPES,
    "keycloak-oidc": _OIDC_TYPES,
    **{
        key: []
        for key in [
            "google",
            "github",
            "gitlab",
            "microsoft",
            "facebook",
            "twitter",
            "linkedin-openid-connect",
            "bitbucket",
            "stackoverflow",
            "paypal",
            "instagram",
            "openshift-v4",
            "saml",
            "oauth2",
        ]
    },
}
_ISSUERS = {"google": "https://accounts.google.com"}
_ADDRESSES = {
    "authorizationUrl": "authorization_url",
    "tokenUrl": "token_url",
    "userInfoUrl": "userinfo_url",
    "jwksUrl": "jwks_url",
    "logoutUrl": "logout_url",
}


def list_providers(call: Call) -> list[Json]:
    """GET identity-provider/instances, by alias."""
    call.require(*_SEERS)
    found: Iterable[Json] = (call.realm.providers[alias] for alias in sorted(call.realm.providers))
    if call.query.get("search"):
        part = call.query["search"].lower().strip("*")
        found = (one for one in found if one["alias"].lower().startswith(part))
    brief = call.is_asked("briefRepresentation")
    return [_answer(one, brief=brief) for one in call.paged(found, None)]


def create_provider(call: Call) -> Created:
    """POST identity-provider/instances."""
    call.require("manage-identity-providers")
    body = call.given(IDENTITY_PROVIDER)
    alias, kind = body.get("alias"), body.get("providerId")
    if alias is not None and " " in alias:
        raise Refusal(400, error="Empty Space not allowed.")
    if alias is not None and "/" in alias:
        raise Refusal(400, error="Character '/' not allowed.")
    if kind not in _TYPES:
        raise Refusal(400, errorMessage=f"Invalid identity provider id [{kind or 'null'}]")
    if alias is None:
        raise Refusal(400, errorMessage="path is null")
    _check(call, body)
    if alias in call.realm.providers:
        raise Refusal(409, errorMessage=f"Identity Provider {alias} already exists")
    config = body.get("config", {})
    if config and kind in _ISSUERS:
        config = {**config, "issuer": _ISSUERS[kind]}
    kept = {"enabled": True, **body, "internalId": call.keycloak.new_id(), "config": config}
    call.realm.providers[alias] = kept
    path = f"identity-provider/instances/{alias}"
    call.record("CREATE", "IDENTITY_PROVIDER", path, of=_answer(kept))
    return Created(path.rstrip("/"))


def get_provider(call: Call) -> Json:
    """GET identity-provider/instances/{alias}."""
    call.require(*_SEERS)
    return _answer(_provider(call))


def update_provider(call: Call) -> None:
    """PUT identity-provider/instances/{alias}: replaced; without an alias nobody finds it any more."""
    call.require("manage-identity-providers")
    held, body = _provider(call), call.given(IDENTITY_PROVIDER)
    if "alias" not in body:
        del call.realm.providers[held["alias"]]
        return
    if body["alias"] != held["alias"]:
        raise Refusal(400, errorMessage="Identity Provider alias cannot be changed")
    _check(call, body)
    config = dict(body.get("config", {}))
    if config.get("clientSecret") == MASK:
        config["clientSecret"] = held["config"].get("clientSecret", MASK)
    kept = {"enabled": True, **body, "internalId": held["internalId"], "config": config}
    kept["providerId"] = body.get("providerId", held["providerId"])
    call.realm.providers[held["alias"]] = kept
    path = f"identity-provider/instances/{held['alias']}"
    call.record("UPDATE", "IDENTITY_PROVIDER", path, of=_answer(kept))


def delete_provider(call: Call) -> None:
    """DELETE identity-provider/instances/{alias}: with everybody's link to it."""
    call.require("manage-identity-providers")
    alias = str(_provider(call)["alias"])
    del call.realm.providers[alias]
    for user in call.realm.users.values():
        user.links.pop(alias, None)
    mappers = call.realm.provider_mappers
    for one in [key for key, mapper in mappers.items() if mapper["identityProviderAlias"] == alias]:
        del mappers[one]
    call.record("DELETE", "IDENTITY_PROVIDER", f"identity-provider/instances/{alias}")


def list_mappers(call: Call) -> list[Json]:
    """GET identity-provider/instances/{alias}/mappers."""
    call.require(*_SEERS)
    alias = _provider(call)["alias"]
    return [one for one in call.realm.provider_mappers.values() if one["identityProviderAlias"] == alias]


def create_mapper(call: Call) -> Created:
    """POST identity-provider/instances/{alias}/mappers."""
    call.require("manage-identity-providers")
    provider, body = _provider(call), call.given(PROVIDER_MAPPER)
    name = body.get("name", "")
    if any(one["name"] == name for one in list_mappers(call)):
        kind = provider["providerId"]
        raise Refusal(400, errorMessage=f"Failed to add mapper '{name}' to identity provider [{kind}].")
    made = call.keycloak.new_id()
    call.realm.provider_mappers[made] = {"id": made, **body, "identityProviderAlias": provider["alias"]}
    path = f"identity-provider/instances/{provider['alias']}/mappers/{made}"
    call.record("CREATE", "IDENTITY_PROVIDER_MAPPER", path, of=call.body)
    return Created(path)


def get_mapper(call: Call) -> Json:
    """GET identity-provider/instances/{alias}/mappers/{id}."""
    call.require(*_SEERS)
    return _mapper(call)


def update_mapper(call: Call) -> None:
    """PUT identity-provider/instances/{alias}/mappers/{id}: replaced."""
    call.require("manage-identity-providers")
    held = _mapper(call)
    body = call.given(PROVIDER_MAPPER)
    kept = {**body, "id": held["id"], "identityProviderAlias": held["identityProviderAlias"]}
    call.realm.provider_mappers[held["id"]] = kept
    path = f"identity-provider/instances/{held['identityProviderAlias']}/mappers/{held['id']}"
    call.record("UPDATE", "IDENTITY_PROVIDER_MAPPER", path, of=call.body)


def delete_mapper(call: Call) -> None:
    """DELETE identity-provider/instances/{alias}/mappers/{id}."""
    call.require("manage-identity-providers")
    held = _mapper(call)
    del call.realm.provider_mappers[held["id"]]
    path = f"identity-provider/instances/{held['identityProviderAlias']}/mappers/{held['id']}"
    call.record("DELETE", "IDENTITY_PROVIDER_MAPPER", path)


def _provider(call: Call) -> Json:
    found = call.realm.providers.get(call.names["alias"])
    if found is None:
        raise Refusal(404, error="HTTP 404 Not Found")
    return found


def _mapper(call: Call) -> Json:
    _provider(call)
    found = call.realm.provider_mappers.get(call.names["mapper"])
    if found is None:
        raise Refusal(404, error="Model not found")
    return found


def _answer(provider: Json, *, brief: bool = False) -> Json:
    """IdentityProviderRepresentation, the secret masked."""
    if brief:
        return {name: provider[name] for name in _SHOWN_FIRST if name in provider} | {"config": {}}
    config = dict(provider["config"])
    if "clientSecret" in config:
        config["clientSecret"] = MASK
    ordered = {name: provider[name] for name in (*_SHOWN_FIRST, *_ORDER) if name in provider}
    return ordered | {"config": config, "types": _TYPES[provider["providerId"]]}


def _check(call: Call, body: Json) -> None:
    """Refuse addresses that are no secure ones, and a flow that is not there. Raises `Refusal`."""
    for name, words in _ADDRESSES.items():
        address = body.get("config", {}).get(name)
        if not address:
            continue
        scheme, host = urlsplit(address).scheme, urlsplit(address).hostname or ""
        if scheme not in {"http", "https"}:
            raise Refusal(400, errorMessage=f"Invalid protocol/scheme for url [{words}]")
        if scheme == "http" and _is_remote(host):
            raise Refusal(400, errorMessage=f"The url [{words}] requires secure connections")
    if body.get("firstBrokerLoginFlowAlias") == "":
        del body["firstBrokerLoginFlowAlias"]
    flow = body.get("firstBrokerLoginFlowAlias")
    if flow is not None and flow not in call.realm.flows:
        raise server_error()


def _is_remote(host: str) -> bool:
    """Whether sslRequired `external` asks for TLS to it."""
    return not (host == "localhost" or host.startswith(("127.", "10.", "192.168.")))


_PROVIDER = "/identity-provider/instances/{alias}"
ROUTES = (
    ("GET", "/identity-provider/instances", list_providers),
    ("POST", "/identity-provider/instances", create_provider),
    ("GET", _PROVIDER, get_provider),
    ("PUT", _PROVIDER, update_provider),
    ("DELETE", _PROVIDER, delete_provider),
    ("GET", f"{_PROVIDER}/mappers", list_mappers),
    ("POST", f"{_PROVIDER}/mappers", create_mapper),
    ("GET", f"{_PROVIDER}/mappers/{{mapper}}", get_mapper),
    ("PUT", f"{_PROVIDER}/mappers/{{mapper}}", update_mapper),
    ("DELETE", f"{_PROVIDER}/mappers/{{mapper}}", delete_mapper),
)
