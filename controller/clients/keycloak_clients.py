"""OpenID clients of a realm.

A PUT replaces lists and mappers as a whole, but merges attributes: one goes where its text is "". A secret
that is not sent stays. Source: Keycloak Admin REST API, resource "Clients".
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from controller.clients.keycloak_session import (
    PAGE,
    KeycloakSender,
    KeycloakSession,
    page_of,
    path_part,
    require,
)
from controller.errors import Unobserved
from controller.keycloak_login_values import OidcClient
from controller.keycloak_values import OWNER_ATTRIBUTE
from controller.secret_sources import SecretName

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from controller.clients.keycloak_wire import Json

__all__ = ["ClientReader", "ClientWriter"]

_POST_LOGOUT: Final = "post.logout.redirect.uris"
_PKCE: Final = "pkce.code.challenge.method"
_S256: Final = "S256"
_SECRET_NAME: Final = "steward.secret"  # noqa: S105 - names the reference
_BETWEEN: Final = "##"
_ROLES: Final = "steward roles"

_PLAIN: Final = MappingProxyType(
    {
        "client_id": "clientId",
        "name": "name",
        "description": "description",
        "enabled": "enabled",
        "login": "standardFlowEnabled",
        "public": "publicClient",
        "service_account": "serviceAccountsEnabled",
        "direct_grant": "directAccessGrantsEnabled",
    }
)
_LISTS: Final = MappingProxyType({"redirect": "redirectUris", "web_origins": "webOrigins"})

_ROLES_MAPPER: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "name": _ROLES,
        "protocol": "openid-connect",
        "protocolMapper": "oidc-usermodel-realm-role-mapper",
        "config": {
            "claim.name": "roles",
            "jsonType.label": "String",
            "multivalued": "true",
            "id.token.claim": "true",
            "access.token.claim": "true",
            "userinfo.token.claim": "true",
            "introspection.token.claim": "true",
        },
    }
)


class ClientReader(KeycloakSession):
    """Reads clients."""

    def clients(self) -> tuple[OidcClient, ...]:
        """All clients, whatever their protocol. Raises `Unobserved` where the list changed meanwhile."""
        found: list[OidcClient] = []
        while len(found) % PAGE == 0:
            page = self._read("/clients", list[dict[str, Any]], **page_of(len(found)))
            if not page:
                break
            found.extend(map(_value, page))
        if len({client.id for client in found}) != len(found):
            raise Unobserved("keycloak", "the clients changed while they were read", hint="plan again")
        return tuple(found)


class ClientWriter(KeycloakSender, ClientReader):
    """Writes clients."""

    def create_client(self, client: OidcClient) -> None:
        """Create it. Raises `Conflict`, `TerminalError` for addresses that the server refuses, and what
        resolving the secret raises.
        """
        body = self._client_body({"protocol": client.protocol}, client, client.__dataclass_fields__)
        self._send("POST", f"{self._base}/clients", body)

    def update_client(
        self,
        client: OidcClient,
        names: Collection[str],
        *,
        still: Callable[[OidcClient], bool] | None = None,
    ) -> None:
        """Alter the fields in `names`; the secret goes with any of them where its reference is known.

        Raises `NotThere`, `Conflict`, `TerminalError` for addresses that the server refuses, and what
        resolving the secret raises.
        """
        path = self._client_path(client.id)
        current = self._raw(path)
        require(still, lambda: _value(current), client.client_id)
        self._send("PUT", path, self._client_body(current, client, names))

    def delete_client(self, client_uuid: str, *, still: Callable[[OidcClient], bool] | None = None) -> None:
        """Delete it. Raises `NotThere`, `Conflict`."""
        path = self._client_path(client_uuid)
        live = _value(self._raw(path))
        require(still, lambda: live, live.client_id)
        self._send("DELETE", path)

    def _client_path(self, client_uuid: str) -> str:
        return f"{self._base}/clients/{path_part(client_uuid)}"

    def _client_body(self, current: Json, client: OidcClient, names: Collection[str]) -> Json:
        made = {name: value for name, value in current.items() if name != "secret"}
        made |= {field: getattr(client, name) for name, field in _PLAIN.items() if name in names}
        made |= {field: list(getattr(client, name)) for name, field in _LISTS.items() if name in names}
        attributes: dict[str, str] = dict(current.get("attributes") or {})
        texts = {
            "owner": (OWNER_ATTRIBUTE, client.owner),
            "post_logout": (_POST_LOGOUT, _BETWEEN.join(client.post_logout)),
            "pkce": (_PKCE, _S256 if client.pkce else ""),
            "secret": (_SECRET_NAME, client.secret),
        }
        attributes |= dict(pair for name, pair in texts.items() if name in names)
        if attributes.get(_SECRET_NAME) and not made.get("publicClient"):
            made["secret"] = self._resolve(SecretName.of(attributes[_SECRET_NAME]), "clients")
        if "roles_claim" in names:
            others = [one for one in current.get("protocolMappers") or () if one.get("name") != _ROLES]
            made["protocolMappers"] = [*others, dict(_ROLES_MAPPER)] if client.roles_claim else others
        return made | {"attributes": attributes}


def _value(client: Json) -> OidcClient:
    attributes: Mapping[str, str] = client.get("attributes") or {}
    logout = attributes.get(_POST_LOGOUT) or ""
    return OidcClient(
        client_id=client["clientId"],
        id=client["id"],
        owner=attributes.get(OWNER_ATTRIBUTE) or "",
        protocol=client.get("protocol") or "openid-connect",
        name=client.get("name") or "",
        description=client.get("description") or "",
        enabled=bool(client.get("enabled")),
        login=bool(client.get("standardFlowEnabled")),
        redirect=_sorted(client.get("redirectUris")),
        post_logout=_sorted(logout.split(_BETWEEN) if logout else ()),
        web_origins=_sorted(client.get("webOrigins")),
        public=bool(client.get("publicClient")),
        pkce=attributes.get(_PKCE) == _S256,
        service_account=bool(client.get("serviceAccountsEnabled")),
        direct_grant=bool(client.get("directAccessGrantsEnabled")),
        roles_claim=_roles_claim(client.get("protocolMappers") or ()),
        secret=attributes.get(_SECRET_NAME) or "",
    )


def _sorted(texts: Collection[str] | None) -> tuple[str, ...]:
    return tuple(sorted(texts or ()))


def _roles_claim(mappers: Collection[Json]) -> bool | None:
    ours = [mapper for mapper in mappers if mapper.get("name") == _ROLES]
    if not ours:
        return False
    told = {name: ours[0].get(name) for name in _ROLES_MAPPER}
    # Keycloak adds keys of its own to the configuration of some versions.
    config = {name: (told["config"] or {}).get(name) for name in _ROLES_MAPPER["config"]}
    return True if told | {"config": config} == dict(_ROLES_MAPPER) else None
