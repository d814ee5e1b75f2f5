"""Clients and identity providers of a Keycloak realm, as values: what client and resources say to each other.

Normalised, so that equality means no drift: lists without order are sorted, absent text is "". A secret
never stands here: `secret` and `client_secret` name the reference that it came from, as `controller_file:/…`.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["OWN_CLIENTS", "IdentityProvider", "OidcClient", "is_own_client"]

OWN_CLIENTS = frozenset(
    {"account", "account-console", "admin-cli", "broker", "realm-management", "security-admin-console"}
)
"""Clients that Keycloak makes in every realm for itself."""


def is_own_client(client_id: str) -> bool:
    """Whether a client is Keycloak's own; in the realm master each realm has one as well."""
    return client_id in OWN_CLIENTS or client_id.endswith("-realm")


@dataclass(frozen=True, slots=True)
class IdentityProvider:
    """An identity provider of a realm.

    `by_email` is `confirm` (the server's own first login), `link` (our flow, as it should be), or what else
    stands there. `jwks_url` is "" where tokens are not checked with it.
    """

    alias: str
    owner: str = ""
    type: str = "oidc"
    enabled: bool = True
    display_name: str = ""
    client_id: str = ""
    client_secret: str = ""
    issuer: str = ""
    authorization_url: str = ""
    token_url: str = ""
    user_info_url: str = ""
    jwks_url: str = ""
    logout_url: str = ""
    scopes: tuple[str, ...] = ()
    hosted_domain: str = ""
    trust_email: bool = False
    by_email: str = "confirm"
    sync: str = "import"


@dataclass(frozen=True, slots=True)
class OidcClient:
    """An OpenID client of a realm; `id` is "" until the server has given one.

    `login` says whether people are sent to the login page for it (the standard flow), `pkce` whether S256 is
    asked for. `roles_claim` is None where the mapper that carries our name was altered.
    """

    client_id: str
    id: str = ""
    owner: str = ""
    protocol: str = "openid-connect"
    name: str = ""
    description: str = ""
    enabled: bool = True
    login: bool = True
    redirect: tuple[str, ...] = ()
    post_logout: tuple[str, ...] = ()
    web_origins: tuple[str, ...] = ()
    public: bool = False
    pkce: bool = False
    service_account: bool = False
    direct_grant: bool = False
    roles_claim: bool | None = False
    secret: str = ""
