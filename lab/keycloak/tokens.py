"""Logging in to the simulated Keycloak: RS256 tokens, their JWKS, sessions, and what a token may do.

The error texts are those of Keycloak 26.7.3; the flows are RFC 6749 sections 4.3, 4.4 and 6.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from lab.keycloak.answers import Refusal
from lab.keycloak.call import Actor
from lab.keycloak.things import Session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.keycloak.model import Keycloak, Realm
    from lab.keycloak.things import Client, User

__all__ = ["Tokens"]

Json = dict[str, Any]
_KEY_BITS = 2048
_WRONG_CLIENT = "Invalid client or Invalid client credentials"
_OFFLINE = "offline_access"


class Tokens:
    """Issues and checks the tokens of all realms of one server; they share one key."""

    def __init__(self, keycloak: Keycloak) -> None:
        self._keycloak = keycloak
        self._key = RSAKey.generate_key(_KEY_BITS, parameters={"use": "sig", "alg": "RS256"})
        self._key.ensure_kid()

    def jwks(self) -> Json:
        """The public key. RFC 7517."""
        return {"keys": [self._key.as_dict(private=False)]}

    def discovery(self, realm: Realm, url: str) -> Json:
        """OpenID Connect Discovery 1.0; `url` is the address that the server was reached by."""
        issuer = _issuer(realm, url)
        base = f"{issuer}/protocol/openid-connect"
        return {
            "issuer": issuer,
            "authorization_endpoint": f"{base}/auth",
            "token_endpoint": f"{base}/token",
            "end_session_endpoint": f"{base}/logout",
            "jwks_uri": f"{base}/certs",
            "grant_types_supported": ["client_credentials", "password", "refresh_token"],
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    def grant(self, realm: Realm, form: Mapping[str, str], url: str) -> Json:
        """The token endpoint at `url`. Raises `Refusal`."""
        client = _authenticated_client(realm, form)
        session: Session | None
        match form.get("grant_type"):
            case "password":
                user, session = self._by_password(realm, client, form)
            case "client_credentials":
                user, session = self._by_secret(realm, client)
            case "refresh_token":
                user, session = self._by_refresh(realm, client, form.get("refresh_token", ""))
            case _:
                raise Refusal(400, error="unsupported_grant_type", error_description="Unsupported grant_type")
        common = {"iss": _issuer(realm, url), "iat": self._now(), "azp": client.client_id}
        return self._issued(realm, client, user, session, common)

    def log_out(self, realm: Realm, form: Mapping[str, str]) -> None:
        """The end of a session by its refresh token; one that is over already is no error."""
        _authenticated_client(realm, form)
        claims = self._read(form.get("refresh_token", ""), "Invalid refresh token")
        realm.sessions.pop(str(claims.get("sid")), None)

    def actor(self, authorization: str) -> Actor:
        """Whose access token this is. Raises `Refusal` 401."""
        refused = Refusal(401, error="HTTP 401 Unauthorized")
        scheme, _, token = authorization.partition(" ")
        try:
            claims = jwt.decode(token, self._key, algorithms=["RS256"]).claims
        except (JoseError, ValueError) as error:
            raise refused from error
        realm = self._keycloak.realms.get(str(claims.get("iss", "")).rpartition("/")[2])
        if scheme != "Bearer" or realm is None or claims["typ"] != "Bearer":
            raise refused
        if claims["exp"] <= self._keycloak.clock():
            raise refused
        session = realm.sessions.get(str(claims.get("sid")))
        user = realm.users.get(session.user if session else str(claims.get("sub")))
        if user is None or not user.enabled or ("sid" in claims and session is None):
            raise refused
        client = realm.client_named(str(claims.get("azp")))
        return Actor(realm, user, client.id if client else "")

    def rights(self, actor: Actor, realm: Realm | None) -> frozenset[str]:
        """The names of the management roles that the actor has over `realm`.

        Over none: what `master` allows.
        """
        roles = actor.realm.effective(actor.realm.held(actor.user))
        if realm is None:
            return frozenset(role.name for role in roles if not role.client)
        own = actor.realm is realm and realm.name != "master"
        client = actor.realm.client_named("realm-management" if own else f"{realm.name}-realm")
        if client is None or not (own or actor.realm.name == "master"):
            return frozenset()
        return frozenset(role.name for role in roles if role.client == client.id)

    def _by_password(self, realm: Realm, client: Client, form: Mapping[str, str]) -> tuple[User, Session]:
        if not client.settings["directAccessGrantsEnabled"]:
            description = "Client not allowed for direct access grants"
            raise Refusal(400, error="unauthorized_client", error_description=description)
        name = form.get("username", "").lower()
        user = realm.users.get(realm.names.get(name) or realm.emails.get(name) or "")
        given = form.get("password", "")
        if user is None or not user.password or not hmac.compare_digest(user.password, given):
            raise _invalid_grant("Invalid user credentials")
        if not user.enabled:
            raise _invalid_grant("Account disabled")
        if user.required_actions:
            raise _invalid_grant("Account is not fully set up")
        is_offline = _OFFLINE in form.get("scope", "").split()
        session = Session(self._keycloak.new_id(), user.id, client, self._now(), is_offline)
        realm.sessions[session.id] = session
        return user, session

    def _by_secret(self, realm: Realm, client: Client) -> tuple[User, None]:
        users = (user for user in realm.users.values() if user.service_account_of == client.id)
        user = next(users, None)
        if user is None or not client.secret:
            description = "Client not enabled to retrieve service account"
            raise Refusal(401, error="unauthorized_client", error_description=description)
        if not user.enabled:
            raise _invalid_grant("User disabled")
        return user, None

    def _by_refresh(self, realm: Realm, client: Client, token: str) -> tuple[User, Session]:
        claims = self._read(token, "Invalid refresh token")
        is_offline = claims.get("typ") == "Offline"
        user = realm.users.get(str(claims.get("sub")))
        if claims.get("typ") not in {"Refresh", "Offline"} or claims.get("azp") != client.client_id:
            raise _invalid_grant("Invalid refresh token")
        session = realm.sessions.get(str(claims.get("sid")))
        if user is None or session is None:
            raise _invalid_grant("Offline user session not found" if is_offline else "Session not active")
        if not user.enabled:
            raise _invalid_grant("User disabled")
        if claims["iat"] < user.not_before:
            raise _invalid_grant("Stale token")
        if 0 < claims.get("exp", 0) <= self._now():
            raise _invalid_grant("Token is not active")
        return user, session

    def _issued(
        self, realm: Realm, client: Client, user: User, session: Session | None, common: Json
    ) -> Json:
        lifetime = int(realm.settings["accessTokenLifespan"])
        claims = common | {"exp": self._now() + lifetime, "typ": "Bearer", "jti": self._keycloak.new_id()}
        claims |= {"scope": "email profile"}
        if not client.is_lightweight:
            claims |= self._identity(realm, user)
        answer: Json = {"expires_in": lifetime, "token_type": "Bearer", "not-before-policy": 0}
        answer["refresh_expires_in"] = 0
        if session is not None:
            claims["sid"] = session.id
            answer |= self._refreshable(realm, user, session, common)
        return {"access_token": self._signed(claims), **answer, "scope": "email profile"}

    def _refreshable(self, realm: Realm, user: User, session: Session, common: Json) -> Json:
        lifetime = 0 if session.is_offline else int(realm.settings["ssoSessionIdleTimeout"])
        claims = common | {"sid": session.id, "sub": user.id, "jti": self._keycloak.new_id()}
        claims["typ"] = "Offline" if session.is_offline else "Refresh"
        if lifetime:
            claims["exp"] = self._now() + lifetime
        return {
            "refresh_token": self._signed(claims),
            "refresh_expires_in": lifetime,
            "session_state": session.id,
        }

    def _identity(self, realm: Realm, user: User) -> Json:
        roles = realm.effective(realm.held(user))
        of_clients: dict[str, list[str]] = {}
        for role in roles:
            if role.client in realm.clients:
                of_clients.setdefault(realm.clients[role.client].client_id, []).append(role.name)
        return {
            "sub": user.id,
            "preferred_username": user.username,
            "email_verified": user.email_verified,
            "realm_access": {"roles": [role.name for role in roles if not role.client]},
            "resource_access": {name: {"roles": names} for name, names in of_clients.items()},
        }

    def _signed(self, claims: Json) -> str:
        header = {"alg": "RS256", "typ": "JWT", "kid": str(self._key.kid)}
        return jwt.encode(header, claims, self._key)

    def _read(self, token: str, otherwise: str) -> Json:
        try:
            return dict(jwt.decode(token, self._key, algorithms=["RS256"]).claims)
        except (JoseError, ValueError) as error:
            raise _invalid_grant(otherwise) from error

    def _now(self) -> int:
        return int(self._keycloak.clock())


def _issuer(realm: Realm, url: str) -> str:
    return f"{url}/realms/{realm.name}"


def _authenticated_client(realm: Realm, form: Mapping[str, str]) -> Client:
    client = realm.client_named(form.get("client_id", ""))
    if client is None or not client.settings["enabled"]:
        raise Refusal(401, error="invalid_client", error_description=_WRONG_CLIENT)
    if client.secret and not hmac.compare_digest(client.secret, form.get("client_secret", "")):
        raise Refusal(401, error="unauthorized_client", error_description=_WRONG_CLIENT)
    return client


def _invalid_grant(description: str) -> Refusal:
    return Refusal(400, error="invalid_grant", error_description=description)
