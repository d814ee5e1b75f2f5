"""process_* of this very process, as Prometheus client libraries give them, and the build information.

node_exporter_build_info is there because dashboards fill their variables from it; its version is ours.
"""

import os
import platform
import resource
import time
from dataclasses import dataclass
from pathlib import Path

from exporters.collector import Collector, Host
from exporters.errors import SourceError
from exporters.samples import Family, Kind, Metric
from exporters.system.shared import SharedReads
from exporters.system.tree import Tree

_CPU = Metric("process_cpu_seconds_total", Kind.COUNTER, "Total user and system CPU time spent in seconds.")
_VIRTUAL = Metric("process_virtual_memory_bytes", Kind.GAUGE, "Virtual memory size in bytes.")
_RESIDENT = Metric("process_resident_memory_bytes", Kind.GAUGE, "Resident memory size in bytes.")
_START = Metric(
    "process_start_time_seconds", Kind.GAUGE, "Start time of the process since unix epoch in seconds."
)
_OPEN = Metric("process_open_fds", Kind.GAUGE, "Number of open file descriptors.")
_MOST_OPEN = Metric("process_max_fds", Kind.GAUGE, "Maximum number of open file descriptors.")
_MOST_VIRTUAL = Metric(
    "process_virtual_memory_max_bytes", Kind.GAUGE, "Maximum amount of virtual memory available in bytes."
)
_RECEIVED = Metric(
    "process_network_receive_bytes_total",
    Kind.COUNTER,
    "Number of bytes received by the process over the network.",
)
_SENT = Metric(
    "process_network_transmit_bytes_total",
    Kind.COUNTER,
    "Number of bytes sent by the process over the network.",
)
_BUILD = Metric(
    "node_exporter_build_info",
    Kind.GAUGE,
    "A metric with a constant '1' value: which exporter answers under node_exporter's names.",
    ("branch", "goarch", "goos", "goversion", "revision", "tags", "version"),
)
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_DESCRIPTORS = Path("/proc/self/fd")
_UNLIMITED = 2**64 - 1
_STARTED = 19
"""Place in /proc/self/stat after the command's closing bracket (proc_pid_stat(5), field 22)."""


@dataclass(frozen=True, slots=True)
class Raw:
    """Numbers of this process; start in unixtime, memory in pages, limits as getrlimit(2) gives them."""

    cpu_seconds: float
    started: float
    virtual_pages: int
    resident_pages: int
    open_files: int
    most_open_files: int
    most_virtual_bytes: int
    received_bytes: int | None
    sent_bytes: int | None


class OwnProcess:
    """Reads /proc/self of the live /proc, whatever tree the others read: theirs, where that is live."""

    def __init__(self, version: str, tree: Tree | None = None) -> None:
        self._tree = Tree() if tree is None or not tree.proc_is_live else tree
        self._build = Family(_BUILD, (_build_row(version),), (1,))
        self._started = _started(self._tree)

    def collect(self) -> list[Family]:
        """Read and collect."""
        return [*collect(self.read()), self._build]

    def read(self) -> Raw:
        """Ask the kernel about this process; raises OSError where /proc is not mounted."""
        virtual, resident, _ = self._tree.proc("self/statm").split(None, 2)
        # /proc/net is a link to self/net: the same counters that the netstat collector reads.
        netstat = self._tree.shared(SharedReads).read(self._tree, "net/netstat", "process")
        received, sent = parse_octets(netstat)
        return Raw(
            cpu_seconds=time.process_time(),
            started=self._started,
            virtual_pages=int(virtual),
            resident_pages=int(resident),
            open_files=_open_files(),
            most_open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            most_virtual_bytes=resource.getrlimit(resource.RLIMIT_AS)[0],
            received_bytes=received,
            sent_bytes=sent,
        )

    def close(self) -> None:
        """Close the files that are kept open."""
        self._tree.close()


def parse_octets(netstat: bytes) -> tuple[int | None, int | None]:
    """InOctets and OutOctets of the IpExt lines of /proc/net/netstat: all of the network name space, in
    truth.
    """
    _, _, rest = netstat.partition(b"IpExt: ")
    names, _, values = rest.partition(b"\nIpExt: ")
    found = dict(zip(names.split(), values.split(), strict=False))
    received, sent = found.get(b"InOctets"), found.get(b"OutOctets")
    return (None if received is None else int(received), None if sent is None else int(sent))


def collect(raw: Raw) -> list[Family]:
    """One series each."""
    page_bytes = resource.getpagesize()
    families = [
        _CPU.one(raw.cpu_seconds),
        _VIRTUAL.one(raw.virtual_pages * page_bytes),
        _RESIDENT.one(raw.resident_pages * page_bytes),
        _START.one(raw.started),
        _OPEN.one(raw.open_files),
        _MOST_OPEN.one(raw.most_open_files),
        _MOST_VIRTUAL.one(_UNLIMITED if raw.most_virtual_bytes < 0 else raw.most_virtual_bytes),
    ]
    if raw.received_bytes is not None and raw.sent_bytes is not None:
        families += [_RECEIVED.one(raw.received_bytes), _SENT.one(raw.sent_bytes)]
    return families


def _started(tree: Tree) -> float:
    """When this process began, in unixtime.

    Raises:
        SourceError: the kernel does not say so as proc_pid_stat(5) has it.
    """
    try:
        booted = int(tree.proc("stat").partition(b"\nbtime ")[2].split(None, 1)[0])
        ticks = int(tree.proc("self/stat").rpartition(b")")[2].split()[_STARTED])
    except (IndexError, ValueError) as error:
        raise SourceError("/proc/self/stat", str(error)) from error
    return booted + ticks / os.sysconf("SC_CLK_TCK")


def _open_files() -> int:
    # Since Linux 6.2 the size of the folder is the number of descriptors; before that it is 0.
    return _DESCRIPTORS.stat().st_size or len(list(_DESCRIPTORS.iterdir())) - 1


def _build_row(version: str) -> tuple[str, ...]:
    machine = platform.machine()
    return ("", _ARCHITECTURES.get(machine, machine), "linux", "", "steward", "", version)


def build(host: Host) -> Collector:
    """The collector of this process."""
    own = OwnProcess(host.version, host.tree)
    return Collector(own.collect, own.close)
