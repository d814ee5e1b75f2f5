"""The `tcpstat` collector: node_tcp_connection_states, sockets by state.

The kernel is asked over sock_diag (exporters/system/sock_diag.py) where it is the one that runs here;
/proc/net/tcp and /proc/net/tcp6 are read in a saved tree, and where netlink is refused. Either way it walks
its table of connections, megabytes that push everything else out of the processor's caches however few there
are, and then tells of each: so it is asked in the background.

Each state has a series, also with 0: dashboards subtract and alert on them (node_exporter tells only the
states that occur, and has this collector off). The two last "states" are bytes in the queues of all sockets.
"""

import logging
from dataclasses import dataclass

from exporters.background import Background
from exporters.collector import Collector, Host
from exporters.errors import NoDataError, SourceError
from exporters.samples import Family, Kind, Metric
from exporters.system.sock_diag import Sockets
from exporters.system.tree import Tree

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 15.0

_STATES = (
    "established",
    "syn_sent",
    "syn_recv",
    "fin_wait1",
    "fin_wait2",
    "time_wait",
    "close",
    "close_wait",
    "last_ack",
    "listen",
    "closing",
)
"""In the order of enum in include/net/tcp_states.h, which begins at 1."""
_ROWS = tuple((name,) for name in (*_STATES, "rx_queued_bytes", "tx_queued_bytes"))
_CONNECTIONS = Metric(
    "node_tcp_connection_states",
    Kind.GAUGE,
    "TCP sockets by state, and bytes that wait in their queues to be read (rx) and sent (tx).",
    ("state",),
)
_LEAST_COLUMNS = 5
_STATE_COLUMN = 3


@dataclass(frozen=True, slots=True)
class Raw:
    """Sockets by number of their state, and bytes in queues."""

    sockets: dict[int, int]
    received: int
    sent: int


def read(tree: Tree) -> Raw:
    """Read both files.

    Raises:
        NoDataError: there is neither.
        SourceError: a line is malformed.
    """
    texts = [text for name in ("net/tcp", "net/tcp6") if (text := _optional(tree, name)) is not None]
    if not texts:
        raise NoDataError("no /proc/net/tcp")
    return parse(texts)


def _optional(tree: Tree, name: str) -> bytes | None:
    try:
        return tree.proc(name)
    except FileNotFoundError:
        return None


def parse(texts: list[bytes]) -> Raw:
    """The sums over the lines of these files.

    Raises:
        SourceError: a line is malformed.
    """
    sockets: dict[int, int] = {}
    received = sent = 0
    for text in texts:
        for line in text.split(b"\n")[1:]:
            if not line:
                continue
            columns = line.split(None, _LEAST_COLUMNS)
            try:
                state = int(columns[_STATE_COLUMN], 16)
                transmit, receive = columns[_STATE_COLUMN + 1].split(b":")
                sent += int(transmit, 16)
                received += int(receive, 16)
            except (IndexError, ValueError) as error:
                raise SourceError("/proc/net/tcp", f"malformed line {line[:80]!r}") from error
            sockets[state] = sockets.get(state, 0) + 1
    return Raw(sockets, received, sent)


def collect(raw: Raw) -> list[Family]:
    """One family, with a series for each state."""
    counts = [raw.sockets.get(number, 0) for number, _ in enumerate(_STATES, 1)]
    return [Family(_CONNECTIONS, _ROWS, (*counts, raw.received, raw.sent))]


class TcpStat:
    """Asks the kernel over `sockets`, and reads the files where that is refused or there is None."""

    def __init__(self, tree: Tree, sockets: Sockets | None) -> None:
        self._tree = tree
        self._sockets = sockets

    def collect(self) -> list[Family]:
        """Read and collect."""
        if self._sockets is not None:
            try:
                return collect(Raw(*self._sockets.read()))
            except (OSError, SourceError) as error:
                logger.debug("sock_diag refused error=%s", error)
        return collect(read(self._tree))

    def close(self) -> None:
        """Close the socket."""
        if self._sockets is not None:
            self._sockets.close()


def build(host: Host) -> Collector:
    """The collector on this host."""
    if not host.tree.proc_is_live:
        return Collector(TcpStat(host.tree, None).collect)
    found = TcpStat(host.tree, Sockets())
    background = Background("tcpstat", found.collect, interval_seconds=INTERVAL_SECONDS)

    def close() -> None:
        background.close()
        found.close()

    return Collector(background.collect, close, background.age_seconds)
