"""The API of a Proxmox VE cluster: GET with a token, by any of its nodes.

https://pve.proxmox.com/wiki/Proxmox_VE_API. An address that does not answer is left for the next one, and the
one that answered last is asked first. The token goes into a header field and nowhere else.
"""

import http.client
import json
from collections.abc import Callable, Sequence

from exporters.clients.https import Connection, Reply, TooLargeError
from exporters.vm.errors import NodeDownError, ProxmoxError, UnreachableError, refusal

MOST_BYTES = 16 << 20
KEPT_SECONDS = 4.0
"""How long to keep a silent connection: pveproxy closes it after 5 s (PVE::APIServer::AnyEvent)."""

_BASE = "/api2/json"
# AnyEvent::HTTP's own codes, which are passed on: 595 connect, 596 TLS, send or head, 597 body, 599 others.
_NODE_DOWN = range(595, 600)
_LONGEST_REASON = 200


class Api:
    """The nodes of one cluster.

    Raises, from `get`:
        DeniedError, NodeDownError, UnreachableError, ProxmoxError: see exporters/vm/errors.py.
    """

    def __init__(self, connections: Sequence[Connection], token: Callable[[], str]) -> None:
        self._connections = tuple(connections)
        self._token = token
        self._first = 0
        self.requests = 0
        """Requests sent, those that failed with them."""

    @property
    def address(self) -> str:
        """HOST:PORT of the node that is asked first."""
        return str(self._connections[self._first].address)

    def get(
        self,
        path: str,
        *,
        for_node: bool = False,
        most_bytes: int = MOST_BYTES,
        each: Callable[[dict[str, object]], object] | None = None,
    ) -> object:
        """What the API has at `path`, the part after /api2/json. `each`, where given, makes something else of
        every object as soon as it was parsed.

        `for_node` says that the request is passed on to a node: then one without an answer in time blames
        that node and not the address.
        """
        fields = {"Authorization": f"PVEAPIToken={self._token()}", "Accept": "application/json"}
        failures: list[str] = []
        for turn in range(len(self._connections)):
            place = (self._first + turn) % len(self._connections)
            connection = self._connections[place]
            self.requests += 1
            try:
                reply = connection.get(_BASE + path, fields, most_bytes)
            except TooLargeError as error:
                raise ProxmoxError(f"{path}: {error}") from error
            except TimeoutError as error:
                if for_node:
                    raise NodeDownError(f"{path}: no answer in time") from error
                failures.append(f"{connection.address}: no answer in time")
            except (OSError, http.client.HTTPException) as error:
                failures.append(f"{connection.address}: {error or type(error).__name__}")
            else:
                self._first = place
                return _data(path, reply, each)
        raise UnreachableError("; ".join(failures))

    def close(self) -> None:
        """Close the connections; the next request opens one again."""
        for connection in self._connections:
            connection.close()


def _data(path: str, reply: Reply, each: Callable[[dict[str, object]], object] | None) -> object:
    if reply.status == http.client.OK:
        return _parsed(path, reply.body, each).get("data")
    reason = _message(reply)
    if reply.status == http.client.FORBIDDEN:
        raise refusal(reason, path)
    if reply.status in _NODE_DOWN:
        raise NodeDownError(f"{path}: {reply.status} {reason}")
    raise ProxmoxError(f"{path}: {reply.status} {reason}")


def _message(reply: Reply) -> str:
    """Why, on one line: of the body where it says more than the reason phrase."""
    try:
        said = _parsed("", reply.body).get("message")
    except ProxmoxError:
        said = None
    text = said if isinstance(said, str) and said.strip() else reply.reason
    return " ".join(text.split())[:_LONGEST_REASON]


def _parsed(
    path: str, body: bytes, each: Callable[[dict[str, object]], object] | None = None
) -> dict[str, object]:
    try:
        parsed = json.loads(body, parse_constant=_refuse, object_hook=each)
    except (ValueError, RecursionError) as error:
        raise ProxmoxError(f"{path}: the answer is no JSON") from error
    if not isinstance(parsed, dict):
        raise ProxmoxError(f"{path}: the answer is no object")
    return parsed


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is no number of JSON")
