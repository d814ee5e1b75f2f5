"""Counters of /proc/stat beside the CPU times: interrupts, context switches, forks, boot time, processes."""

import re

from exporters.collector import Collector, Host
from exporters.errors import SourceError
from exporters.samples import Family, Kind, Metric
from exporters.system.tree import Tree

_METRICS = {
    b"intr": Metric("node_intr_total", Kind.COUNTER, "Total number of interrupts serviced."),
    b"ctxt": Metric("node_context_switches_total", Kind.COUNTER, "Total number of context switches."),
    b"processes": Metric("node_forks_total", Kind.COUNTER, "Total number of forks."),
    b"btime": Metric("node_boot_time_seconds", Kind.GAUGE, "Node boot time, in unixtime."),
    b"procs_running": Metric("node_procs_running", Kind.GAUGE, "Number of processes in runnable state."),
    b"procs_blocked": Metric(
        "node_procs_blocked", Kind.GAUGE, "Number of processes blocked waiting for I/O to complete."
    ),
}
_FIELD = re.compile(rb"^(intr|ctxt|processes|btime|procs_running|procs_blocked) (\d+)", re.MULTILINE)


def read(tree: Tree) -> bytes:
    """The text of /proc/stat."""
    return tree.proc("stat")


def collect(raw: bytes) -> list[Family]:
    """The fields that are there (a kernel without block support has no procs_blocked).

    Raises:
        SourceError: there is none of them.
    """
    # The CPU lines and the long intr line are the CPU collector's or nobody's; the rest is short.
    found = _FIELD.findall(raw, max(0, raw.find(b"\nintr ")))
    if not found:
        raise SourceError("/proc/stat", "no counters in it")
    return [_METRICS[name].one(int(value)) for name, value in found]


def build(host: Host) -> Collector:
    """The collector on this host."""
    return Collector(lambda: collect(read(host.tree)))
