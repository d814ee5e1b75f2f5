"""The `sockstat` collector: node_sockstat_* from /proc/net/sockstat and /proc/net/sockstat6.

A line is a protocol and pairs of a name and a number (net/ipv4/proc.c); memory of TCP and UDP is counted in
pages there, and told in bytes too.
"""

import os
from dataclasses import dataclass
from functools import partial

from exporters.collector import Collector, Host
from exporters.errors import SampleError, SourceError
from exporters.samples import Family, Kind, Metric, label
from exporters.system.tree import Tree
from exporters.system.unchanged import Unchanged

_FIELDS = (b"inuse", b"orphan", b"tw", b"alloc", b"mem", b"memory")
_LEAST_FIELDS = 3
_USED = Metric("node_sockstat_sockets_used", Kind.GAUGE, "Sockets in use, of all protocols.")


@dataclass(frozen=True, slots=True)
class Raw:
    """The two files; None where the kernel has no such protocol family."""

    sockstat: bytes | None
    sockstat6: bytes | None


class Sockets:
    """Collects, and keeps the metrics that it has met. `page_bytes` is the size of a page of memory."""

    def __init__(self, page_bytes: int) -> None:
        self._page_bytes = page_bytes
        self._metrics: dict[tuple[bytes, bytes], Metric] = {}

    def collect(self, raw: Raw) -> list[Family]:
        """Families of both files; none where there is neither, which node_exporter counts as read.

        Raises:
            SourceError: a line is malformed.
        """
        return [
            *self._file(raw.sockstat or b"", is_six=False),
            *self._file(raw.sockstat6 or b"", is_six=True),
        ]

    def _file(self, text: bytes, *, is_six: bool) -> list[Family]:
        families = []
        for line in text.split(b"\n"):
            if not line:
                continue
            protocol, counts = _line(line)
            if protocol != b"sockets":
                families += self._protocol(protocol, counts)
            elif not is_six:
                families.append(_USED.one(counts.get(b"used", 0)))
        return families

    def _protocol(self, protocol: bytes, counts: dict[bytes, int]) -> list[Family]:
        counts.setdefault(b"inuse", 0)
        families = [self._metric(protocol, field).one(counts[field]) for field in _FIELDS if field in counts]
        if b"mem" in counts:
            families.append(self._metric(protocol, b"mem_bytes").one(counts[b"mem"] * self._page_bytes))
        return families

    def _metric(self, protocol: bytes, field: bytes) -> Metric:
        metric = self._metrics.get((protocol, field))
        if metric is None:
            name = f"{label(protocol)}_{label(field)}"
            try:
                metric = Metric(
                    f"node_sockstat_{name}", Kind.GAUGE, f"Field {name} of the counts of sockets."
                )
            except SampleError as error:
                raise SourceError("/proc/net/sockstat", f"protocol {protocol!r}") from error
            self._metrics[protocol, field] = metric
        return metric


def _line(line: bytes) -> tuple[bytes, dict[bytes, int]]:
    fields = line.split()
    try:
        if len(fields) < _LEAST_FIELDS:
            raise ValueError("too short")
        counts = dict(zip(fields[1::2], map(int, fields[2::2]), strict=True))
    except ValueError as error:
        raise SourceError("/proc/net/sockstat", f"{error}: {line[:80]!r}") from error
    return fields[0].removesuffix(b":"), counts


def read(tree: Tree) -> Raw:
    """Read both files."""
    return Raw(_optional(tree, "net/sockstat"), _optional(tree, "net/sockstat6"))


def _optional(tree: Tree, name: str) -> bytes | None:
    try:
        return tree.proc(name)
    except FileNotFoundError:
        return None


def build(host: Host) -> Collector:
    """The collector on this host."""
    sockets = Sockets(os.sysconf("SC_PAGESIZE"))
    return Collector(Unchanged(partial(read, host.tree), sockets.collect))
