"""The `udp_queues` collector: bytes that wait in the queues of all UDP sockets, from /proc/net/udp and udp6.

The fifth column is `tx_queue:rx_queue` in hexadecimal (net/ipv4/udp.c, udp4_format_sock).
"""

from dataclasses import dataclass
from functools import partial

from exporters.collector import Collector, Host
from exporters.errors import NoDataError, SourceError
from exporters.samples import Family, Kind, Metric
from exporters.system.tree import Tree
from exporters.system.unchanged import Unchanged

_QUEUES = Metric(
    "node_udp_queues",
    Kind.GAUGE,
    "Memory of the kernel that holds datagrams in the queues of UDP sockets, in bytes.",
    ("queue", "ip"),
)
_FOUR = (("tx", "v4"), ("rx", "v4"))
_SIX = (("tx", "v6"), ("rx", "v6"))
_BOTH = _FOUR + _SIX
_QUEUE_COLUMN = 4
_LEAST_COLUMNS = 13


@dataclass(frozen=True, slots=True)
class Raw:
    """The two files; None where the kernel has no such protocol."""

    udp: bytes | None
    udp6: bytes | None


def read(tree: Tree) -> Raw:
    """Read both files."""
    return Raw(_optional(tree, "net/udp"), _optional(tree, "net/udp6"))


def _optional(tree: Tree, name: str) -> bytes | None:
    try:
        return tree.proc(name)
    except FileNotFoundError:
        return None


def collect(raw: Raw) -> list[Family]:
    """One family, with the sums of the protocols that are there.

    Raises:
        NoDataError: there is neither file.
        SourceError: a line is malformed.
    """
    four = () if raw.udp is None else sums(raw.udp)
    six = () if raw.udp6 is None else sums(raw.udp6)
    if not four and not six:
        raise NoDataError("no /proc/net/udp")
    rows = _BOTH if four and six else _FOUR if four else _SIX
    return [Family(_QUEUES, rows, (*four, *six))]


def sums(text: bytes) -> tuple[int, int]:
    """Bytes that wait to be sent and to be read.

    Raises:
        SourceError: a line is malformed.
    """
    sent = received = 0
    for line in text.split(b"\n")[1:]:
        if not line:
            continue
        columns = line.split()
        try:
            if len(columns) < _LEAST_COLUMNS:
                raise ValueError(f"{len(columns)} columns")
            transmit, receive = columns[_QUEUE_COLUMN].split(b":")
            sent += int(transmit, 16)
            received += int(receive, 16)
        except ValueError as error:
            raise SourceError("/proc/net/udp", str(error)) from error
    return sent, received


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(Unchanged(partial(read, host.tree), collect))
