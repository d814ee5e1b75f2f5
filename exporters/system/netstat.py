"""The `netstat` collector: node_netstat_* from /proc/net/netstat, /proc/net/snmp and /proc/net/snmp6.

The first two are pairs of lines, names and then values (net/ipv4/proc.c); the third has a name and a value in
each line (net/ipv6/proc.c). What a kernel counts changes only with the kernel, so the places of the wanted
fields are found once and kept while the names stay the same.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress

from exporters.collector import Collector, Host
from exporters.errors import NoDataError, SampleError, SourceError
from exporters.samples import Family, Kind, Metric, label
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
        self._metrics: dict[bytes, Metric] = {}
        self._names: list[bytes] = []
        self._chosen: list[bool] = []

    def collect(self, raw: Raw) -> list[Family]:
        """A family for each wanted field.

        Raises:
            SourceError: a file is malformed.
        """
        names, values = [], []
        for part in (*_pairs("netstat", raw.netstat), *_pairs("snmp", raw.snmp), _lines(raw.snmp6)):
            names += part[0]
            values += part[1]
        if names != self._names:
            self._learn(names)
        try:
            numbers = list(map(int, compress(values, self._chosen)))
        except ValueError as error:
            raise SourceError("/proc/net/netstat, snmp, snmp6", str(error)) from error
        return [metric.one(number) for metric, number in zip(self._metrics.values(), numbers, strict=True)]

    def _learn(self, names: Sequence[bytes]) -> None:
        protocol, chosen, metrics = b"", [], {}
        for name in names:
            if name.endswith(b":"):
                protocol = name[:-1]
                chosen.append(False)
                continue
            key = _key(protocol, name)
            wanted = bool(key) and key not in metrics and bool(self._wanted(label(key)))
            chosen.append(wanted)
            if wanted:
                metrics[key] = _metric(label(key))
        self._names, self._chosen, self._metrics = list(names), chosen, metrics


def _metric(key: str) -> Metric:
    try:
        return Metric(
            f"node_netstat_{key}", Kind.UNTYPED, f"Counter {key} of the kernel's network protocols."
        )
    except SampleError as error:
        raise SourceError("/proc/net/netstat, snmp, snmp6", f"field {key!r}") from error


def _key(protocol: bytes, name: bytes) -> bytes:
    """PROTOCOL_FIELD; in snmp6, where the protocol is `6:`, the name has it, as in Ip6InOctets, else it is no
    field and the key is empty.
    """
    if protocol != _SIX:
        return protocol + b"_" + name
    head, six, tail = name.partition(_SIX)
    return head + b"6_" + tail if six else b""


_SIX = b"6"


def _pairs(file: str, text: bytes) -> Iterator[tuple[list[bytes], list[bytes]]]:
    lines = text.split(b"\n")
    for names_line, values_line in zip(lines[::2], lines[1::2], strict=False):
        names, values = names_line.split(), values_line.split()
        if len(names) != len(values) or not names or not names[0].endswith(b":"):
            raise SourceError(f"/proc/net/{file}", f"{len(names)} names, {len(values)} values")
        yield names, values


def _lines(text: bytes) -> tuple[list[bytes], list[bytes]]:
    words = text.split()
    if len(words) != 2 * text.count(b"\n"):
        found = [fields[:2] for line in text.split(b"\n") if len(fields := line.split()) > 1]
        words = [word for fields in found for word in fields]
    return [b"6:", *words[::2]], [b"6:", *words[1::2]]


def build(host: Host) -> Collector:
    """The collector on this host."""
    fields = Fields(re.compile(host.settings[FIELDS]).search)
    return Collector(lambda: fields.collect(read(host.tree)))
