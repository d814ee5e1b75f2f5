"""The clients, client scopes and authentication flows that every realm of Keycloak 26.7.3 starts with."""

from __future__ import annotations

from typing import Any

__all__ = [
    "ACCOUNT_ROLES",
    "BUILT_IN_CLIENTS",
    "BUILT_IN_FLOWS",
    "CLIENT_SCOPES",
    "CLIENT_SETTINGS",
    "DEFAULT_SCOPES",
    "OPTIONAL_SCOPES",
]

CLIENT_SETTINGS: dict[str, Any] = {
    "enabled": True,
    "surrogateAuthRequired": False,
    "alwaysDisplayInConsole": False,
    "clientAuthenticatorType": "client-secret",
    "redirectUris": [],
    "webOrigins": [],
    "notBefore": 0,
    "bearerOnly": False,
    "consentRequired": False,
    "standardFlowEnabled": True,
    "implicitFlowEnabled": False,
    "directAccessGrantsEnabled": False,
    "serviceAccountsEnabled": False,
    "publicClient": False,
    "frontchannelLogout": False,
    "protocol": "openid-connect",
    "authenticationFlowBindingOverrides": {},
    "fullScopeAllowed": True,
    "nodeReRegistrationTimeout": -1,
}
"""What a new client has where nobody says otherwise."""

BUILT_IN_CLIENTS: dict[str, dict[str, Any]] = {
    "account": {
        "settings": {
            "name": "${client_account}",
            "rootUrl": "${authBaseUrl}",
            "baseUrl": "/realms/{realm}/account/",
            "redirectUris": ["/realms/{realm}/account/*"],
            "publicClient": True,
            "fullScopeAllowed": False,
            "nodeReRegistrationTimeout": 0,
        },
        "attributes": {"realm_client": "false", "post.logout.redirect.uris": "+"},
    },
    "account-console": {
        "settings": {
            "name": "${client_account-console}",
            "rootUrl": "${authBaseUrl}",
            "baseUrl": "/realms/{realm}/account/",
            "redirectUris": ["/realms/{realm}/account/*"],
            "publicClient": True,
            "fullScopeAllowed": False,
            "nodeReRegistrationTimeout": 0,
        },
        "attributes": {
            "realm_client": "false",
            "post.logout.redirect.uris": "+",
            "pkce.code.challenge.method": "S256",
        },
    },
    "admin-cli": {
        "settings": {
            "name": "${client_admin-cli}",
            "standardFlowEnabled": False,
            "directAccessGrantsEnabled": True,
            "publicClient": True,
            "nodeReRegistrationTimeout": 0,
        },
        "attributes": {"realm_client": "false", "client.use.lightweight.access.token.enabled": "true"},
    },
    "broker": {
        "settings": {
            "name": "${client_broker}",
            "bearerOnly": True,
            "fullScopeAllowed": False,
            "nodeReRegistrationTimeout": 0,
        },
        "attributes": {"realm_client": "true"},
    },
    "realm-management": {
        "settings": {
            "name": "${client_realm-management}",
            "bearerOnly": True,
            "fullScopeAllowed": False,
            "nodeReRegistrationTimeout": 0,
        },
        "attributes": {"realm_client": "true"},
    },
    "security-admin-console": {
        "settings": {
            "name": "${client_security-admin-console}",
            "rootUrl": "${authAdminUrl}",
            "baseUrl": "/admin/{realm}/console/",
            "redirectUris": ["/admin/{realm}/console/*"],
            "webOrigins": ["+"],
            "publicClient": True,
            "nodeReRegistrationTimeout": 0,
        },
        "attributes": {
            "realm_client": "false",
            "client.use.lightweight.access.token.enabled": "true",
            "post.logout.redirect.uris": "+",
            "pkce.code.challenge.method": "S256",
        },
    },
}

ACCOUNT_ROLES: dict[str, tuple[str, ...]] = {
    "delete-account": (),
    "manage-account": ("manage-account-links",),
    "manage-account-links": (),
    "manage-consent": ("view-consent",),
    "view-applications": (),
    "view-consent": (),
    "view-groups": (),
    "view-profile": (),
}
"""The roles of the client `account`, and what they include."""

CLIENT_SCOPES: tuple[tuple[str, str, str], ...] = (
    ("service_account", "openid-connect", "Specific scope for a client enabled for service accounts"),
    ("AuthnContextClassRef", "saml", "AuthnContextClassRef Level of Authentiation"),
    ("email", "openid-connect", "OpenID Connect built-in scope: email"),
    ("role_list", "saml", "SAML role list"),
    ("address", "openid-connect", "OpenID Connect built-in scope: address"),
    ("profile", "openid-connect", "OpenID Connect built-in scope: profile"),
    ("basic", "openid-connect", "OpenID Connect scope for add all basic claims to the token"),
    ("organization", "openid-connect", "Additional claims about the organization a subject belongs to"),
    ("phone", "openid-connect", "OpenID Connect built-in scope: phone"),
    ("roles", "openid-connect", "OpenID Connect scope for add user roles to the access token"),
    ("web-origins", "openid-connect", "OpenID Connect scope for add allowed web origins to the access token"),
    (
        "acr",
        "openid-connect",
        "OpenID Connect scope for add acr (authentication context class reference) to the token",
    ),
    ("offline_access", "openid-connect", "OpenID Connect built-in scope: offline_access"),
    ("saml_organization", "saml", "Organization Membership"),
    ("microprofile-jwt", "openid-connect", "Microprofile - JWT built-in scope"),
)

DEFAULT_SCOPES = (
    "role_list",
    "saml_organization",
    "AuthnContextClassRef",
    "profile",
    "email",
    "roles",
    "web-origins",
    "acr",
    "basic",
)
OPTIONAL_SCOPES = ("offline_access", "address", "phone", "microprofile-jwt", "organization")

BUILT_IN_FLOWS: tuple[tuple[str, str, str], ...] = (
    ("browser", "Browser based authentication", "basic-flow"),
    ("direct grant", "OpenID Connect Resource Owner Grant", "basic-flow"),
    ("registration", "Registration flow", "basic-flow"),
    (
        "reset credentials",
        "Reset credentials for a user if they forgot their password or something",
        "basic-flow",
    ),
    ("clients", "Base authentication for clients", "client-flow"),
    (
        "first broker login",
        (
            "Actions taken after first broker login with identity provider account, "
            "which is not yet linked to any Keycloak account"
        ),
        "basic-flow",
    ),
    ("docker auth", "Used by Docker clients to authenticate against the IDP", "basic-flow"),
)
