"""Asks a port for its certificate, by a TLS handshake that is ended at once.

The first handshake verifies as any client would. Where that refuses the certificate, a second one takes it
without trust, to read when it expires: nothing is sent over either, and nothing that comes is used but that.
"""

import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from time import monotonic

from exporters.system.certificates import Endpoint, Found, Reason, answer

DEADLINE_SECONDS = 5.0


class Prober:
    """Probes endpoints. `ca_file` has certificate authorities to trust beside the system's.

    Raises:
        OSError: it may not be read, or holds none.
    """

    def __init__(
        self,
        ca_file: Path | None = None,
        *,
        deadline_seconds: float = DEADLINE_SECONDS,
        steady: Callable[[], float] = monotonic,
    ) -> None:
        self._deadline_seconds = deadline_seconds
        self._steady = steady
        self._trusting = ssl.create_default_context()
        if ca_file is not None:
            self._trusting.load_verify_locations(ca_file)
        self._reading = ssl.create_default_context()
        self._reading.check_hostname = False
        self._reading.verify_mode = ssl.CERT_NONE

    def probe(self, asked: Endpoint) -> Found:
        """The certificate of an endpoint, within the deadline for both handshakes together."""
        until = self._steady() + self._deadline_seconds
        try:
            try:
                return answer(asked, self._certificate(asked, self._trusting, until), verified=True)
            except ssl.SSLCertVerificationError:
                return answer(asked, self._certificate(asked, self._reading, until), verified=False)
        except TimeoutError:
            return Found(str(asked), reason=Reason.TIMEOUT)
        except ssl.SSLError:
            return Found(str(asked), reason=Reason.HANDSHAKE)
        except (OSError, UnicodeError):  # a host name that no resolver can take is a UnicodeError
            return Found(str(asked), reason=Reason.UNREACHABLE)

    def _certificate(self, asked: Endpoint, context: ssl.SSLContext, until: float) -> bytes:
        with socket.create_connection((asked.host, asked.port), timeout=self._left(until)) as plain:
            plain.settimeout(self._left(until))
            with context.wrap_socket(plain, server_hostname=asked.host) as secured:
                return secured.getpeercert(binary_form=True) or b""

    def _left(self, until: float) -> float:
        left = until - self._steady()
        if left <= 0:
            raise TimeoutError
        return left
