"""GET with a deadline, a size limit and nothing else: no redirects, no proxies, no cookies.

Plain HTTP goes to this host alone, which is looked at once the connection stands and before anything is
sent; to others goes TLS that is always verified.
"""

import http.client
import io
import os
import socket
import ssl
import stat
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from exporters.errors import ExporterError, SettingError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MOST_BYTES = 8 << 20
_LONGEST_TOKEN_BYTES = 4096
_FOR_OTHERS = stat.S_IRWXO | stat.S_IWGRP | stat.S_IXGRP
_PORTS = {"http": 80, "https": 443}


class FetchError(ExporterError):
    """The server did not answer as it should; the text has nothing of the answer or the token in it."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is: `path` is what its own paths begin with, without a slash at the end."""

    is_secure: bool
    host: str
    port: int
    path: str

    @property
    def label(self) -> str:
        """Host, port and path, as a label tells them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}{self.path}"


def parse_url(flag: str, url: str) -> Address:
    """The address in a flag's value.

    Raises:
        SettingError: it is no http:// or https:// address, or carries a password or a query.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError as error:
        raise SettingError(f"--{flag}: {error}") from error
    if parts.scheme not in _PORTS or not parts.hostname:
        raise SettingError(f"--{flag}: not an address such as http://127.0.0.1:11434")
    if parts.username is not None or parts.query or parts.fragment or not _is_plain(parts.path):
        raise SettingError(
            f"--{flag}: an address has host, port and path; secrets belong into the token file"
        )
    return Address(parts.scheme == "https", parts.hostname, port, parts.path.rstrip("/"))


@dataclass(frozen=True, slots=True)
class Fetch:
    """Asks one server. `context` makes the context for TLS, once it is needed."""

    address: Address
    context: Callable[[], ssl.SSLContext]
    token_file: Path | None = None
    timeout_seconds: float = 5.0
    steady: Callable[[], float] = monotonic

    def get(self, path: str, most_bytes: int = MOST_BYTES) -> bytes:
        """The body of the answer to a GET of this path below the server's.

        Raises:
            FetchError: no answer in time, none with status 200, or one too large.
        """
        ends = self.steady() + self.timeout_seconds
        try:
            with self._connected() as connection:
                connection.sendall(self._request(path))
                answer = http.client.HTTPResponse(
                    cast("socket.socket", _Timed(connection, ends, self.steady))
                )
                try:
                    answer.begin()
                    if answer.status != http.client.OK:
                        raise FetchError(f"{path}: status {answer.status}")
                    body = answer.read(most_bytes + 1)
                    # `read` with a limit takes an answer that was cut short for a whole one.
                    if answer.length and len(body) <= most_bytes:
                        raise FetchError(f"{path}: the answer was cut short")
                finally:
                    answer.close()
        except (OSError, http.client.HTTPException) as error:
            raise FetchError(f"{path}: {type(error).__name__}") from error
        if len(body) > most_bytes:
            raise FetchError(f"{path}: an answer of more than {most_bytes} bytes")
        return body

    def _connected(self) -> socket.socket:
        address = self.address
        connection = socket.create_connection((address.host, address.port), self.timeout_seconds)
        try:
            if address.is_secure:
                return self.context().wrap_socket(connection, server_hostname=address.host)
            if not ip_address(connection.getpeername()[0]).is_loopback:
                raise FetchError("plain HTTP is for this host alone; use https://")
        except BaseException:
            connection.close()
            raise
        return connection

    def _request(self, path: str) -> bytes:
        address = self.address
        lines = [
            f"GET {address.path}{path} HTTP/1.1",
            f"Host: {address.host}:{address.port}",
            "Accept: */*",
            "Accept-Encoding: identity",
            "Connection: close",
        ]
        if self.token_file is not None:
            lines.append(f"Authorization: Bearer {read_token(self.token_file)}")
        return "\r\n".join((*lines, "", "")).encode("ascii")


def read_token(path: Path) -> str:
    """The token in a file; read anew each time, so that it can be renewed.

    Raises:
        FetchError: it is not there, others may read it, or it holds no token.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise FetchError(f"{path}: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode) or mode & _FOR_OTHERS:
            raise FetchError(f"{path}: not a plain file, or others may read it (chmod 600)")
        text = file.read(_LONGEST_TOKEN_BYTES + 1).decode("ascii", "replace").strip()
    if not text or len(text) > _LONGEST_TOKEN_BYTES or not all("!" <= sign <= "~" for sign in text):
        raise FetchError(f"{path}: holds no token")
    return text


def _is_plain(path: str) -> bool:
    return all("!" <= sign <= "~" for sign in path)


class _Timed:
    """The receiving side of a connection, ending at `ends` however slowly the other side drips."""

    def __init__(self, inner: socket.socket, ends: float, steady: Callable[[], float]) -> None:
        self._inner = inner
        self._ends = ends
        self._steady = steady

    def makefile(self, mode: str) -> io.BufferedReader:  # noqa: ARG002 - http.client reads bytes
        return io.BufferedReader(_Incoming(self))

    def receive_into(self, buffer: "WriteableBuffer") -> int:
        left = self._ends - self._steady()
        if left <= 0:
            raise TimeoutError("timed out")
        self._inner.settimeout(left)
        return self._inner.recv_into(buffer)


class _Incoming(io.RawIOBase):
    def __init__(self, timed: _Timed) -> None:
        self._timed = timed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        return self._timed.receive_into(buffer)
