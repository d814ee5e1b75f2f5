"""python-keycloak's connection, with our behaviour at the transport.

What differs from the library: nothing is repeated after a connection error (a repeated POST turns a lost
answer into a false conflict), an access token is renewed by one thread for all, at most `MAX_CONNECTIONS`
requests are under way at once, a write without an answer is `OutcomeUnknown`, and plain HTTP is spoken to
loopback only. Every method of the library works over this connection too.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import ssl
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
import requests
from keycloak import ConnectionManager, KeycloakConnectionError, KeycloakOpenIDConnection
from keycloak.urls_patterns import URL_LOGOUT, URL_TOKEN

from controller.clients.keycloak_answers import MALFORMED
from controller.clients.silence import CERTIFICATE_HINT, is_about_trust, why_silent
from controller.errors import (
    ControllerError,
    NotAllowed,
    OutcomeUnknown,
    Refused,
    TransientError,
    Unreachable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = ["MAX_CONNECTIONS", "KeycloakAccess", "KeycloakConnection", "WritingKeycloakConnection"]

MAX_CONNECTIONS = 16
_UNAUTHORIZED = 401
_SERVER_ERROR = 500
_NOTHING_SENT = (
    requests.exceptions.ConnectTimeout,
    requests.exceptions.SSLError,
    requests.exceptions.InvalidURL,
)


@dataclass(frozen=True, slots=True)
class KeycloakAccess:
    """How to reach a Keycloak: its address, and our account in the realm `auth_realm`.

    Either `client_secret` (a service account, the way meant for production) or `username` and `password`.
    `ca_file` is the only trust anchor where it is given. `timeout_seconds` bounds each request.
    """

    url: str
    auth_realm: str = "master"
    client_id: str = "admin-cli"
    client_secret: str = field(default="", repr=False)
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: Path | None = None
    timeout_seconds: int = 30

    @property
    def is_service_account(self) -> bool:
        """Whether we log in as a client rather than as a person."""
        return not self.username


class _Token(msgspec.Struct):
    access_token: str
    expires_in: int
    refresh_token: str = ""


class _LoginFailure(msgspec.Struct):
    error: str = ""
    error_description: str = ""


class KeycloakConnection(KeycloakOpenIDConnection):
    """One account's connection to one Keycloak, for reading; safe to use from many threads.

    Raises from every request: `Unreachable`, `NotAllowed` (login refused), and `Refused` from those that
    write.
    """

    token_lifetime_fraction = 0.8

    def __init__(self, access: KeycloakAccess) -> None:
        _check_address(access.url)
        # The library also builds an asynchronous client that we do not use: given a context without any
        # authority it costs nothing and trusts nobody.
        super().__init__(
            server_url=access.url.rstrip("/") + "/",
            client_id=access.client_id,
            realm_name=access.auth_realm,
            user_realm_name=access.auth_realm,
            verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),  # type: ignore[arg-type]  # httpx takes one
            timeout=access.timeout_seconds,
            max_retries=0,
            pool_maxsize=MAX_CONNECTIONS,
        )
        self.verify = str(access.ca_file) if access.ca_file else True
        self._access = access
        self._login_lock = threading.RLock()
        self._slots = threading.BoundedSemaphore(MAX_CONNECTIONS)
        if _is_loopback(access.url):
            self._s.trust_env = False  # nothing on this machine is behind a proxy

    def raw_get(self, path: str, **query: str | int | Sequence[str]) -> requests.Response:
        """GET with a valid token; a sequence stands in the query once for each of its texts."""
        return self._with_token(lambda: ConnectionManager.raw_get(self, path, **query), writes=False)

    # The signatures of the three that follow are the library's.

    def raw_post(self, path: str, data: Any = b"", **query: str | int) -> requests.Response:  # noqa: ARG002
        """Refused: this connection reads."""
        raise Refused(f"a reading connection was asked to POST {path}")

    def raw_put(self, path: str, data: Any = b"", **query: str | int) -> requests.Response:  # noqa: ARG002
        """Refused: this connection reads."""
        raise Refused(f"a reading connection was asked to PUT {path}")

    def raw_delete(self, path: str, data: Any = None, **query: str | int) -> requests.Response:  # noqa: ARG002
        """Refused: this connection reads."""
        raise Refused(f"a reading connection was asked to DELETE {path}")

    def claims(self) -> dict[str, Any]:
        """What our access token says about us; from the server that we asked over a verified connection."""
        part = self._valid_token().partition(".")[2].partition(".")[0]
        try:
            return msgspec.json.decode(base64.urlsafe_b64decode(part + "=="), type=dict[str, Any])
        except (binascii.Error, *MALFORMED) as error:
            raise ControllerError("Keycloak's access token is no JWT") from error

    def get_token(self) -> None:
        """Log in anew."""
        with self._login_lock:
            self.token = self._fetch_token(self._login_form())

    def refresh_token(self) -> None:
        """Take a new access token.

        By the refresh token where we hold one that is still good, else by login.
        """
        with self._login_lock:
            held = (self.token or {}).get("refresh_token", "")
            form = {"grant_type": "refresh_token", "client_id": self._access.client_id, "refresh_token": held}
            if held:
                try:
                    self.token = self._fetch_token(self._with_secret(form))
                except NotAllowed:
                    self.get_token()
            else:
                self.get_token()

    def close(self) -> None:
        """End our session on the server, so that no login leaves one behind, and close the connections."""
        held = (self.token or {}).get("refresh_token", "")
        self.token = None
        try:
            if held:
                form = self._with_secret({"client_id": self._access.client_id, "refresh_token": held})
                self._post_form(URL_LOGOUT, form)
        except TransientError:
            pass  # the server ends the session by itself when it is idle
        finally:
            self._s.close()

    def _with_token(self, send: Callable[[], requests.Response], *, writes: bool) -> requests.Response:
        with self._slots:
            used = self._valid_token()
            answer = _sent(send, writes=writes)
            if answer.status_code == _UNAUTHORIZED:  # also seen with a token that has not expired
                self._renew_after(used)
                answer = _sent(send, writes=writes)
            return answer

    def _valid_token(self) -> str:
        with self._login_lock:
            if self.token is None:
                self.get_token()
            else:
                self._refresh_if_required()
            return str((self.token or {})["access_token"])

    def _renew_after(self, used: str) -> None:
        with self._login_lock:
            if self.token is None or self.token["access_token"] == used:
                self.refresh_token()

    def _login_form(self) -> dict[str, str]:
        access = self._access
        if access.is_service_account:
            return self._with_secret({"grant_type": "client_credentials", "client_id": access.client_id})
        return self._with_secret(
            {
                "grant_type": "password",
                "client_id": access.client_id,
                "username": access.username,
                "password": access.password,
            }
        )

    def _with_secret(self, form: dict[str, str]) -> dict[str, str]:
        return form | ({"client_secret": self._access.client_secret} if self._access.client_secret else {})

    def _fetch_token(self, form: dict[str, str]) -> dict[str, Any]:
        answer = self._post_form(URL_TOKEN, form)
        if answer.status_code >= _SERVER_ERROR:
            raise Unreachable(f"Keycloak cannot log us in now: HTTP {answer.status_code}")
        if not answer.ok:
            raise NotAllowed(
                f"Keycloak refused the login to the realm {self._access.auth_realm}: {_reason(answer)}",
                hint="check client_id, the secret file and auth_realm in controller.yaml",
            )
        try:
            return msgspec.to_builtins(msgspec.json.decode(answer.content, type=_Token))  # type: ignore[no-any-return]
        except MALFORMED as error:
            raise ControllerError("Keycloak's token endpoint answered something that is no token") from error

    def _post_form(self, pattern: str, form: dict[str, str]) -> requests.Response:
        path = pattern.format(**{"realm-name": self._access.auth_realm})

        def send() -> requests.Response:
            url = f"{self.base_url}{path}"
            return self._s.post(url, data=form, timeout=self.timeout, verify=self.verify)

        return _sent(send, writes=False)


class WritingKeycloakConnection(KeycloakConnection):
    """A connection that writes as well; adds `OutcomeUnknown` to what its requests raise."""

    def raw_post(self, path: str, data: Any = b"", **query: str | int) -> requests.Response:
        """POST with a valid token; sent once."""
        return self._with_token(lambda: ConnectionManager.raw_post(self, path, data, **query), writes=True)

    def raw_put(self, path: str, data: Any = b"", **query: str | int) -> requests.Response:
        """PUT with a valid token; sent once."""
        return self._with_token(lambda: ConnectionManager.raw_put(self, path, data, **query), writes=True)

    def raw_delete(self, path: str, data: Any = None, **query: str | int) -> requests.Response:
        """DELETE with a valid token; sent once."""
        return self._with_token(lambda: ConnectionManager.raw_delete(self, path, data, **query), writes=True)


def _sent(send: Callable[[], requests.Response], *, writes: bool) -> requests.Response:
    try:
        return send()
    except (KeycloakConnectionError, requests.RequestException) as error:
        cause = error.__cause__ if isinstance(error, KeycloakConnectionError) else error
        if not writes or _nothing_was_sent(cause):
            hint = CERTIFICATE_HINT if is_about_trust(cause) else ""
            raise Unreachable(f"Keycloak gave no answer: {why_silent(cause)}", hint=hint) from error
        raise OutcomeUnknown(f"Keycloak took a write and gave no answer: {why_silent(cause)}") from error


def _nothing_was_sent(cause: BaseException | None) -> bool:
    if isinstance(cause, _NOTHING_SENT):
        return True
    if isinstance(cause, requests.ConnectionError) and cause.args:
        reason = getattr(cause.args[0], "reason", None)
        return type(reason).__name__ in {"NewConnectionError", "NameResolutionError"}
    return False


def _reason(answer: requests.Response) -> str:
    try:
        failure = msgspec.json.decode(answer.content, type=_LoginFailure)
    except MALFORMED:
        return f"HTTP {answer.status_code}"
    return f"HTTP {answer.status_code} {failure.error}: {failure.error_description}"


def _check_address(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ControllerError(f"{url!r} is no address of a Keycloak", hint="https://host[:port][/path]")
    if parts.username or parts.query or parts.fragment:
        raise ControllerError("the address of Keycloak holds more than a host and a path")
    if parts.scheme == "http" and not _is_loopback(url):
        raise ControllerError("Keycloak is reached over plain HTTP", hint="https, except on this machine")


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
