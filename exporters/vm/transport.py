"""One kept connection to one address of the API: TLS always verified, a deadline for each request.

Built on `http.client`, which follows no redirects and looks at no proxies of the environment.
"""

import hashlib
import http.client
import io
import re
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from exporters.errors import SettingError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MOST_BYTES = 16 << 20
_CHUNK_BYTES = 1 << 16
_IDLE_SECONDS = 4.0
"""pveproxy closes a connection that is silent for 5 s (PVE::APIServer::AnyEvent)."""
_FINGERPRINT = re.compile(r"(?:[0-9a-f]{2}:?){32}")


@dataclass(frozen=True, slots=True)
class Trust:
    """Which certificates to believe: those of `ca_file`'s authorities (None: the system's), for `server_name`
    where it is not the address's name; or, with `fingerprints` (SHA-256, bare hexadecimal), these alone.
    """

    ca_file: Path | None = None
    fingerprints: frozenset[str] = frozenset()
    server_name: str = ""

    def context(self) -> ssl.SSLContext:
        """The context for connections; raises OSError where the file of authorities cannot be read."""
        if not self.fingerprints:
            return ssl.create_default_context(cafile=None if self.ca_file is None else str(self.ca_file))
        # The pin is what verifies then: `Connection` compares it before it sends anything.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context


@dataclass(frozen=True, slots=True)
class Address:
    """Host and port of an address `https://HOST[:PORT]`."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, reason phrase and body of an answer."""

    status: int
    reason: str
    body: bytes


class TooLargeError(Exception):
    """The answer is larger than what was allowed."""


def parse_url(url: str) -> Address:
    """Raises SettingError: it is no address of an API over HTTPS."""
    try:
        parts = urlsplit(url)
        port = parts.port or 8006
    except ValueError as error:
        raise SettingError(f"--collector.pve.url: {url!r}: {error}") from error
    plain = parts.path in ("", "/") and not parts.query and not parts.fragment and parts.username is None
    if parts.scheme != "https" or not parts.hostname or not plain:
        raise SettingError(f"--collector.pve.url: {url!r} is not https://HOST:PORT")
    return Address(parts.hostname, port)


def parse_fingerprint(text: str) -> str:
    """The fingerprint as bare hexadecimal; raises SettingError where it is none of SHA-256."""
    bare = text.strip().lower()
    if not _FINGERPRINT.fullmatch(bare):
        raise SettingError(f"--collector.pve.fingerprint: {text!r} is no SHA-256 in hexadecimal")
    return bare.replace(":", "")


class Connection:
    """A connection that opens when it is needed and again after the server closed it.

    Raises, from `get`:
        OSError: not connected, or not in time (TimeoutError); ssl.SSLError is one.
        http.client.HTTPException: the answer is no HTTP.
        TooLargeError: more than `most_bytes`.
    """

    def __init__(
        self, address: Address, trust: Trust, timeout_seconds: float, steady: Callable[[], float] = monotonic
    ) -> None:
        self.address = address
        self._trust = trust
        self._timeout_seconds = timeout_seconds
        self._steady = steady
        self._context: ssl.SSLContext | None = None
        self._open: http.client.HTTPConnection | None = None
        self._used_at = 0.0

    def get(self, path: str, token: str, most_bytes: int = MOST_BYTES) -> Reply:
        """The answer to a GET of the path."""
        ends = self._steady() + self._timeout_seconds
        if self._open is not None and self._steady() - self._used_at > _IDLE_SECONDS:
            self.close()
        reused = self._open is not None
        try:
            return self._get(path, token, most_bytes, ends)
        except (ConnectionError, http.client.RemoteDisconnected):
            self.close()
            if not reused:
                raise
        except BaseException:
            self.close()
            raise
        # The server may close a kept connection at any time; a GET can be sent again.
        try:
            return self._get(path, token, most_bytes, ends)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close it; the next request opens it again."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _get(self, path: str, token: str, most_bytes: int, ends: float) -> Reply:
        connection = self._connected(ends)
        connection.request(
            "GET", path, headers={"Authorization": f"PVEAPIToken={token}", "Accept": "application/json"}
        )
        answer = connection.getresponse()
        body = answer.read(most_bytes + 1)
        if len(body) > most_bytes:
            raise TooLargeError(f"an answer of more than {most_bytes} bytes")
        if answer.length:
            raise http.client.IncompleteRead(body, answer.length)
        self._used_at = self._steady()
        if answer.will_close:
            self.close()
        return Reply(answer.status, answer.reason, body)

    def _connected(self, ends: float) -> http.client.HTTPConnection:
        if self._open is None:
            self._open = self._connect(ends)
        timed = self._open.sock
        assert isinstance(timed, _Timed)  # noqa: S101 - put there by _connect
        timed.ends = ends
        return self._open

    def _connect(self, ends: float) -> http.client.HTTPConnection:
        if self._context is None:
            self._context = self._trust.context()
        address = self.address
        left = max(0.001, ends - self._steady())
        plain = socket.create_connection((address.host, address.port), left)
        try:
            name = self._trust.server_name or address.host
            secured = self._context.wrap_socket(plain, server_hostname=name)
            self._check_pin(secured)
        except BaseException:
            plain.close()
            raise
        connection = http.client.HTTPConnection(address.host, address.port)
        connection.sock = _Timed(secured, ends, self._steady)
        return connection

    def _check_pin(self, secured: ssl.SSLSocket) -> None:
        if not self._trust.fingerprints:
            return
        certificate = secured.getpeercert(binary_form=True) or b""
        found = hashlib.sha256(certificate).hexdigest()
        if found not in self._trust.fingerprints:
            secured.close()
            raise ssl.SSLError(f"the certificate's fingerprint is {found}, which is not trusted")


class _Timed:
    """A socket whose every operation ends at `ends`, however slowly the other side drips.

    `http.client` closes it while the answer is still being read: as with a real socket, what `makefile` gave
    keeps it open.
    """

    def __init__(self, inner: ssl.SSLSocket, ends: float, steady: Callable[[], float]) -> None:
        self._inner = inner
        self.ends = ends
        self._steady = steady
        self._users = 1
        self._is_closed = False

    def sendall(self, data: bytes) -> None:
        self._arm()
        self._inner.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:  # noqa: ARG002 - http.client reads bytes
        self._users += 1
        return io.BufferedReader(_Incoming(self), _CHUNK_BYTES)

    def receive_into(self, buffer: "WriteableBuffer") -> int:
        self._arm()
        return self._inner.recv_into(buffer)

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self.release()

    def release(self) -> None:
        self._users -= 1
        if self._users == 0:
            self._inner.close()

    def _arm(self) -> None:
        left = self.ends - self._steady()
        if left <= 0:
            raise TimeoutError("timed out")
        self._inner.settimeout(left)


class _Incoming(io.RawIOBase):
    """The receiving side as `http.client` wants it."""

    def __init__(self, timed: _Timed) -> None:
        self._timed = timed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        return self._timed.receive_into(buffer)

    def close(self) -> None:
        if not self.closed:
            self._timed.release()
        super().close()
