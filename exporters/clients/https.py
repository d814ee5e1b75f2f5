"""GET over HTTPS with one deadline for the whole answer and a limit on its size.

No redirects, no proxies, no cookies. Plain HTTP goes to this host alone, which is looked at once the
connection stands and before anything is sent; to others goes TLS that is always verified. An answer that was
cut short is an error, never a shorter answer.
"""

import http.client
import io
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from time import monotonic
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from exporters.clients.tls import Deadline, Trust, connect
from exporters.errors import ExporterError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_CHUNK_BYTES = 1 << 16


class TooLargeError(ExporterError):
    """The answer is larger than what was allowed."""


class NotEncryptedError(ExporterError):
    """Plain HTTP was to go to another host."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is: `path` is what its own paths begin with, without a slash at the end."""

    is_secure: bool
    host: str
    port: int
    path: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}{self.path}"


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, reason phrase and body of an answer."""

    status: int
    reason: str
    body: bytes


def parse_url(url: str, ports: Mapping[str, int]) -> Address:
    """The address in a URL of one of the schemes in `ports`, which are their ports where it names none.

    Raises:
        ValueError: it is none, or carries a user, a query or a fragment. The text repeats nothing of it,
            because a password may stand in it.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or ports.get(parts.scheme, 0)
    except ValueError:
        raise ValueError("not an address") from None
    if parts.scheme not in ports or not parts.hostname:
        raise ValueError(f"not an address such as {next(iter(ports))}://HOST:PORT")
    if parts.username is not None or parts.query or parts.fragment or not _is_plain(parts.path):
        raise ValueError("an address has host, port and path; secrets belong into the token file")
    return Address(parts.scheme == "https", parts.hostname, port, parts.path.rstrip("/"))


class Connection:
    """Asks one server. The connection opens when it is needed, and again after either side closed it.

    It is kept while it is silent for less than `kept_seconds`; with none it is closed after each answer.

    Raises, from `get`:
        OSError: not connected, not believed, or not in time (TimeoutError); ssl.SSLError is one.
        http.client.HTTPException: the answer is no HTTP, or was cut short (IncompleteRead).
        TooLargeError: more than `most_bytes`.
        NotEncryptedError: plain HTTP to another host.
    """

    def __init__(
        self,
        address: Address,
        trust: Trust,
        timeout_seconds: float,
        *,
        kept_seconds: float = 0.0,
        steady: Callable[[], float] = monotonic,
    ) -> None:
        self.address = address
        self._trust = trust
        self._timeout_seconds = timeout_seconds
        self._kept_seconds = kept_seconds
        self._steady = steady
        self._open: http.client.HTTPConnection | None = None
        self._used_at = 0.0

    def get(self, path: str, fields: Mapping[str, str], most_bytes: int) -> Reply:
        """The answer to a GET of the path below the address's, with these header fields."""
        deadline = Deadline(self._timeout_seconds, self._steady)
        if self._open is not None and self._steady() - self._used_at > self._kept_seconds:
            self.close()
        reused = self._open is not None
        try:
            return self._get(path, fields, most_bytes, deadline)
        except (ConnectionError, http.client.RemoteDisconnected):
            self.close()
            if not reused:
                raise
        except BaseException:
            self.close()
            raise
        # The server may close a kept connection at any time; a GET can be sent again.
        try:
            return self._get(path, fields, most_bytes, deadline)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close it; the next request opens it again."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _get(self, path: str, fields: Mapping[str, str], most_bytes: int, deadline: Deadline) -> Reply:
        connection = self._connected(deadline)
        hop = {} if self._kept_seconds else {"Connection": "close"}
        connection.request("GET", self.address.path + path, headers={**fields, **hop})
        answer = connection.getresponse()
        try:
            body = answer.read(most_bytes + 1)
            if len(body) > most_bytes:
                raise TooLargeError(f"an answer of more than {most_bytes} bytes")
            if answer.length:  # `read` with a limit takes an answer that was cut short for a whole one
                raise http.client.IncompleteRead(body, answer.length)
        finally:
            answer.close()
        self._used_at = self._steady()
        if answer.will_close or not self._kept_seconds:
            self.close()
        return Reply(answer.status, answer.reason, body)

    def _connected(self, deadline: Deadline) -> http.client.HTTPConnection:
        if self._open is None:
            self._open = http.client.HTTPConnection(self.address.host, self.address.port)
            self._open.auto_open = 0
            self._open.sock = _Timed(self._connect(deadline), deadline)
        timed = self._open.sock
        assert isinstance(timed, _Timed)  # noqa: S101 - put there above
        timed.deadline = deadline
        return self._open

    def _connect(self, deadline: Deadline) -> socket.socket:
        address = self.address
        plain = connect(address.host, address.port, deadline)
        if address.is_secure:
            return self._trust.greet(plain, address.host, deadline)
        if not ip_address(plain.getpeername()[0]).is_loopback:
            plain.close()
            raise NotEncryptedError("plain HTTP is for this host alone; use https://")
        return plain


def _is_plain(path: str) -> bool:
    return all("!" <= sign <= "~" for sign in path)


class _Timed:
    """A socket whose every operation ends at the deadline, however slowly the other side drips.

    `http.client` closes it while the answer is still being read: as with a real socket, what `makefile` gave
    keeps it open.
    """

    def __init__(self, inner: socket.socket, deadline: Deadline) -> None:
        self._inner = inner
        self.deadline = deadline
        self._users = 1
        self._is_closed = False

    def sendall(self, data: bytes) -> None:
        self._inner.settimeout(self.deadline.left())
        self._inner.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:  # noqa: ARG002 - http.client reads bytes
        self._users += 1
        return io.BufferedReader(_Incoming(self), _CHUNK_BYTES)

    def receive_into(self, buffer: "WriteableBuffer") -> int:
        self._inner.settimeout(self.deadline.left())
        return self._inner.recv_into(buffer)

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self.release()

    def release(self) -> None:
        self._users -= 1
        if self._users == 0:
            self._inner.close()


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
