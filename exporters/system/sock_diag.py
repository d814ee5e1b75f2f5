"""TCP sockets of this network namespace over sock_diag(7), a twentieth of the cost of /proc/net/tcp.

The oldest form of the question (TCPDIAG_GETSOCK) is answered for IPv4 and IPv6 at once, so the kernel walks
its table of connections, megabytes on a large machine, once.
"""

from struct import Struct

from exporters.errors import SourceError
from exporters.system.netlink import Channel

_INET_DIAG = 4
_GET_SOCKETS = 18
_REQUEST = Struct("=BBBB48sII")  # family, lengths of addresses, extensions, identity, states, dbs
_STATES = 0xFFF
_QUEUES = Struct("=II")
_STATE_PLACE = 1
_QUEUES_PLACE = 56
_MESSAGE_BYTES = 72


class Sockets:
    """Asks the kernel for all TCP sockets."""

    def __init__(self, channel: Channel | None = None) -> None:
        self._channel = Channel(_INET_DIAG) if channel is None else channel

    def read(self) -> tuple[dict[int, int], int, int]:
        """Sockets by number of their state (include/net/tcp_states.h), bytes that wait to be read, and bytes
        that wait to be sent; of a listening socket the two are the connections that wait and their limit.

        Raises:
            OSError: the kernel refuses.
            SourceError: an answer is malformed.
        """
        states: dict[int, int] = {}
        received = sent = 0
        for datagram, start, end in self._channel.dump(
            _GET_SOCKETS, _REQUEST.pack(2, 0, 0, 0, b"", _STATES, 0)
        ):
            if end - start < _MESSAGE_BYTES:
                raise SourceError("sock_diag", f"socket in {end - start} bytes")
            state = datagram[start + _STATE_PLACE]
            states[state] = states.get(state, 0) + 1
            waiting, unsent = _QUEUES.unpack_from(datagram, start + _QUEUES_PLACE)
            received += waiting
            sent += unsent
        return states, received, sent

    def close(self) -> None:
        """Close the socket."""
        self._channel.close()
