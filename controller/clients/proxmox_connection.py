"""proxmoxer's connection, with our behaviour at the transport.

What differs from the library: HTTPS alone, verified against a named CA; 30 s instead of 5 s; at most
`MAX_CONNECTIONS` requests under way; no redirects; an answer that is no JSON is an error, not a value; the
whole message of a failure is kept, not its first line; nothing is ever sent twice.
"""

from __future__ import annotations

import ipaddress
import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import requests
from proxmoxer.backends.https import JsonSerializer, ProxmoxHTTPApiTokenAuth, ProxmoxHttpSession
from proxmoxer.core import ProxmoxResource, ResourceException

from controller.clients.proxmox_answers import Failure, failure_of, transport_failure
from controller.errors import ControllerError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["MAX_CONNECTIONS", "ProxmoxConnection", "ProxmoxLogin"]

MAX_CONNECTIONS = 3
"""Proxmox VE has three workers; more requests than that queue behind each other."""


@dataclass(frozen=True, slots=True)
class ProxmoxLogin:
    """How to reach a cluster: `token_id` is user@realm!name, `ca_file` the only trust anchor where given."""

    url: str
    token_id: str
    token_secret: str = field(repr=False)
    ca_file: Path | None = None
    timeout_seconds: float = 30.0

    @property
    def userid(self) -> str:
        """The user whose token it is: ourselves, whom no plan may remove."""
        return self.token_id.partition("!")[0]


class _Serializer(JsonSerializer):  # type: ignore[misc]  # proxmoxer has no types
    """Reads answers strictly."""

    def loads(self, response: requests.Response) -> Any:
        """The member `data`. Raises `ControllerError` where the body is something else."""
        try:
            return json.loads(response.content)["data"]
        except (ValueError, KeyError, TypeError) as error:
            raise ControllerError("Proxmox VE answered something that is not its JSON") from error

    def loads_errors(self, response: requests.Response) -> Failure:
        """What a failure says; an empty one where it has no body."""
        return Failure.from_body(response.content)


class _Session(ProxmoxHttpSession):  # type: ignore[misc]  # proxmoxer has no types
    """A session that bounds how many requests are under way and follows no redirects."""

    def __init__(self) -> None:
        super().__init__()
        self._slots = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self.mount("https://", requests.adapters.HTTPAdapter(pool_maxsize=MAX_CONNECTIONS, max_retries=0))

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        """Send once. Raises what requests raises."""
        with self._slots:
            answer: requests.Response = super().request(*args, **kwargs, allow_redirects=False)
            return answer


class ProxmoxConnection:
    """One token's connection to one cluster; safe to use from many threads."""

    def __init__(self, login: ProxmoxLogin) -> None:
        host = _checked_address(login.url)
        user, _, name = login.token_id.partition("!")
        if not name:
            raise ControllerError(f"{login.token_id!r} is no API token", hint="user@realm!name")
        self._session = _Session()
        self._session.trust_env = not _is_loopback(host)  # nothing on this machine is behind a proxy
        self._session.auth = ProxmoxHTTPApiTokenAuth(
            user,
            name,
            login.token_secret,
            timeout=login.timeout_seconds,
            verify_ssl=str(login.ca_file) if login.ca_file else True,
        )
        self._session.headers["accept"] = "application/json"
        self._root = ProxmoxResource(
            base_url=login.url.rstrip("/") + "/api2/json", session=self._session, serializer=_Serializer()
        )

    def close(self) -> None:
        """Close the connections.

        urllib3 closes those of a pool when nothing refers to it any more, which an error that is kept does.
        """
        for adapter in self._session.adapters.values():
            pools = adapter.poolmanager.pools
            for pool in [pools[key] for key in pools.keys()]:  # noqa: SIM118 - it cannot be iterated over
                pool.close()
        self._session.close()

    def get(self, *path: str, **params: str) -> Any:
        """Read. Raises `Unreachable`, `TransientError`, `TerminalError` and kin, `ControllerError`."""
        return self._send("get", path, params)

    def post(self, *path: str, **data: str) -> Any:
        """Create; raises `OutcomeUnknown` beside what `get` raises."""
        return self._send("post", path, data)

    def put(self, *path: str, **data: str) -> Any:
        """Alter; raises `OutcomeUnknown` beside what `get` raises."""
        return self._send("put", path, data)

    def delete(self, *path: str, **params: str) -> Any:
        """Remove; raises `OutcomeUnknown` beside what `get` raises."""
        return self._send("delete", path, params)

    def _send(self, verb: str, path: tuple[str, ...], values: dict[str, str]) -> Any:
        call = f"{verb.upper()} /{'/'.join(path)}"
        resource = self._root([_segment(part) for part in path])
        try:
            return getattr(resource, verb)(**values)
        except ResourceException as error:
            failure = error.errors if isinstance(error.errors, Failure) else Failure()
            raise failure_of(call, int(error.status_code), str(error.content or ""), failure) from error
        except requests.RequestException as error:
            raise transport_failure(call, error, writes=verb != "get") from error


def _segment(part: str) -> str:
    if part in {"", ".", ".."}:
        raise ControllerError(f"{part!r} cannot stand in an address of Proxmox VE")
    return quote(part, safe="@!")


def _checked_address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise ControllerError(f"{url!r} is no address of a Proxmox VE", hint="https://host:8006")
    if parts.username or parts.query or parts.fragment or parts.path.strip("/"):
        raise ControllerError("the address of Proxmox VE holds more than a host and a port")
    return parts.hostname


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
