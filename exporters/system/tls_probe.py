"""Asks a port for its certificate, by a TLS handshake that is ended at once.

The first handshake verifies as any client would. Where that refuses the certificate, a second one takes it
without trust, to read when it expires: nothing is sent over either, and nothing that comes is used but that.
"""

import ssl
from collections.abc import Callable
from pathlib import Path
from time import monotonic

from exporters.clients.tls import Deadline, connect, handshake
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
        deadline = Deadline(self._deadline_seconds, self._steady)
        try:
            try:
                return answer(asked, _certificate(asked, self._trusting, deadline), verified=True)
            except ssl.SSLCertVerificationError:
                return answer(asked, _certificate(asked, self._reading, deadline), verified=False)
        except TimeoutError:
            return Found(str(asked), reason=Reason.TIMEOUT)
        except ssl.SSLError:
            return Found(str(asked), reason=Reason.HANDSHAKE)
        except (OSError, UnicodeError):  # a host name that no resolver can take is a UnicodeError
            return Found(str(asked), reason=Reason.UNREACHABLE)


def _certificate(asked: Endpoint, context: ssl.SSLContext, deadline: Deadline) -> bytes:
    with handshake(connect(asked.host, asked.port, deadline), context, asked.host, deadline) as secured:
        return secured.getpeercert(binary_form=True) or b""
