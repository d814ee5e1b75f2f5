"""Connections to other programs, and TLS over them: every step ends at one deadline, and TLS is verified."""

import hashlib
import re
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from time import monotonic

_FINGERPRINT = re.compile(r"(?:[0-9a-f]{2}:?){32}")


class Deadline:
    """An instant, `seconds` from now, at which the work of several steps ends."""

    def __init__(self, seconds: float, steady: Callable[[], float] = monotonic) -> None:
        self._steady = steady
        self._ends = steady() + seconds

    def left(self) -> float:
        """Seconds until then. Raises TimeoutError where there are none."""
        left = self._ends - self._steady()
        if left <= 0:
            raise TimeoutError("timed out")
        return left


@dataclass(frozen=True)
class Trust:
    """Which certificates to believe: those of `ca_file`'s authorities (None: the system's), for `server_name`
    where it is not the address's name; or, with `fingerprints` (SHA-256, bare hexadecimal), these alone.
    """

    ca_file: Path | None = None
    fingerprints: frozenset[str] = frozenset()
    server_name: str = ""

    @cached_property
    def context(self) -> ssl.SSLContext:
        """The context for connections, made once; raises OSError where the authorities cannot be read."""
        if not self.fingerprints:
            return ssl.create_default_context(cafile=None if self.ca_file is None else str(self.ca_file))
        # The pin is what verifies then: `greet` compares it before anything is sent.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context

    def greet(self, plain: socket.socket, host: str, deadline: Deadline) -> ssl.SSLSocket:
        """The connection after a handshake with a server that is believed.

        Raises:
            OSError: it is not, or not in time; ssl.SSLError and TimeoutError are such. `plain` is closed.
        """
        secured = handshake(plain, self.context, self.server_name or host, deadline)
        if self.fingerprints:
            found = hashlib.sha256(secured.getpeercert(binary_form=True) or b"").hexdigest()
            if found not in self.fingerprints:
                secured.close()
                raise ssl.SSLError(f"the certificate's fingerprint is {found}, which is not trusted")
        return secured


def parse_fingerprint(text: str) -> str:
    """A fingerprint as bare hexadecimal; raises ValueError where it is none of SHA-256."""
    bare = text.strip().lower()
    if not _FINGERPRINT.fullmatch(bare):
        raise ValueError(f"{text!r} is no SHA-256 in hexadecimal")
    return bare.replace(":", "")


def connect(host: str, port: int, deadline: Deadline) -> socket.socket:
    """A connection by TCP; raises OSError."""
    return socket.create_connection((host, port), deadline.left())


def handshake(
    plain: socket.socket, context: ssl.SSLContext, server_name: str, deadline: Deadline
) -> ssl.SSLSocket:
    """TLS over a connection, which is closed where that fails; raises OSError."""
    try:
        plain.settimeout(deadline.left())
        return context.wrap_socket(plain, server_hostname=server_name)
    except BaseException:
        plain.close()
        raise
