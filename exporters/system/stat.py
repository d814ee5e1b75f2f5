"""Counters of /proc/stat beside the CPU times: interrupts, context switches, forks, boot time, processes; on
demand soft interrupts by kind (proc_stat(5)).
"""

from exporters.collector import Collector, Host
from exporters.errors import SourceError
from exporters.samples import Family, Kind, Metric
from exporters.settings import switch
from exporters.system.shared import SharedReads
from exporters.system.tree import Tree

SOFTIRQ = switch("collector.stat.softirq", default=False, help_text="Soft interrupts by kind.")
SETTINGS = (SOFTIRQ,)

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
_SOFTIRQS = Metric("node_softirqs_total", Kind.COUNTER, "Soft interrupts of each kind.", ("vector",))
_VECTORS = ("hi", "timer", "net_tx", "net_rx", "block", "block_iopoll", "tasklet", "sched", "hrtimer", "rcu")
_ROWS = tuple((vector,) for vector in _VECTORS)


def read(tree: Tree) -> bytes:
    """The text of /proc/stat."""
    return tree.shared(SharedReads).read(tree, "stat", "stat")


def collect(raw: bytes, *, with_softirqs: bool = False) -> list[Family]:
    """The counters; one that an old kernel lacks is 0, as node_exporter has it.

    Raises:
        SourceError: there is none of them, or one is no number.
    """
    values = dict.fromkeys(_METRICS, b"0")
    softirqs = b""
    known = 0
    for line in raw.split(b"\n"):
        name, _, rest = line.partition(b" ")
        if name in values:
            values[name] = rest.partition(b" ")[0]
            known += 1
        elif name == b"softirq":
            softirqs = rest
    if not known:
        raise SourceError("/proc/stat", "no counters in it")
    try:
        families = [_METRICS[name].one(int(value)) for name, value in values.items()]
        if with_softirqs:
            families.append(_vectors(softirqs))
    except ValueError as error:
        raise SourceError("/proc/stat", str(error)) from error
    return families


def _vectors(softirqs: bytes) -> Family:
    """All kinds, after their sum; a kernel older than 2.6.31 has none, and they are 0."""
    counts = list(map(int, softirqs.split()[1 : len(_VECTORS) + 1]))
    return Family(_SOFTIRQS, _ROWS, counts or [0] * len(_VECTORS))


def build(host: Host) -> Collector:
    """The collector on this host."""
    with_softirqs = host.settings[SOFTIRQ]
    return Collector(lambda: collect(read(host.tree), with_softirqs=with_softirqs))
