"""Asks one model server over HTTP; what went wrong is told without a word of the answer or the token."""

import http.client
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from exporters.clients.https import Address, Connection, NotEncryptedError, TooLargeError, parse_url
from exporters.clients.tls import Trust
from exporters.clients.token_file import read_secret
from exporters.errors import ExporterError, SettingError, SourceError

MOST_BYTES = 8 << 20
_PORTS = {"http": 80, "https": 443}


class FetchError(ExporterError):
    """The server did not answer as it should; the text has nothing of the answer or the token in it."""


def address(flag: str, url: str) -> Address:
    """The address in a flag's value.

    Raises:
        SettingError: it is no http:// or https:// address, or carries a password or a query.
    """
    try:
        return parse_url(url, _PORTS)
    except ValueError as error:
        raise SettingError(f"--{flag}: {error}") from error


@dataclass(frozen=True, slots=True)
class Fetch:
    """Asks one server, each time over a connection of its own."""

    address: Address
    trust: Trust
    token_file: Path | None = None
    timeout_seconds: float = 5.0
    steady: Callable[[], float] = monotonic

    def get(self, path: str, most_bytes: int = MOST_BYTES) -> bytes:
        """The body of the answer to a GET of this path below the server's.

        Raises:
            FetchError: no answer in time, none with status 200, one too large, or one cut short.
        """
        connection = Connection(self.address, self.trust, self.timeout_seconds, steady=self.steady)
        try:
            with closing(connection):
                reply = connection.get(path, self._fields(), most_bytes)
        except (SourceError, NotEncryptedError) as error:
            raise FetchError(str(error)) from error
        except TooLargeError as error:
            raise FetchError(f"{path}: {error}") from error
        except (OSError, http.client.HTTPException) as error:
            raise FetchError(f"{path}: {type(error).__name__}") from error
        if reply.status != http.client.OK:
            raise FetchError(f"{path}: status {reply.status}")
        return reply.body

    def _fields(self) -> dict[str, str]:
        fields = {"Accept": "*/*"}
        if self.token_file is not None:
            fields["Authorization"] = f"Bearer {read_secret(self.token_file)}"
        return fields
