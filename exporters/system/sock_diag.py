"""TCP sockets of this network namespace over sock_diag(7), a twentieth of the cost of /proc/net/tcp.

The oldest form of the question (TCPDIAG_GETSOCK) is answered for IPv4 and IPv6 at once, so the kernel walks
its table of connections, megabytes on a large machine, once.
"""

from collections import Counter
from struct import Struct

from exporters.errors import SourceError
from exporters.system.netlink import Channel

_INET_DIAG = 4
_GET_SOCKETS = 18
_REQUEST = Struct("=BBBB48sII")  # family, lengths of addresses, extensions, identity, states, dbs
_STATES = 0xFFF
_QUESTION = _REQUEST.pack(2, 0, 0, 0, b"", _STATES, 0)
_SOCKET = Struct("=xB54xII")  # state, queues: of struct inet_diag_msg
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
        unpack = _SOCKET.unpack_from
        found = []
        for datagram, start, end in self._channel.dump(_GET_SOCKETS, _QUESTION):
            if end - start < _MESSAGE_BYTES:
                raise SourceError("sock_diag", f"socket in {end - start} bytes")
            found.append(unpack(datagram, start))
        if not found:
            return {}, 0, 0
        states, received, sent = zip(*found, strict=True)
        return Counter(states), sum(received), sum(sent)

    def close(self) -> None:
        """Close the socket."""
        self._channel.close()
