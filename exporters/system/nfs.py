"""The `nfs` collector: node_nfs_*, the calls of this machine's NFS clients, from /proc/net/rpc/nfs.

A line is a name and numbers; `proc2` to `proc4` begin with how many follow, one for each procedure of that
version in the kernel's order (fs/nfs/nfs{2,3,4}xdr.c). Procedures that an older kernel lacks are 0, as
node_exporter has them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from exporters.collector import Collector, Host
from exporters.errors import NoDataError, SourceError
from exporters.samples import Family, Kind, Metric
from exporters.system.tree import Tree
from exporters.system.unchanged import Unchanged


def names(text: str) -> tuple[str, ...]:
    """The words of a text."""
    return tuple(text.split())


V2 = names(
    "Null GetAttr SetAttr Root Lookup ReadLink Read WrCache Write Create Remove Rename Link SymLink MkDir"
    " RmDir ReadDir FsStat"
)
"""Procedures of NFS 2 (RFC 1094), under node_exporter's names."""
V3 = names(
    "Null GetAttr SetAttr Lookup Access ReadLink Read Write Create MkDir SymLink MkNod Remove RmDir Rename"
    " Link ReadDir ReadDirPlus FsStat FsInfo PathConf Commit"
)
"""Procedures of NFS 3 (RFC 1813), under node_exporter's names."""
_V4 = names(
    "Null Read Write Commit Open OpenConfirm OpenNoattr OpenDowngrade Close Setattr FsInfo Renew SetClientID"
    " SetClientIDConfirm Lock Lockt Locku Access Getattr Lookup LookupRoot Remove Rename Link Symlink Create"
    " Pathconf StatFs ReadLink ReadDir ServerCaps DelegReturn GetACL SetACL FsLocations ReleaseLockowner"
    " Secinfo FsidPresent ExchangeID CreateSession DestroySession Sequence GetLeaseTime ReclaimComplete"
    " GetDeviceInfo LayoutGet LayoutCommit LayoutReturn SecinfoNoName TestStateID FreeStateID GetDeviceList"
    " BindConnToSession DestroyClientID Seek Allocate DeAllocate LayoutStats Clone"
)
_PACKETS = Metric("node_nfs_packets_total", Kind.COUNTER, "Packets of NFS clients.", ("protocol",))
_CONNECTIONS = Metric("node_nfs_connections_total", Kind.COUNTER, "TCP connections of NFS clients.")
_RPCS = (
    Metric("node_nfs_rpcs_total", Kind.COUNTER, "Remote calls of NFS clients."),
    Metric("node_nfs_rpc_retransmissions_total", Kind.COUNTER, "Remote calls that were sent again."),
    Metric(
        "node_nfs_rpc_authentication_refreshes_total", Kind.COUNTER, "Times that credentials were renewed."
    ),
)
_REQUESTS = Metric("node_nfs_requests_total", Kind.COUNTER, "Calls by procedure.", ("proto", "method"))
_REQUEST_ROWS = tuple(
    (proto, method) for proto, methods in (("2", V2), ("3", V3), ("4", _V4)) for method in methods
)
_COUNTS = {b"net": 4, b"rpc": 3}
_PROCEDURES = {b"proc2": V2, b"proc3": V3, b"proc4": _V4}


@dataclass(frozen=True, slots=True)
class Raw:
    """Numbers by the first word of their line; 0 where there is no such line."""

    lines: dict[bytes, Sequence[int]]


def read(tree: Tree) -> Raw:
    """Read the file.

    Raises:
        NoDataError: there is no NFS client here.
        SourceError: the file is malformed.
    """
    try:
        return parse(tree.proc("net/rpc/nfs"))
    except FileNotFoundError as error:
        raise NoDataError("no NFS client") from error


def parse(text: bytes) -> Raw:
    """The lines of /proc/net/rpc/nfs.

    Raises:
        SourceError: a line is malformed or unknown.
    """
    lines: dict[bytes, Sequence[int]] = {name: [0] * count for name, count in _COUNTS.items()}
    lines |= {name: [0] * len(methods) for name, methods in _PROCEDURES.items()}
    for line in text.splitlines():
        name, *fields = line.split() or [b""]
        try:
            numbers = [natural(field) for field in fields]
            if name in _COUNTS:
                lines[name] = exactly(numbers, _COUNTS[name])
            else:
                least = 0 if name == b"proc4" else len(_PROCEDURES[name])
                lines[name] = procedures(numbers, len(_PROCEDURES[name]), least)
        except (KeyError, ValueError) as error:
            raise SourceError("/proc/net/rpc/nfs", f"malformed line {line[:80]!r}") from error
    return Raw(lines)


def natural(field: bytes) -> int:
    """A number that is not negative.

    Raises:
        ValueError: it is something else.
    """
    if not field.isdigit():
        raise ValueError(f"{field!r}")
    return int(field)


def exactly(numbers: list[int], count: int) -> list[int]:
    """The numbers, if there are so many.

    Raises:
        ValueError: there are not.
    """
    if len(numbers) != count:
        raise ValueError(f"{len(numbers)} numbers")
    return numbers


def procedures(numbers: list[int], known: int, least: int) -> list[int]:
    """Calls of the `known` procedures, of numbers that begin with their count; those that lack are 0.

    Raises:
        ValueError: the count is wrong or below `least`.
    """
    if not numbers or numbers[0] != len(numbers) - 1 or numbers[0] < least:
        raise ValueError("wrong count")
    found = numbers[1 : known + 1]
    return found + [0] * (known - len(found))


def collect(raw: Raw) -> list[Family]:
    """All families."""
    _, udp, tcp, connections = raw.lines[b"net"]
    requests = [number for name in _PROCEDURES for number in raw.lines[name]]
    return [
        Family(_PACKETS, (("udp",), ("tcp",)), (udp, tcp)),
        _CONNECTIONS.one(connections),
        *(metric.one(number) for metric, number in zip(_RPCS, raw.lines[b"rpc"], strict=True)),
        Family(_REQUESTS, _REQUEST_ROWS, requests),
    ]


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(Unchanged(partial(read, host.tree), collect))
