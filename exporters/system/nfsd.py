"""The `nfsd` collector: node_nfsd_*, what the kernel's NFS server did, from /proc/net/rpc/nfsd.

A line is a name and numbers (fs/nfsd/stats.c). Lines that a kernel lacks count as 0, as node_exporter has
them: newer ones have no NFS 2 and no read-ahead cache.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from exporters.collector import Collector, Host
from exporters.errors import NoDataError, SourceError
from exporters.samples import Family, Kind, Metric
from exporters.system.nfs import V2, V3, exactly, names, natural, procedures
from exporters.system.tree import Tree
from exporters.system.unchanged import Unchanged

_V4 = names(
    "Op0Unused Op1Unused Op2Future Access Close Commit Create DelegPurge DelegReturn GetAttr GetFH Link Lock"
    " Lockt Locku Lookup LookupRoot Nverify Open OpenAttr OpenConfirm OpenDgrd PutFH PutPubFH PutRootFH Read"
    " ReadDir ReadLink Remove Rename Renew RestoreFH SaveFH SecInfo SetAttr SetClientID SetClientIDConfirm"
    " Verify Write RelLockOwner"
)
_V4_LEAST = 39
_NOT_REPORTED = {"Null", "Op0Unused", "Op1Unused", "Op2Future", "PutPubFH", "PutRootFH"}


def _counter(name: str, text: str, labels: tuple[str, ...] = ()) -> Metric:
    return Metric(f"node_nfsd_{name}_total", Kind.COUNTER, text, labels)


_SINGLES = (
    (b"rc", 0, _counter("reply_cache_hits", "Replies found in the cache: the client asked again.")),
    (b"rc", 1, _counter("reply_cache_misses", "Replies that were not in the cache.")),
    (b"rc", 2, _counter("reply_cache_nocache", "Replies that need no cache.")),
    (b"fh", 0, _counter("file_handles_stale", "Calls with a stale file handle.")),
    (b"io", 0, _counter("disk_bytes_read", "Bytes read for clients.")),
    (b"io", 1, _counter("disk_bytes_written", "Bytes written for clients.")),
    (b"th", 0, Metric("node_nfsd_server_threads", Kind.GAUGE, "Threads of the server.")),
    (
        b"ra",
        0,
        Metric(
            "node_nfsd_read_ahead_cache_size_blocks", Kind.GAUGE, "Size of the read-ahead cache in blocks."
        ),
    ),
    (b"ra", 11, _counter("read_ahead_cache_not_found", "Reads that were not in the read-ahead cache.")),
    (b"net", 3, _counter("connections", "TCP connections that were accepted.")),
    (b"rpc", 0, _counter("server_rpcs", "Remote calls that were served.")),
)
_PACKETS = _counter("packets", "Packets by protocol.", ("proto",))
_ERRORS = _counter("rpc_errors", "Remote calls that were refused, by reason.", ("error",))
_REQUESTS = _counter("requests", "Calls by procedure.", ("proto", "method"))

_COUNTS = {b"rc": 3, b"fh": 5, b"io": 2, b"th": 2, b"ra": 12, b"net": 4, b"rpc": 5}
_PROCEDURES = {
    b"proc2": (V2, len(V2)),
    b"proc3": (V3, len(V3)),
    b"proc4ops": (_V4, _V4_LEAST),
}
_IGNORED = b"proc4"
_DELEGATION = b"wdeleg_getattr"
_REPORTED = tuple(
    (name, place, (name[4:5].decode(), method))
    for name, (methods, _) in _PROCEDURES.items()
    for place, method in enumerate(methods)
    if method not in _NOT_REPORTED
)
_REQUEST_ROWS = (*(row for _, _, row in _REPORTED), ("4", "WdelegGetattr"))


@dataclass(frozen=True, slots=True)
class Raw:
    """Numbers by the first word of their line; 0 where there is no such line."""

    lines: dict[bytes, Sequence[int]]


def read(tree: Tree) -> Raw:
    """Read the file.

    Raises:
        NoDataError: there is no NFS server here.
        SourceError: the file is malformed.
    """
    try:
        return parse(tree.proc("net/rpc/nfsd"))
    except FileNotFoundError as error:
        raise NoDataError("no NFS server") from error


def parse(text: bytes) -> Raw:
    """The lines of /proc/net/rpc/nfsd.

    Raises:
        SourceError: a line is malformed or unknown.
    """
    lines: dict[bytes, Sequence[int]] = {name: [0] * count for name, count in _COUNTS.items()}
    lines |= {name: [0] * len(methods) for name, (methods, _) in _PROCEDURES.items()} | {_DELEGATION: [0]}
    for line in text.splitlines():
        name, *fields = line.split() or [b""]
        try:
            lines[name] = _numbers(name, fields)
        except (KeyError, ValueError) as error:
            raise SourceError("/proc/net/rpc/nfsd", f"malformed line {line[:80]!r}") from error
    return Raw(lines)


def _numbers(name: bytes, fields: Sequence[bytes]) -> Sequence[int]:
    if name == b"th":  # what follows is a histogram of fractions, without meaning since 2.6.36
        fields = fields[: _COUNTS[name]]
    numbers = [natural(field) for field in fields]
    if name in _COUNTS:
        return exactly(numbers, _COUNTS[name])
    if name in (_IGNORED, _DELEGATION):
        return numbers[: len(numbers) or 1] if numbers else exactly(numbers, 1)
    methods, least = _PROCEDURES[name]
    return procedures(numbers, len(methods), least)


def collect(raw: Raw) -> list[Family]:
    """All families."""
    lines = raw.lines
    _, udp, tcp, _ = lines[b"net"]
    requests = [lines[name][place] for name, place, _ in _REPORTED]
    return [
        *(metric.one(lines[name][place]) for name, place, metric in _SINGLES),
        Family(_PACKETS, (("udp",), ("tcp",)), (udp, tcp)),
        Family(_ERRORS, (("fmt",), ("auth",), ("cInt",)), lines[b"rpc"][2:]),
        Family(_REQUESTS, _REQUEST_ROWS, [*requests, lines[_DELEGATION][0]]),
    ]


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(Unchanged(partial(read, host.tree), collect))
