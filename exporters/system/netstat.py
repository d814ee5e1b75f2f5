"""The `netstat` collector: node_netstat_* from /proc/net/netstat, /proc/net/snmp and /proc/net/snmp6.

The first two are pairs of lines, names and then values (net/ipv4/proc.c); the third has a name and a value in
each line (net/ipv6/proc.c). What a kernel counts changes only with the kernel, so the places of the wanted
fields are found once and kept while the names stay the same.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from exporters.collector import Collector, Host
from exporters.errors import NoDataError, SampleError, SourceError
from exporters.samples import SINGLE, Block, Kind, Metric, Shape, label
from exporters.settings import expression
from exporters.system.shared import SharedReads
from exporters.system.tree import Tree

FIELDS = expression(
    "collector.netstat.fields",
    "^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)"
    "|TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)"
    "|Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab|MaxConn)"
    "|Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$",
    "Fields to report, as PROTOCOL_FIELD; node_exporter's and Tcp_MaxConn.",
)
SETTINGS = (FIELDS,)

_FILES = "/proc/net/netstat, snmp, snmp6"
_Shape = tuple[list[bytes], list[bytes]]


@dataclass(frozen=True, slots=True)
class Raw:
    """The three files; empty where the kernel has none, as `snmp6` without IPv6."""

    netstat: bytes
    snmp: bytes
    snmp6: bytes


def read(tree: Tree) -> Raw:
    """Read the three files.

    Raises:
        NoDataError: there is none of them.
    """
    raw = Raw(_optional(tree, "net/netstat"), _optional(tree, "net/snmp"), _optional(tree, "net/snmp6"))
    if not (raw.netstat or raw.snmp or raw.snmp6):
        raise NoDataError("no /proc/net/netstat")
    return raw


def _optional(tree: Tree, name: str) -> bytes:
    try:
        return tree.shared(SharedReads).read(tree, name, "netstat")
    except FileNotFoundError:
        return b""


class Fields:
    """Finds the wanted fields; `wanted` says of PROTOCOL_FIELD whether it is reported."""

    def __init__(self, wanted: Callable[[str], object]) -> None:
        self._wanted = wanted
        self._shape: _Shape = ([], [])
        self._lines: list[tuple[int, int, list[int]]] = []
        self._words: list[int] = []
        self._series = Shape(())

    def collect(self, raw: Raw) -> Block:
        """A family for each wanted field.

        Raises:
            SourceError: a file is malformed.
        """
        lines = [*raw.netstat.splitlines(), *raw.snmp.splitlines()]
        words = _words(raw.snmp6)
        shape = (lines[::2], words[::2])
        if shape != self._shape:
            self._learn(shape, lines[1::2])
        try:
            numbers = [
                int(fields[place])
                for line, last, places in self._lines
                if (fields := lines[line].split(None, last))
                for place in places
            ]
            numbers += [int(words[place]) for place in self._words]
        except (ValueError, IndexError) as error:
            raise SourceError(_FILES, str(error)) from error
        return Block(self._series, numbers)

    def _learn(self, shape: _Shape, values: Sequence[bytes]) -> None:
        """Note the lines that have wanted fields, the last of them, and their places."""
        metrics: dict[bytes, Metric] = {}
        self._shape, self._lines = ([], []), []
        for number, (names, line) in enumerate(zip_longest(shape[0], values, fillvalue=b"")):
            protocol, *fields = names.split() or [b""]
            if not protocol.endswith(b":") or len(line.split()) != len(fields) + 1:
                raise SourceError(_FILES, f"{len(fields)} names of {protocol!r}, other values")
            keys = [protocol[:-1] + b"_" + field for field in fields]
            places = [place for place, key in enumerate(keys, 1) if self._is_wanted(key, metrics)]
            if places:
                self._lines.append((2 * number + 1, places[-1] + 1, places))
        keys = [_key(name) for name in shape[1]]
        self._words = [2 * place + 1 for place, key in enumerate(keys) if self._is_wanted(key, metrics)]
        self._series = Shape((metric, SINGLE) for metric in metrics.values())
        self._shape = shape

    def _is_wanted(self, key: bytes, metrics: dict[bytes, Metric]) -> bool:
        """Whether a field is reported, for the first time: then its metric is noted."""
        if not key or key in metrics or not self._wanted(label(key)):
            return False
        metrics[key] = _metric(label(key))
        return True


def _metric(key: str) -> Metric:
    try:
        return Metric(
            f"node_netstat_{key}", Kind.UNTYPED, f"Counter {key} of the kernel's network protocols."
        )
    except SampleError as error:
        raise SourceError(_FILES, f"field {key!r}") from error


def _key(name: bytes) -> bytes:
    """PROTOCOL_FIELD of a name in snmp6, as Ip6InOctets; empty where it is no such name."""
    head, six, tail = name.partition(b"6")
    return head + b"6_" + tail if six else b""


def _words(text: bytes) -> list[bytes]:
    """Names and values of snmp6 in turn."""
    words = text.split()
    if len(words) == 2 * text.count(b"\n"):
        return words
    found = [fields[:2] for line in text.split(b"\n") if len(fields := line.split()) > 1]
    return [word for fields in found for word in fields]


def build(host: Host) -> Collector:
    """The collector on this host."""
    fields = Fields(re.compile(host.settings[FIELDS]).search)
    return Collector(lambda: fields.collect(read(host.tree)))
